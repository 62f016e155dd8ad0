package signin

import (
	"context"
	"testing"
	"time"

	"countersign/internal/authenticator"
	"countersign/internal/directory"
	"countersign/internal/prompt"
	"countersign/internal/store"
)

// shownElsewhere is the question that is answered on another device; false where it is
// not put.
func shownElsewhere(s Step) (prompt.Prompt, bool) {
	for _, p := range s.Prompts {
		if p.Kind == prompt.OutOfBand {
			return p, true
		}
	}
	return prompt.Prompt{}, false
}

// pages is a sign-in to the wiki in which the password was right.
func (b *bells) pages() Step {
	b.t.Helper()
	return b.reply(b.begin(browses("wiki", "ada")), "password", secret)
}

func (b *bells) look(s Step) Step {
	b.t.Helper()
	next, err := b.Poll(b.t.Context(), s.Ticket)
	if err != nil {
		b.t.Fatal(err)
	}
	return next
}

// approves has ada approve, with a passkey, what waits under a number.
func (b *bells) approves(number string, refuse bool) {
	b.t.Helper()
	w, err := b.Approvals.WaitingFor(b.t.Context(), b.granted("ada", SignIn, ""), number)
	if err != nil {
		b.t.Fatal(err)
	}
	if refuse {
		err = b.Approvals.Refuse(b.t.Context(), b.granted("ada", SignIn, ""), w.ID)
	} else {
		digits, _ := digitsOf(number)
		object := w.Numbered(digits)
		err = b.Approvals.Approve(b.t.Context(), b.granted("ada", Approve, object), object)
	}
	if err != nil {
		b.t.Fatal(err)
	}
}

// asked is how many numbers ada was shown, and how many of her apps are to be woken.
func (b *bells) asked() (numbers, wakes int64) {
	b.t.Helper()
	if err := b.DB.QueryRow(b.t.Context(), `select count(*) from wake`).Scan(&wakes); err != nil {
		b.t.Fatal(err)
	}
	return promptedToday(b.rig, b.ada).Asked, wakes
}

// On pages a number is shown, and an app woken, when somebody who has shown something
// presses for it, and once: looking again shows the same one.
func TestANumberIsAskedFor(t *testing.T) {
	b := withBells(t)
	s := b.pages()
	p, there := shownElsewhere(s)
	if s.State != Ask || !there || p.Number != "" || p.Label != "Approve it on another device" || len(p.Data) != 0 {
		t.Fatalf("%+v", s)
	}
	if s = b.look(s); s.State != Ask {
		t.Errorf("looking: %+v", s)
	}
	if numbers, wakes := b.asked(); numbers != 0 || wakes != 0 {
		t.Errorf("before it is asked for: %d numbers, %d woken", numbers, wakes)
	}
	s = b.reply(s, OutOfBand, "")
	p, _ = shownElsewhere(s)
	if s.State != Wait || p.Number == "" {
		t.Fatalf("asked for: %+v", s)
	}
	for range 2 {
		s = b.look(s)
		if again, _ := shownElsewhere(s); s.State != Wait || again.Number != p.Number || again.Label != p.Label {
			t.Errorf("looking again: %+v", s)
		}
	}
	if numbers, wakes := b.asked(); numbers != 1 || wakes != 1 {
		t.Errorf("%d numbers, %d woken", numbers, wakes)
	}
}

// Whoever has shown nothing is given no number, however they ask: pressing beforehand is
// a wrong answer, and is not remembered for when the password was right.
func TestAStrangerAsksForNoNumber(t *testing.T) {
	b := withBells(t)
	for _, name := range []string{"ada", "nobody", ""} {
		s := b.begin(browses("wiki", name))
		s = b.reply(s, OutOfBand, "")
		if _, there := shownElsewhere(s); s.State != Ask || there || !s.Again {
			t.Errorf("%q, pressing first: %+v", name, s)
		}
		if name != "ada" {
			continue
		}
		s = b.reply(s, "password", secret)
		if p, there := shownElsewhere(s); !there || p.Number != "" {
			t.Errorf("and then with the password: %+v", s)
		}
	}
	if numbers, wakes := b.asked(); numbers != 0 || wakes != 0 {
		t.Errorf("%d numbers, %d woken", numbers, wakes)
	}
}

