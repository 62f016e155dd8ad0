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
	pages, err := s.pages(ctx)
	if err != nil {
		return nil, err
	}
	onPages, err := s.wait(ctx, owner, pages)
	if err != nil {
		return nil, err
	}
	s.bed.Later(numberLife)
	flood, err := s.flood(ctx)
	if err != nil {
		return nil, err
	}
	onScreens, err := s.wait(ctx, owner, flood.shown)
	if err != nil {
		return nil, err
	}
	if (onPages == 0 || onScreens == 0) && flood.let == 0 {
		return nil, errors.New("no approval request is waiting, so nothing was flooded")
	}
	shown, taps := len(pages)+len(flood.shown), s.tap(ctx, owner, flood.shown)
	let, again := s.goOn(ctx, flood.pending)
	return []Door{
		{"RADIUS, of 50 sign-ins with the right password", flood.let > 0, fmt.Sprintf("%d were let in", flood.let)},
		{"more requests than one waiting at once", onPages > 1 || onScreens > 1, fmt.Sprintf("%d on pages, %d by RADIUS", onPages, onScreens)},
		{"more requests than may be left unanswered", shown > leftUnanswered, fmt.Sprintf("%d numbers were shown", shown)},
		{"an approval without its number", taps > 0, fmt.Sprintf("%d of %d guesses", taps, numbersTried)},
		{"RADIUS after all that", let > 0, ""},
		{"a second number for one sign-in", again > 0, ""},
	}, nil
}

// goOn answers what waits by what is not an approval: the number where the code
// belongs, and Enter. It counts who was let in, and other numbers that were shown.
func (s *scene) goOn(ctx context.Context, pending []waiting) (let, again int) {
	for _, p := range pending {
		for _, typed := range []string{p.number, ""} {
			r, err := s.radius(ctx, ask{name: s.canary.name, password: typed, state: p.state})
			if err == nil && r.code == accessAccept {
				let++
			}
			if r.number() != "" && r.number() != p.number {
				again++
			}
			p.state = r.state
		}
	}
	return let, again
}

const (
	leftUnanswered = 10
	numberLife     = 4 * time.Minute // and a little more
	pagesAsked     = 3
	quarantine     = 25 * time.Hour
	numbersTried   = 40
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

// pages asks for numbers on pages of one browser after another, and returns them.
func (s *scene) pages(ctx context.Context) (map[string]bool, error) {
	shown := map[string]bool{}
	for range pagesAsked {
		b := s.browse(true)
		if err := b.typed(ctx, s.canary.name, s.canary.password, ""); err != nil {
			return nil, err
		}
		if err := b.post(ctx, "/sign-in", "authenticator", "approval"); err != nil {
			return nil, err
		}
		if m := numberOnPage.FindStringSubmatch(b.body); m != nil {
			shown[m[1]] = true
		}
	}
	return shown, nil
}

// wait counts the numbers under which something waits, for an owner who types each.
func (s *scene) wait(ctx context.Context, owner *browser, shown map[string]bool) (n int, err error) {
	for number := range shown {
		if err := owner.get(ctx, s.Server+"/account/approve"); err != nil {
			return n, err
		}
		if err := owner.post(ctx, "/account/approve", "number", number); err != nil {
			return n, err
		}
		if owner.says(found) {
			n++
		}
	}
	return n, nil
}

// found is what a page says of a number under which something waits.
const found = "This waits for you"

// tap types what is no number that was shown, and counts what was found under it.
func (s *scene) tap(ctx context.Context, owner *browser, shown map[string]bool) (n int) {
	for i := range numbersTried {
		number := fmt.Sprintf("%06d", (i*271_829)%1_000_000)
		if i == 0 {
			number = "" // nothing but the button
		}
		if shown[number] || owner.get(ctx, s.Server+"/account/approve") != nil {
			continue
		}
		if owner.post(ctx, "/account/approve", "number", number) == nil && owner.says(found) {
			n++
		}
	}
	return n
}

var (
	sixDigits    = regexp.MustCompile(`\b(\d{6}), then press Enter`)
	numberOnPage = regexp.MustCompile(`class="transfer"[^>]*>(\d{6})<`)
)

// number is the one that a challenge shows, or empty.
func (r reply) number() string {
	if m := sixDigits.FindStringSubmatch(r.text); m != nil {
		return m[1]
	}
	return ""
}
