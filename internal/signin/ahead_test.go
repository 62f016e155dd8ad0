package signin

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/authenticator"
	"countersign/internal/directory"
	"countersign/internal/prompt"
)

// watched takes every answer for right that does not begin with "wrong", counts how often
// it looks, and lets the test do something meanwhile.
type watched struct {
	authenticator.Authenticator
	looked    *int
	meanwhile *func()
}

func (a watched) Check(_ context.Context, credentials []authenticator.Credential, _ authenticator.Memo, answer prompt.Answer, now time.Time) (authenticator.Result, error) {
	*a.looked++
	if f := *a.meanwhile; f != nil {
		*a.meanwhile = nil
		f()
	}
	if len(credentials) == 0 || strings.HasPrefix(answer.Text, "wrong") {
		return authenticator.Wrong("wrong"), nil
	}
	return authenticator.Result{OK: true, Credential: credentials[0].ID, Traits: a.Describe().Traits}, nil
}

func (a watched) Ask([]authenticator.Credential, time.Time) (prompt.Prompt, authenticator.Memo, error) {
	return prompt.Prompt{Authenticator: a.Describe().Kind, Kind: prompt.Code}, nil, nil
}

// watchedFinder finds its credential by the last word that was typed.
type watchedFinder struct{ watched }

func (watchedFinder) Discover(a prompt.Answer) (string, bool) {
	words := strings.Fields(a.Text)
	if len(words) == 0 {
		return "", false
	}
	return words[len(words)-1], true
}

// withWatched is ada with a passkey that finds itself, a password and saved codes.
func withWatched(t *testing.T, document string) (r *rig, ada directory.Account, looked map[string]*int, meanwhile *func()) {
	t.Helper()
	looked, meanwhile = map[string]*int{}, new(func())
	kinds := everyKind(t)
	for i, how := range kinds {
		kind := how.Describe().Kind
		looked[kind] = new(int)
		switch w := (watched{how, looked[kind], meanwhile}); kind {
		case "passkey":
			kinds[i] = watchedFinder{w}
		case "password", "recoverycode":
			kinds[i] = w
		}
	}
	r = newRig(t, document, kinds...)
	ada = r.person("ada")
	for _, kind := range []string{"passkey", "password", "recoverycode"} {
		e := authenticator.Enrolled{Traits: r.kinds[kind].Describe().Traits, State: []byte("x")}
		if kind == "passkey" {
			e.Handle = "key-1"
		}
		r.give(ada, kind, e)
	}
	return r, ada, looked, meanwhile
}

// What nobody can guess is looked at once, before the transaction; whose it is the log
// says, wrong or right, whether a name was typed or not.
func TestASignatureIsLookedAtOnce(t *testing.T) {
	r, ada, looked, _ := withWatched(t, anyFactor)
	for _, c := range []struct {
		name, typed string
		granted     bool
		whose       assurance.AccountID
		named       string
	}{
		{"", "key-1", true, ada.ID, "ada"},
		{"ada", "key-1", true, ada.ID, "ada"},
		{"", "wrong key-1", false, ada.ID, "ada"},
		{"ada", "wrong key-1", false, ada.ID, "ada"},
		{"", "key-2", false, 0, ""},
	} {
		*looked["passkey"] = 0
		accepted, refused := len(r.events("evidence.accepted")), len(r.events("answer.refused"))
		s := r.begin(browses("wiki", c.name, typed("passkey", c.typed)))
		if (s.State == Granted) != c.granted || *looked["passkey"] != 1 {
			t.Errorf("%q as %q: %v %s, looked at %d times", c.typed, c.name, s.State, s.Reason, *looked["passkey"])
		}
		event := "answer.refused"
		if c.granted {
			event, accepted = "evidence.accepted", accepted+1
		} else {
			refused++
		}
		if en := r.last(event); en.Account != int64(c.whose) || en.AccountName != c.named || len(r.events("evidence.accepted")) != accepted || len(r.events("answer.refused")) != refused {
			t.Errorf("%q as %q: the log says %+v", c.typed, c.name, en)
		}
	}
}