// On a line an empty one asks whether it was approved, where something waits; anything
// else is an answer.
func TestAnEmptyLineLooks(t *testing.T) {
	b := withBells(t)
	answer := func(s Step, kind, text string) Step {
		t.Helper()
		next, err := b.Answer(t.Context(), s.Ticket, Reply{Answer: typed(kind, text), Source: home, Partner: "nas"})
		if err != nil {
			t.Fatal(err)
		}
		return next
	}
	s := b.waits()
	number := s.Prompts[0].Number
	if s = answer(s, "", ""); s.State != Wait || s.Again || s.Prompts[0].Number != number {
		t.Errorf("an empty line: %+v", s)
	}
	if s = answer(s, "", "123456"); !s.Again && s.State != Denied {
		t.Errorf("a code that nobody has: %+v", s)
	}
	b.clock.Later(approvalLife)
	codes := b.withCodes(b.ada)
	s = b.waits()
	if p, there := shownElsewhere(s); s.State != Ask || !there || p.Number == "" {
		t.Fatalf("%+v", s)
	}
	if s = answer(s, "", ""); s.State != Ask || s.Again {
		t.Errorf("an empty line where a code could be typed: %+v", s)
	}
	if s = answer(s, "", codes.code()); s.State != Granted {
		t.Errorf("a code instead: %+v", s)
	}
	b.clock.Later(time.Minute)
	b.is("an empty code", answer(b.waits(), "totp", ""), Denied, "malformed")
	// Where nothing waits an empty line is an answer as well, and wrong.
	first := b.begin(Request{Application: "vpn", Name: "ada", Source: home, Protocol: "radius", Medium: prompt.Line | prompt.Display, Partner: "nas"})
	if first.State != Ask {
		t.Fatalf("%+v", first)
	}
	if next := answer(first, "", ""); next.State == Wait || next.State == Ask && !next.Again {
		t.Errorf("an empty password: %+v", next)
	}
}

// The page, and the line, say where the number can be typed; a browser is given what an
// app of the account can scan.
func TestWhereTheNumberIsTyped(t *testing.T) {
	const app, page = "in your Countersign app", "at login.test/account/approve"
	b := withBells(t)
	key := b.give(b.ada, "passkey", authenticator.Enrolled{Traits: strong, State: []byte("x")})
	held := b.withCodes(b.ada).Credential
	const on, off = directory.CredentialActive, directory.CredentialDisabled
	for _, c := range []struct {
		name           string
		app, key, held string
		fresh          bool // the app is in quarantine
		want           string
		scans          bool
	}{
		{"an app and a key", on, on, off, false, app + ", or " + page, true},
		{"an app", on, off, off, false, app, true},
		{"an app, and codes", on, off, on, false, app, true},
		{"a key", off, on, on, false, page, false},
		{"a key, and an app since today", on, on, off, true, page, false},
	} {
		b.alter(b.app, func(cr *directory.Credential) {
			if cr.Status, cr.Quarantine = c.app, b.Now(); c.fresh {
				cr.Quarantine = b.Now().Add(day)
			}
		})
		b.alter(key, func(cr *directory.Credential) { cr.Status = c.key })
		b.alter(held, func(cr *directory.Credential) { cr.Status = c.held })
		p, _ := shownElsewhere(b.reply(b.pages(), OutOfBand, ""))
		if p.Label != "Type this number "+c.want || (len(p.Data) > 0) != c.scans || p.Number == "" {
			t.Errorf("%s, on a page: %+v", c.name, p)
		}
		b.clock.Later(time.Hour)
		p, _ = shownElsewhere(b.waits())
		if p.Label != "Type this number "+c.want || len(p.Data) != 0 || p.Number == "" {
			t.Errorf("%s, on a line: %+v", c.name, p)
		}
		b.clock.Later(time.Hour)
	}
}

// One sign-in waits at a time. On pages whoever lost the place asks for it anew; on a
// line they begin again, and are told so.
func TestThePlaceIsTaken(t *testing.T) {
	b := withBells(t)
	first, second := b.reply(b.pages(), OutOfBand, ""), b.reply(b.pages(), OutOfBand, "")
	was, _ := shownElsewhere(second)
	first = b.look(first)
	if p, there := shownElsewhere(first); first.State != Ask || !there || p.Number != "" {
		t.Errorf("whose place was taken: %+v", first)
	}
	first = b.reply(first, OutOfBand, "")
	if p, _ := shownElsewhere(first); first.State != Wait || p.Number == "" || p.Number == was.Number {
		t.Errorf("and asks anew: %+v", first)
	}
	if p, there := shownElsewhere(b.look(second)); !there || p.Number != "" {
		t.Error("two wait at a time")
	}
	b.clock.Later(2 * time.Hour)
	line := b.waits()
	b.waits()
	line = b.look(line)
	b.is("on a line", line, Denied, "approval-not-now")
	if numbers, _ := b.asked(); numbers != 5 {
		t.Errorf("%d numbers", numbers)
	}
	b.clock.Later(2 * time.Hour)
	late := b.waits()
	b.clock.Later(approvalLife)
	again := b.look(late)
	if again.State != Wait || again.Prompts[0].Number == late.Prompts[0].Number {
		t.Errorf("what is late is shown anew: %+v", again)
	}
}

