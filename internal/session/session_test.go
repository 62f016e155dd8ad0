package session

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"countersign/internal/application"
	"countersign/internal/assurance"
	"countersign/internal/audit"
	"countersign/internal/authenticator"
	"countersign/internal/directory"
	"countersign/internal/failure"
	"countersign/internal/keyring"
	"countersign/internal/keyring/keyringtest"
	"countersign/internal/notify"
	"countersign/internal/policy"
	"countersign/internal/prompt"
	"countersign/internal/signin"
	"countersign/internal/store"
	"countersign/internal/ticket"
)

// shows is an authenticator that shows what its kind says: what is right is "yes".
type shows struct {
	kind   string
	traits assurance.Trait
	life   time.Duration
}

func (s shows) Describe() authenticator.Description {
	return authenticator.Description{Kind: s.kind, Title: s.kind, Traits: s.traits, Media: prompt.Line | prompt.Single | prompt.Browser, First: true}
}

func (s shows) Ask([]authenticator.Credential, time.Time) (prompt.Prompt, authenticator.Memo, error) {
	return prompt.Prompt{Authenticator: s.kind}, nil, nil
}

func (s shows) Check(_ context.Context, all []authenticator.Credential, _ authenticator.Memo, a prompt.Answer, now time.Time) (authenticator.Result, error) {
	if a.Text != "yes" || len(all) == 0 {
		return authenticator.Wrong("wrong"), nil
	}
	r := authenticator.Result{OK: true, Credential: all[0].ID, Traits: s.traits}
	if s.life > 0 {
		r.Until = now.Add(s.life)
	}
	return r, nil
}

const strong = assurance.Held | assurance.HardwareBound | assurance.PhishingResistant | assurance.UserVerified

var kinds = []shows{{kind: "weak", traits: assurance.Known}, {kind: "strong", traits: strong}, {kind: "pass", traits: assurance.Known | assurance.Vouched, life: 20 * time.Minute}}

// known are the names that the policy of these tests may mention.
var known = policy.Known{Actions: []string{signin.SignIn}, Applications: []string{signin.Self}, Protocols: []string{"test", "browser"},
	Kinds: []string{"weak", "strong", "pass"}, ApplicationKinds: []string{"directory"}, Tiers: []string{application.Standard}, AccountKinds: []string{directory.Person}}

type rig struct {
	*Sessions
	*Endings
	*Handovers
	*Continuations
	db      *store.DB
	keys    *keyring.Keyring
	tickets *ticket.Tickets

	engine *signin.Engine
	ids    map[string]assurance.AccountID
	now    time.Time
	place
}

// place is where a server keeps everything, so that it can be stopped and started.
type place struct {
	dsn, folder string
	root        keyring.Root
}

func placed(t *testing.T) place {
	dir := t.TempDir()
	return place{filepath.Join(dir, "session.db"), filepath.Join(dir, "remembered"), keyring.NewRoot()}
}

var began = time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)

func setUp(t *testing.T) *rig { return setUpAt(t, placed(t)) }

func setUpAt(t *testing.T, at place) *rig {
	t.Helper()
	r := &rig{now: began, ids: map[string]assurance.AccountID{}, place: at}
	of, rules := r.open(t)
	people, credentials := directory.NewAccounts(of), directory.NewCredentials(of)
	r.change(t, func(tx *store.Tx) error {
		for _, name := range []string{"ada", "bob"} {
			a, err := people.Create(t.Context(), tx, directory.NewAccount{Name: name})
			if err != nil {
				return err
			}
			r.ids[name] = a.ID
			for _, k := range kinds {
				if _, err := credentials.Add(t.Context(), tx, directory.Credential{Account: a.ID, Kind: k.kind, Traits: k.traits, State: []byte("{}")}); err != nil {
					return err
				}
			}
		}
		_, err := rules.Save(t.Context(), tx, "rules:\n  - name: everybody\n    require: one-factor\n", "test")
		return err
	})
	return r
}

// restart stops the server and starts it again.
func (r *rig) restart(t *testing.T) {
	t.Helper()
	r.db.Close()
	r.open(t)
}

