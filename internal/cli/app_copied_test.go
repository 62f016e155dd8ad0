package cli

import (
	"strings"
	"testing"
	"time"

	"countersign/internal/approval"
	"countersign/internal/store/storetest"
)

// copied is a copy of a device, with its key and all that it keeps, in other hands.
func (p *phone) copied() *phone {
	thief := *p
	thief.page = p.w.person()
	return &thief
}

// The promise: a key that was copied out of its owner's device is found when it is
// used from both: it is switched off, whichever of the two comes second, approves
// nothing any more, and its owner is told. What is only sent twice switches nothing off.
func TestAppKeyOnTwoDevices(t *testing.T) {
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		w := newWorldOn(t, dsn)
		if err := w.PlantApplications(t.Context(), "wiki.test", drillSecret); err != nil {
			t.Fatal(err)
		}
		owners := []*person{w.enrollCodes("ada"), w.enrollCodes("bob")}
		for i, name := range []string{"ada", "bob"} {
			owner := owners[i]
			w.address(name, name+"@example.org")
			browser, device := w.person(), w.phone()
			browser.comes(name, owner.secret)
			browser.addPhone(device)
			w.later(25 * time.Hour)
			number, _ := elsewhere(w.begin(display(name, passphrase)))
			form := device.signed("look", "number", number)
			if _, r := device.post("look", form); r != "" {
				t.Fatal(r)
			}
			if _, r := device.post("look", form); r != "replayed" || w.events("alarm.app-cloned") != i {
				t.Errorf("the same once more: %q", r)
			}
			post := w.postOffice()
			post.collect()

			first, second := device, device.copied()
			if name == "bob" { // the thief is the first
				first, second = second, first
			}
			id, text, r := first.look(number)
			if r != "" {
				t.Fatalf("nobody knows yet that there are two: %q", r)
			}
			if _, _, r := second.look(number); r != "cloned" || w.events("alarm.app-cloned") != i+1 {
				t.Errorf("the second device: %q", r)
			}
			for _, p := range []*phone{first, second} {
				if r := p.decide(id, number, text, approval.Approved); r != "disabled" {
					t.Errorf("after that: %q", r)
				}
			}
			if w.events("approval.approved") != 0 || w.events("alarm.app-cloned") != i+1 {
				t.Error("something was approved, or it is not one alarm")
			}
			if told := strings.Join(post.collect(), "\n"); !strings.Contains(told, "its key is on two devices") {
				t.Errorf("its owner is told %q", told)
			}
			w.later(time.Minute)
			p := w.person()
			p.get("/sign-in")
			p.signIn(name, owner.code())
			if !p.inside() {
				t.Error("the other way in is closed too")
			}
		}
	})
}

// The promise: a call without a count, as a copy of an old page would make it, is
// refused, and the count cannot be changed on the way.
func TestAppCountIsSigned(t *testing.T) {
	w, _, device := withApp(t)
	number, _ := elsewhere(w.begin(display("ada", passphrase)))
	form := device.signed("look", "number", number)
	form.Set("count", "900")
	if _, r := device.post("look", form); r != "forged" {
		t.Errorf("another count than was signed: %q", r)
	}
	device.count = -1 // so that the next is none
	if _, _, r := device.look(number); r != "uncounted" {
		t.Errorf("no count: %q", r)
	}
	device.count = 900
	if _, _, r := device.look(number); r != "" {
		t.Errorf("a count that rose: %q", r)
	}
}

// The promise: an app that is open learns that a sign-in waits where no push reaches
// it, and no more than a push would say: nothing of quiet hours, of what the ladder
// holds back, of others, nor after it was answered.
func TestOpenAppLearnsThatSomethingWaits(t *testing.T) {
	w := newWorld(t)
	ada, bob := w.enrollCodes("ada"), w.enrollCodes("bob")
	if err := w.PlantApplications(t.Context(), "wiki.test", drillSecret); err != nil {
		t.Fatal(err)
	}
	his, browser := w.phone(), w.person()
	browser.comes("bob", bob.secret)
	browser.addPhone(his)
	device := w.withPhone(ada)
	waits := func(p *phone, want bool, when string) {
		t.Helper()
		answer, refused := p.call("waits")
		if refused != "" || answer["waits"] != want || len(answer) != 1 {
			t.Errorf("%s the app is told %v, %s", when, answer, refused)
		}
	}
	waits(device, false, "before anything")
	number, _ := elsewhere(w.begin(display("ada", passphrase)))
	waits(device, true, "while it waits")
	waits(his, false, "while somebody else's waits")
	w.rings(nil)
	waits(device, true, "after a push that reached nobody")
	device.approve(number)
	waits(device, false, "after it was approved")
	w.later(time.Minute)
	w.begin(display("ada", passphrase))
	w.later(4 * time.Minute)
	waits(device, false, "after nobody answered")
	for range 3 {
		w.begin(display("ada", passphrase))
	}
	waits(device, false, "when the ladder holds pushes back")
	if _, r := w.phone().call("waits"); r != "unknown-app" {
		t.Errorf("a device that nobody added: %q", r)
	}
	fresh, again := w.phone(), w.person()
	w.later(time.Hour)
	again.comes("bob", bob.secret)
	again.addPhone(fresh)
	if _, r := fresh.call("waits"); r != "quarantine" {
		t.Errorf("a new device: %q", r)
	}
}
