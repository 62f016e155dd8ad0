package oauth

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/audit"
	"countersign/internal/enginetest"
	"countersign/internal/failure"
	"countersign/internal/keyring"
	"countersign/internal/language"
	"countersign/internal/prompt"
	"countersign/internal/session"
	"countersign/internal/signin"
	"countersign/internal/store"
	"countersign/internal/store/storetest"
)

// rig is what clients are given, on an engine with ada and bob, who have sessions.
type rig struct {
	*enginetest.Rig
	*Grants
	dsn     string
	now     time.Time
	secrets map[string]string
	told    int
}

func setUp(t *testing.T) *rig {
	t.Helper()
	return openOn(t, store.Options{DSN: filepath.Join(t.TempDir(), "test.db")})
}

// openOn is setUp on a database of the test's own.
func openOn(t *testing.T, on store.Options) *rig {
	t.Helper()
	r := &rig{dsn: on.DSN, now: time.Now(), secrets: map[string]string{}}
	clock := func() time.Time { return r.now }
	on.Now = clock
	r.Rig = enginetest.Open(t, on, keyring.NewRoot(), enginetest.Shows{Kind: "thing", Traits: assurance.Known})
	r.Found()
	r.Grants = New(Parts{DB: r.DB, Keys: r.Keys, Sessions: r.Sessions, Now: clock,
		Tell: func(_ context.Context, _ *store.Tx, _ assurance.AccountID, _, _ language.Sentence) error {
			r.told++
			return nil
		}})
	for _, name := range []string{"ada", "bob"} {
		r.Person(name, "thing")
		r.secrets[name] = r.Enters(name, "thing")
	}
	return r
}

// yes is the engine's for somebody in their session.
func (r *rig) yes(name string) signin.Grant {
	step, err := r.Engine.Check(r.T.Context(), signin.Request{Application: signin.Self, Session: r.secrets[name], Protocol: "test", Medium: prompt.Browser})
	if err != nil || step.State != signin.Granted {
		r.T.Fatal(step.Reason, err)
	}
	return step.Grant
}

func (r *rig) begins(t *testing.T, name string, s Spec) string {
	t.Helper()
	if len(s.Scopes) == 0 {
		s.Scopes = []string{"openid", "groups"}
	}
	code, err := r.Begin(t.Context(), r.yes(name), s)
	if err != nil {
		t.Fatal(err)
	}
	return code
}

// issues uses a code.
func (r *rig) issues(t *testing.T, name, code string) (*Given, Tokens) {
	t.Helper()
	g, err := r.ByCode(t.Context(), signin.Self, code)
	if err != nil {
		t.Fatal(err)
	}
	tokens, err := r.Issue(t.Context(), r.yes(name), g, Terms{Lasts: time.Minute, Refresh: true, Scopes: g.Scopes})
	if err != nil {
		t.Fatal(err)
	}
	return g, tokens
}

func gone(err error) bool { return failure.ClassOf(err) == failure.Refused }

// A token of ours is whole and of its kind, or it is nothing.
func TestTokensAreWhole(t *testing.T) {
	r := setUp(t)
	code := r.begins(t, "ada", Spec{})
	_, tokens := r.issues(t, "ada", code)
	ctx := t.Context()
	for name, open := range map[string]func(string) error{
		"code":    func(s string) error { _, err := r.ByCode(ctx, signin.Self, s); return err },
		"refresh": func(s string) error { _, err := r.ByRefresh(ctx, signin.Self, s); return err },
		"access":  func(s string) error { _, err := r.ByAccess(ctx, s); return err },
	} {
		for kind, token := range map[string]string{"code": code, "refresh": tokens.Refresh, "access": tokens.Access} {
			if err := open(token); kind == name {
				if kind != "code" && err != nil || kind == "code" && !IsReused(err) {
					t.Errorf("%s: %v", kind, err)
				}
			} else if !gone(err) || IsReused(err) {
				t.Errorf("a %s as %s: %v", kind, name, err)
			}
			for at := range len(token) {
				b := []byte(token)
				if b[at] ^= 1; b[at] == token[at] {
					continue
				}
				if err := open(string(b)); err == nil || IsReused(err) || !gone(err) {
					t.Fatalf("a %s with another letter at %d as %s: %v", kind, at, name, err)
				}
			}
			for _, wrong := range []string{token[:len(token)-1], token + "A", token + "=", token[1:], "\n" + token, token[:4] + "\r\n" + token[4:], "", strings.Repeat("A", 600)} {
				if err := open(wrong); !gone(err) || IsReused(err) {
					t.Errorf("a %s of another length as %s: %v", kind, name, err)
				}
			}
		}
	}
}