// open starts a server, which has forgotten all that is not kept.
func (r *rig) open(t *testing.T) (directory.Parts, *signin.Rules) {
	t.Helper()
	clock := func() time.Time { return r.now }
	db, keys := keyringtest.Open(t, store.Options{DSN: r.dsn, Remember: r.folder, Now: func() time.Time { return began }}, r.root)
	log := slog.New(slog.DiscardHandler)
	of := directory.Parts{DB: db, Keys: keys}
	rules := signin.NewRules(db, keys, func(context.Context, store.Reader) (policy.Known, error) { return known, nil }, log)
	r.db, r.keys, r.tickets = db, keys, ticket.New(ticket.Parts{DB: db, Keys: keys, Now: clock})
	kept := Parts{DB: db, Keys: keys, Tickets: r.tickets, Now: clock}
	r.Sessions = New(kept)
	r.Endings, r.Handovers, r.Continuations = NewEndings(r.Sessions), NewHandovers(r.Sessions, r.tickets), NewContinuations(kept, r.Sessions)
	parts := signin.Parts{DB: db, Keys: keys, Accounts: directory.NewAccounts(of), Credentials: directory.NewCredentials(of), Milestones: directory.NewMilestones(of), Rules: rules, Sessions: r.Sessions, Now: clock, Log: log}
	var err error
	if parts.Applications, err = application.Open(t.Context(), db, keys); err != nil {
		t.Fatal(err)
	}
	for _, k := range kinds {
		parts.Authenticators = append(parts.Authenticators, k)
	}
	if parts.Outbox, err = notify.NewOutbox(db, keys, clock); err != nil {
		t.Fatal(err)
	}
	deciding, err := signin.New(parts)
	if err != nil {
		t.Fatal(err)
	}
	r.engine = deciding.Engine
	return of, rules
}

func (r *rig) change(t *testing.T, fn func(tx *store.Tx) error) {
	t.Helper()
	err := r.db.Change(t.Context(), audit.System("test"), func(tx *store.Tx) error {
		if err := fn(tx); err != nil {
			return err
		}
		return tx.Record(audit.Entry{Event: "test.change", Outcome: audit.OK})
	})
	if err != nil {
		t.Fatal(err)
	}
}

func (r *rig) sabotage(t *testing.T, query string, args ...any) {
	t.Helper()
	r.change(t, func(tx *store.Tx) error { _, err := tx.Exec(t.Context(), query, args...); return err })
}

// grant signs somebody in with these kinds.
func (r *rig) grant(t *testing.T, name string, with ...string) signin.Grant {
	t.Helper()
	req := signin.Request{Application: signin.Self, Name: name, Protocol: "test", Medium: prompt.Line, Source: netip.MustParseAddr("203.0.113.9")}
	for _, kind := range with {
		req.Opening = append(req.Opening, prompt.Answer{Authenticator: kind, Text: "yes"})
	}
	step, err := r.engine.Begin(t.Context(), req)
	if err != nil || step.State != signin.Granted {
		t.Fatalf("%s with %v: %v %q, %v", name, with, step.State, step.Reason, err)
	}
	return step.Grant
}

func (r *rig) start(t *testing.T, name string, with ...string) string {
	t.Helper()
	secret, err := r.Start(t.Context(), r.grant(t, name, with...), "agent")
	if err != nil {
		t.Fatal(err)
	}
	return secret
}

func (r *rig) stands(t *testing.T, secret string) bool {
	t.Helper()
	_, err := r.Active(t.Context(), secret)
	if err != nil && failure.ClassOf(err) != failure.Refused {
		t.Fatal(err)
	}
	return err == nil
}

func (r *rig) number(t *testing.T, secret string) string {
	t.Helper()
	h, err := r.Active(t.Context(), secret)
	if err != nil {
		t.Fatal(err)
	}
	return h.Number
}

