package signin

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"countersign/internal/approval"
	"countersign/internal/assurance"
	"countersign/internal/authenticator"
	"countersign/internal/directory"
	"countersign/internal/failure"
	"countersign/internal/prompt"
	"countersign/internal/store/storetest"
	"countersign/internal/throttle"
)

// What is guessed in the transaction is closed, tallied and told of like what is guessed
// before it.
func TestCodesAreClosedToo(t *testing.T) {
	g := withGuesses(t, anyFactor)
	q := g.by(g.stranger, "")
	q.Opening, q.CodeAlone = []prompt.Answer{typed("totp", "000000")}, true
	if why := g.guess(20, q); why != "wrong" && why != "wrong-code" {
		t.Errorf("the twentieth: %s", why)
	}
	if entries := g.events("credential.closed"); len(entries) != 1 || !strings.HasPrefix(entries[0].Detail["authenticator"], "totp/") || entries[0].AccountName != "ada" {
		t.Errorf("the log says %+v", entries)
	}
	if told, _ := g.told(); len(told) != 2 {
		t.Errorf("told %q", told)
	}
}

// Who looks for numbers with an app is stopped at the tenth wrong one: it is switched off,
// its owner is told, once, and not where it was switched off already.
func TestWrongNumbersSwitchAnAppOff(t *testing.T) {
	f, kinds := storetest.NewFaults(t, ""), everyKind(t)
	for i, how := range kinds {
		if app, ok := how.(authenticator.Approver); ok {
			kinds[i] = rightApp{right{how}, app}
		}
	}
	r := newRigOver(t, f.Driver, twoFactors, kinds...)
	ada := r.person("ada")
	traits := assurance.Held | assurance.UserVerified
	for i, byAdministrator := range []bool{false, true} {
		name, count := fmt.Sprint("app-", i), int64(0)
		c := r.give(ada, "push", authenticator.Enrolled{Traits: traits, State: []byte("{}"), Handle: name})
		look := func() string {
			count++
			r.clock.Later(2 * time.Hour) // as soon as it may
			_, err := r.Apps.WaitingFor(t.Context(), approval.AppCall{Kind: "push", App: name, Moment: r.Apps.Moment(), Count: count, Signature: []byte{byte(count)}, Source: outside}, "123456")
			return failure.ReasonOf(err)
		}
		for range throttle.WrongNumbers - 1 {
			look()
		}
		if now, err := r.credentials.Get(t.Context(), r.DB, ada.ID, c.ID); err != nil || now.Status != directory.CredentialActive {
			t.Fatalf("after nine it is %s, %v", now.Status, err)
		}
		if byAdministrator {
			f.AroundReads(func(query string) {
				if strings.Contains(query, "from approval") {
					f.AroundReads(nil)
					r.alter(c, func(c *directory.Credential) { c.Status = directory.CredentialDisabled })
				}
			})
		}
		look()
		if why := look(); why != directory.CredentialDisabled {
			t.Errorf("after ten: %q", why)
		}
		var told int64
		if err := r.DB.QueryRow(t.Context(), `select count(*) from notice where account = $1`, int64(ada.ID)).Scan(&told); err != nil || told != 1 {
			t.Errorf("told %d times, %v", told, err)
		}
		if all := r.events("credential.disabled"); len(all) != 1 || all[0].AccountName != "ada" || all[0].Reason != "too-many-wrong-answers" || !strings.HasPrefix(all[0].Detail["authenticator"], "push/") {
			t.Errorf("the log says %+v", all)
		}
	}
}

// Whoever has shown something and gets no further is told of, whatever ends it.
func TestWhatWasShownAndCameToNothing(t *testing.T) {
	r, ada, _ := withAda(t)
	line := Request{Application: "vpn", Name: "ada", Source: home, Protocol: "radius", Medium: prompt.Line, Partner: "nas", Opening: []prompt.Answer{typed("password", secret)}}
	single := line
	single.Medium = prompt.Single
	ends := func(s Step, reply Reply) Step {
		t.Helper()
		if s.State != Ask {
			t.Fatalf("%+v", s)
		}
		end, err := r.Answer(t.Context(), s.Ticket, reply)
		if err != nil {
			t.Fatal(err)
		}
		return end
	}
	for reason, end := range map[string]func() Step{
		"cannot-ask-here": func() Step { return r.begin(single) },
		"other-partner":   func() Step { return ends(r.begin(line), Reply{Partner: "another", Answer: typed("totp", "000000")}) },
		"wrong":           func() Step { return ends(r.begin(line), Reply{Partner: "nas", Answer: typed("totp", "000000")}) },
		"policy: closed today": func() Step {
			s := r.begin(line)
			r.rules("rules:\n  - {name: all, deny: \"closed today\"}\n")
			defer r.rules(twoFactors)
			look, err := r.Poll(t.Context(), s.Ticket)
			if err != nil {
				t.Fatal(err)
			}
			return look
		},
	} {
		before := len(r.events("alarm.factor-missing"))
		s := end()
		r.is(reason, s, Denied, reason)
		en := r.last("alarm.factor-missing")
		if n := len(r.events("alarm.factor-missing")); n != before+1 || en.Reason != reason || en.Detail["shown"] != "password" || en.Account != int64(ada.ID) || en.Attempt != s.Attempt {
			t.Errorf("%s: %d alarms, %+v", reason, n-before, en)
		}
	}
	before := len(r.events("alarm.factor-missing"))
	r.is("nothing was shown", r.begin(Request{Application: "vpn", Name: "ada", Source: home, Protocol: "radius", Medium: prompt.Single}), Denied, "nothing-to-ask")
	if n := len(r.events("alarm.factor-missing")); n != before {
		t.Errorf("%d alarms of nothing", n-before)
	}
}
