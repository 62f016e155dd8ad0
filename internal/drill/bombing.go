package drill

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"sync"
	"time"
)

// bombard is an intruder with the right password who asks for approvals until
// somebody gives one, at a door that shows numbers. Its owner is tired, and does
// whatever can be done without the number.
func bombard(ctx context.Context, s *scene) ([]Door, error) {
	c := s.canary
	if s.unguarded || s.down {
		return s.passwordDoors(ctx, c.name, c.password), nil
	}
	s.bed.Later(quarantine) // what is new approves nothing
	owner := s.browse(false)
	if err := owner.get(ctx, s.Server+"/sign-in"); err != nil {
		return nil, err
	}
	if err := owner.passkey(ctx, c.key); err != nil {
		return nil, err
	}
	flood, err := s.flood(ctx)
	if err != nil {
		return nil, err
	}
	taps := s.tap(ctx, owner, flood.shown)
	doors := []Door{
		{"RADIUS, of 50 sign-ins with the right password", flood.let > 0, fmt.Sprintf("%d were let in", flood.let)},
		{"more requests waiting at once than may", len(flood.shown) > waitAtOnce, fmt.Sprintf("%d numbers were shown", len(flood.shown))},
		{"an approval without its number", taps > 0, fmt.Sprintf("%d of %d guesses", taps, numbersTried)},
	}
	if len(flood.shown) == 0 && flood.let == 0 {
		return nil, errors.New("no approval was asked for, so nothing was flooded")
	}
	let, again := 0, 0
	for _, p := range flood.pending {
		for _, typed := range []string{p.number, ""} { // the number where the code belongs, and Enter
			r, err := s.radius(ctx, ask{name: c.name, password: typed, state: p.state})
			if err == nil && r.code == accessAccept {
				let++
			}
			if r.number() != "" && r.number() != p.number {
				again++
			}
			p.state = r.state
		}
	}
	return append(doors,
		Door{"RADIUS after all that", let > 0, ""},
		Door{"a second number for one sign-in", again > 0, ""}), nil
}

const (
	waitAtOnce   = 3 // see docs/decisions/0005
	quarantine   = 25 * time.Hour
	numbersTried = 40
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
func (s *scene) flood(ctx context.Context) (flooded, error) {
	f := flooded{shown: map[string]bool{}}
	var mu sync.Mutex
	var failed error
	once := func() {
		a := ask{name: s.canary.name, password: s.canary.password, secret: s.Secret}
		packet := a.packet()
		for range 2 {
			r, err := s.send(ctx, packet, s.Secret, true)
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

// tap types what is no number that was shown, and counts what was found under it.
func (s *scene) tap(ctx context.Context, owner *browser, shown map[string]bool) (found int) {
	for i := range numbersTried {
		number := fmt.Sprintf("%06d", (i*271_829)%1_000_000)
		if i == 0 {
			number = "" // nothing but the button
		}
		if shown[number] || owner.get(ctx, s.Server+"/account/approve") != nil {
			continue
		}
		if owner.post(ctx, "/account/approve", "number", number) == nil && owner.says("This waits for you") {
			found++
		}
	}
	return found
}

var sixDigits = regexp.MustCompile(`\b(\d{6}), then press Enter`)

// number is the one that a challenge shows, or empty.
func (r reply) number() string {
	if m := sixDigits.FindStringSubmatch(r.text); m != nil {
		return m[1]
	}
	return ""
}