func TestStart(t *testing.T) {
	r := setUp(t)
	secret := r.start(t, "ada", "weak")
	h, err := r.Active(t.Context(), secret)
	if err != nil || h.Account != r.ids["ada"] || len(h.Evidence) != 1 || h.Evidence[0].Kind != "weak" || !h.Expires.Equal(began.Add(24*time.Hour)) {
		t.Fatalf("%+v, %v", h, err)
	}
	for name, wrong := range map[string]string{
		"nothing": "", "cut": secret[:len(secret)-1], "longer": secret + "A", "another": secretOf(make([]byte, 32)), "its number": h.Number,
		"at another host": At("https://wiki.example.org", secret), "no base64": "!" + secret[1:],
	} {
		if r.stands(t, wrong) {
			t.Errorf("%s stands", name)
		}
	}
	var stored string
	if err := r.db.QueryRow(t.Context(), `select hex(id) || hex(payload) from session`).Scan(&stored); err != nil || strings.Contains(stored, fmt.Sprintf("%X", secret)) {
		t.Errorf("its secret is stored: %v", err)
	}
}

// How long a session lives depends on what was shown, at the ends of its time.
func TestLives(t *testing.T) {
	for _, c := range []struct {
		with          []string
		overall, idle time.Duration
		limits        Limits
	}{
		{[]string{"weak"}, 24 * time.Hour, time.Hour, Limits{}},
		{[]string{"strong"}, 12 * time.Hour, 15 * time.Minute, Limits{}},
		{[]string{"weak"}, 8 * time.Hour, 30 * time.Minute, Limits{Overall2: 8 * time.Hour, Idle2: 30 * time.Minute}},
		{[]string{"strong"}, 4 * time.Hour, 10 * time.Minute, Limits{Overall3: 4 * time.Hour, Idle3: 10 * time.Minute}},
		{[]string{"weak"}, 24 * time.Hour, time.Hour, Limits{Overall2: 48 * time.Hour, Idle2: 2 * time.Hour, Overall3: time.Minute}},
		{[]string{"strong"}, 12 * time.Hour, 15 * time.Minute, Limits{Overall3: 13 * time.Hour, Idle3: -1, Overall2: time.Minute}},
		{[]string{"weak", "pass"}, 20 * time.Minute, time.Hour, Limits{}},
	} {
		t.Run(strings.Join(c.with, "+"), func(t *testing.T) {
			r := setUp(t)
			r.Sessions.rows.limits = c.limits
			secret := r.start(t, "ada", c.with...)
			if c.idle < c.overall {
				unused := r.start(t, "ada", c.with...)
				r.now = began.Add(c.idle)
				if !r.stands(t, secret) {
					t.Errorf("it ended before it was unused for %s", c.idle)
				}
				r.now = began.Add(c.idle + time.Microsecond)
				if r.stands(t, unused) || !r.stands(t, secret) {
					t.Errorf("unused for more than %s it stands, or one in use does not", c.idle)
				}
			}
			for at := r.now; at.Before(began.Add(c.overall)); at = at.Add(c.idle / 2) {
				if r.now = at; !r.stands(t, secret) {
					t.Fatalf("in use, it ended after %s of %s", at.Sub(began), c.overall)
				}
			}
			r.now = began.Add(c.overall - time.Microsecond)
			if !r.stands(t, secret) {
				t.Errorf("it ended before its %s", c.overall)
			}
			r.now = began.Add(c.overall)
			if r.stands(t, secret) {
				t.Errorf("it stands after its %s", c.overall)
			}
		})
	}
}

// Its use is written down once a minute and not each time.
func TestTouch(t *testing.T) {
	r := setUp(t)
	secret := r.start(t, "ada", "weak")
	for _, c := range []struct {
		after time.Duration
		want  time.Duration
	}{{time.Second, 0}, {time.Minute - time.Microsecond, 0}, {time.Minute, time.Minute}, {90 * time.Second, time.Minute}} {
		r.now = began.Add(c.after)
		r.number(t, secret)
		var seen int64
		if err := r.db.QueryRow(t.Context(), `select seen from session`).Scan(&seen); err != nil || !store.Time(seen).Equal(began.Add(c.want)) {
			t.Errorf("after %s: seen %s after, %v", c.after, store.Time(seen).Sub(began), err)
		}
	}
}

