package signin

import (
	"context"
	"runtime"
	"strings"
	"testing"
	"time"

	"countersign/internal/prompt"
	"countersign/internal/store"
)

// waiters is ada at a line, who approves on another device.
type waiters struct {
	*rig
	t *testing.T
}

func withWaiters(t *testing.T) *waiters {
	t.Helper()
	r, ada, _ := withTouch(t)
	r.rules(twoFactors)
	r.withPassword(ada)
	return &waiters{r, t}
}

// waits begins what waits to be approved elsewhere, and says which number is typed there.
func (w *waiters) waits() (Step, string) {
	w.t.Helper()
	s := w.begin(Request{Application: "vpn", Name: "ada", Source: home, Protocol: "radius", Medium: prompt.Line | prompt.Display, Partner: "nas", Opening: []prompt.Answer{typed("password", secret)}})
	if s.State != Wait || len(s.Prompts) != 1 || s.Prompts[0].Number == "" {
		w.t.Fatalf("nothing waits: %+v", s)
	}
	return s, s.Prompts[0].Number
}

// signedIn is ada's grant in her browser.
func (w *waiters) signedIn() Grant {
	w.t.Helper()
	q := browses(Self, "ada", typed("passkey", "x"))
	g, err := w.Claim(w.t.Context(), w.begin(q).Ticket, Self, "", "")
	if err != nil {
		w.t.Fatal(err)
	}
	return g
}

// refuses has ada say that what waits under a number is not hers.
func (w *waiters) refuses(number string) {
	w.t.Helper()
	g := w.signedIn()
	found, err := w.Approvals.WaitingFor(w.t.Context(), g, number)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := w.Approvals.Refuse(w.t.Context(), g, found.ID); err != nil {
		w.t.Fatal(err)
	}
}

// hears has somebody wait for a ticket's approval, and returns when they do or are done.
func (w *waiters) hears(ctx context.Context, s Step) <-chan error {
	w.t.Helper()
	listening := func() (n int) { // goroutines that wait in AwaitApproval
		stacks := make([]byte, 1<<20)
		for _, one := range strings.Split(string(stacks[:runtime.Stack(stacks, true)]), "\n\n") {
			if first, _, _ := strings.Cut(one, "\n"); strings.Contains(first, "[select") && strings.Contains(one, "signin.(*Engine).AwaitApproval(") {
				n++
			}
		}
		return n
	}
	before, done := listening(), make(chan error, 1)
	go func() { done <- w.AwaitApproval(ctx, s.Ticket) }()
	for listening() == before {
		if len(done) > 0 {
			w.t.Error("nobody waits for what is not answered")
			break
		}
	}
	return done
}

// soon ends what waits for ever, long after anything here takes.
func soon(t *testing.T) context.Context {
	ctx, stop := context.WithTimeout(t.Context(), 5*time.Second)
	t.Cleanup(stop)
	return ctx
}

// All who wait for one approval are told when it is answered, and those who gave up
// before take nothing from the others; nobody is told of another one.
func TestAllWhoWaitAreTold(t *testing.T) {
	w := withWaiters(t)
	s, number := w.waits()
	ctx := soon(t)
	impatient, gaveUp := context.WithCancel(t.Context())
	first, second, third := w.hears(ctx, s), w.hears(impatient, s), w.hears(ctx, s)
	gaveUp()
	if err := <-second; err != nil {
		t.Errorf("who gave up: %v", err)
	}
	if len(first) > 0 || len(third) > 0 {
		t.Error("one gave up, and the others were told")
	}
	w.refuses(number)
	for i, told := range []<-chan error{first, third} {
		if err := <-told; err != nil {
			t.Errorf("%d: %v", i, err)
		}
	}
	if ctx.Err() != nil {
		t.Error("they waited for ever")
	}
	if next, err := w.Poll(t.Context(), s.Ticket); err != nil || next.Reason != "refused-elsewhere" {
		t.Errorf("what came of it: %+v, %v", next, err)
	}
}

// Who waits is told of an answer of a moment ago, and does not wait where nothing is
// asked elsewhere; a ticket that leads nowhere and a breakdown are said.
func TestNobodyWaitsForWhatIsOver(t *testing.T) {
	w := withWaiters(t)
	s, number := w.waits()
	w.refuses(number)
	ctx := soon(t)
	if err := w.AwaitApproval(ctx, s.Ticket); err != nil || ctx.Err() != nil {
		t.Errorf("answered before: %v, %v", err, ctx.Err())
	}
	begun := w.begin(browses("wiki", "ada"))
	if err := w.AwaitApproval(ctx, begun.Ticket); err != nil || ctx.Err() != nil {
		t.Errorf("nothing is asked elsewhere: %v, %v", err, ctx.Err())
	}
	half := w.reply(begun, "password", secret)
	if err := w.AwaitApproval(ctx, half.Ticket); err != nil || ctx.Err() != nil {
		t.Errorf("a row that waits for nothing: %v, %v", err, ctx.Err())
	}
	for _, made := range []string{"", "made.1", half.Ticket + "1"} {
		if err := w.AwaitApproval(ctx, made); refused(err) != "unknown-ticket" && refused(err) != "used-ticket" {
			t.Errorf("%q: %v", made, err)
		}
	}
	w.clock.Later(time.Hour)
	s, _ = w.waits()
	w.change(func(tx *store.Tx) error {
		_, err := tx.Exec(t.Context(), `update approval set payload = x'00'`)
		return err
	})
	if err := w.AwaitApproval(ctx, s.Ticket); err != nil {
		t.Errorf("a row that was changed: %v", err)
	}
	if ctx.Err() != nil {
		t.Error("somebody waited for what leads nowhere")
	}
}
