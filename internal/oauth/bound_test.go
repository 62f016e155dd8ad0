package oauth

import (
	"context"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"countersign/internal/audit"
	"countersign/internal/failure"
	"countersign/internal/keyring"
	"countersign/internal/session"
	"countersign/internal/signin"
	"countersign/internal/store"
	"countersign/internal/store/storetest"
)

// trusted lets the time pass for which this server trusts what it read last: who writes to the
// database itself is noticed after it.
func (r *rig) trusted() { r.now = r.now.Add(trust) }

// nothing demands that none of these opens anything, and that nothing is consented to.
func (r *rig) nothing(t *testing.T, g *Given, code string, tokens Tokens) {
	t.Helper()
	ctx := t.Context()
	for name, read := range map[string]func() error{
		"the code":          func() error { _, err := r.ByCode(ctx, signin.Self, code); return err },
		"the refresh token": func() error { _, err := r.ByRefresh(ctx, signin.Self, tokens.Refresh); return err },
		"the access token":  func() error { _, err := r.ByAccess(ctx, tokens.Access); return err },
		"the reference":     func() error { _, err := r.Active(ctx, r.Reference(g)); return err },
	} {
		if err := read(); !gone(err) {
			t.Errorf("%s is believed: %v", name, err)
		}
	}
	if all, err := r.Consented(ctx, g.Account, signin.Self); err != nil || len(all) > 0 {
		t.Errorf("what was granted counts still: %v, %v", all, err)
	}
}

// What is over stays over when its row of before is put back, and it is an alarm: whatever ended it.
func TestWhatIsOverAndPutBack(t *testing.T) {
	for name, end := range map[string]func(t *testing.T, r *rig, g *Given) error{
		"ended":   func(t *testing.T, r *rig, g *Given) error { return r.End(t.Context(), audit.System("test"), g, "test") },
		"misused": func(t *testing.T, r *rig, g *Given) error { return r.Misused(t.Context(), g, "wiki", "reused") },
		"its account removed": func(t *testing.T, r *rig, g *Given) error {
			return storetest.Try(t, r.DB, func(tx *store.Tx) error { return r.Forget(t.Context(), tx, g.Account) })
		},
	} {
		t.Run(name, func(t *testing.T) {
			r, ctx := setUp(t), context.Background()
			attacker := storetest.NewAttacker(t, r.dsn)
			code := r.begins(t, "ada", Spec{})
			_, tokens := r.issues(t, "ada", code)
			g, err := r.ByRefresh(ctx, signin.Self, tokens.Refresh)
			must(t, err)
			row := attacker.Copy(table, "id = $1", g.ID)
			must(t, end(t, r, g))
			attacker.PutBack(row, "id")
			r.nothing(t, g, code, tokens)
			storetest.OneAlarm(t, r.DB, table, store.Returned)
		})
	}
}

// A code that was used is not unused by the row of before, nor is a refresh token that was replaced.
func TestAStepIsNotTakenBack(t *testing.T) {
	r, ctx := setUp(t), t.Context()
	attacker := storetest.NewAttacker(t, r.dsn)
	code := r.begins(t, "ada", Spec{})
	g, err := r.ByCode(ctx, signin.Self, code)
	must(t, err)
	unused := attacker.Copy(table, "id = $1", g.ID)
	_, tokens := r.issues(t, "ada", code)
	attacker.PutBack(unused, "id")
	r.trusted()
	r.nothing(t, g, code, tokens)
	storetest.OneAlarm(t, r.DB, table, store.Returned)
}

// Who changes any column of a row, or deletes it, has no grant, and what was changed is an alarm.
func TestRowsThatWereAltered(t *testing.T) {
	for name, set := range map[string]string{
		"id":         "id = (select cast(substr(o.id, 1, 15) || x'00' as blob) from oauth_grant o limit 1)",
		"account":    "account = (select max(o.account) from oauth_grant o)",
		"client":     "client = 'wiki'",
		"session":    "session = (select o.session from oauth_grant o where o.account <> oauth_grant.account limit 1)",
		"step":       "step = 0",
		"payload":    "payload = (select o.payload from oauth_grant o where o.account <> oauth_grant.account limit 1)",
		"created":    "created = created + 1",
		"expires":    "expires = expires + 1",
		"ended":      "ended = 1",
		"mac":        "mac = (select o.mac from oauth_grant o where o.account <> oauth_grant.account limit 1)",
		"mac, empty": "mac = x''",
	} {
		t.Run(name, func(t *testing.T) {
			r := setUp(t)
			code := r.begins(t, "ada", Spec{})
			g, tokens := r.issues(t, "ada", code)
			r.begins(t, "bob", Spec{})
			storetest.NewAttacker(t, r.dsn).Do("update oauth_grant set "+set+" where id = $1", g.ID)
			r.trusted()
			r.nothing(t, g, code, tokens)
			must(t, r.Inspect(t.Context()))
			storetest.OneAlarm(t, r.DB, table, store.Altered)
		})
	}
	r := setUp(t)
	code := r.begins(t, "ada", Spec{})
	g, tokens := r.issues(t, "ada", code)
	storetest.NewAttacker(t, r.dsn).Do("delete from oauth_grant where id = $1", g.ID)
	r.trusted()
	r.nothing(t, g, code, tokens)
}

