package push

import (
	"strings"
	"testing"
	"time"

	"countersign/internal/approval"
	"countersign/internal/servertest"
	"countersign/internal/store/storetest"
)

// copied is a copy of a device, with its key and all that it keeps, in other hands.
func copied(p *servertest.Phone) *servertest.Phone {
	thief := *p
	thief.Page = p.W.Person()
	return &thief
}

// The promise: a key that was copied out of its owner's device is found when it is
// used from both: it is switched off, whichever of the two comes second, approves
// nothing any more, and its owner is told. What is only sent twice switches nothing off.
func TestAppKeyOnTwoDevices(t *testing.T) {
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		w := servertest.NewWorldOn(t, dsn)
		if err := w.PlantApplications(t.Context(), "wiki.test", servertest.DrillSecret); err != nil {
			t.Fatal(err)
		}
		owners := []*servertest.Person{w.EnrollCodes("ada"), w.EnrollCodes("bob")}
		for i, name := range []string{"ada", "bob"} {
			owner := owners[i]
			w.Address(name, name+"@example.org")
			browser, device := w.Person(), w.Phone()
			browser.Comes(name, owner.Secret)
			browser.AddPhone(device)
			w.Later(25 * time.Hour)
			number, _ := servertest.Elsewhere(w.Begin(servertest.Display(name, servertest.Passphrase)))
			form := device.Signed("look", "number", number)
			if _, r := device.Post("look", form); r != "" {
				t.Fatal(r)
			}
			if _, r := device.Post("look", form); r != "replayed" || w.Events("alarm.app-cloned") != i {
				t.Errorf("the same once more: %q", r)
			}
			post := w.PostOffice()
			post.Collect()

			first, second := device, copied(device)
			if name == "bob" { // the thief is the first
				first, second = second, first
			}
			id, text, r := first.Look(number)
			if r != "" {
				t.Fatalf("nobody knows yet that there are two: %q", r)
			}
			if _, _, r := second.Look(number); r != "cloned" || w.Events("alarm.app-cloned") != i+1 {
				t.Errorf("the second device: %q", r)
			}
			for _, p := range []*servertest.Phone{first, second} {
				if r := p.Decide(id, number, text, approval.Approved); r != "disabled" {
					t.Errorf("after that: %q", r)
				}
			}
			if w.Events("approval.approved") != 0 || w.Events("alarm.app-cloned") != i+1 {
				t.Error("something was approved, or it is not one alarm")
			}
			if told := strings.Join(post.Collect(), "\n"); !strings.Contains(told, "its key is on two devices") {
				t.Errorf("its owner is told %q", told)
			}
			w.Later(time.Minute)
			p := w.Person()
			p.Get("/sign-in")
			p.SignIn(name, owner.Code())
			if !p.Inside() {
				t.Error("the other way in is closed too")
			}
		}
	})
}

// The promise: a call without a count, as a copy of an old page would make it, is
// refused, and the count cannot be changed on the way.
func TestAppCountIsSigned(t *testing.T) {
	w, _, device := withApp(t)
	number, _ := servertest.Elsewhere(w.Begin(servertest.Display("ada", servertest.Passphrase)))
	form := device.Signed("look", "number", number)
	form.Set("count", "900")
	if _, r := device.Post("look", form); r != "forged" {
		t.Errorf("another count than was signed: %q", r)
	}
	device.Count = -1 // so that the next is none
	if _, _, r := device.Look(number); r != "uncounted" {
		t.Errorf("no count: %q", r)
	}
	device.Count = 900
	if _, _, r := device.Look(number); r != "" {
		t.Errorf("a count that rose: %q", r)
	}
}

// The promise: an app that is open learns that a sign-in waits where no push reaches
// it, and no more than a push would say: nothing of quiet hours, of what the ladder
// holds back, of others, nor after it was answered.
func TestOpenAppLearnsThatSomethingWaits(t *testing.T) {
	w := servertest.NewWorld(t)
	ada, bob := w.EnrollCodes("ada"), w.EnrollCodes("bob")
	if err := w.PlantApplications(t.Context(), "wiki.test", servertest.DrillSecret); err != nil {
		t.Fatal(err)
	}
	his, browser := w.Phone(), w.Person()
	browser.Comes("bob", bob.Secret)
	browser.AddPhone(his)
	device := servertest.WithPhone(w, ada)
	waits := func(p *servertest.Phone, want bool, when string) {
		t.Helper()
		answer, refused := p.Call("waits")
		if refused != "" || answer["waits"] != want || len(answer) != 1 {
			t.Errorf("%s the app is told %v, %s", when, answer, refused)
		}
	}
	waits(device, false, "before anything")
	number, _ := servertest.Elsewhere(w.Begin(servertest.Display("ada", servertest.Passphrase)))
	waits(device, true, "while it waits")
	waits(his, false, "while somebody else's waits")
	servertest.Rings(w, nil)
	waits(device, true, "after a push that reached nobody")
	device.Approve(number)
	waits(device, false, "after it was approved")
	w.Later(time.Minute)
	w.Begin(servertest.Display("ada", servertest.Passphrase))
	w.Later(4 * time.Minute)
	waits(device, false, "after nobody answered")
	for range 3 {
		w.Begin(servertest.Display("ada", servertest.Passphrase))
	}
	waits(device, false, "when the ladder holds pushes back")
	if _, r := w.Phone().Call("waits"); r != "unknown-app" {
		t.Errorf("a device that nobody added: %q", r)
	}
	fresh, again := w.Phone(), w.Person()
	w.Later(time.Hour)
	again.Comes("bob", bob.Secret)
	again.AddPhone(fresh)
	if _, r := fresh.Call("waits"); r != "quarantine" {
		t.Errorf("a new device: %q", r)
	}
}
