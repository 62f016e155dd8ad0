package web

import (
	"context"
	"html"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"countersign/internal/approval"
	"countersign/internal/enrollment"
	"countersign/internal/failure"
	"countersign/internal/incident"
	"countersign/internal/servertest"
	"countersign/internal/signin"
)

// noText are the own actions that do nothing under a text.
var noText = []string{signin.SignIn, signin.CommandLine}

// The promise, for every action that people do to their own account: what was approved
// for one thing does it to no other one, and for one action it does no other. Whoever adds
// an action says here how its text is moved.
func TestMovedTextOfEveryOwnAction(t *testing.T) {
	s := newScene(t)
	ctx := t.Context()
	secret := s.eve.Held()
	granted := func(action, object string) signin.Grant {
		t.Helper()
		step, err := s.Engine.Check(ctx, signin.Request{Application: signin.Self, Action: action, Object: object, Session: secret, Protocol: "browser"})
		if err != nil || step.State != signin.Granted {
			t.Fatalf("%s %q: %s %s, %v", action, object, step.State, step.Reason, err)
		}
		return step.Grant
	}
	e, nine := s.Enrolled, approval.QuietHours{Begins: 9 * 60, Ends: 10 * 60, Zone: "UTC"}
	does := map[string]func(g signin.Grant, object string) error{
		signin.Approve: func(g signin.Grant, object string) error { return s.SignIn.Approvals.Approve(ctx, g, object) },
		signin.Recover: func(g signin.Grant, object string) error {
			_, err := s.Recoveries.Openings.OpenByCodes(ctx, g, object)
			return err
		},
		enrollment.Enroll: func(g signin.Grant, _ string) error {
			_, err := e.Enrollments.Begin(ctx, g, "recoverycode")
			return err
		},
		enrollment.SetPIN: func(g signin.Grant, _ string) error { _, err := e.PINs.Begin(ctx, g, 2); return err },
		enrollment.Remove: func(g signin.Grant, _ string) error { return e.Changes.Remove(ctx, g, 2) },
		enrollment.Rename: func(g signin.Grant, _ string) error { return e.Changes.Rename(ctx, g, 2, "x") },
		incident.Report:   func(g signin.Grant, _ string) error { _, err := s.Incidents.Report(ctx, g, 2); return err },
		signin.SetQuiet:   func(g signin.Grant, _ string) error { return s.SignIn.Pushes.SetQuiet(ctx, g, nine) },
	}
	s.unchanged("moved texts", func() {
		for _, action := range signin.OwnActions() {
			if slices.Contains(noText, action) {
				continue
			}
			do, known := does[action]
			if !known {
				t.Errorf("nobody said how the text of %s is moved", action)
				continue
			}
			for _, other := range signin.OwnActions() {
				if other == signin.Recover || other == signin.Approve { // of which nobody holds a grant without codes or a passkey
					continue
				}
				for _, object := range []string{"1", "", "12", nine.String() + " "} {
					if other == signin.SignIn && object != "" || other == signin.CommandLine {
						continue
					}
					err := do(granted(other, object), "2")
					if reason := failure.ReasonOf(err); reason != "other-action" && reason != "unknown-recovery" {
						t.Errorf("%s of %q does %s: %v", other, object, action, err)
					}
				}
			}
		}
	})
}

// The attack: whoever approves a sign-in elsewhere is brought to send another text than
// the one that they read: another application's, another number's, one of before. The
// promise: none of them approves, and the one that was read does.
func TestMovedTextOfAnApproval(t *testing.T) {
	w, _, browser, key := servertest.WithPasskey(t)
	object := regexp.MustCompile(`name="object" value="([^"]+)"`)
	waits := func() (step signin.Step, number, text string) {
		t.Helper()
		step = w.Begin(servertest.Display("ada", servertest.Passphrase))
		number, _ = servertest.Elsewhere(step)
		browser.Get("/account/approve")
		browser.Post("/account/approve", "number", number)
		browser.Sees("This waits for you")
		return step, number, html.UnescapeString(servertest.Last(t, object, browser.Page))
	}
	_, before, old := waits()
	browser.Post("/account/refuse", "id", servertest.Last(t, regexp.MustCompile(`name="id" value="(\d+)"`), browser.Page))
	w.Later(time.Minute)
	step, number, text := waits()
	if !strings.Contains(text, number) || old == text {
		t.Fatalf("%q, and before %q", text, old)
	}
	wrong := "000000"
	if number == wrong {
		wrong = "000001"
	}
	for what, moved := range map[string]string{"of before": old, "of before with this number": strings.ReplaceAll(old, before, number), "with another number": strings.ReplaceAll(text, number, wrong),
		"of another application": strings.ReplaceAll(strings.ReplaceAll(text, "VPN", "wiki"), "vpn", "wiki"), "longer": text + " ", "empty": "", "without its number": strings.ReplaceAll(text, number, "")} {
		if moved == text {
			t.Fatalf("%s is no other text than %q", what, text)
		}
		browser.Get("/account/approve")
		browser.Post("/account/do", "action", signin.Approve, "object", moved)
		if servertest.PasskeyForm.MatchString(browser.Page) {
			browser.UsePasskey(key)
		}
		if w.Events("approval.approved") != 0 {
			t.Fatalf("the text %s approves: %q", what, moved)
		}
	}
	browser.Get("/account/approve")
	browser.Transfer(number, key)
	if got, err := w.Engine.Answer(context.Background(), step.Ticket, signin.Reply{Source: servertest.Display("", "").Source}); err != nil || got.State != signin.Granted {
		t.Errorf("the text that was read: %s %s, %v", got.State, got.Reason, err)
	}
}
