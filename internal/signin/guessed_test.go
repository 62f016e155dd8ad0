package signin

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/authenticator"
	"countersign/internal/directory"
	"countersign/internal/prompt"
	"countersign/internal/store"
	"countersign/internal/throttle"
)

// plainly compares a password without hashing it, so that a week of guesses takes no
// time. All else is the password's own.
type plainly struct{ authenticator.Authenticator }

func (a plainly) Check(_ context.Context, credentials []authenticator.Credential, _ authenticator.Memo, answer prompt.Answer, _ time.Time) (authenticator.Result, error) {
	for _, c := range credentials {
		if answer.Text == secret {
			return authenticator.Result{OK: true, Credential: c.ID, Traits: a.Describe().Traits}, nil
		}
	}
	return authenticator.Wrong("wrong"), nil
}

// guessed is an installation in which ada has a password, an authenticator app and a key,
// was let in from home once, and may be written to.
type guessed struct {
	*rig
	ada      directory.Account
	password directory.Credential
	app      codes
	stranger netip.Addr
}

func withGuesses(t *testing.T, document string) *guessed {
	t.Helper()
	kinds := everyKind(t)
	for i, how := range kinds {
		switch how.Describe().Kind {
		case "passkey":
			kinds[i] = right{how}
		case "password":
			kinds[i] = plainly{how}
		}
	}
	g := &guessed{rig: newRig(t, document, kinds...), stranger: netip.MustParseAddr("203.0.113.1")}
	g.OpenAt = "https://login.test/open"
	g.remake()
	g.ada = g.person("ada")
	g.password = g.give(g.ada, "password", authenticator.Enrolled{Traits: assurance.Known, State: []byte("x")})
	g.app = g.withCodes(g.ada)
	g.give(g.ada, "passkey", authenticator.Enrolled{Traits: strong, State: []byte("x")})
	g.letIn(browses("wiki", "ada", typed("passkey", "x")))
	return g
}

// letIn has somebody sign in to the end.
func (g *guessed) letIn(q Request) {
	g.t.Helper()
	s := g.begin(q)
	if s.State != Granted {
		g.t.Fatalf("not let in: %v %s", s.State, s.Reason)
	}
	if _, err := g.Claim(g.t.Context(), s.Ticket, q.Application, "", ""); err != nil {
		g.t.Fatal(err)
	}
}

// by is a request with a password from an address.
func (g *guessed) by(from netip.Addr, text string) Request {
	q := browses("wiki", "ada", typed("password", text))
	q.Source = from
	return q
}

// guess guesses so many times, each as soon as it may and never a second time from one
// address, and returns the last one's reason.
func (g *guessed) guess(times int, q Request) (reason string) {
	g.t.Helper()
	for range times {
		g.clock.Later(2 * time.Hour)
		if q.Source.IsValid() && q.Source != home {
			g.stranger = g.stranger.Next()
			q.Source = g.stranger
		}
		s := g.begin(q)
		if s.State == Granted {
			g.t.Fatalf("a wrong answer was right: %+v", s)
		}
		reason = s.Reason
	}
	return reason
}

// told are the subjects of what ada was told, in order, and all of the last text.
func (g *guessed) told() (subjects []string, last string) {
	g.t.Helper()
	rows, err := g.DB.Query(g.t.Context(), `select subject, body from notice where account = $1 order by id`, int64(g.ada.ID))
	if err != nil {
		g.t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var s string
		if err := rows.Scan(&s, &last); err != nil {
			g.t.Fatal(err)
		}
		subjects = append(subjects, s)
	}
	return subjects, last
}

func (g *guessed) closedFor() []string {
	g.t.Helper()
	out, err := g.ClosedOf(g.t.Context(), g.DB, g.ada.ID)
	if err != nil {
		g.t.Fatal(err)
	}
	for i := range out {
		_, out[i], _ = strings.Cut(out[i], " for ")
	}
	return out
}

