package cli

import (
	"strings"
	"testing"
	"time"

	passes "countersign/internal/admin/pass"
)

// mayEnroll reports whether a browser is let set up a password.
func (p *person) mayEnroll() bool {
	p.w.t.Helper()
	p.get("/account")
	if tokenField.FindStringSubmatch(p.page) == nil {
		return false
	}
	p.post("/account/do", "action", "authenticator.enroll", "object", "password")
	return p.status == 200 && strings.Contains(p.page, `autocomplete="new-password"`)
}

// issuer is somebody who issues passes and gives commands.
type issuer struct {
	t     *testing.T
	clerk *clerk
}

func (o *issuer) does(action string, in map[string]any) {
	o.t.Helper()
	if err := o.clerk.Do(o.t.Context(), action, in, nil); err != nil {
		o.t.Fatal(err)
	}
}

func (o *issuer) issues(name string) (pass passes.Pass) {
	o.t.Helper()
	if err := o.clerk.Do(o.t.Context(), "pass.issue", map[string]any{"account": name, "note": "seen in person"}, &pass); err != nil {
		o.t.Fatal(err)
	}
	return pass
}

// The promise: what came of a pass ends with it. Whoever stole one and used it is out
// when another is issued in its place, when it is revoked, when the account is
// suspended and resumed, and when its time is over; and its owner gets in.
func TestStolenPassEndsWithItsCause(t *testing.T) {
	for name, end := range map[string]func(w *world, desk *issuer) (again *passes.Pass){
		"replaced": func(w *world, desk *issuer) *passes.Pass { p := desk.issues("carol"); return &p },
		"revoked": func(w *world, desk *issuer) *passes.Pass {
			w.revokes(desk.clerk, "carol", "accesspass")
			return nil
		},
		"suspended": func(w *world, desk *issuer) *passes.Pass {
			desk.does("account.suspend", map[string]any{"name": "carol", "reason": "a stolen pass"})
			desk.does("account.resume", map[string]any{"name": "carol", "reason": "it is over"})
			return nil
		},
		"too old": func(w *world, desk *issuer) *passes.Pass { w.later(time.Hour); return nil },
	} {
		t.Run(name, func(t *testing.T) {
			w, _ := withVPN(t)
			desk := &issuer{t: t, clerk: w.clerk()}
			desk.does("account.create", map[string]any{"name": "carol"})
			thief := w.person()
			thief.follows(desk.issues("carol").Link)
			if !thief.mayEnroll() {
				t.Fatal("the pass leads nowhere, so that this shows nothing")
			}
			owners := end(w, desk)
			if thief.mayEnroll() {
				t.Error("what the thief had from the pass is still good")
			}
			w.later(time.Minute) // as long as anything is remembered
			if thief.mayEnroll() {
				t.Error("a minute later as well")
			}
			if owners != nil {
				carol := w.person()
				carol.follows(owners.Link)
				if !carol.mayEnroll() {
					t.Error("the owner's pass leads nowhere")
				}
			}
		})
	}
}
