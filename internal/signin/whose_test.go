package signin

import (
	"context"
	"slices"
	"testing"
	"time"

	"countersign/internal/authenticator"
	"countersign/internal/directory"
	"countersign/internal/failure"
	"countersign/internal/prompt"
)

// keyed is a key that is found, and is right, by the handle that is typed.
type keyed struct{ right }

func (keyed) Discover(a prompt.Answer) (string, bool) { return a.Text, a.Text != "" }

func (a keyed) Check(_ context.Context, all []authenticator.Credential, _ authenticator.Memo, answer prompt.Answer, _ time.Time) (authenticator.Result, error) {
	for _, c := range all {
		if c.Handle == answer.Text {
			return authenticator.Result{OK: true, Credential: c.ID, Traits: a.Describe().Traits}, nil
		}
	}
	return authenticator.Wrong("unknown-key"), nil
}

// withKeys is ada and bob with a key each.
func withKeys(t *testing.T) (r *rig, ada, bob directory.Account) {
	t.Helper()
	kinds := everyKind(t)
	instead(kinds, "passkey", func(how authenticator.Authenticator) authenticator.Authenticator { return keyed{right{how}} })
	r = newRig(t, twoFactors, kinds...)
	ada, bob = r.person("ada"), r.person("bob")
	r.give(ada, "passkey", authenticator.Enrolled{Traits: strong, State: []byte("x"), Handle: "adas"})
	r.give(bob, "passkey", authenticator.Enrolled{Traits: strong, State: []byte("x"), Handle: "bobs"})
	return r, ada, bob
}

// Whose an attempt is, by a session or by what was shown before in the same turn, is not
// changed by somebody else's key; and what names no key is compared with those of the
// name that was typed.
func TestAnAttemptStaysItsOwners(t *testing.T) {
	r, ada, _ := withKeys(t)
	r.sessions.put("hers", Held{Account: ada.ID, Number: "n1", Expires: r.Now().Add(time.Hour)})
	accepted := func() (names []string) {
		for _, en := range r.events("evidence.accepted") {
			names = append(names, en.AccountName)
		}
		return names
	}
	inside := browses("wiki", "", typed("passkey", "bobs"))
	inside.Session = "hers"
	s := r.begin(inside)
	if r.is("bob's key in her session", s, Ask, "unknown-key"); len(accepted()) != 0 {
		t.Errorf("shown by %v", accepted())
	}
	if en := r.last("answer.refused"); en.Account != int64(ada.ID) || en.AccountName != "ada" {
		t.Errorf("recorded %+v", en)
	}
	if s = r.reply(s, "passkey", "adas"); s.State != Granted {
		t.Errorf("her own: %+v", s)
	}
	s = r.begin(browses("wiki", "", typed("passkey", "adas"), typed("passkey", "bobs")))
	r.is("hers and then bob's", s, Granted, "other-account")
	if g, err := r.Claim(t.Context(), s.Ticket, "wiki", "", ""); err != nil || g.Account() != ada.ID || !slices.Equal(accepted(), []string{"ada", "ada"}) {
		t.Errorf("hers and then bob's: claimed %v, shown by %v", err, accepted())
	}
	r.is("no key at all", r.begin(browses("wiki", "ada", typed("passkey", ""))), Ask, "unknown-key")
	if en := r.last("answer.refused"); en.Account != int64(ada.ID) {
		t.Errorf("recorded %+v", en)
	}
}

// What nobody can guess costs nothing when it is wrong, and keeps nobody from anything.
func TestAWrongSignatureCostsNothing(t *testing.T) {
	r, _, _ := withKeys(t)
	for range r.Limits.Disable + 1 {
		r.is("another key", r.begin(browses("wiki", "ada", typed("passkey", "others"))), Ask, "unknown-key")
	}
	var rows int64
	if err := r.DB.QueryRow(t.Context(), `select count(*) from guess`).Scan(&rows); err != nil || rows != 0 {
		t.Errorf("%d budgets, %v", rows, err)
	}
	r.is("her own", r.begin(browses("wiki", "ada", typed("passkey", "adas"))), Granted, "")
}

// Two attempts use one saved code's authenticator in the same moment: what the second
// found is not written over what the first left behind.
func TestTwoAttemptsInOneMoment(t *testing.T) {
	var then func()
	kinds := whileChecked(t, "recoverycode", &then, []byte("next"))
	r := newRig(t, twoFactors, kinds...)
	ada := r.person("ada")
	r.withPassword(ada)
	c := r.give(ada, "recoverycode", authenticator.Enrolled{Traits: r.kinds["recoverycode"].Describe().Traits, State: []byte("x")})
	one, other := r.reply(r.begin(browses("wiki", "ada")), "password", secret), r.reply(r.begin(browses("wiki", "ada")), "password", secret)
	then = func() { r.is("the first", r.reply(other, "recoverycode", "x"), Granted, "") }
	if s, err := r.Answer(t.Context(), one.Ticket, Reply{Answer: typed("recoverycode", "x"), Source: home}); failure.ClassOf(err) != failure.Conflict {
		t.Errorf("the second: %+v, %v", s, err)
	}
	if n := len(r.events("evidence.accepted")); n != 3 {
		t.Errorf("%d answers were accepted", n)
	}
	if now, err := r.credentials.Get(t.Context(), r.DB, ada.ID, c.ID); err != nil || now.Version != c.Version+1 {
		t.Errorf("written %d times, %v", now.Version-c.Version, err)
	}
}

// Alarms of guessing are of places, and of accounts that somebody has: not of each
// authenticator, whose owner is told, nor of names that nobody has.
func TestWhatAlarmsOfGuessingAreOf(t *testing.T) {
	for name, want := range map[string][]string{"ada": {"account", "installation", "source"}, "nobody": {"installation", "source"}} {
		g := withGuesses(t, anyFactor)
		g.Limits.Delay = 10
		g.remake()
		of := func() (out []string) {
			for _, en := range g.events("alarm.guessing") {
				out = append(out, en.Reason)
			}
			slices.Sort(out)
			return out
		}
		for _, answer := range []prompt.Answer{typed("password", "wrong"), typed("totp", "000000")} {
			q := browses("wiki", name, answer)
			q.Source, q.CodeAlone = outside, true
			for range 10 {
				g.is(name, g.begin(q), Ask, "wrong")
			}
		}
		if got := of(); !slices.Equal(got, want) {
			t.Errorf("%s: alarms of %v; want %v", name, got, want)
		}
		if name == "ada" {
			g.guess(20, g.by(g.stranger, "wrong"))
			if got := of(); !slices.Equal(got, want) {
				t.Errorf("twenty wrong ones in a row: alarms of %v; want %v", got, want)
			}
		}
	}
}