// After twenty wrong answers in a row a password is closed to the side that they came
// from, and to no other: its owner is told, uses it from home, and that opens it for all.
func TestGuessesCloseOneSideAlone(t *testing.T) {
	g := withGuesses(t, anyFactor)
	if why := g.guess(19, g.by(g.stranger, "wrong")); why != "wrong" || len(g.closedFor()) != 0 || len(g.events("credential.closed")) != 0 {
		t.Errorf("the nineteenth: %s, closed for %v", why, g.closedFor())
	}
	if why := g.guess(1, g.by(g.stranger, "wrong")); why != "wrong" {
		t.Errorf("the twentieth: %s", why)
	}
	entries := g.events("credential.closed")
	if len(entries) != 1 || entries[0].Reason != "too-many-wrong-answers" || entries[0].Detail["to"] != "strangers" || entries[0].AccountName != "ada" ||
		!strings.HasPrefix(entries[0].Detail["authenticator"], "password/") {
		t.Errorf("the log says %+v", entries)
	}
	if got := g.closedFor(); !slices.Equal(got, []string{"strangers"}) {
		t.Errorf("closed for %v", got)
	}
	g.clock.Later(30 * day)
	if s := g.begin(g.by(netip.MustParseAddr("198.51.100.1"), secret)); s.State == Granted || s.Reason != "closed" {
		t.Errorf("a stranger with the right one, a month later: %v %s", s.State, s.Reason)
	}
	g.clock.Later(-29 * day) // she was let in from home within a month
	if why := g.guess(1, g.by(home, "wrong")); why != "wrong" {
		t.Errorf("a wrong one from home: %s", why)
	}
	if got := g.closedFor(); !slices.Equal(got, []string{"strangers"}) {
		t.Errorf("one wrong answer at home: closed for %v", got)
	}
	g.clock.Later(2 * time.Hour)
	g.letIn(g.by(home, secret))
	if got := g.closedFor(); len(got) != 0 {
		t.Errorf("after the right answer: closed for %v", got)
	}
	if s := g.begin(g.by(netip.MustParseAddr("198.51.100.2"), secret)); s.State != Granted {
		t.Errorf("a new place, after that: %v %s", s.State, s.Reason)
	}
	var left int64
	if err := g.DB.QueryRow(t.Context(), `select count(*) from guess where subject like 'credential/%'`).Scan(&left); err != nil || left != 0 {
		t.Errorf("%d budgets of it are left, %v", left, err)
	}
}

// What is closed is opened by two factors without it, on any server that has heard or
// began since; and not by one.
func TestTwoFactorsOpenWhatIsClosed(t *testing.T) {
	g := withGuesses(t, anyFactor)
	g.guess(20, g.by(g.stranger, "wrong"))
	g.clock.Later(2 * time.Hour)
	one := browses("wiki", "ada", typed("totp", g.app.code()))
	one.CodeAlone = true
	if s := g.begin(one); s.State == Granted {
		if _, err := g.Claim(t.Context(), s.Ticket, "wiki", "", ""); err != nil {
			t.Error(err)
		}
	}
	if got := g.closedFor(); !slices.Equal(got, []string{"strangers"}) {
		t.Errorf("after one factor: closed for %v", got)
	}
	began, err := New(g.Parts) // a server that starts now knows what was closed before
	if err != nil {
		t.Fatal(err)
	}
	old := g.Engine
	for i, e := range []*Engine{began.Engine, old} {
		name := []string{"one that began since", "the server that closed it"}[i]
		g.Engine = e
		if got := g.closedFor(); len(got) == 0 {
			g.guess(20, g.by(g.stranger, "wrong"))
		}
		before := len(g.events("credential.opened"))
		g.letIn(browses("wiki", "ada", typed("passkey", "x")))
		opened := g.events("credential.opened")
		if got := g.closedFor(); len(got) != 0 || len(opened) != before+1 || opened[0].Reason != "two-factors" || opened[0].AccountName != "ada" {
			t.Errorf("%s: closed for %v, the log says %+v", name, got, opened)
		}
		g.letIn(browses("wiki", "ada", typed("passkey", "x")))
		if again := g.events("credential.opened"); len(again) != before+1 {
			t.Errorf("%s: opened what was open: %d entries", name, len(again)-before)
		}
	}
}

// An administrator opens all of an account, and nothing of anybody else's.
func TestOpeningIsOfOneAccount(t *testing.T) {
	g := withGuesses(t, anyFactor)
	bob := g.person("bob")
	bobs := g.give(bob, "password", authenticator.Enrolled{Traits: assurance.Known, State: []byte("x")})
	g.guess(20, g.by(g.stranger, "wrong"))
	q := g.by(g.stranger, "wrong")
	q.Name = "bob"
	g.guess(20, q)
	g.change(func(tx *store.Tx) error { return g.OpenTx(t.Context(), tx, g.ada.ID) })
	if got := g.closedFor(); len(got) != 0 {
		t.Errorf("ada's is closed for %v", got)
	}
	if got, err := g.ClosedOf(t.Context(), g.DB, bob.ID); err != nil || len(got) != 1 || !strings.Contains(got[0], " for strangers") {
		t.Errorf("bob's: %v, %v", got, err)
	}
	g.alter(bobs, func(c *directory.Credential) { c.Status = directory.CredentialRevoked })
	if got, err := g.ClosedOf(t.Context(), g.DB, bob.ID); err != nil || len(got) != 0 {
		t.Errorf("one that is revoked: %v, %v", got, err)
	}
	if is, err := g.throttle.IsClosed(t.Context(), g.DB, g.ada.ID); is || err != nil {
		t.Errorf("this server still thinks that ada's is closed: %v", err)
	}
	if is, err := g.throttle.IsClosed(t.Context(), g.DB, bob.ID); !is || err != nil {
		t.Errorf("it forgot bob's: %v", err)
	}
}

