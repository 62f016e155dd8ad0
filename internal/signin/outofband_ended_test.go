package signin

import (
	"strings"
	"testing"
	"time"

	"countersign/internal/approval"
	"countersign/internal/directory"
	"countersign/internal/failure"
	"countersign/internal/store"
	"countersign/internal/store/storetest"
	"countersign/internal/throttle"
)

// What a right answer on another server ended a moment ago is held against nobody here: the
// app that guessed is not switched off by its next wrong number, and need not wait.
func TestAnAppThatIsRightOnAnotherServer(t *testing.T) {
	for name, next := range map[string]func(p *phone, w approval.Waiting, number string) error{
		"a wrong number in the app": func(p *phone, _ approval.Waiting, number string) error {
			_, err := p.Apps.WaitingFor(p.t.Context(), p.call("look", another(number)), another(number))
			if failure.ClassOf(err) == failure.NotFound {
				return nil
			}
			return err
		},
		"the right one in the app": func(p *phone, _ approval.Waiting, number string) error {
			_, err := p.Apps.WaitingFor(p.t.Context(), p.call("look", number), number)
			return err
		},
		"it approves": func(p *phone, w approval.Waiting, number string) error {
			return p.says(approval.AppAnswer{ID: w.ID, Number: number, Text: w.Text(), Decision: approval.Approved})
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := withPhone(t)
			other := *p
			other.rig = p.rig.again()
			for i := range throttle.WrongNumbers - 1 {
				_, number := p.waits()
				if i >= p.Limits.Delay {
					p.clock.Later(time.Hour)
					_, number = p.waits()
				}
				if _, err := p.Apps.WaitingFor(t.Context(), p.call("look", another(number)), another(number)); failure.ClassOf(err) != failure.NotFound {
					t.Fatalf("the %dth: %v", i+1, err)
				}
			}
			p.clock.Later(time.Hour)
			_, number := p.waits()
			other.count = p.count
			if err := other.DB.View().Hear(t.Context()); err != nil {
				t.Fatal(err)
			}
			w := other.finds(number)
			if err := other.says(approval.AppAnswer{ID: w.ID, Number: number, Text: w.Text(), Decision: approval.Approved}); err != nil {
				t.Fatal(err)
			}
			_, number = other.waits()
			w = other.finds(number)
			p.count = other.count
			if err := next(p, w, number); err != nil {
				t.Error(err)
			}
			if now := p.stored(); now.Status != directory.CredentialActive {
				t.Errorf("it is %s", now.Status)
			}
			storetest.Quiet(t, p.DB)
		})
	}
}

// A count that another server began anew, whose clock is a little ahead, was not put back.
func TestACountThatBeganAnewOnAnotherServer(t *testing.T) {
	w := withWorn(t, storetest.Postgres(t))
	other := w.on(w.again())
	ahead := storetest.NewWatch(w.clock.Now().Add(2 * time.Second))
	other.clock = ahead
	other.open()
	q := browses("wiki", "nobody", typed("password", "x"))
	w.begin(q)
	before := w.saved("installation")
	w.clock.Later(10*time.Minute - time.Second)
	ahead.Later(10*time.Minute - time.Second)
	other.begin(q)
	if now := w.saved("installation"); now.since <= before.since || now.count != 1 {
		t.Fatalf("it goes on: %+v, %+v", before, now)
	}
	w.inspect()
	w.begin(q)
	w.inspect()
	w.inspect()
	w.DB.Report(store.Finding{Table: "policy", Row: "9", Wrong: store.Altered}) // so that whatever was reported before is said by then
	storetest.OneAlarm(t, w.DB, "policy", store.Altered)
}

// The entry of a claimed sign-in says once that its attempt is over.
func TestAnAttemptIsOverOnce(t *testing.T) {
	r, _, app := withAda(t)
	s := r.reply(r.reply(r.begin(browses("wiki", "ada")), "password", secret), "totp", app.code())
	if why := claimFor(r, s); why != "" {
		t.Fatal(why)
	}
	said := r.events("signin.granted")
	if len(said) != 1 || strings.Count(said[0].Versions, "attempt/") != 1 {
		t.Errorf("%+v", said)
	}
}

// Whoever removes what was charged for wrong numbers keeps nobody from giving the right one:
// once the log is heard, what this server remembers counts.
func TestNumbersWhoseRowsAreRemoved(t *testing.T) {
	p, g := withPages(t)
	_, number := p.waits()
	w := p.finds(number)
	wrong := func() {
		t.Helper()
		if _, err := p.Apps.WaitingFor(t.Context(), p.call("look", another(number)), another(number)); failure.ClassOf(err) != failure.NotFound {
			t.Fatal(err)
		}
		storetest.Sabotage(t, p.DB, `delete from guess`)
	}
	wrong()
	if _, err := p.Apps.WaitingFor(t.Context(), p.call("look", number), number); err != nil {
		t.Errorf("looked for in the app: %v", err)
	}
	if _, why := p.tries(g, number); why != "" {
		t.Errorf("looked for on pages: %q", why)
	}
	if err := p.Approvals.Approve(t.Context(), p.grants(Approve, w.Numbered(number)), w.Numbered(number)); err != nil {
		t.Errorf("approved on pages: %v", err)
	}
	_, number = p.waits()
	w = p.finds(number)
	wrong()
	if err := p.says(approval.AppAnswer{ID: w.ID, Number: number, Text: w.Text(), Decision: approval.Approved}); err != nil {
		t.Errorf("approved in the app: %v", err)
	}
}
