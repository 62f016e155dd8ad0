package wire

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"sync"
	"time"

	"countersign/internal/drill"
	"countersign/internal/drill/web"
)

// bombard is an intruder with the right password who asks for approvals until
// somebody gives one, at a door that shows numbers. Its owner is tired, and does
// whatever can be done without the number.
func (s Radius) bombard(ctx context.Context, p *drill.Play, c *drill.Canary) ([]drill.Try, error) {
	p.Bed.Later(quarantine) // what is new approves nothing
	owner, err := s.Owners.Owner(ctx, p, c)
	if err != nil {
		return nil, err
	}
	pages, err := s.Owners.Numbers(ctx, p, c)
	if err != nil {
		return nil, err
	}
	onPages, err := owner.Waiting(ctx, pages)
	if err != nil {
		return nil, err
	}
	p.Bed.Later(numberLife)
	flood, err := s.flood(ctx, p, c)
	if err != nil {
		return nil, err
	}
	onScreens, err := owner.Waiting(ctx, flood.shown)
	if err != nil {
		return nil, err
	}
	if (onPages == 0 || onScreens == 0) && flood.let == 0 {
		return nil, errors.New("no approval request is waiting, so nothing was flooded")
	}
	shown, taps := len(pages)+len(flood.shown), owner.Tap(ctx, flood.shown)
	let, again, err := s.goOn(ctx, p, c, flood.pending)
	return []drill.Try{
		{Name: "RADIUS, of 50 sign-ins with the right password", Open: flood.let > 0, Detail: fmt.Sprintf("%d were let in", flood.let)},
		{Name: "more requests than one waiting at once", Open: onPages > 1 || onScreens > 1, Detail: fmt.Sprintf("%d on pages, %d by RADIUS", onPages, onScreens)},
		{Name: "more requests than may be left unanswered", Open: shown > leftUnanswered, Detail: fmt.Sprintf("%d numbers were shown", shown)},
		{Name: "an approval without its number", Open: taps > 0, Detail: fmt.Sprintf("%d of %d guesses", taps, web.NumbersTried)},
		p.Tried("RADIUS after all that", let > 0, err),
		{Name: "a second number for one sign-in", Open: again > 0},
	}, nil
}

// goOn answers what waits by what is not an approval: the number where the code
// belongs, and Enter. It counts who was let in, and other numbers that were shown.
func (s Radius) goOn(ctx context.Context, p *drill.Play, c *drill.Canary, pending []waiting) (let, again int, _ error) {
	for _, w := range pending {
		for _, typed := range []string{w.number, ""} {
			r, err := s.radius(ctx, p, ask{name: c.Name, password: typed, state: w.state})
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
	numberLife     = 4 * time.Minute // and a little more
	quarantine     = 25 * time.Hour
)

// flooded is what 50 sign-ins came to.
type flooded struct {
	let     int
	shown   map[string]bool // numbers
	pending []waiting
}

type waiting struct {
	number string
	state  []byte
}

// flood signs in fifty times, twenty of them at once, each datagram twice as
// equipment retransmits.
func (s Radius) flood(ctx context.Context, p *drill.Play, c *drill.Canary) (flooded, error) {
	f := flooded{shown: map[string]bool{}}
	var mu sync.Mutex
	var failed error
	once := func() {
		a := ask{name: c.Name, password: c.Password, secret: s.Secret}
		packet := a.packet()
		for range 2 {
			r, err := s.send(ctx, p, packet, s.Secret, true)
			mu.Lock()
			switch n := r.number(); {
			case err != nil:
				failed = err
			case r.code == accessAccept:
				f.let++
			case n != "" && !f.shown[n]:
				f.shown[n] = true
				f.pending = append(f.pending, waiting{n, r.state})
			}
			mu.Unlock()
		}
	}
	var all sync.WaitGroup
	for range 20 {
		all.Go(once)
	}
	all.Wait()
	for range 30 {
		once()
	}
	return f, failed
}

var sixDigits = regexp.MustCompile(`\b(\d{6}), then press Enter`)

// number is the one that a challenge shows, or empty.
func (r reply) number() string {
	if m := sixDigits.FindStringSubmatch(r.text); m != nil {
		return m[1]
	}
	return ""
}
