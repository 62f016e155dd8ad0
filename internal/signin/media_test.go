package signin

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/authenticator"
	"countersign/internal/directory"
	"countersign/internal/prompt"
)

// right is a kind of authenticator to which every answer is right: what is left is
// whether anybody may give one.
type right struct{ authenticator.Authenticator }

func (a right) Check(_ context.Context, credentials []authenticator.Credential, _ authenticator.Memo, _ prompt.Answer, _ time.Time) (authenticator.Result, error) {
	if len(credentials) == 0 {
		return authenticator.Wrong("wrong"), nil
	}
	return authenticator.Result{OK: true, Credential: credentials[0].ID, Traits: a.Describe().Traits}, nil
}

func (a right) Ask([]authenticator.Credential, time.Time) (prompt.Prompt, authenticator.Memo, error) {
	return prompt.Prompt{Authenticator: a.Describe().Kind, Kind: prompt.Code}, nil, nil
}

// rightElsewhere is one that is answered on the device that it lives on.
type rightElsewhere struct {
	right
	authenticator.Approver
}

func (a rightElsewhere) Describe() authenticator.Description { return a.right.Describe() }
func (a rightElsewhere) Ask(c []authenticator.Credential, now time.Time) (prompt.Prompt, authenticator.Memo, error) {
	return a.right.Ask(c, now)
}
func (a rightElsewhere) Check(ctx context.Context, c []authenticator.Credential, m authenticator.Memo, answer prompt.Answer, now time.Time) (authenticator.Result, error) {
	return a.right.Check(ctx, c, m, answer, now)
}

// everyRight is every kind, each of which takes every answer.
func everyRight(t testing.TB) (out []authenticator.Authenticator) {
	for _, a := range everyKind(t) {
		if remote, ok := a.(authenticator.Approver); ok {
			out = append(out, rightElsewhere{right{a}, remote})
			continue
		}
		out = append(out, right{a})
	}
	return out
}

// carried is the whole table: by what an answer of a kind can come. Whoever adds a
// kind writes here what carries it.
var carried = map[string]prompt.Medium{
	"password":     prompt.Line | prompt.Single | prompt.Browser,
	"totp":         prompt.Line | prompt.Single | prompt.Browser,
	"hotp":         prompt.Line | prompt.Single | prompt.Browser,
	"yubico-otp":   prompt.Line | prompt.Single | prompt.Browser,
	"recoverycode": prompt.Line | prompt.Single | prompt.Browser,
	"ocra":         prompt.Line | prompt.Browser,
	"smscode":      prompt.Line | prompt.Browser,
	"passkey":      prompt.Browser,
	"certificate":  prompt.Browser,
	"mailcode":     prompt.Browser,
	"accesspass":   prompt.Browser,
	"push":         0, // in the app, never here
	"apikey":       0, // with a command, never as an answer
	"apppassword":  0, // with a device's request, never as an answer
}

// media are all that a protocol can say of itself, and some that none does.
var media = []prompt.Medium{0, prompt.Line, prompt.Single, prompt.Silence, prompt.Display, prompt.Browser, prompt.API, prompt.Line | prompt.Single, prompt.Line | prompt.Display,
	prompt.Single | prompt.Silence, prompt.Display | prompt.Browser, prompt.API | prompt.Silence, prompt.API | prompt.Display}