func TestRaise(t *testing.T) {
	r := setUp(t)
	old := r.start(t, "ada", "weak")
	number := r.number(t, old)
	r.now = began.Add(5 * time.Minute)
	fresh, err := r.Raise(t.Context(), old, r.grant(t, "ada", "strong"), "agent")
	if err != nil {
		t.Fatal(err)
	}
	h, err := r.Active(t.Context(), fresh)
	if err != nil || h.Number != number || len(h.Evidence) != 2 || fresh == old || r.stands(t, old) {
		t.Errorf("%+v, %v; the old secret stands: %v", h, err, r.stands(t, old))
	}
	if want := began.Add(12 * time.Hour); !h.Expires.Equal(want) { // from when it began, not from when it was raised
		t.Errorf("expires %s, want %s", h.Expires, want)
	}
}

// A session of somebody else, an ended one, one of another host and a made-up one are
// not raised: a new one begins, and the other person's ends.
func TestRaiseOfWhatIsNotTheirs(t *testing.T) {
	r := setUp(t)
	bobs := r.start(t, "bob", "weak")
	number := r.number(t, bobs)
	fresh, err := r.Raise(t.Context(), bobs, r.grant(t, "ada", "weak"), "agent")
	h, _ := r.Active(t.Context(), fresh)
	if err != nil || h.Account != r.ids["ada"] || h.Number == number || len(h.Evidence) != 1 || r.stands(t, bobs) {
		t.Errorf("somebody else's: %+v, %v; his stands: %v", h, err, r.stands(t, bobs))
	}
	ended := r.start(t, "ada", "strong")
	was := r.number(t, ended)
	if err := r.SignOut(t.Context(), ended); err != nil {
		t.Fatal(err)
	}
	for name, secret := range map[string]string{"ended": ended, "made up": "x"} {
		fresh, err := r.Raise(t.Context(), secret, r.grant(t, "ada", "weak"), "agent")
		h, _ := r.Active(t.Context(), fresh)
		if err != nil || h.Number == was || len(h.Evidence) != 1 {
			t.Errorf("%s: %+v, %v", name, h, err)
		}
	}
	elsewhere, err := r.StartAt(t.Context(), r.grant(t, "ada", "strong"), CommandLine, "cli")
	if err != nil {
		t.Fatal(err)
	}
	reference := At(CommandLine, elsewhere)
	fresh, err = r.Raise(t.Context(), reference, r.grant(t, "ada", "weak"), "agent")
	h, _ = r.Active(t.Context(), fresh)
	if err != nil || len(h.Evidence) != 1 || r.stands(t, reference) {
		t.Errorf("a command line's: %+v, %v", h, err)
	}
}

func TestRaisedOnceAtOnce(t *testing.T) {
	r := setUp(t)
	old := r.start(t, "ada", "weak")
	g := r.grant(t, "ada", "strong")
	var wg sync.WaitGroup
	var mu sync.Mutex
	numbers := map[string]int{}
	for range 16 {
		wg.Go(func() {
			secret, err := r.Raise(t.Context(), old, g, "agent")
			if err != nil {
				t.Error(err)
				return
			}
			h, err := r.Active(t.Context(), secret)
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			numbers[h.Number]++
			mu.Unlock()
		})
	}
	wg.Wait()
	if len(numbers) != 16 { // one has the old one's number, each other one of its own
		t.Errorf("%d sessions of 16: %v", len(numbers), numbers)
	}
	if r.stands(t, old) {
		t.Error("the old secret stands")
	}
}

const wiki = "https://wiki.example.org"

func (r *rig) derive(t *testing.T, secret string) string {
	t.Helper()
	code, err := r.Derive(t.Context(), secret, Handover{Host: wiki, Browser: "b"})
	if err != nil {
		t.Fatal(err)
	}
	return code
}

