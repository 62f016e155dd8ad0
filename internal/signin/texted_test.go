package signin

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/authenticator"
	"countersign/internal/prompt"
)

// texted is a telephone that gets a new code each time.
type texted struct {
	authenticator.Authenticator
	codes *int
}

func (a texted) Ask([]authenticator.Credential, time.Time) (prompt.Prompt, authenticator.Memo, error) {
	return prompt.Prompt{Authenticator: a.Describe().Kind, Kind: prompt.Code, Label: "Send a code"}, nil, nil
}

func (a texted) Send(authenticator.Credential, time.Time) (authenticator.Message, prompt.Prompt, authenticator.Memo, error) {
	*a.codes++
	code := strconv.Itoa(100000 + *a.codes)
	return authenticator.Message{To: "+4930123", Text: code}, prompt.Prompt{Authenticator: a.Describe().Kind, Kind: prompt.Code, Label: "Type the code"}, authenticator.Memo(code), nil
}

func (a texted) Check(_ context.Context, credentials []authenticator.Credential, memo authenticator.Memo, answer prompt.Answer, _ time.Time) (authenticator.Result, error) {
	if len(credentials) == 0 || len(memo) == 0 || answer.Text != string(memo) {
		return authenticator.Wrong("wrong"), nil
	}
	return authenticator.Result{OK: true, Credential: credentials[0].ID, Traits: a.Describe().Traits, Once: string(memo)}, nil
}

// withTelephone is ada with a password and a telephone. More kinds get their codes as it
// does.
func withTelephone(t *testing.T, more ...string) (r *rig, kind string, codes *int) {
	t.Helper()
	codes = new(int)
	kinds := everyKind(t)
	for i, how := range kinds {
		switch how.Describe().Kind {
		case "password":
			kinds[i] = plainly{how}
		case "smscode":
			kind, kinds[i] = "smscode", texted{how, codes}
		}
		if slices.Contains(more, how.Describe().Kind) {
			kinds[i] = texted{how, codes}
		}
	}
	if kind == "" {
		t.Fatal("there is no telephone")
	}
	r = newRig(t, twoFactors, kinds...)
	ada := r.person("ada")
	r.give(ada, "password", authenticator.Enrolled{Traits: assurance.Known, State: []byte("x")})
	r.give(ada, kind, authenticator.Enrolled{Traits: assurance.Held, State: []byte("x")})
	return r, kind, codes
}

// On pages a code is sent when the person asks for one, once; another takes its place
// when they ask again, and where none may be sent the one of before stays good.
func TestACodeIsSentWhenItIsAskedFor(t *testing.T) {
	r, kind, codes := withTelephone(t)
	s := r.reply(r.begin(browses("wiki", "ada")), "password", secret)
	if s.State != Ask || kindsOf(s) != kind || *codes != 0 || s.Prompts[0].Label != "Send a code" {
		t.Fatalf("%+v, %d codes", s, *codes)
	}
	look := func() {
		t.Helper()
		next, err := r.Poll(t.Context(), s.Ticket)
		if err != nil {
			t.Fatal(err)
		}
		s = next
	}
	if look(); *codes != 0 {
		t.Errorf("looking sent %d", *codes)
	}
	if s = r.reply(s, kind, ""); s.State != Ask || *codes != 1 || s.Prompts[0].Label != "Type the code" {
		t.Fatalf("asked for one: %+v, %d codes", s, *codes)
	}
	if look(); *codes != 1 || s.Prompts[0].Label != "Type the code" {
		t.Errorf("looking again: %+v, %d codes", s, *codes)
	}
	if s = r.reply(s, kind, ""); *codes != 2 || !strings.Contains(s.Prompts[0].Hint, "Type the one that was sent") {
		t.Errorf("at once again: %+v", s.Prompts)
	}
	if refused := r.events("code.not-sent"); len(refused) != 1 || refused[0].Reason != "too-soon" {
		t.Errorf("the log says %+v", refused)
	}
	if s = r.reply(s, kind, "100001"); s.State != Granted {
		t.Errorf("the one of before: %v %s", s.State, s.Reason)
	}
	if sent := r.events("code.sent"); len(sent) != 1 || sent[0].Detail["authenticator"] != kind || sent[0].AccountName != "ada" {
		t.Errorf("the log says %+v", sent)
	}

	r.clock.Later(time.Hour)
	s = r.reply(r.reply(r.begin(browses("wiki", "ada")), "password", secret), kind, "")
	first := strconv.Itoa(100000 + *codes)
	r.clock.Later(sendPause)
	s = r.reply(s, kind, "")
	if s = r.reply(s, kind, first); s.State == Granted || s.Reason != "wrong" {
		t.Errorf("a code that another took the place of: %v %s", s.State, s.Reason)
	}
	if s = r.reply(s, kind, strconv.Itoa(100000+*codes)); s.State != Granted {
		t.Errorf("the last one: %v %s", s.State, s.Reason)
	}
	for range sendHourly { // the account's are used up
		r.clock.Later(sendPause)
		s = r.reply(r.reply(r.begin(browses("wiki", "ada")), "password", secret), kind, "")
	}
	if s.State != Ask || !strings.Contains(s.Prompts[0].Hint, "No code can be sent now") {
		t.Errorf("too many: %+v", s)
	}
}

// On a line one is sent where there is nothing better, with the question; where none may
// be sent nothing is asked. Whoever has shown nothing causes none.
func TestACodeIsSentOnALine(t *testing.T) {
	r, kind, codes := withTelephone(t)
	line := func(opening ...prompt.Answer) Step {
		t.Helper()
		return r.begin(Request{Application: "vpn", Name: "ada", Source: home, Protocol: "radius", Medium: prompt.Line, Partner: "nas", Opening: opening})
	}
	if s := line(); *codes != 0 || s.State == Granted {
		t.Errorf("a name alone: %+v, %d codes", s, *codes)
	}
	if s := line(typed("password", "wrong")); *codes != 0 || s.State != Denied {
		t.Errorf("a wrong password: %+v, %d codes", s, *codes)
	}
	s := line(typed("password", secret))
	if s.State != Ask || kindsOf(s) != kind || *codes != 1 || s.Prompts[0].Label != "Type the code" {
		t.Fatalf("%+v, %d codes", s, *codes)
	}
	if again := line(typed("password", secret)); again.State != Denied || again.Reason != "nothing-to-ask" {
		t.Errorf("at once again: %+v", again)
	}
	done, err := r.Answer(t.Context(), s.Ticket, Reply{Partner: "nas", Answer: typed(kind, "100001")})
	if err != nil || done.State != Granted {
		t.Errorf("%+v, %v", done, err)
	}
}
