package signin

import (
	"strings"
	"testing"
	"time"

	"countersign/internal/approval"
	"countersign/internal/assurance"
	"countersign/internal/failure"
	"countersign/internal/prompt"
)

// What is approved on a page is exactly what was shown with its number, by a grant for
// that and nothing else; what is not even that costs nothing, and a wrong number costs one.
func TestWhatAPageApproves(t *testing.T) {
	p, g := withPages(t)
	s, number := p.waits()
	digits, err := digitsOf(number)
	if err != nil {
		t.Fatal(err)
	}
	w, why := p.tries(g, number)
	if why != "" {
		t.Fatal(why)
	}
	object := w.Numbered(digits)
	wrong := int64(0)
	for _, c := range []struct{ what, object, reason string }{
		{"no number", w.Text(), "other-action"},
		{"an empty one", "number , " + w.Text(), "other-action"},
		{"five digits", w.Numbered(digits[:5]), "other-action"},
		{"spaced otherwise", w.Numbered(digits[:3] + " " + digits[3:]), "other-action"},
		{"two numbers", w.Numbered(digits + ", number " + digits), "other-action"},
		{"no request", "number " + digits, "other-action"},
		{"a request without a text", strings.SplitAfter(object, ":")[0][:len(strings.SplitAfter(object, ":")[0])-1], "other-action"},
		{"no request's number", "number " + digits + ", request x: sign in to vpn", "other-action"},
		{"one that is too long", "number " + digits + ", request 99999999999999999999: sign in to vpn", "other-action"},
		{"another text", object + ".", "other-text"},
		{"another application", strings.Replace(object, "vpn", "wiki", 1), "other-text"},
		{"another request", strings.Replace(object, "request ", "request 7", 1), "nothing"},
		{"another number", w.Numbered(another(digits)), "nothing"},
	} {
		if c.what == "another number" {
			wrong++
		}
		err := p.Approvals.Approve(t.Context(), p.grants(Approve, c.object), c.object)
		got := failure.ReasonOf(err)
		if failure.ClassOf(err) == failure.NotFound && failure.Public(err) == nothingWaits {
			got = "nothing"
		}
		if err == nil || got != c.reason {
			t.Errorf("%s: %v", c.what, err)
		}
		if n := p.numbered(); n != wrong || len(p.events("approval.wrong-number")) != int(wrong) {
			t.Errorf("%s: %d wrong numbers", c.what, n)
		}
	}
	for what, g := range map[string]Grant{"a sign-in": g, "another approval": p.grants(Approve, w.Numbered(another(digits))), "another act": p.grants(SetQuiet, object)} {
		if err := p.Approvals.Approve(t.Context(), g, object); refused(err) != "other-action" {
			t.Errorf("with the grant of %s: %v", what, err)
		}
	}
	s = p.look(s)
	p.is("after all that", s, Wait, "")
	g = p.grants(Approve, object)
	p.clock.Later(time.Minute)
	if err := p.Approvals.Approve(t.Context(), g, object); err != nil {
		t.Fatal(err)
	}
	en := p.last("approval.approved")
	if en.Attempt != s.Attempt || en.AccountName != "ada" || en.Protocol != "browser" || en.Source != home.String() || en.Application != "vpn" || en.Detail["request"] != w.Text() {
		t.Errorf("the log says %+v", en)
	}
	if err := p.Approvals.Approve(t.Context(), g, object); failure.ClassOf(err) != failure.Conflict {
		t.Errorf("twice: %v", err)
	}
	if err := p.Approvals.Refuse(t.Context(), p.grants(SignIn, ""), w.ID); failure.ClassOf(err) != failure.Conflict || len(p.events("approval.refused")) != 0 {
		t.Errorf("refused after that: %v", err)
	}
	done := p.look(s)
	p.is("approved", done, Granted, "")
	for _, ev := range done.Grant.Evidence() {
		if ev.Kind == "passkey" && (ev.Traits.Has(assurance.PhishingResistant) || !ev.OutOfBand || ev.Bound != w.Text() || ev.Time.Equal(p.Now())) {
			t.Errorf("%+v", ev)
		}
	}
	if got := promptedToday(p.rig, p.ada); got != (approval.PromptStatistics{Asked: 1, Approved: 1, Wrong: 1}) {
		t.Errorf("%+v", got)
	}
}

// What waits is its owner's to refuse, in any session and without a number, while it
// waits.
func TestWhoRefusesWhatWaits(t *testing.T) {
	p, g := withPages(t)
	bob := p.person("bob")
	bobs := Grant{&grant{account: bob.ID, name: "bob", application: Self, action: SignIn, protocol: "browser", source: home}}
	s, number := p.waits()
	w, _ := p.tries(g, number)
	for what, try := range map[string]func() error{
		"another's":         func() error { return p.Approvals.Refuse(t.Context(), bobs, w.ID) },
		"what is not there": func() error { return p.Approvals.Refuse(t.Context(), g, w.ID+1) },
	} {
		if err := try(); failure.ClassOf(err) != failure.NotFound {
			t.Errorf("%s: %v", what, err)
		}
	}
	s = p.look(s)
	p.is("after that", s, Wait, "")
	if err := p.Approvals.Refuse(t.Context(), g, w.ID); err != nil {
		t.Fatal(err)
	}
	if en := p.last("approval.refused"); en.Attempt != s.Attempt || en.AccountName != "ada" || en.Protocol != "browser" || en.Source != home.String() || en.Detail["request"] != w.Text() {
		t.Errorf("the log says %+v", en)
	}
	p.is("refused", p.look(s), Denied, "refused-elsewhere")
	_, number = p.waits()
	w, _ = p.tries(g, number)
	p.clock.Later(approvalLife)
	if err := p.Approvals.Refuse(t.Context(), g, w.ID); failure.ClassOf(err) != failure.NotFound {
		t.Errorf("what is late: %v", err)
	}
	if got := promptedToday(p.rig, p.ada); got != (approval.PromptStatistics{Asked: 2, Refused: 1}) {
		t.Errorf("%+v", got)
	}
}

// On pages a number is shown to who asks for one, and is good for three minutes, but no
// longer than the attempt that shows it.
func TestANumberLastsNoLongerThanItsAttempt(t *testing.T) {
	p, g := withPages(t)
	for _, c := range []struct{ after, life time.Duration }{{0, approvalLife}, {p.Limits.Attempt - approvalLife, approvalLife}, {p.Limits.Attempt - time.Minute, time.Minute}} {
		p.clock.Later(2 * time.Hour)
		s := p.reply(p.begin(browses("vpn", "ada")), "password", secret)
		for _, q := range s.Prompts {
			if q.Kind == prompt.OutOfBand && q.Number != "" {
				t.Error("a number that nobody asked for")
			}
		}
		p.clock.Later(c.after)
		s = p.reply(s, OutOfBand, "")
		number := ""
		for _, q := range s.Prompts {
			number += q.Number
		}
		w, why := p.tries(g, number)
		if why != "" || !w.Expires.Equal(p.Now().Add(c.life)) {
			t.Errorf("after %v: it is good until %v, %q", c.after, w.Expires, why)
		}
		p.clock.Later(c.life - time.Second)
		if _, why := p.tries(g, number); why != "" {
			t.Errorf("after %v, in its last second: %q", c.after, why)
		}
		p.clock.Later(time.Second)
		if _, why := p.tries(g, number); why != "nothing" {
			t.Errorf("after %v, when it is over: %q", c.after, why)
		}
	}
}