// A row that says itself that it is over is over, whatever else is remembered of it.
func TestARowSaysThatItIsOver(t *testing.T) {
	r := setUp(t)
	code := r.begins(t, "ada", Spec{})
	_, tokens := r.issues(t, "ada", code)
	g, err := r.ByRefresh(t.Context(), signin.Self, tokens.Refresh)
	must(t, err)
	over := *g
	over.ended = r.now.Truncate(time.Microsecond)
	over.mac = r.Keys.MAC(keyring.OAuth, over.fields())
	storetest.NewAttacker(t, r.dsn).Do("update oauth_grant set ended = $2, mac = $3 where id = $1", g.ID, store.Unix(over.ended), over.mac)
	r.trusted()
	r.nothing(t, g, code, tokens)
	storetest.Quiet(t, r.DB)
}

// The round over all rows finds what was put back and nobody looked for.
func TestTheRoundFindsWhatWasPutBack(t *testing.T) {
	r := setUp(t)
	attacker := storetest.NewAttacker(t, r.dsn)
	g, err := r.ByCode(t.Context(), signin.Self, r.begins(t, "ada", Spec{}))
	must(t, err)
	r.begins(t, "bob", Spec{})
	must(t, r.Inspect(t.Context()))
	storetest.Quiet(t, r.DB)
	row := attacker.Copy(table, "id = $1", g.ID)
	must(t, r.End(t.Context(), audit.System("test"), g, "test"))
	attacker.PutBack(row, "id")
	must(t, r.Inspect(t.Context()))
	storetest.OneAlarm(t, r.DB, table, store.Returned)
}

// A code hangs from the session that it began in, also where refresh tokens go on without; what a
// grant holds ends with that session, and a token with its grant.
func TestWhatHangsFromASession(t *testing.T) {
	r, ctx := setUp(t), t.Context()
	code := r.begins(t, "ada", Spec{Offline: true, Lasts: 48 * time.Hour})
	unused, err := r.ByCode(ctx, signin.Self, code)
	must(t, err)
	long, err := r.ByCode(ctx, signin.Self, r.begins(t, "ada", Spec{Lasts: 48 * time.Hour}))
	must(t, err)
	standing, err := r.Sessions.Standing(ctx, long.Session)
	must(t, err)
	held, err := r.Active(ctx, r.Reference(long))
	if err != nil || !held.Expires.Equal(standing.Expires) || !held.Expires.Before(long.Expires) {
		t.Errorf("it holds until %v, the session until %v: %v", held.Expires, standing.Expires, err)
	}
	other, err := r.ByCode(ctx, signin.Self, r.begins(t, "bob", Spec{}))
	must(t, err)
	moved := *long
	moved.Session = other.Session
	if _, err := r.held(ctx, &moved); failure.ReasonOf(err) != "other-account" {
		t.Errorf("on another's session: %v", err)
	}
	tokens, err := r.Issue(ctx, r.yes("bob"), other, Terms{Lasts: 72 * time.Hour, Scopes: other.Scopes})
	must(t, err)
	a, err := r.ByAccess(ctx, tokens.Access)
	if err != nil || a.Until.After(other.Expires) || tokens.Lasts > other.Expires.Sub(r.now) {
		t.Errorf("a token lasts %v, until %v, and its grant until %v: %v", tokens.Lasts, a.Until, other.Expires, err)
	}
	must(t, session.NewEndings(r.Sessions).SignOut(ctx, r.secrets["ada"]))
	if _, err := r.Active(ctx, r.Reference(unused)); !gone(err) {
		t.Errorf("a code outlives its session: %v", err)
	}
}

// What could not be recorded is recorded when it comes again: a write that failed keeps nothing
// out of the log. Statements that only read are not broken, and are none of it.
func TestARefusalThatWasNotWritten(t *testing.T) {
	dsn := filepath.Join(t.TempDir(), "test.db")
	f := storetest.NewFaults(t, dsn)
	r, ctx := openOn(t, store.Options{DSN: dsn, Driver: f.Driver}), t.Context()
	_, tokens := r.issues(t, "ada", r.begins(t, "ada", Spec{}))
	told := func() int {
		all, err := r.DB.AuditLog().Entries(ctx, store.Filter{Event: "client.token-refused", Limit: 100})
		must(t, err)
		return len(all)
	}
	refuse := func() error {
		return r.Refused(ctx, tokens.Access, "code", netip.MustParseAddr("192.0.2.1"), "other-client")
	}
	f.Pragma("query_only=1")
	if err := refuse(); err == nil || told() != 0 {
		t.Fatalf("the disk is read-only, and %d entries were written: %v", told(), err)
	}
	f.Pragma("query_only=0")
	must(t, refuse())
	must(t, refuse())
	if n := told(); n != 1 {
		t.Errorf("%d entries", n)
	}
}