// Of many uses at once one is answered, and each other one is known as a second one.
func TestOneUse(t *testing.T) {
	r := setUp(t)
	g, err := r.ByCode(t.Context(), signin.Self, r.begins(t, "ada", Spec{}))
	if err != nil {
		t.Fatal(err)
	}
	yes := r.yes("ada")
	var mu sync.Mutex
	var wait sync.WaitGroup
	good, again := 0, 0
	for range 10 {
		wait.Go(func() {
			_, err := r.Issue(t.Context(), yes, g, Terms{Lasts: time.Minute, Scopes: g.Scopes})
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				good++
			case IsReused(err):
				again++
			default:
				t.Error(err)
			}
		})
	}
	wait.Wait()
	if good != 1 || again != 9 {
		t.Errorf("%d were answered, %d were second ones", good, again)
	}
}

// Tokens are issued for the Grant of whose they are, for this client, for no more than was granted.
func TestWhatIsIssuedForWhom(t *testing.T) {
	r := setUp(t)
	g, err := r.ByCode(t.Context(), signin.Self, r.begins(t, "ada", Spec{}))
	if err != nil {
		t.Fatal(err)
	}
	other := *g
	other.Client = "wiki"
	for name, c := range map[string]struct {
		by    signin.Grant
		of    *Given
		terms Terms
	}{
		"somebody else's":     {r.yes("bob"), g, Terms{Lasts: time.Minute}},
		"another client's":    {r.yes("ada"), &other, Terms{Lasts: time.Minute}},
		"an act's":            {r.Grant("ada", "", "authenticator.rename", "1", "thing"), g, Terms{Lasts: time.Minute}},
		"of more than it was": {r.yes("ada"), g, Terms{Lasts: time.Minute, Scopes: []string{"openid", "admin"}}},
		"without an end":      {r.yes("ada"), g, Terms{}},
	} {
		if got, err := r.Issue(t.Context(), c.by, c.of, c.terms); err == nil || got.Access != "" {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := r.Begin(t.Context(), r.Grant("ada", "", signin.SignIn, "", "thing"), Spec{}); err == nil {
		t.Error("a code without a session")
	}
}

// A reference is known to the engine, holds what the grant does, and cannot be made of what a
// client has.
func TestReferences(t *testing.T) {
	r := setUp(t)
	code := r.begins(t, "ada", Spec{})
	g, tokens := r.issues(t, "ada", code)
	ctx := t.Context()
	reference := r.Reference(g)
	held, err := r.Active(ctx, reference)
	if err != nil || held.Account != g.Account || held.Number != g.Session || held.Own != g.Number() || len(held.Evidence) == 0 {
		t.Fatalf("%+v, %v", held, err)
	}
	if held, err := r.Active(ctx, r.secrets["ada"]); err != nil || held.Account != g.Account {
		t.Errorf("her session: %+v, %v", held, err)
	}
	for name, wrong := range map[string]string{
		"a mark": "(client) ", "a number": "(client) " + g.Number(), "a number and nothing": "(client) " + g.Number() + " ", "a longer one": reference + "A", "a cut one": reference[:len(reference)-1],
		"an access token with the mark": "(client) " + tokens.Access, "an access token": tokens.Access, "a refresh token": tokens.Refresh, "a code": code, "another number": "(client) x y",
	} {
		if _, err := r.Active(ctx, wrong); !gone(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What a client was given ends by itself, with its session, by force, with its account, and
// together with all sessions; what it has for days ends with none but the latter.
func TestEnds(t *testing.T) {
	ctx := t.Context
	for name, c := range map[string]struct {
		spec Spec
		do   func(t *testing.T, r *rig, g *Given)
		good bool
	}{
		"nothing": {Spec{}, func(*testing.T, *rig, *Given) {}, true},
		"ended":   {Spec{}, func(t *testing.T, r *rig, g *Given) { must(t, r.End(ctx(), audit.System("test"), g, "test")) }, false},
		"misused": {Spec{}, func(t *testing.T, r *rig, g *Given) { must(t, r.Misused(ctx(), g, "wiki", "reused")) }, false},
		"the session ended": {Spec{}, func(t *testing.T, r *rig, _ *Given) {
			must(t, session.NewEndings(r.Sessions).SignOut(ctx(), r.secrets["ada"]))
		}, false},
		"the session's time over": {Spec{Lasts: 48 * time.Hour}, func(_ *testing.T, r *rig, _ *Given) { r.now = r.now.Add(25 * time.Hour) }, false},
		"its time over":           {Spec{Offline: true, Lasts: time.Hour}, func(_ *testing.T, r *rig, _ *Given) { r.now = r.now.Add(time.Hour) }, false},
		"offline, session ended": {Spec{Offline: true, Lasts: 48 * time.Hour}, func(t *testing.T, r *rig, _ *Given) {
			must(t, session.NewEndings(r.Sessions).SignOut(ctx(), r.secrets["ada"]))
		}, true},
		"offline, all ended": {Spec{Offline: true, Lasts: 48 * time.Hour}, func(t *testing.T, r *rig, g *Given) {
			storetest.Change(t, r.DB, func(tx *store.Tx) error {
				_, err := session.NewEndings(r.Sessions).EndAllTx(ctx(), tx, g.Account, "")
				return err
			})
		}, false},
		"its account removed": {Spec{}, func(t *testing.T, r *rig, g *Given) {
			storetest.Change(t, r.DB, func(tx *store.Tx) error { return r.Forget(ctx(), tx, g.Account) })
		}, false},
		"everything dropped": {Spec{}, func(t *testing.T, r *rig, _ *Given) {
			storetest.Change(t, r.DB, func(tx *store.Tx) error { _, err := DropAllTx(ctx(), tx); return err })
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			r := setUp(t)
			code := r.begins(t, "ada", c.spec)
			bobs := r.begins(t, "bob", Spec{})
			_, tokens := r.issues(t, "ada", code)
			g, err := r.ByRefresh(t.Context(), signin.Self, tokens.Refresh)
			must(t, err)
			c.do(t, r, g)
			if _, err := r.Active(t.Context(), r.Reference(g)); (err == nil) != c.good || err != nil && !gone(err) {
				t.Errorf("the engine is told %v", err)
			}
			if name == "its time over" || c.good || name == "everything dropped" || name == "the session's time over" {
				return
			}
			if _, err := r.ByCode(t.Context(), signin.Self, bobs); err != nil {
				t.Errorf("bob's ended, too: %v", err)
			}
		})
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Whoever has their access ended because it was misused is told, and nobody else is.
func TestTheOwnerIsTold(t *testing.T) {
	r := setUp(t)
	g, _ := r.issues(t, "ada", r.begins(t, "ada", Spec{}))
	must(t, r.End(t.Context(), audit.System("test"), g, "test"))
	if r.told != 0 {
		t.Error("an end is told")
	}
	must(t, r.Misused(t.Context(), g, "wiki", "reused"))
	if r.told != 1 {
		t.Errorf("told %d times", r.told)
	}
}

// What is good once is good once for a client, until it is over.
func TestUseOnce(t *testing.T) {
	r := setUp(t)
	first := func(kind, client, name string) bool {
		ok, err := r.UseOnce(t.Context(), kind, client, name, r.now.Add(time.Minute))
		must(t, err)
		return ok
	}
	if !first("a", "wiki", "x") || first("a", "wiki", "x") || !first("a", "evil", "x") || !first("b", "wiki", "x") || !first("a", "wiki", "y") {
		t.Error("what is good once is not told apart")
	}
	var wait sync.WaitGroup
	var mu sync.Mutex
	n := 0
	for range 8 {
		wait.Go(func() {
			ok, err := r.UseOnce(t.Context(), "a", "wiki", "at once", r.now.Add(time.Minute))
			mu.Lock()
			defer mu.Unlock()
			if err == nil && ok {
				n++
			}
		})
	}
	wait.Wait()
	if n != 1 {
		t.Errorf("%d were first", n)
	}
	r.now = r.now.Add(3 * time.Minute)
	must(t, r.Sweep(t.Context()))
	if !first("a", "wiki", "x") {
		t.Error("what is over is remembered")
	}
}

// What has been over for a day is swept, and nothing else.
func TestSweep(t *testing.T) {
	r := setUp(t)
	r.begins(t, "ada", Spec{})
	r.begins(t, "ada", Spec{Offline: true, Lasts: 30 * 24 * time.Hour})
	count := func() (n int) {
		must(t, r.DB.QueryRow(t.Context(), `select count(*) from oauth_grant`).Scan(&n))
		return n
	}
	r.now = r.now.Add(47 * time.Hour)
	must(t, r.Sweep(t.Context()))
	if n := count(); n != 2 {
		t.Errorf("%d are left within the day", n)
	}
	r.now = r.now.Add(2 * time.Hour)
	must(t, r.Sweep(t.Context()))
	if n := count(); n != 1 {
		t.Errorf("%d are left", n)
	}
}

// Scopes that somebody has granted count while something of it stands.
func TestConsented(t *testing.T) {
	r := setUp(t)
	g, _ := r.issues(t, "ada", r.begins(t, "ada", Spec{Scopes: []string{"openid", "email"}}))
	r.begins(t, "ada", Spec{Scopes: []string{"openid"}})
	r.begins(t, "bob", Spec{Scopes: []string{"openid", "groups"}})
	consents := func() string {
		all, err := r.Consented(t.Context(), g.Account, signin.Self)
		must(t, err)
		return strings.Join(all, " ")
	}
	if got := consents(); got != "openid email" {
		t.Errorf("%q", got)
	}
	now, err := r.Grants.read(t.Context(), r.DB, g.ID)
	must(t, err)
	must(t, r.End(t.Context(), audit.System("test"), now, "test"))
	if got := consents(); got != "openid" {
		t.Errorf("after one ended: %q", got)
	}
}

// Whatever is brought as a token is one of ours, whole, or nothing.
func FuzzToken(f *testing.F) {
	f.Add("AQAAAAE")
	f.Add(strings.Repeat("A", 80))
	root := keyring.NewRoot()
	r := enginetest.Open(f, store.Options{DSN: filepath.Join(f.TempDir(), "test.db"), Now: time.Now}, root)
	gs := New(Parts{DB: r.DB, Keys: r.Keys, Sessions: r.Sessions, Now: time.Now})
	f.Fuzz(func(t *testing.T, text string) {
		for _, kind := range []string{codeKind, refreshKind, accessKind} {
			if c, err := gs.wrap.claimOf(kind, text); err == nil || !errors.Is(err, over) {
				t.Errorf("%q is a %s: %+v, %v", text, kind, c, err)
			}
		}
	})
}
