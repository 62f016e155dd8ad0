package wire

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"sync"
	"time"

	"countersign/internal/drill"
	"countersign/internal/drill/web"
)

// flooder asks for approvals.
type flooder struct{ Radius }

// bombard is an intruder with the right password who asks for approvals until
// somebody gives one, at a door that shows numbers. Its owner is tired, and does
// whatever can be done without the number; in the end they report it. Where no number can
// be shown, nothing may be asked for.
func (s flooder) bombard(ctx context.Context, p *drill.Play, _ *drill.Canary) ([]drill.Try, error) {
	c, err := p.Enroll(ctx)
	if err != nil {
		return nil, err
	}
	rings, err := s.woken(ctx, p, c)
	if err != nil {
		return nil, err
	}
	p.Bed.Later(quarantine) // what is new approves nothing
	owner, err := s.Owners.Owner(ctx, p, c)
	if err != nil {
		return nil, err
	}
	if s.mode() != Challenge {
		return s.bombardUnseen(ctx, p, c, rings)
	}
	pages, err := s.Owners.Numbers(ctx, p, c)
	if err != nil {
		return nil, err
	}
	onPages, err := owner.Waiting(ctx, pages)
	if err != nil {
		return nil, err
	}
	if onPages > 0 {
		rung(ctx, rings)
	}
	p.Bed.Later(numberLife)
	f, err := s.flood(ctx, p, c, 20, 30)
	if err != nil {
		return nil, err
	}
	onScreens, err := owner.Waiting(ctx, f.shown)
	if err != nil {
		return nil, err
	}
	shown := len(pages) + len(f.shown)
	if (onPages == 0 || onScreens == 0) && f.let == 0 && shown <= leftUnanswered {
		return nil, errors.New("no approval request is waiting, so nothing was flooded")
	}
	led, err := owner.Led(ctx, f.shown)
	if err != nil {
		return nil, err
	}
	taps := owner.Tap(ctx, f.shown)
	woken := rings()
	if woken == 0 {
		return nil, errors.New("the owner's phone was never woken, so its silence would show nothing")
	}
	let, again, err := s.goOn(ctx, p, c, f.pending)
	tries := []drill.Try{
		{Name: "RADIUS, of 50 sign-ins with the right password", Open: f.let > 0, Detail: fmt.Sprintf("%d were let in", f.let)},
		{Name: "more requests than one waiting at once", Open: onPages > 1 || onScreens > 1, Detail: fmt.Sprintf("%d on pages, %d by RADIUS", onPages, onScreens)},
		{Name: "more requests than may be left unanswered", Open: shown > leftUnanswered, Detail: fmt.Sprintf("%d numbers were shown", shown)},
		{Name: fmt.Sprintf("the owner's phone is woken more than %d times", wokenSoon), Open: woken > wokenSoon, Detail: fmt.Sprintf("%d times", woken)},
		{Name: "an approval of another number than the one that waits", Open: led, Detail: "the owner was led to it, with the passkey"},
		{Name: "an approval without its number", Open: taps > 0, Detail: fmt.Sprintf("%d of %d guesses", taps, web.NumbersTried)},
		letIn(p, "RADIUS after all that", let, err),
		{Name: "a second number for one sign-in", Open: again+f.again > 0, Detail: fmt.Sprintf("%d", again+f.again)},
	}
	flooded, err := s.alarmed(ctx, p, "alarm.push-flood", c)
	tries = append(tries, flooded)
	if err != nil || f.let > 0 { // whom nothing is asked of reports nothing
		return tries, err
	}
	more, err := s.reported(ctx, p, c)
	return append(tries, more...), err
}

// woken gives an account a phone, and returns how its owner counts how often it was woken.
func (s flooder) woken(ctx context.Context, p *drill.Play, c *drill.Canary) (rings func() int, _ error) {
	phone, err := s.Owners.Phone(ctx, p, c)
	if err != nil {
		return nil, err
	}
	return p.Bed.Woken(phone.Endpoint), nil
}

