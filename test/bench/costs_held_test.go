package bench

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/netip"
	"net/url"
	"runtime"
	"slices"
	"strconv"
	"time"

	"countersign/internal/approval"
	"countersign/internal/assurance"
	"countersign/internal/audit"
	"countersign/internal/authenticator/accesspass"
	"countersign/internal/directory"
	"countersign/internal/prompt"
	"countersign/internal/servertest"
	"countersign/internal/signin"
	"countersign/internal/store"
)

// heldAtOnce is how many sign-ins wait to be approved while it is measured how long
// one takes, and heldRounds how many are approved meanwhile.
const (
	heldAtOnce = 10_000
	heldRounds = 200
)

// held measures sign-ins that wait to be approved in an app: what each takes while
// it waits, and how long an approval and what follows it take beside all the others.
func (c *costs) held() {
	w := servertest.NewWorldOn(c.b, "")
	populate(c.b, w, 0, 0)
	phones := c.giveApps(w, heldRounds+heldAtOnce)
	idle := c.approveEach(w, phones, heldRounds)

	before, routines := servertest.Heap(), runtime.NumGoroutine()
	var waiting []held
	for i := range heldAtOnce {
		waiting = append(waiting, c.hold(w, phones[heldRounds+i]))
	}
	each := (int64(servertest.Heap()) - int64(before)) / heldAtOnce
	more := runtime.NumGoroutine() - routines
	var took []time.Duration
	for i := range heldRounds {
		took = append(took, c.release(w, waiting[i*heldAtOnce/heldRounds]))
	}
	slices.Sort(took)
	busy := took[len(took)/2]
	c.row("10,000 sign-ins that wait to be approved, each", "SQLite", fmt.Sprintf("%d bytes of memory", each), "", "", "", fmt.Sprintf("no goroutine each: %d more", more))
	c.row("approve in the app, wake who waits, and go on, beside them", "SQLite", short(busy), "with none beside "+short(idle), fmt.Sprintf("%.2f", busy.Seconds()/idle.Seconds()), "", "50 ms")
}

// owned is an app with whose it is, and a pass, which is checked without the
// hundred thousand times that a password takes.
type owned struct {
	*servertest.Phone
	owner string
	pass  string
}

// held is a sign-in that waits.
type held struct {
	owned
	ticket string
	number string
}

// giveApps makes people who have an app and a pass.
func (c *costs) giveApps(w *servertest.World, people int) (out []owned) {
	ctx := context.Background()
	for at := 0; at < people; at += 500 {
		err := w.DB.Change(ctx, audit.System("bench"), func(tx *store.Tx) error {
			for i := at; i < min(at+500, people); i++ {
				p := w.Phone()
				d, err := w.Accounts.Create(ctx, tx, directory.NewAccount{Name: "held-" + strconv.Itoa(i)})
				if err != nil {
					return err
				}
				state, err := json.Marshal(map[string]any{"v": 1, "k": p.Point()})
				if err != nil {
					return err
				}
				if _, err := w.Credentials.Add(ctx, tx, directory.Credential{Account: d.ID, Kind: "push", Label: "App", Handle: p.Handle, Traits: assurance.Held, State: state}); err != nil {
					return err
				}
				pass, e, err := accesspass.Issue(w.Now(), 8*time.Hour)
				if err != nil {
					return err
				}
				if _, err := w.Credentials.Add(ctx, tx, directory.Credential{Account: d.ID, Kind: accesspass.Kind, Label: e.Label, Traits: e.Traits, State: e.State}); err != nil {
					return err
				}
				out = append(out, owned{p, d.Name, pass})
			}
			return tx.Record(audit.Entry{Event: "bench.accounts", Outcome: audit.OK})
		})
		if err != nil {
			c.b.Fatal(err)
		}
	}
	return out
}

// hold begins a sign-in that waits.
func (c *costs) hold(w *servertest.World, p owned) held {
	ctx := context.Background()
	step, err := w.Engine.Begin(ctx, signin.Request{Application: "vpn", Name: p.owner, Protocol: "browser", Medium: prompt.Browser, Source: netip.MustParseAddr("203.0.113.9"),
		Opening: []prompt.Answer{{Authenticator: accesspass.Kind, Text: p.pass}}})
	if err == nil {
		step, err = w.Engine.Answer(ctx, step.Ticket, signin.Reply{Answer: prompt.Answer{Authenticator: signin.OutOfBand}})
	}
	number, offered := servertest.Elsewhere(step)
	if err != nil || !offered {
		c.b.Fatal(step.State, step.Reason, err)
	}
	return held{p, step.Ticket, number}
}

// release approves one and goes on with it, and returns how long that took from
// when its owner pressed the button.
func (c *costs) release(w *servertest.World, h held) time.Duration {
	ctx, u := context.Background(), c.base(w)
	call := func(fields ...string) approval.AppCall {
		moment := w.SignIn.Apps.Moment()
		signature, _ := base64.RawURLEncoding.DecodeString(h.Phone.Sign(append([]string{fields[0], u.Host, h.Phone.Handle, moment, h.Phone.Counts()}, fields[1:]...)...))
		return approval.AppCall{Kind: "push", App: h.Phone.Handle, Moment: moment, Count: h.Phone.Count, Signature: signature}
	}
	found, err := w.SignIn.Apps.WaitingFor(ctx, call("countersign look", h.number), h.number)
	if err != nil {
		c.b.Fatal(err)
	}
	answer := approval.AppAnswer{ID: found.ID, Number: h.number, Text: found.Text(), Decision: approval.Approved}
	signed := call("countersign answer", strconv.FormatInt(answer.ID, 10), answer.Number, answer.Text, answer.Decision)
	woken := make(chan error, 1)
	go func() { woken <- w.Engine.AwaitApproval(ctx, h.ticket) }()
	time.Sleep(2 * time.Millisecond) // until it waits, as a page does
	start := time.Now()
	if err := w.SignIn.Apps.Answer(ctx, signed, answer); err != nil {
		c.b.Fatal(err)
	}
	if err := <-woken; err != nil {
		c.b.Fatal(err)
	}
	step, err := w.Engine.Answer(ctx, h.ticket, signin.Reply{})
	if err != nil || step.State != signin.Granted {
		c.b.Fatal(step.State, step.Reason, err)
	}
	return time.Since(start)
}

func (c *costs) base(w *servertest.World) *url.URL {
	u, err := url.Parse(w.Base)
	if err != nil {
		c.b.Fatal(err)
	}
	return u
}

// approveEach holds and releases one after the other, and returns the median.
func (c *costs) approveEach(w *servertest.World, phones []owned, n int) time.Duration {
	var took []time.Duration
	for i := range n {
		took = append(took, c.release(w, c.hold(w, phones[i])))
	}
	slices.Sort(took)
	return took[n/2]
}