// A token that opens nothing somewhere is in the log under its owner, once in ten minutes; one that
// nobody was given is nobody's, and a row that is gone is no failure.
func TestRefusalsOfTokensAreRecorded(t *testing.T) {
	r, ctx := setUp(t), t.Context()
	code, err := r.ByCode(ctx, signin.Self, r.begins(t, "ada", Spec{}))
	must(t, err)
	tokens, err := r.Issue(ctx, r.yes("ada"), code, Terms{Lasts: time.Minute, Scopes: code.Scopes})
	must(t, err)
	told := func() int {
		all, err := r.DB.AuditLog().Entries(ctx, store.Filter{Event: "client.token-refused", Limit: 100})
		must(t, err)
		return len(all)
	}
	for i, want := range []int{1, 1, 2, 3, 4} {
		app, reason := "code", "other-client"
		switch i {
		case 2:
			app = "wiki"
		case 3:
			reason = "bound-token"
		case 4:
			r.now = r.now.Add(quiet)
		}
		must(t, r.Refused(ctx, tokens.Access, app, netip.MustParseAddr("192.0.2.1"), reason))
		if n := told(); n != want {
			t.Errorf("after %d: %d entries, want %d", i+1, n, want)
		}
	}
	must(t, r.Refused(ctx, AccessMark+"made-up", "code", netip.Addr{}, "unknown-token"))
	must(t, r.Refused(ctx, tokens.Access[len(AccessMark):], "code", netip.Addr{}, "unknown-token"))
	if n := told(); n != 4 {
		t.Errorf("what nobody was given is recorded: %d", n)
	}
}

// An access token is answered by what was read last, and who ends what it is of is heard at once: here,
// and by a server that has read it before.
func TestAnEndIsHeardAtOnce(t *testing.T) {
	for name, end := range map[string]func(r *rig, g *Given) error{
		"ended": func(r *rig, g *Given) error { return r.End(t.Context(), audit.System("test"), g, "test") },
		"its account removed": func(r *rig, g *Given) error {
			return storetest.Try(t, r.DB, func(tx *store.Tx) error { return r.Forget(t.Context(), tx, g.Account) })
		},
	} {
		t.Run(name, func(t *testing.T) {
			r, ctx := setUp(t), t.Context()
			_, tokens := r.issues(t, "ada", r.begins(t, "ada", Spec{}))
			other := New(Parts{DB: r.DB, Keys: r.Keys, Sessions: r.Sessions, Now: func() time.Time { return r.now }})
			a, err := other.ByAccess(ctx, tokens.Access)
			must(t, err)
			storetest.NewAttacker(t, r.dsn).Do("update oauth_grant set client = 'wiki' where id = $1", a.Given.ID)
			for _, gs := range []*Grants{r.Grants, other} {
				if again, err := gs.ByAccess(ctx, tokens.Access); err != nil || again.Given.Client != signin.Self {
					t.Errorf("within the trust: %v", err) // what is asked is the memory, and it says what was given
				}
			}
			storetest.NewAttacker(t, r.dsn).Do("update oauth_grant set client = $2 where id = $1", a.Given.ID, a.Given.Client)
			must(t, end(r, a.Given))
			for _, gs := range []*Grants{r.Grants, other} {
				if _, err := gs.ByAccess(ctx, tokens.Access); !gone(err) {
					t.Errorf("it is good after the end: %v", err)
				}
			}
		})
	}
}

// What is announced of a grant, as another server does that ended it, has its row read anew: this
// server has not read in the log yet that it is over.
func TestWhatIsAnnouncedIsReadAnew(t *testing.T) {
	r, ctx := setUp(t), t.Context()
	_, tokens := r.issues(t, "ada", r.begins(t, "ada", Spec{}))
	a, err := r.ByAccess(ctx, tokens.Access)
	must(t, err)
	storetest.NewAttacker(t, r.dsn).Do("delete from oauth_grant where id = $1", a.Given.ID)
	if _, err := r.ByAccess(ctx, tokens.Access); err != nil {
		t.Errorf("it is not remembered: %v", err)
	}
	storetest.Change(t, r.DB, func(tx *store.Tx) error { tx.Announce(topic(a.Given)); return nil })
	if _, err := r.ByAccess(ctx, tokens.Access); !gone(err) {
		t.Errorf("it is good after the announcement: %v", err)
	}
}

// What is remembered of a grant is over with it.
func TestWhatIsRememberedExpires(t *testing.T) {
	r := setUp(t)
	_, tokens := r.issues(t, "ada", r.begins(t, "ada", Spec{Lasts: 20 * time.Second}))
	a, err := r.ByAccess(t.Context(), tokens.Access)
	must(t, err)
	if _, fresh := r.Grants.known.fresh(a.Given.ID); !fresh {
		t.Error("it is not remembered")
	}
	r.now = r.now.Add(21 * time.Second)
	if _, fresh := r.Grants.known.fresh(a.Given.ID); fresh {
		t.Error("the row is over and remembered as good")
	}
	if _, err := r.ByAccess(t.Context(), tokens.Access); !gone(err) {
		t.Errorf("the row is over and its token good: %v", err)
	}
}
