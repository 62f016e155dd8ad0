package signin

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/audit"
	"countersign/internal/authenticator"
	"countersign/internal/prompt"
)

// alarms are the entries of an alarm for one reason: a source, or the installation.
func (r *rig) alarms(event, reason string) (out []audit.Entry) {
	r.t.Helper()
	for _, en := range r.events(event) {
		if en.Reason == reason {
			out = append(out, en)
		}
	}
	return out
}

// tries answers wrong for a name, from an address.
func (g *guessed) tries(name string, from netip.Addr) {
	g.t.Helper()
	q := g.by(from, "wrong")
	q.Name = name
	if s := g.begin(q); s.State == Granted || s.Reason != "wrong" {
		g.t.Fatalf("%s: %v %s", name, s.State, s.Reason)
	}
}

// A wrong password on each of many names is an alarm, once at each step: whether anybody
// has the names or not. A name counts once an hour, with however many wrong answers.
func TestSpraysAreSeen(t *testing.T) {
	g := withGuesses(t, anyFactor)
	for range 20 { // of one name, from twenty addresses and over days
		g.guess(1, g.by(g.stranger, "wrong"))
	}
	if all := g.events("alarm.spray"); len(all) != 0 {
		t.Errorf("many answers for one name: %+v", all)
	}
	g.clock.Later(2 * time.Hour)
	alarms := func() int { return len(g.alarms("alarm.spray", "source")) }
	for i := range 19 {
		for range 4 {
			g.tries(fmt.Sprint("nobody", i), home)
		}
	}
	if n := alarms(); n != 0 {
		t.Errorf("four answers for each of nineteen: %d alarms", n)
	}
	g.tries("nobody20", home)
	if n := alarms(); n != 1 {
		t.Errorf("one for the twentieth: %d alarms", n)
	}
	g.tries("nobody20", home)
	g.tries("nobody21", home)
	if n := alarms(); n != 1 {
		t.Errorf("and the one after that: %d alarms", n)
	}
	en := g.last("alarm.spray")
	if en.Actor.Name != "strangers" || en.Source != "192.0.2.7" {
		t.Errorf("it is said to be by %+v from %s", en.Actor, en.Source)
	}
	if en.Account != 0 || en.AccountName != "" || en.Outcome != audit.OK || en.Detail["names"] != "20" || en.Detail["subject"] != "source/192.0.2.7" || en.Detail["window"] != "1h0m0s" {
		t.Errorf("%+v", en)
	}

	// The hour is over, and a tally begins anew; people count as those whom nobody is.
	g.clock.Later(time.Hour)
	for i := range 19 {
		name := fmt.Sprint("person", i)
		p := g.person(name)
		if i%2 == 0 {
			g.give(p, "password", authenticator.Enrolled{Traits: assurance.Known, State: []byte("x")})
		}
		g.tries(name, home)
	}
	if n := alarms(); n != 1 {
		t.Errorf("nineteen people in the next hour: %d alarms", n)
	}
	g.tries("nobody30", outside) // elsewhere is another tally
	if n := alarms(); n != 1 {
		t.Errorf("the twentieth, from elsewhere: %d alarms", n)
	}
	g.tries("nobody1", home)
	if n := alarms(); n != 2 {
		t.Errorf("the twentieth, from there: %d alarms", n)
	}
	if n := len(g.events("alarm.spray")); n != 2 {
		t.Errorf("%d alarms in all", n)
	}
}

// The right password of five people, and never a second factor, is an alarm, and so is
// that of twenty, from one address and in the whole installation at once. Each counts
// once an hour, however often.
func TestStuffingIsSeen(t *testing.T) {
	g := withGuesses(t, twoFactors)
	stuff := func(name string) {
		t.Helper()
		q := Request{Application: "vpn", Name: name, Protocol: "radius", Medium: prompt.Line, Partner: "nas", Source: outside, Opening: []prompt.Answer{typed("password", secret), typed("totp", "none")}}
		if s := g.begin(q); s.State != Denied || s.Reason == "" {
			t.Fatalf("%s: %+v", name, s)
		}
	}
	is := func(what string, source, everywhere int) {
		t.Helper()
		if s, i := len(g.alarms("alarm.stuffing", "source")), len(g.alarms("alarm.stuffing", "installation")); s != source || i != everywhere {
			t.Errorf("%s: %d and %d alarms; want %d and %d", what, s, i, source, everywhere)
		}
	}
	names := make([]string, 20)
	for i := range names {
		names[i] = fmt.Sprint("person", i)
		p := g.person(names[i])
		g.give(p, "password", authenticator.Enrolled{Traits: assurance.Known, State: []byte("x")})
		g.withCodes(p)
	}
	for _, name := range names[:4] {
		for range 3 {
			stuff(name)
		}
	}
	is("four people, three times each", 0, 0)
	stuff(names[4])
	is("the fifth", 1, 0)
	for _, name := range names[5:19] {
		stuff(name)
	}
	is("nineteen", 1, 0)
	stuff(names[19])
	is("twenty", 2, 1)
	for _, en := range g.events("alarm.stuffing") {
		if en.AccountName != "" || en.Account != 0 || en.Detail["names"] == "" || en.Source != outside.String() {
			t.Errorf("%+v", en)
		}
	}
	g.clock.Later(time.Hour)
	for _, name := range names[:4] {
		stuff(name)
	}
	is("four in the next hour", 2, 1)
	stuff(names[0])
	is("one of them once more", 2, 1)
	stuff(names[4])
	is("five in the next hour", 3, 1)
}
