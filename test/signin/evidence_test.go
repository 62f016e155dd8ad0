package signin

import (
	"strings"
	"testing"
	"time"

	passes "countersign/internal/admin/pass"
	"countersign/internal/servertest"
)

// mayEnroll reports whether a browser is let set up a password.
func mayEnroll(p *servertest.Person) bool {
	p.W.T.Helper()
	p.Get("/account")
	if servertest.TokenField.FindStringSubmatch(p.Page) == nil {
		return false
	}
	p.Post("/account/do", "action", "authenticator.enroll", "object", "password")
	return p.Status == 200 && strings.Contains(p.Page, `autocomplete="new-password"`)
}

// issuer is somebody who issues passes and gives commands.
type issuer struct {
	t     *testing.T
	clerk *servertest.Clerk
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
	for name, end := range map[string]func(w *servertest.World, desk *issuer) (again *passes.Pass){
		"replaced": func(w *servertest.World, desk *issuer) *passes.Pass { p := desk.issues("carol"); return &p },
		"revoked": func(w *servertest.World, desk *issuer) *passes.Pass {
			servertest.Revokes(w, desk.clerk, "carol", "accesspass")
			return nil
		},
		"suspended": func(w *servertest.World, desk *issuer) *passes.Pass {
			desk.does("account.suspend", map[string]any{"name": "carol", "reason": "a stolen pass"})
			desk.does("account.resume", map[string]any{"name": "carol", "reason": "it is over"})
			return nil
		},
		"too old": func(w *servertest.World, desk *issuer) *passes.Pass { w.Later(time.Hour); return nil },
	} {
		t.Run(name, func(t *testing.T) {
			w, _ := servertest.WithVPN(t)
			desk := &issuer{t: t, clerk: w.Clerk()}
			desk.does("account.create", map[string]any{"name": "carol"})
			thief := w.Person()
			servertest.Follows(thief, desk.issues("carol").Link)
			if !mayEnroll(thief) {
				t.Fatal("the pass leads nowhere, so that this shows nothing")
			}
			owners := end(w, desk)
			if mayEnroll(thief) {
				t.Error("what the thief had from the pass is still good")
			}
			w.Later(time.Minute) // as long as anything is remembered
			if mayEnroll(thief) {
				t.Error("a minute later as well")
			}
			if owners != nil {
				carol := w.Person()
				servertest.Follows(carol, owners.Link)
				if !mayEnroll(carol) {
					t.Error("the owner's pass leads nowhere")
				}
			}
		})
	}
}
