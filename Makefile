# make        builds the programs into bin/
# make quick  vet, and every test that takes little and needs nothing but Go: under a minute
# make story NAME=TestX  one story, with the real parts
# make test   installs what tests need from Debian, then runs every test
# make test-parties  stories with programs that take long to build: versitygw (a cloud's IAM) and others. As root, and minutes the
#             first time
# make check  formatting, vet, staticcheck, and who imports whom
# make race   the rooms that share memory, with the race detector
# make bench  the budgets of docs/performance.md, as ratios of one run; BENCHSIZE=full grows as far
#             as the design says, and COSTS=/passkey measures one part: server, sqlite, postgres, passkey, password, held,
#             codes, import, scim, regroup, openid, refreshes, introspection, saml, growth
# make bench-attack  how long honest people wait while somebody attacks; ATTACK=/sign-ins measures one attack
# make bench-peers  the same loads on FreeRADIUS, oauth2-proxy and dex, in the same run; PEERS=/postgres measures one part: file,
#             sqlite, postgres, forward, openid. What is not installed is named, with how to install it
# make benches  every other benchmark
# make mutants  inverts each condition of ROOMS: their own tests must notice nine of ten, and every
#               survivor has its reason in internal/mutants/accepted. MUTANTS='-v -files decide' says more, of less
# make drill-mutants  takes guards out of the server one by one: exactly the rows of the drill that depend on each must
#             fail. As root; a minute a guard. DRILLMUTANTS='-only T1133' plays few, -write writes the table of docs/drill.md
# make fuzz   every fuzz target for FUZZTIME
# make ha     three servers on PostgreSQL with Patroni and etcd, the primary killed under load; minutes, and
#             apt install patroni etcd-server
# make soak   the long tests
# make deb      a Debian package in bin/
# make image    an OCI image in bin/ (apt install umoci): docs/containers.md
# make install PREFIX=/usr/local DESTDIR=

GO          ?= go
PREFIX      ?= /usr/local
VERSION     ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
STATICCHECK ?= honnef.co/go/tools/cmd/staticcheck@v0.8.2
FUZZTIME    ?= 10s
SOAKTIME    ?= 2h
RACE        ?= ./internal/...
BENCH       ?= ./internal/...
ROOMS       ?= signin session ticket keyring directory enrollment recovery incident
PACKAGES    ?= ./...

.PHONY: build deb image quick story test test-parties check race bench bench-attack bench-peers benches mutants drill-mutants fuzz soak ha install clean

build:
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-s -w -X main.version=$(VERSION)' -o bin/ ./cmd/...

# -short is the one switch: long tests skip themselves and say why. No other target sets it.
# Stories are vetted and not linked: all but those about tables and pages would skip themselves.
quick:
	$(GO) vet $(PACKAGES)
	$(GO) test -short ./cmd/... ./internal/... ./test/admin

# Only the package that has the story is built. NAME is a regular expression.
story:
	@test -n "$(NAME)" || { echo "say which: make story NAME=TestPAM"; exit 2; }
	@at=$$(grep -rlE --include='*_test.go' '^func ($(NAME))\(' cmd internal test | xargs -r -n1 dirname | sort -u); \
	test -n "$$at" || { echo "no test is called $(NAME)"; exit 1; }; \
	for d in $$at; do $(GO) test -count=1 -timeout 20m -run '^($(NAME))$$' ./$$d || exit 1; done

test:
	deploy/test-packages.sh
	$(GO) test -timeout 60m $(PACKAGES)

test-parties:
	$(GO) test -tags parties -timeout 60m ./test/parties/...

check:
	@test -z "$$(gofmt -l cmd internal test)" || { echo "gofmt these:"; gofmt -l cmd internal test; exit 1; }
	$(GO) vet $(PACKAGES)
	$(GO) run $(STATICCHECK) $(PACKAGES)
	$(GO) test ./internal/rooms

race:
	$(GO) test -race -timeout 60m $(RACE)

bench:
	$(GO) test -run '^$$' -bench '^BenchmarkCosts$$$(COSTS)' -benchtime 1x -timeout 120m ./test/bench | grep -v -e level= -e '^ok '

bench-attack:
	$(GO) test -run '^$$' -bench '^BenchmarkUnderAttack$$$(ATTACK)' -benchtime 1x -timeout 30m ./test/bench | grep -v -e level= -e '^ok '

bench-peers:
	$(GO) test -run '^$$' -bench '^BenchmarkPeers$$$(PEERS)' -benchtime 1x -timeout 30m ./test/bench | grep -v -e level= -e '^ok '

benches:
	$(GO) test -run '^$$' -bench . -benchmem -timeout 60m $(BENCH) | grep -v -e 'no test files' -e '^PASS$$' -e '^ok '

mutants:
	$(GO) run ./internal/mutants $(MUTANTS) $(ROOMS)

drill-mutants:
	$(GO) run ./test/drill/mutants $(DRILLMUTANTS)

# go test -fuzz takes one target of one package at a time.
fuzz:
	@grep -rhoE --include='*_test.go' '^func Fuzz[A-Za-z0-9_]*' -H cmd internal test | sed 's/:func / /' | \
	while read -r file target; do \
		$(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) "./$$(dirname "$$file")" || exit 1; \
	done

soak:
	$(GO) test -tags soak -run '^TestSoak' -count 1 -v -timeout $(SOAKTIME) $(PACKAGES)

ha:
	$(GO) test -tags ha -run '^(TestPrimaryKilledUnderLoad|TestAsynchronousFailoverIsNoticed)$$' -count 1 -v -timeout 20m ./test/fault

deb:
	deploy/debian/build.sh bin

image:
	VERSION=$(VERSION) deploy/container/build-image.sh bin

install: build
	install -d $(DESTDIR)$(PREFIX)/bin
	install -m 755 bin/* $(DESTDIR)$(PREFIX)/bin/
	bin/countersign man $(DESTDIR)$(PREFIX)/share/man/man1

clean:
	rm -rf bin