// An owner is told when strangers make their password slow and when it is closed, once a
// day for each, from where, and with a link that makes a browser theirs.
func TestOwnersAreToldOfGuesses(t *testing.T) {
	g := withGuesses(t, anyFactor)
	slow := slowestTries(g.rig)
	g.guess(slow-1, g.by(g.stranger, "wrong"))
	if all, _ := g.told(); len(all) != 0 {
		t.Errorf("told before it is slow: %v", all)
	}
	g.guess(1, g.by(g.stranger, "wrong"))
	all, text := g.told()
	if len(all) != 1 || all[0] != "Somebody is guessing your Password" {
		t.Fatalf("told %q", all)
	}
	for _, want := range []string{"from " + g.stranger.String(), "in the browsers that you signed in with", "https://login.test/open?code="} {
		if !strings.Contains(text, want) {
			t.Errorf("the mail lacks %q:\n%s", want, strings.ReplaceAll(text, "code=", "code=..."))
		}
	}
	g.guess(20-slow, g.by(g.stranger, "wrong"))
	if all, _ = g.told(); len(all) != 2 || all[1] != "Your Password is closed for strangers" {
		t.Errorf("told %q", all)
	}
	// At home nothing is slow for strangers only, so that the mail comes at the end.
	g.guess(19, g.by(home, "wrong"))
	if all, _ = g.told(); len(all) != 2 {
		t.Errorf("told %q", all)
	}
	g.guess(1, g.by(home, "wrong"))
	if all, text = g.told(); len(all) != 3 || all[2] != "Your Password is closed for addresses from which its owner was let in" || strings.Contains(text, "in the browsers that you signed in with") {
		t.Errorf("told %q", all)
	}
	if got := g.closedFor(); len(got) != 2 {
		t.Errorf("closed for %v", got)
	}
	// In a browser of hers there is nothing to be made hers.
	q := g.by(netip.MustParseAddr("198.51.100.9"), "wrong")
	q.Browser = g.throttle.Browser(g.ada.ID)
	g.guess(20, q)
	if all, text = g.told(); len(all) != 4 || all[3] != "Your Password is closed for browsers in which its owner was let in" || strings.Contains(text, "code=") {
		t.Errorf("told %q", all)
	}
}

// By equipment that tells no addresses the mail says so, and it is slow there as well.
func TestOwnersAreToldOfGuessesByEquipment(t *testing.T) {
	g := withGuesses(t, anyFactor)
	q := Request{Application: "vpn", Name: "ada", Protocol: "radius", Medium: prompt.Line, Partner: "nas-7", Opening: []prompt.Answer{typed("password", secret)}}
	if s := g.begin(q); s.State != Granted {
		t.Fatalf("%+v", s)
	}
	q.Opening = []prompt.Answer{typed("password", "wrong")}
	g.guess(slowestTries(g.rig), q)
	all, text := g.told()
	if len(all) != 1 || !strings.Contains(text, "by nas-7, which does not tell from where") {
		t.Errorf("told %q", all)
	}
	g.guess(20-slowestTries(g.rig), q)
	if got := g.closedFor(); !slices.Equal(got, []string{"equipment that does not tell where people are"}) {
		t.Errorf("closed for %v", got)
	}
}

// An owner is told once a day of what is closed however often that is, and what is closed
// is said of them whatever else they have.
func TestOwnersAreToldOnceADay(t *testing.T) {
	g := withGuesses(t, anyFactor)
	g.limited(func(l *throttle.Limits) { l.Disable = 2 })
	g.give(g.ada, "of-before", authenticator.Enrolled{State: []byte("x")}) // of a kind that this server does not know
	for i, c := range []struct {
		wait  time.Duration
		mails int
	}{{0, 1}, {2 * time.Hour, 1}, {day - 3*time.Hour, 1}, {2 * time.Hour, 2}} {
		g.clock.Later(c.wait)
		for range 2 {
			g.stranger = g.stranger.Next()
			if s := g.begin(g.by(g.stranger, "wrong")); s.Reason != "wrong" {
				t.Fatalf("%d: %v %s", i, s.State, s.Reason)
			}
		}
		if got := g.closedFor(); !slices.Equal(got, []string{"strangers"}) || len(g.events("credential.closed")) != i+1 {
			t.Errorf("%d: closed for %v, %d entries", i, got, len(g.events("credential.closed")))
		}
		if all, _ := g.told(); len(all) != c.mails {
			t.Errorf("%d: told %q", i, all)
		}
		g.letIn(g.by(home, secret))
		if got := g.closedFor(); len(got) != 0 {
			t.Errorf("%d: after the right answer closed for %v", i, got)
		}
	}
	g.OpenAt = "" // there is no page for links
	g.remake()
	g.clock.Later(day)
	g.guess(2, g.by(g.stranger, "wrong"))
	if all, text := g.told(); len(all) != 3 || strings.Contains(text, "open this link") || strings.Contains(text, "code=") {
		t.Errorf("without a page told %q, with a link: %t", all, strings.Contains(text, "code="))
	}
}