func TestHandover(t *testing.T) {
	r := setUp(t)
	secret := r.start(t, "ada", "weak")
	code := r.derive(t, secret)
	theirs, err := r.Accept(t.Context(), code, Handover{Host: wiki, Browser: "b"}, Visit{Application: "wiki", Source: "203.0.113.9", Agent: strings.Repeat("x", 300)})
	if err != nil {
		t.Fatal(err)
	}
	h, err := r.Active(t.Context(), At(wiki, theirs))
	if err != nil || h.Account != r.ids["ada"] || h.Number != r.number(t, secret) || len(h.Evidence) != 1 {
		t.Errorf("%+v, %v", h, err)
	}
	for name, reference := range map[string]string{"with us": theirs, "at another host": At("https://mail.example.org", theirs), "of a command line": At(CommandLine, theirs)} {
		if r.stands(t, reference) {
			t.Errorf("%s it stands", name)
		}
	}
	if _, err := r.Derive(t.Context(), At(wiki, theirs), Handover{Host: "https://mail.example.org", Browser: "b"}); err == nil {
		t.Error("a host's session was handed on")
	}
	if _, err := r.Accept(t.Context(), code, Handover{Host: wiki, Browser: "b"}, Visit{}); err == nil {
		t.Error("the code was good twice")
	}
	if list, err := r.List(t.Context(), r.ids["ada"]); err != nil || len(list) != 1 {
		t.Errorf("%d are listed, %v", len(list), err)
	}
	// What the session gains, the host's has as well; what ends it ends both.
	raised, err := r.Raise(t.Context(), secret, r.grant(t, "ada", "strong"), "agent")
	if err != nil {
		t.Fatal(err)
	}
	if h, err = r.Active(t.Context(), At(wiki, theirs)); err != nil || len(h.Evidence) != 2 || !h.Expires.Equal(began.Add(12*time.Hour)) { // it ends with its parent, which is a stronger one by now
		t.Errorf("%+v, %v", h, err)
	}
	if err := r.SignOut(t.Context(), raised); err != nil || r.stands(t, At(wiki, theirs)) {
		t.Errorf("signed out, the host's session stands: %v", err)
	}
}