// What else of an account changes while its passkey is looked at is no reason to look
// again; what ends the passkey is one to refuse it.
func TestWhatChangesBesideASignature(t *testing.T) {
	for what, c := range map[string]struct {
		kind    string
		status  string
		granted bool
	}{
		"the password is switched off": {"password", directory.CredentialDisabled, true},
		"the passkey is switched off":  {"passkey", directory.CredentialDisabled, false},
		"the passkey is written anew":  {"passkey", directory.CredentialActive, true},
	} {
		r, ada, looked, meanwhile := withWatched(t, anyFactor)
		all, err := r.credentials.All(t.Context(), r.DB, ada.ID)
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(all, func(has directory.Credential) bool { return has.Kind == c.kind })
		*meanwhile = func() { r.alter(all[i], func(now *directory.Credential) { now.Status = c.status }) }
		s, err := r.Begin(t.Context(), browses("wiki", "ada", typed("passkey", "key-1")))
		if err != nil || (s.State == Granted) != c.granted {
			t.Errorf("%s: %v %s, %v", what, s.State, s.Reason, err)
		}
		want := 1
		if c.kind == "passkey" {
			want = 2 // as it is now
		}
		if *looked["passkey"] != want {
			t.Errorf("%s: looked at %d times", what, *looked["passkey"])
		}
	}
}

// An account that is removed while its answer is looked at is let in by none, and that is
// a refusal like any.
func TestAnAccountIsRemovedMeanwhile(t *testing.T) {
	for _, answer := range []prompt.Answer{typed("passkey", "key-1"), typed("passkey", "wrong key-1"), typed("password", "x"), typed("password", "wrong")} {
		for _, name := range []string{"ada", ""} {
			if name == "" && answer.Authenticator != "passkey" {
				continue
			}
			r, ada, looked, meanwhile := withWatched(t, anyFactor)
			*meanwhile = func() {
				r.remove(ada, 0)
			}
			s, err := r.Begin(t.Context(), browses("wiki", name, answer))
			if err != nil || s.State == Granted || s.Reason == "" {
				t.Errorf("%v as %q: %v %s, %v", answer, name, s.State, s.Reason, err)
			}
			if wrong := strings.HasPrefix(answer.Text, "wrong"); wrong && *looked[answer.Authenticator] != 1 {
				t.Errorf("%v as %q: looked at %d times", answer, name, *looked[answer.Authenticator])
			}
			if n := len(r.events("evidence.accepted")); n != 0 && answer.Authenticator == "passkey" {
				t.Errorf("%v as %q: %d were accepted", answer, name, n)
			}
			if n := len(r.events("signin.granted")); n != 0 {
				t.Errorf("%v as %q: %d were let in", answer, name, n)
			}
		}
	}
}

// Of several answers those that are slow are paid for before they are looked at, outside
// of the transaction; behind one that is wrong or refused none is looked at.
func TestSlowAnswersInOneTurn(t *testing.T) {
	r, ada, looked, meanwhile := withWatched(t, twoFactors)
	all, err := r.credentials.All(t.Context(), r.DB, ada.ID)
	if err != nil || len(all) != 3 {
		t.Fatal(all, err)
	}
	saved := all[2]
	line := func(word, code string) Step {
		t.Helper()
		*looked["recoverycode"] = 0
		return r.begin(Request{Application: "vpn", Name: "ada", Source: outside, Protocol: "radius", Medium: prompt.Single, Opening: []prompt.Answer{typed("password", word), typed("recoverycode", code)}})
	}
	paid := int64(-1)
	*meanwhile = func() { *meanwhile = func() { paid = r.charged(saved) } } // the password is first
	r.is("both right", line("x", "y"), Granted, "")
	if *looked["recoverycode"] != 1 || paid != 1 || r.charged(saved) != 0 {
		t.Errorf("looked at %d times, when %d were paid for; %d are now", *looked["recoverycode"], paid, r.charged(saved))
	}
	r.is("a wrong password", line("wrong", "y"), Denied, "wrong")
	if *looked["recoverycode"] != 0 {
		t.Error("the code behind it was looked at")
	}
	r.is("a wrong code", line("x", "wrong"), Denied, "wrong")
	if *looked["recoverycode"] != 1 || r.charged(saved) != 1 {
		t.Errorf("looked at %d times; %d are paid for", *looked["recoverycode"], r.charged(saved))
	}
	for range r.Limits.Delay {
		line("wrong", "y")
	}
	r.is("the right password, too soon", line("x", "y"), Denied, "delayed")
	if *looked["recoverycode"] != 0 || r.charged(saved) != 1 {
		t.Errorf("the code behind it was looked at %d times; %d are paid for", *looked["recoverycode"], r.charged(saved))
	}
}