// rung waits until the owner's phone was woken for what waits, or should have been: a server
// that finds out later that the request is over wakes nobody.
func rung(ctx context.Context, rings func() int) {
	for end := time.Now().Add(alarmLate); rings() == 0 && ctx.Err() == nil && time.Now().Before(end); {
		time.Sleep(50 * time.Millisecond)
	}
}

// alarmLate is how long an alarm, and a push, may take.
const alarmLate = 15 * time.Second

// alarmed is open where the flood raised no alarm of its own about the account, which a server
// does within seconds.
func (s flooder) alarmed(ctx context.Context, p *drill.Play, event string, c *drill.Canary) (drill.Try, error) {
	for end := time.Now().Add(alarmLate); ; {
		found, err := p.Logged(ctx, map[string]any{"event": event, "account": c.Name})
		if err != nil || len(found) > 0 || time.Now().After(end) {
			return drill.Try{Name: "there is no " + event + " about the account", Open: len(found) == 0, Detail: fmt.Sprintf("%d in the log", len(found))}, err
		}
		select {
		case <-ctx.Done():
			return drill.Try{}, ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// bombardUnseen asks where no number can be shown. An approval that was asked for there
// would be one without its number.
func (s flooder) bombardUnseen(ctx context.Context, p *drill.Play, c *drill.Canary, rings func() int) ([]drill.Try, error) {
	lone := *c
	if s.mode() == CodeOnly {
		lone.Password = "" // which the equipment has checked
	}
	f, err := s.flood(ctx, p, &lone, 10, 10)
	if err != nil {
		return nil, err
	}
	tries := []drill.Try{
		{Name: "RADIUS, of 20 sign-ins with the password alone", Open: f.let > 0, Detail: fmt.Sprintf("%d were let in", f.let)},
		{Name: "a number where none can be shown", Open: len(f.shown) > 0, Detail: fmt.Sprintf("%d numbers were shown", len(f.shown))},
		{Name: "the owner's phone is woken where no number can be shown", Open: rings() > 0, Detail: fmt.Sprintf("%d times", rings())},
	}
	if f.let > 0 || s.mode() == Wait {
		return tries, nil
	}
	more, err := s.report(ctx, p, c)
	return append(tries, more...), err
}

// reported is report where numbers are shown: from then on none is.
func (s flooder) reported(ctx context.Context, p *drill.Play, c *drill.Canary) ([]drill.Try, error) {
	p.Bed.Later(time.Hour + numberLife) // or nothing would be offered anyway
	before, err := s.flood(ctx, p, c, 0, 1)
	if err != nil {
		return nil, err
	}
	if len(before.shown) == 0 {
		return nil, errors.New("no number is shown an hour later, so a report would show nothing")
	}
	tries, err := s.report(ctx, p, c)
	if err != nil {
		return nil, err
	}
	p.Bed.Later(numberLife)
	after, err := s.flood(ctx, p, c, 0, 3)
	if err != nil {
		return nil, err
	}
	let, _, err := s.goOn(ctx, p, c, before.pending)
	return append(tries,
		drill.Try{Name: "a request for approval after the owner reported one", Open: len(after.shown) > 0, Detail: fmt.Sprintf("%d numbers were shown", len(after.shown))},
		letIn(p, "RADIUS after the report", after.let+let, err)), nil
}

// report has the owner say that it was not them. From then on what the intruder knows, and
// a code besides, lets nobody in: the password is off, and where the equipment checks it the
// account is at risk. Either would do, so that the directory is asked for each.
func (s flooder) report(ctx context.Context, p *drill.Play, c *drill.Canary) ([]drill.Try, error) {
	owner, err := s.Owners.Owner(ctx, p, c)
	if err != nil {
		return nil, err
	}
	if err := owner.Report(ctx); err != nil {
		return nil, err
	}
	var account struct {
		AtRisk   time.Time                 `json:"at_risk"`
		Enrolled []struct{ Status string } `json:"enrolled"`
	}
	if err := p.Admin.Do(ctx, "account.show", map[string]string{"name": c.Name}, &account); err != nil {
		return nil, err
	}
	off := slices.ContainsFunc(account.Enrolled, func(a struct{ Status string }) bool { return a.Status != "active" })
	r, err := s.says(ctx, p, c.Name, s.lines(c.Password, c.Code()), true)
	return []drill.Try{
		{Name: "nothing is switched off after the owner reported a sign-in", Open: !off, Detail: "asked of the directory"},
		{Name: "the account is not at risk after the owner reported a sign-in", Open: account.AtRisk.IsZero(), Detail: "asked of the directory"},
		s.tried(p, "all that is right after the owner reported a sign-in", r, err),
	}, nil
}

// letIn is open if anybody was let in.
func letIn(p *drill.Play, name string, n int, err error) drill.Try {
	t := p.Tried(name, n > 0, err)
	t.Answer = fmt.Sprintf("%d were let in", n)
	return t
}

// goOn answers what waits by what is not an approval: the number where the code
// belongs, and Enter. It counts who was let in, and other numbers that were shown.
func (s flooder) goOn(ctx context.Context, p *drill.Play, c *drill.Canary, pending []waiting) (let, again int, _ error) {
	for _, w := range pending {
		for _, typed := range []string{w.number, ""} {
			r, err := s.ask(ctx, p, ask{name: c.Name, password: typed, state: w.state}, true)
			if err != nil {
				return let, again, err
			}
			if r.code == accessAccept {
				let++
			}
			if r.number() != "" && r.number() != w.number {
				again++
			}
			w.state = r.state
		}
	}
	return let, again, nil
}

const (
	leftUnanswered = 10
	wokenSoon      = 3               // in ten minutes (limits.push_soon)
	numberLife     = 4 * time.Minute // and a little more
	quarantine     = 25 * time.Hour
)

// flooded is what many sign-ins came to.
type flooded struct {
	let     int
	shown   map[string]bool // numbers
	pending []waiting
	again   int // other numbers for the same datagram
}

type waiting struct {
	number string
	state  []byte
}

// flood signs in many times, some at once and then some one by one, each datagram twice
// from one port as equipment retransmits.
func (s flooder) flood(ctx context.Context, p *drill.Play, c *drill.Canary, atOnce, after int) (flooded, error) {
	f := flooded{shown: map[string]bool{}}
	var mu sync.Mutex
	var failed error
	once := func() {
		first, second, err := s.twice(ctx, p, ask{name: c.Name, password: c.Password, secret: s.Secret}.packet())
		mu.Lock()
		defer mu.Unlock()
		if err != nil {
			failed = err
			return
		}
		f.note(first)
		f.note(second)
		if first.number() != second.number() {
			f.again++
		}
	}
	var all sync.WaitGroup
	for range atOnce {
		all.Go(once)
	}
	all.Wait()
	for range after {
		once()
	}
	return f, failed
}

func (f *flooded) note(r reply) {
	n := r.number()
	if r.code == accessAccept {
		f.let++
	}
	if n != "" && !f.shown[n] {
		f.shown[n] = true
		f.pending = append(f.pending, waiting{n, r.state})
	}
}

// twice sends one datagram twice from one port.
func (s flooder) twice(ctx context.Context, p *drill.Play, packet []byte) (first, second reply, err error) {
	o, err := s.open(ctx, p, true)
	if err != nil {
		return first, second, err
	}
	defer o.close()
	if first, err = o.exchange(ctx, packet, s.Secret); err != nil {
		return first, second, err
	}
	second, err = o.exchange(ctx, packet, s.Secret)
	return first, second, err
}

var sixDigits = regexp.MustCompile(`\b(\d{6}), then press Enter`)

// number is the one that a challenge shows, or empty.
func (r reply) number() string {
	if m := sixDigits.FindStringSubmatch(r.text); m != nil {
		return m[1]
	}
	return ""
}
