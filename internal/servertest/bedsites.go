package servertest

import (
	"context"
	"fmt"
	"net/netip"
	"regexp"
	"strings"
	"sync"

	"countersign/internal/audit"
	"countersign/internal/drill/web"
	"countersign/internal/policy"
	"countersign/internal/store"
	"countersign/internal/testbed"
)

// bedProxies are the addresses that the guarded server of a bed believes what was
// forwarded. An attacker's is none of them.
var bedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/30")}

// bedPolicy is the policy of a new installation, with what two sites add: the wiki is for a
// group, and a path of it demands more than the rest.
var bedPolicy = strings.NewReplacer(everybody, everybody+` && application.name != "`+lenient+`"`, "rules:\n", `rules:
  - name: filters of mail
    when: application.name == "mail-filters"
    require: phishing-resistant
    within: 15m
  - name: a lenient mail program
    when: application.name == "`+lenient+`"
    require: one-factor
  - name: the wiki's administration
    when: action == "wiki.admin"
    require: phishing-resistant
  - name: the wiki is for its writers
    when: application.name == "wiki" && !("writers" in account.groups)
    deny: not a writer
`).Replace(string(policy.DefaultForCodes()))

// everybody is of whom the policy of a new installation demands two factors.
const everybody = `when: account.kind != "service" && action != "account.recover"`

// writers are the group that the wiki is for.
const writers = "writers"

// sites puts two sites in front of pages of a world: wiki, which is guarded as a whole and
// demands more under /admin, and notes, which is guarded under /notes/ alone, by a proxy that
// lets headers of any name through and adds its peer to what a browser forwards. Their names do
// not resolve.
func (b *Bed) sites(w *World) []web.Site {
	only := netip.MustParseAddr("127.0.0.1") // nginx asks from there
	if w == b.Naked {
		only = netip.Addr{}
	}
	wiki, notes := testbed.NewPageFor(b.T, only, "/"), testbed.NewPageFor(b.T, only, "/notes")
	all := []web.Site{b.site(w, "wiki", wiki), b.site(w, "notes", notes, "location / {", "location / { proxy_pass http://"+notes.Addr+"; }\n    location /notes/ {",
		"ignore_invalid_headers on", "ignore_invalid_headers off", "underscores_in_headers off", "underscores_in_headers on",
		"X-Forwarded-For   $remote_addr", "X-Forwarded-For   $proxy_add_x_forwarded_for")}
	all[0].URL, all[0].Stronger = all[0].URL+"/notes", all[0].URL+"/admin"
	all[1].URL += "/notes/"
	host := func(s web.Site) string { return strings.Split(s.URL, "/")[2] }
	if err := w.PlantApplications(context.Background(), host(all[0]), DrillSecret); err != nil {
		b.T.Fatal(err)
	}
	w.Protect("wiki", map[string]any{"hosts": []string{host(all[0])}, "rules": []any{map[string]any{"path": "/admin", "action": "wiki.admin"}}})
	w.Protect("notes", map[string]any{"hosts": []string{host(all[1])}})
	w.plantGroup(writers)
	return all
}

// Rewired puts another wiki in the place of the stage's: behind an nginx in whose configuration
// more is replaced, and open to everybody's requests where it is said. It returns the sites.
func (b *Bed) Rewired(w *World, open bool, more ...string) []web.Site {
	only := netip.MustParseAddr("127.0.0.1")
	if open {
		only = netip.Addr{}
	}
	wiki := b.site(w, "wiki", testbed.NewPageFor(b.T, only, "/"), more...)
	w.Protect("wiki", map[string]any{"hosts": []string{strings.Split(wiki.URL, "/")[2]}})
	wiki.URL += "/notes"
	return []web.Site{wiki, b.Sites[1]}
}

// plantGroup makes a group without members.
func (w *World) plantGroup(name string) {
	w.T.Helper()
	ctx := context.Background()
	err := w.DB.Change(ctx, audit.System("test"), func(tx *store.Tx) error {
		if _, err := w.Groups.Create(ctx, tx, name, name, false); err != nil {
			return err
		}
		return tx.Record(audit.Entry{Event: "test.group", Outcome: audit.OK})
	})
	if err != nil {
		w.T.Fatal(err)
	}
}

// site runs nginx in front of a page, by the example of deploy/examples, in which more is
// replaced.
func (b *Bed) site(w *World, name string, page *testbed.Page, more ...string) web.Site {
	port := testbed.Port(b.T)
	addr, host := fmt.Sprintf("127.0.0.1:%d", port), fmt.Sprintf("%s.test:%d", name, port)
	own := strings.Replace(strings.TrimPrefix(w.Base, "http://"), "localhost", "127.0.0.1", 1)
	log := testbed.Nginx(b.T, addr, testbed.Example(b.T, "nginx.conf", append(more, "127.0.0.1:8081", addr, "wiki.example.org", host, "127.0.0.1:8080", own, "127.0.0.1:3000", page.Addr)...))
	return web.Site{Application: name, URL: "http://" + host, Connect: addr, Backend: "http://" + page.Addr,
		Log: newLines(log)}
}

// newLines returns what nginx writes about requests, each line once.
func newLines(log *testbed.Log) func(context.Context) ([]string, error) {
	var mu sync.Mutex
	told := 0
	return func(context.Context) ([]string, error) {
		mu.Lock()
		defer mu.Unlock()
		lines := accessLines(log.String())
		fresh := lines[min(told, len(lines)):]
		told = len(lines)
		return fresh, nil
	}
}

var (
	accessLine = regexp.MustCompile(`" \d{3} \d+ "`)
	query      = regexp.MustCompile(`\?[^ "]*`)
)

// accessLines are nginx's lines about requests, without their queries, which hold codes.
func accessLines(log string) (lines []string) {
	for line := range strings.Lines(log) {
		if accessLine.MatchString(line) {
			lines = append(lines, query.ReplaceAllString(strings.TrimSpace(line), "?..."))
		}
	}
	return lines
}
