package signin

import (
	"testing"
	"time"

	"countersign/internal/approval"
	"countersign/internal/audit"
	"countersign/internal/authenticator"
	"countersign/internal/failure"
	"countersign/internal/store"
)

// granted is what somebody is granted who proves themselves for one act.
func (b *bells) granted(name, action, object string) Grant {
	b.t.Helper()
	q := browses(Self, name, typed("passkey", "x"))
	q.Action, q.Object = action, object
	s := b.begin(q)
	g, err := b.Claim(b.t.Context(), s.Ticket, Self, action, object)
	if err != nil {
		b.t.Fatalf("%+v: %v", s, err)
	}
	return g
}

// withHours is bells at 23:00 in Berlin, with keys to prove oneself by.
func withHours(t *testing.T) (b *bells, night, noon approval.QuietHours) {
	t.Helper()
	b = withBells(t)
	b.give(b.ada, "passkey", authenticator.Enrolled{Traits: strong, State: []byte("x")})
	b.clock.Later(10 * time.Hour) // 22:00 UTC
	var err, err2 error
	night, err = approval.ReadQuietHours("22:00", "07:00", "Europe/Berlin")
	noon, err2 = approval.ReadQuietHours("11:00", "13:00", "UTC")
	if err != nil || err2 != nil {
		t.Fatal(err, err2)
	}
	return b, night, noon
}

// quiet are ada's hours, and whether they are her own.
func (b *bells) quiet() string {
	b.t.Helper()
	q, own, err := b.Pushes.QuietOf(b.t.Context(), b.ada.ID)
	if err != nil {
		b.t.Fatal(err)
	}
	if own {
		return "own: " + q.String()
	}
	return q.String()
}

// rings reports whether ada's app is woken for a sign-in that begins now; the number is
// shown whether it is or not.
func (b *bells) rings() bool {
	b.t.Helper()
	if p, there := shownElsewhere(b.waits()); !there || p.Number == "" {
		b.t.Errorf("no number is shown: %+v", p)
	}
	n := b.wakes()
	b.clock.Later(approvalLife)
	return n == 1
}

// Everybody's quiet hours count for whoever set none, and one's own before them; none is
// set as well, and stands against everybody's. What is set anew takes the place of what
// was, and what is taken away leaves everybody's.
func TestWhoseQuietHoursCount(t *testing.T) {
	b, night, noon := withHours(t)
	if got := b.quiet(); got != "none" || !b.rings() {
		t.Errorf("before there are any: %s", got)
	}
	b.Parts.Quiet = night
	b.remake()
	if got := b.quiet(); got != night.String() || b.rings() {
		t.Errorf("everybody's: %s", got)
	}
	set := func(q approval.QuietHours) {
		t.Helper()
		if err := b.Pushes.SetQuiet(t.Context(), b.granted("ada", SetQuiet, q.String()), q); err != nil {
			t.Fatal(err)
		}
		if got := b.quiet(); got != "own: "+q.String() {
			t.Errorf("%s were set, and are %s", q, got)
		}
	}
	if set(noon); !b.rings() {
		t.Error("everybody's count before her own")
	}
	b.clock.Later(13 * time.Hour) // before noon
	if b.rings() {
		t.Error("her own do not count")
	}
	b.clock.Later(11 * time.Hour)
	if set(approval.QuietHours{}); !b.rings() {
		t.Error("that she has none does not count")
	}
	clear := func() (there bool) {
		t.Helper()
		b.change(func(tx *store.Tx) (err error) {
			there, err = b.Pushes.ClearQuietTx(t.Context(), tx, b.ada.ID)
			return err
		})
		return there
	}
	if !clear() || clear() {
		t.Error("what was there is not said to have been, or is there again")
	}
	if got := b.quiet(); got != night.String() || b.rings() {
		t.Errorf("after they were taken away: %s", got)
	}
}

// Quiet hours are set by a sign-in for exactly these, which is in the log and of which
// the owner is told at every address: neither by one for others nor by one to sign in,
// and nobody sets somebody else's.
func TestQuietHoursTakeASignInOfTheirOwn(t *testing.T) {
	b, night, noon := withHours(t)
	mallory := b.person("mallory")
	b.give(mallory, "passkey", authenticator.Enrolled{Traits: strong, State: []byte("y")})
	told := func() (n int64) {
		t.Helper()
		if err := b.DB.QueryRow(t.Context(), `select count(*) from notice where account = $1 and subject = $2`, int64(b.ada.ID), "Your quiet hours were changed").Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	for name, g := range map[string]Grant{
		"to sign in":          b.granted("ada", SignIn, ""),
		"for other hours":     b.granted("ada", SetQuiet, noon.String()),
		"for none":            b.granted("ada", SetQuiet, "none"),
		"for another's doing": b.granted("ada", "report.not-me", night.String()),
	} {
		if err := b.Pushes.SetQuiet(t.Context(), g, night); refused(err) != "other-action" {
			t.Errorf("by a sign-in %s: %v", name, err)
		}
	}
	if err := b.Pushes.SetQuiet(t.Context(), b.granted("mallory", SetQuiet, night.String()), night); err != nil {
		t.Fatal(err)
	}
	if got := b.quiet(); got != "none" || told() != 0 {
		t.Errorf("ada's are %s, and she was told %d times", got, told())
	}
	g := b.granted("ada", SetQuiet, night.String())
	if err := b.Pushes.SetQuiet(t.Context(), g, night); err != nil || told() != 1 {
		t.Errorf("%v, told %d times", err, told())
	}
	entries := b.events("push.quiet-hours")
	if len(entries) != 2 || entries[0].AccountName != "mallory" {
		t.Fatalf("the log says %+v", entries)
	}
	if e := entries[1]; e.Outcome != audit.OK || e.AccountName != "ada" || e.Actor.Name != "ada" || e.Detail["hours"] != night.String() || e.Action != SetQuiet || e.Source != home.String() {
		t.Errorf("the log says %+v", e)
	}
	// Of somebody who is there no more nothing is kept.
	g = b.granted("mallory", SetQuiet, noon.String())
	b.remove(mallory, b.ada.ID)
	if err := b.Pushes.SetQuiet(t.Context(), g, noon); failure.ClassOf(err) != failure.NotFound {
		t.Errorf("of an account that was removed: %v", err)
	}
	if _, own, err := b.Pushes.QuietOf(t.Context(), mallory.ID); own || err != nil {
		t.Errorf("something is kept of it: %v", err)
	}
}