// A kind that a medium cannot carry is no answer by it: not as the opening, not as a
// reply, not where it was asked by mistake, by no protocol, whatever is right.
func TestEveryKindByEveryMedium(t *testing.T) {
	const open = "rules:\n  - {name: people, when: 'action != \"account.recover\"', require: one-factor}\n"
	r := newRig(t, open, everyRight(t)...)
	a := r.person("ada")
	var all []asked
	for _, how := range r.order {
		d := how.Describe()
		if _, listed := carried[d.Kind]; !listed {
			t.Errorf("%s: nobody wrote down by what it can be answered", d.Kind)
		}
		r.give(a, d.Kind, authenticator.Enrolled{Traits: d.Traits, State: []byte("x")})
		all = append(all, asked{Kind: d.Kind})
	}
	app, err := r.judge.application(t.Context(), "wiki")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for kind, by := range carried {
		for _, medium := range media {
			want := by&medium != 0
			for _, protocol := range []string{"browser", "radius", "yubico", "forward-auth", "api"} {
				q := Request{Application: "wiki", Action: SignIn, Name: "ada", Source: home, Protocol: protocol, Medium: medium, CodeAlone: true}
				at := &attempt{ID: newID(), Request: q, Asked: all, Created: r.Now(), Deadline: r.Now().Add(time.Hour)}
				for _, opening := range []bool{true, false} {
					kinds := r.examiner.kindsFor(at, typed(kind, "111111"), opening)
					if got := len(kinds) == 1 && kinds[0] == kind; got != want || !want && len(kinds) > 0 {
						t.Errorf("%s by %06b, opening %t: an answer is for %v", kind, medium, opening, kinds)
					}
					for _, k := range append(r.examiner.kindsFor(at, typed("", "111111"), opening), r.examiner.kindsFor(at, typed(AnyCode, "111111"), opening)...) {
						if carried[k]&medium == 0 {
							t.Errorf("by %06b, opening %t: an answer without a name is for %s", medium, opening, k)
						}
					}
				}
				// Nothing but what opens comes unasked where nothing says that codes come alone.
				at.CodeAlone = false
				for _, k := range append(r.examiner.kindsFor(at, typed(kind, "111111"), true), r.examiner.kindsFor(at, typed(AnyCode, "111111"), true)...) {
					if k != "password" && k != "passkey" && k != "certificate" && k != "accesspass" && k != "totp" && k != "hotp" { // of these two, only those with a PIN
						t.Errorf("%s by %06b comes before what stands before it", k, medium)
					}
				}
				m := r.judge.matter(at, app)
				m.somebody, m.account = true, a
				m.credentials, err = r.credentials.All(t.Context(), r.DB, a.ID)
				if err != nil {
					t.Fatal(err)
				}
				m.policy, err = r.Rules.Current(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				m.shown = evidenceOf(m.credentials, kind, r.Now())
				if d := decide(&m); kind != "push" && len(d.evidence) > 0 != want {
					t.Errorf("%s by %06b: counts %v", kind, medium, shows(d.evidence))
				}
				if d := decide(&m); strings.Contains(strings.Join(d.kinds, " "), "push") || strings.Contains(strings.Join(d.kinds, " "), "apikey") || strings.Contains(strings.Join(d.kinds, " "), "apppassword") {
					t.Errorf("by %06b it asks for %v", medium, d.kinds)
				}
				n++
			}
		}
	}
	if n != len(carried)*len(media)*5 || len(carried) != len(r.order) {
		t.Errorf("%d cases", n)
	}
	// And through the front door: an opening that names the kind shows something, or
	// nothing.
	for kind, by := range carried {
		for _, medium := range media {
			before := len(r.events("evidence.accepted"))
			s, err := r.Begin(t.Context(), Request{Application: "wiki", Name: "ada", Source: home, Protocol: "radius", Medium: medium, CodeAlone: true, Opening: []prompt.Answer{typed(kind, "111111")}})
			if err != nil {
				t.Fatal(err)
			}
			accepted := len(r.events("evidence.accepted")) - before
			if want := by&medium != 0; (accepted == 1) != want || accepted > 1 || s.State == Granted && !want {
				t.Errorf("%s by %06b: %d accepted, state %v", kind, medium, accepted, s.State)
			}
		}
	}
}

func evidenceOf(credentials []directory.Credential, kind string, now time.Time) []assurance.Evidence {
	for _, c := range credentials {
		if c.Kind == kind {
			return []assurance.Evidence{{Account: c.Account, Kind: kind, Credential: c.ID, Traits: c.Traits, Time: now}}
		}
	}
	panic(fmt.Sprintf("nothing of kind %s", kind))
}

// What an app or a passkey showed elsewhere counts where a number can be shown, and
// an automation key with its command.
func TestWhatComesFromElsewhere(t *testing.T) {
	r := newRig(t, anyFactor, everyRight(t)...)
	a := r.person("ada")
	held := map[string]directory.Credential{}
	for _, how := range r.order {
		d := how.Describe()
		held[d.Kind] = r.give(a, d.Kind, authenticator.Enrolled{Traits: d.Traits, State: []byte("x")})
	}
	for _, medium := range media {
		m := matter{setting: r.judge.setting, Request: Request{Action: SignIn, Medium: medium}, now: r.Now(), account: a}
		for kind, c := range held {
			ev := assurance.Evidence{Account: a.ID, Kind: kind, Credential: c.ID, Traits: c.Traits, Time: r.Now()}
			if kind == "push" || kind == "passkey" {
				ev.OutOfBand = true
				if got, want := m.couldCome(ev), medium&(prompt.Display|prompt.Browser) != 0; got != want {
					t.Errorf("%s elsewhere for %06b: %t", kind, medium, got)
				}
				ev.OutOfBand = false
			}
			if got, want := m.couldBeHeld(ev), kind != "apikey" && kind != "apppassword"; got != want {
				t.Errorf("%s in a session: %t", kind, got)
			}
			delegate := m
			delegate.delegated = true
			if got, want := delegate.couldCome(ev), kind == "apikey" || kind == "apppassword" || kind == "push" && m.showsNumbers(); got != want {
				t.Errorf("%s with a command that a key serves, %06b: %t", kind, medium, got)
			}
		}
		if m.couldCome(assurance.Evidence{Kind: "unheard-of"}) || m.couldBeHeld(assurance.Evidence{Kind: "unheard-of"}) {
			t.Error("a kind that nobody knows counts")
		}
	}
}