// What was approved, or refused, just before anybody waits for it is not waited for; what
// is not answered is. The log says by what it was approved, and of whom.
func TestAnsweredBeforeAnybodyWaits(t *testing.T) {
	for name, refuse := range map[string]bool{"approved": false, "refused": true} {
		b := withBells(t)
		b.give(b.ada, "passkey", authenticator.Enrolled{Traits: strong, State: []byte("x")})
		s := b.reply(b.pages(), OutOfBand, "")
		p, _ := shownElsewhere(s)
		b.approves(p.Number, refuse)
		bound, cancel := context.WithTimeout(t.Context(), time.Minute)
		err := b.AwaitApproval(bound, s.Ticket)
		if err != nil || bound.Err() != nil {
			t.Errorf("%s: it is waited for all the same: %v, %v", name, err, bound.Err())
		}
		cancel()
		s = b.look(s)
		if refuse {
			b.is(name, s, Denied, "refused-elsewhere")
			continue
		}
		if s.State != Granted {
			t.Errorf("%s: %+v", name, s)
		}
		shown := b.events("evidence.accepted")
		if last := shown[len(shown)-1]; last.AccountName != "ada" || last.Detail["authenticator"] != OutOfBand || last.Attempt != s.Attempt {
			t.Errorf("the log says %+v", last)
		}
		if s = b.look(s); s.State != Granted {
			t.Errorf("once: %+v", s)
		}
		if again := b.events("evidence.accepted"); len(again) != len(shown) {
			t.Errorf("it was booked %d times more", len(again)-len(shown))
		}
	}
}

// An approval whose row is gone, as after its time, is none: the sign-in goes on without.
func TestTheRowOfAnApprovalIsGone(t *testing.T) {
	b := withBells(t)
	s := b.reply(b.pages(), OutOfBand, "")
	b.change(func(tx *store.Tx) error {
		_, err := tx.Exec(t.Context(), `delete from approval`)
		return err
	})
	next := b.look(s)
	p, there := shownElsewhere(next)
	was, _ := shownElsewhere(s)
	if !there || p.Number == was.Number {
		t.Errorf("%+v", next)
	}
}

// What was approved is used up: an attempt whose row is put back as it was before, by
// whoever can write the database, takes it no second time.
func TestAnApprovalIsUsedOnce(t *testing.T) {
	b := withBells(t)
	b.give(b.ada, "passkey", authenticator.Enrolled{Traits: strong, State: []byte("x")})
	s := b.reply(b.pages(), OutOfBand, "")
	p, _ := shownElsewhere(s)
	b.approves(p.Number, false)
	var handle, payload []byte
	var step int64
	if err := b.DB.QueryRow(t.Context(), `select a.handle, a.step, a.payload from attempt a where length(a.payload) > 0 order by a.expires desc limit 1`).Scan(&handle, &step, &payload); err != nil {
		t.Fatal(err)
	}
	if next := b.look(s); next.State != Granted {
		t.Fatalf("%+v", next)
	}
	b.change(func(tx *store.Tx) error {
		n, err := tx.Exec(t.Context(), `update attempt set step = $2, payload = $3 where handle = $1`, handle, step, payload)
		if err == nil && n != 1 {
			t.Errorf("%d rows put back", n)
		}
		return err
	})
	booked := len(b.events("evidence.accepted"))
	if again, err := b.Poll(t.Context(), s.Ticket); err == nil && again.State == Granted || len(b.events("evidence.accepted")) != booked {
		t.Errorf("with its row put back: %+v, %v", again, err)
	}
}

// approved has a sign-in of ada's wait and be approved, all on one server.
func (b *bells) approved(r *rig) {
	b.t.Helper()
	there := &bells{rig: r, ada: b.ada, app: b.app}
	p, _ := shownElsewhere(there.waits())
	there.approves(p.Number, false)
}