func TestHandoverToTheWrongPlace(t *testing.T) {
	r := setUp(t)
	secret := r.start(t, "ada", "weak")
	for name, to := range map[string]Handover{
		"another host": {Host: "https://mail.example.org", Browser: "b"}, "another browser": {Host: wiki, Browser: "c"}, "no browser": {Host: wiki}, "no host": {Browser: "b"},
	} {
		code := r.derive(t, secret)
		if _, err := r.Accept(t.Context(), code, to, Visit{}); failure.ClassOf(err) != failure.Refused {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := r.Accept(t.Context(), code, Handover{Host: wiki, Browser: "b"}, Visit{}); err == nil {
			t.Errorf("%s: the code was not used up", name)
		}
	}
	for name, to := range map[string]Handover{"no browser": {Host: wiki}, "no host": {Browser: "b"}} {
		if _, err := r.Derive(t.Context(), secret, to); err == nil {
			t.Errorf("%s: a code was made", name)
		}
	}
	late, ended := r.derive(t, secret), r.derive(t, secret)
	r.now = began.Add(time.Minute)
	if _, err := r.Accept(t.Context(), late, Handover{Host: wiki, Browser: "b"}, Visit{}); err == nil {
		t.Error("a code was good after a minute")
	}
	r.now = began
	if err := r.SignOut(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Accept(t.Context(), ended, Handover{Host: wiki, Browser: "b"}, Visit{}); err == nil {
		t.Error("a code of an ended session was good")
	}
	if _, err := r.Derive(t.Context(), secret, Handover{Host: wiki, Browser: "b"}); err == nil {
		t.Error("an ended session was handed over")
	}
}

func (r *rig) accepted(t *testing.T, secret string) string {
	t.Helper()
	theirs, err := r.Accept(t.Context(), r.derive(t, secret), Handover{Host: wiki, Browser: "b"}, Visit{})
	if err != nil {
		t.Fatal(err)
	}
	return At(wiki, theirs)
}

// A host's session lives no longer than the one that it hangs from.
func TestHostsSessionEndsWithItsParent(t *testing.T) {
	r := setUp(t)
	secret := r.start(t, "ada", "strong")
	r.now = began.Add(10 * time.Minute)
	theirs := r.accepted(t, secret)
	if h, err := r.Active(t.Context(), theirs); err != nil || !h.Expires.Equal(began.Add(12*time.Hour)) {
		t.Errorf("%+v, %v", h, err)
	}
	r.now = began.Add(25*time.Minute + time.Second) // only the host's is in use: the parent counts as in use by it
	if r.stands(t, secret) {
		t.Error("unused for more than a quarter of an hour it stands")
	}
	if r.stands(t, theirs) {
		t.Error("a host's session stands without its parent")
	}
}

// Who is at a host is at what it hangs from as well: neither ends for want of use.
func TestUseAtAHostIsUseOfItsParent(t *testing.T) {
	r := setUp(t)
	secret := r.start(t, "ada", "strong")
	theirs := r.accepted(t, secret)
	for at := 10 * time.Minute; at <= time.Hour; at += 10 * time.Minute {
		if r.now = began.Add(at); !r.stands(t, theirs) {
			t.Fatalf("in use at the host, it ended after %s", at)
		}
	}
	if !r.stands(t, secret) {
		t.Error("in use at a host, the parent ended")
	}
}

func TestSignOut(t *testing.T) {
	r := setUp(t)
	secret := r.start(t, "ada", "weak")
	one, other := r.accepted(t, secret), r.accepted(t, secret)
	if err := r.SignOut(t.Context(), one); err != nil { // from a host
		t.Fatal(err)
	}
	for name, s := range map[string]string{"ours": secret, "the host's": one, "another host's": other} {
		if r.stands(t, s) {
			t.Errorf("%s stands", name)
		}
	}
	for _, s := range []string{secret, one, "", "made up"} {
		if err := r.SignOut(t.Context(), s); err != nil {
			t.Errorf("signed out twice: %v", err)
		}
	}
}

// Of many that sign out at once each is told that it is done, and the log says once by
// what it was done.
func TestSignOutAtOnce(t *testing.T) {
	r := setUp(t)
	browser := r.start(t, "ada", "weak")
	terminal, err := r.StartAt(t.Context(), r.grant(t, "ada", "weak"), CommandLine, "cli")
	if err != nil {
		t.Fatal(err)
	}
	for via, reference := range map[string]string{"browser": browser, "api": At(CommandLine, terminal)} {
		var wg sync.WaitGroup
		for range 32 {
			wg.Go(func() {
				if err := r.SignOut(t.Context(), reference); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		entries, err := r.db.AuditLog().Entries(t.Context(), store.Filter{Event: "session.ended", Limit: 10, Newest: true})
		if err != nil || len(entries) == 0 || entries[0].Actor.Via != via {
			t.Errorf("%d entries by %s: %v", len(entries), via, err)
		}
	}
	if entries, err := r.db.AuditLog().Entries(t.Context(), store.Filter{Event: "session.ended", Limit: 10}); err != nil || len(entries) != 2 {
		t.Errorf("%d entries of two sessions, %v", len(entries), err)
	}
}

func TestEnd(t *testing.T) {
	r := setUp(t)
	hers, other, his := r.start(t, "ada", "weak"), r.start(t, "ada", "weak"), r.start(t, "bob", "weak")
	host := r.accepted(t, hers)
	number := r.number(t, hers)
	if err := r.End(t.Context(), audit.System("test"), r.ids["bob"], number, "x"); failure.ClassOf(err) != failure.NotFound || !r.stands(t, hers) {
		t.Errorf("somebody else's session was ended: %v", err)
	}
	if err := r.End(t.Context(), audit.System("test"), r.ids["ada"], number, "x"); err != nil || r.stands(t, hers) || r.stands(t, host) {
		t.Errorf("%v; it stands: %v, its host's: %v", err, r.stands(t, hers), r.stands(t, host))
	}
	if err := r.End(t.Context(), audit.System("test"), r.ids["ada"], number, "x"); failure.ClassOf(err) != failure.NotFound {
		t.Errorf("ended twice: %v", err)
	}
	if !r.stands(t, other) || !r.stands(t, his) {
		t.Error("others ended as well")
	}
}

func TestEndAll(t *testing.T) {
	r := setUp(t)
	kept, one, two, his := r.start(t, "ada", "weak"), r.start(t, "ada", "weak"), r.start(t, "ada", "weak"), r.start(t, "bob", "weak")
	host, keptHost := r.accepted(t, one), r.accepted(t, kept)
	var n int
	r.change(t, func(tx *store.Tx) (err error) {
		n, err = r.EndAllTx(t.Context(), tx, r.ids["ada"], r.number(t, kept))
		return err
	})
	if n != 2 || r.stands(t, one) || r.stands(t, two) || r.stands(t, host) || !r.stands(t, kept) || !r.stands(t, keptHost) || !r.stands(t, his) {
		t.Errorf("%d were ended", n)
	}
	r.change(t, func(tx *store.Tx) error {
		n, err := EndEverybodysTx(t.Context(), tx)
		if n != 3 { // hers, her host's and his
			t.Errorf("%d of 3 were ended", n)
		}
		return err
	})
	if r.stands(t, kept) || r.stands(t, his) {
		t.Error("one stands")
	}
}

func TestListAndSweep(t *testing.T) {
	r := setUp(t)
	first := r.start(t, "ada", "weak")
	r.now = began.Add(30 * time.Minute)
	second := r.start(t, "ada", "strong")
	r.accepted(t, second)
	r.start(t, "bob", "weak")
	ended := r.start(t, "ada", "weak")
	if err := r.SignOut(t.Context(), ended); err != nil {
		t.Fatal(err)
	}
	list, err := r.List(t.Context(), r.ids["ada"])
	if err != nil || len(list) != 2 || list[0].Number != r.number(t, second) || list[1].Number != r.number(t, first) {
		t.Fatalf("%+v, %v", list, err)
	}
	if s := list[0]; s.AAL() != 3 || len(s.AMR(func(string) string { return "" })) == 0 || s.Source != "203.0.113.9" || s.Agent != "agent" || s.Account != r.ids["ada"] || !s.Ended.IsZero() {
		t.Errorf("%+v", s)
	}
	r.now = r.now.Add(16 * time.Minute) // the strong one is idle
	if list, err := r.List(t.Context(), r.ids["ada"]); err != nil || len(list) != 1 {
		t.Errorf("%d are listed, %v", len(list), err)
	}
	rows := func() (n int) {
		if err := errors.Join(r.Sweep(t.Context()), r.db.QueryRow(t.Context(), `select count(*) from session`).Scan(&n)); err != nil {
			t.Fatal(err)
		}
		return n
	}
	if n := rows(); n != 5 {
		t.Errorf("%d rows of 5 are left at once", n)
	}
	r.now = began.Add(47 * time.Hour)
	if n := rows(); n != 3 { // the strong ones expired more than a day ago
		t.Errorf("%d rows of 3 are left", n)
	}
	r.now = began.Add(49 * time.Hour)
	if n := rows(); n != 0 {
		t.Errorf("%d rows are left", n)
	}
}

// Whoever can write to the database makes no session somebody else's, and none of
// another host's ours.
func TestRowsChangedBehindOurBack(t *testing.T) {
	for name, query := range map[string]string{
		"another account": `update session set account = (select max(id) from account) where parent = ''`,
		"another number":  `update session set number = 'x' where parent = '' and account = (select min(id) from account)`,
		"another host":    `update session set host = '' where parent <> ''`,
		"another parent":  `update session set parent = 'x' where parent <> ''`,
		"moved payload":   `update session set payload = (select o.payload from session o where o.account = (select max(id) from account)) where parent = ''`,
	} {
		t.Run(name, func(t *testing.T) {
			r := setUp(t)
			hers := r.start(t, "ada", "weak")
			theirs := r.accepted(t, hers)
			_, bare, _ := strings.Cut(theirs, " ")
			r.start(t, "bob", "strong")
			r.sabotage(t, query)
			for _, reference := range []string{hers, theirs, bare} {
				h, err := r.Active(t.Context(), reference)
				if err == nil && (h.Account != r.ids["ada"] || reference == bare) {
					t.Errorf("%+v", h)
				}
			}
			if _, err := r.Active(t.Context(), hers); err == nil && !strings.Contains(query, "parent <> ''") {
				t.Error("the changed row is believed")
			}
			if _, err := r.Active(t.Context(), theirs); err == nil {
				t.Error("the host's session is believed")
			}
		})
	}
}

func TestCookie(t *testing.T) {
	if Cookie(true) != "__Host-countersign" || Cookie(false) != "countersign" || At("x", "") != "" {
		t.Error(Cookie(true), Cookie(false))
	}
}
