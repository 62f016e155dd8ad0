package signin

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/authenticator"
	"countersign/internal/prompt"
)

// notes writes down what each check is given: how many wrong answers in a row each
// credential has had.
type notes struct {
	authenticator.Authenticator
	given *[]string
}

func (a notes) Check(ctx context.Context, c []authenticator.Credential, m authenticator.Memo, answer prompt.Answer, now time.Time) (authenticator.Result, error) {
	var failures []string
	for _, one := range c {
		failures = append(failures, fmt.Sprint(one.Failures))
	}
	*a.given = append(*a.given, "["+strings.Join(failures, " ")+"]")
	return a.Authenticator.Check(ctx, c, m, answer, now)
}

// withNotes is ada with a password and an app, of which each check is written down.
func withNotes(t *testing.T, document string) (*rig, codes, *[]string) {
	t.Helper()
	given, kinds := &[]string{}, everyKind(t)
	for i, how := range kinds {
		switch how.Describe().Kind {
		case "password":
			kinds[i] = notes{plainly{how}, given}
		case "totp":
			kinds[i] = notes{how, given}
		}
	}
	r := newRig(t, document, kinds...)
	ada := r.person("ada")
	r.give(ada, "password", authenticator.Enrolled{Traits: assurance.Known, State: []byte("x")})
	return r, r.withCodes(ada), given
}

// A check is told of the wrong answers before this one, whether this one was paid for
// before it or will be after it.
func TestACheckIsToldOfWrongAnswers(t *testing.T) {
	r, app, given := withNotes(t, twoFactors)
	s := r.begin(browses("wiki", "ada"))
	for _, text := range []string{"wrong", "wrong", secret} {
		s = r.reply(s, "password", text)
	}
	for _, text := range []string{"000000", "000000"} {
		s = r.reply(s, "totp", text)
	}
	r.is("the right code", r.reply(s, "totp", app.code()), Granted, "")
	if want := []string{"[0]", "[1]", "[2]", "[0]", "[1]", "[2]"}; !slices.Equal(*given, want) {
		t.Errorf("told of %v; want %v", *given, want)
	}
}

// A slow answer that must wait is hashed like any other, against nothing, so that a lock
// cannot be told from a wrong answer by how long it takes; what is quick is not looked at.
func TestWhatMustWaitIsStillHashed(t *testing.T) {
	r, app, given := withNotes(t, anyFactor)
	for _, c := range []struct {
		kind, right string
		want        []string
	}{{"password", secret, []string{"[]"}}, {"totp", app.code(), nil}} {
		ask := func(text string) Step {
			q := browses("wiki", "ada", typed(c.kind, text))
			q.CodeAlone = true
			return r.begin(q)
		}
		for range r.Limits.Delay {
			ask("000000")
		}
		*given = nil
		if s := ask(c.right); s.State != Ask || s.Reason != "delayed" || !slices.Equal(*given, c.want) {
			t.Errorf("%s: %v %s, compared with %v", c.kind, s.State, s.Reason, *given)
		}
	}
}

// Of two codes in one turn the second is compared with what the first left behind: who
// must type two, because some were wrong, can type both at once.
func TestTwoCodesOfOneTurn(t *testing.T) {
	r, ada, app := withAda(t)
	line := func(codes ...string) Step {
		opening := []prompt.Answer{typed("password", secret)}
		for _, code := range codes {
			opening = append(opening, typed("totp", code))
		}
		return r.begin(Request{Application: "vpn", Name: "ada", Source: home, Protocol: "radius", Medium: prompt.Single, Partner: "nas", Opening: opening})
	}
	for range 3 {
		r.is("a wrong code", line("000000"), Denied, "wrong")
	}
	before := app.code()
	r.clock.Later(30 * time.Second)
	r.is("two in a row", line(before, app.code()), Granted, "")
	if n := len(r.events("evidence.half")); n != 1 || r.charged(app.Credential) != 0 {
		t.Errorf("%d halves, %d wrong answers", n, r.charged(app.Credential))
	}
	if c, err := r.credentials.Get(t.Context(), r.DB, ada.ID, app.ID); err != nil || !c.Used.Equal(r.Now()) {
		t.Errorf("used %v, %v", c.Used, err)
	}
}
