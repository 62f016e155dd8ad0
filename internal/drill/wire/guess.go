package wire

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"countersign/internal/drill"
)

// The limits of a test bed are the defaults: after so many wrong codes in a row two are
// demanded, a further one must wait, and the generator is closed. A deployment may have set
// the first two higher, and ceiling is the most of both.
const (
	nextCode = 3
	delayed  = 5
	closed   = 20
	ceiling  = 10
)

// guesses are the moves that guess codes.
type guesses struct{ Radius }

// mostChecked is how many wrong codes in a row may be looked at without a pause.
func mostChecked(p *drill.Play) int {
	if p.Bed != nil {
		return delayed
	}
	return ceiling
}

// firstPause is how long a further wrong code must wait at first, and then twice as long
// each time.
const firstPause = 30 * time.Second

// more is how many codes may be looked at besides in so long a time: a slow machine takes
// longer for many at once than the first pause lasts.
func more(taken time.Duration) (n int) {
	for wait := firstPause; taken >= wait; wait *= 2 {
		taken -= wait
		n++
	}
	return n
}

// guessed is a code that nobody has.
func (s Radius) guessed(i int) string {
	most := 1
	for range s.digits() {
		most *= 10
	}
	return fmt.Sprintf("%0*d", s.digits(), (i+1)*61_237%most)
}

// victim is an account that nobody has guessed at. Without Countersign, and without its
// guard, it is the canary.
func victim(ctx context.Context, p *drill.Play, c *drill.Canary) (*drill.Canary, error) {
	if p.Down || p.Unguarded {
		return c, nil
	}
	return p.Enroll(ctx)
}

// race guesses many codes at once, and then sends one right code many
// times at once: it is one sign-in, and no more guesses are looked at than one by one.
func (s guesses) race(ctx context.Context, p *drill.Play, c *drill.Canary) ([]drill.Try, error) {
	if s.mode() == Wait {
		return nil, nil
	}
	of, err := victim(ctx, p, c)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	through, err := drill.AtOnce(many, func(i int) (bool, error) {
		r, err := s.says(ctx, p, of.Name, s.lines(of.Password, s.guessed(i)), true)
		return r.code == accessAccept, err
	})
	tries := []drill.Try{p.Tried(fmt.Sprintf("RADIUS, %d guessed codes at once", many), through > 0, err)}
	tries[0].Answer = fmt.Sprintf("%d were accepted", through)
	if p.Down || p.Unguarded {
		return tries, nil
	}
	tries = append(tries, s.counted(ctx, p, of, burst{many, time.Since(began), "guessed at once"}))
	other, err := p.Enroll(ctx)
	if err != nil {
		return tries, err
	}
	code := other.Code()
	through, err = drill.AtOnce(many, func(int) (bool, error) {
		r, err := s.says(ctx, p, other.Name, s.lines(other.Password, code), true)
		return r.code == accessAccept, err
	})
	if err == nil && through == 0 {
		err = errors.New("none was accepted, and one is owed")
	}
	last := p.Tried(fmt.Sprintf("RADIUS, one right code %d times at once", many), through > 1, err)
	if err == nil {
		last.Detail = fmt.Sprintf("%d accepted", through)
	}
	return append(tries, last), nil
}

const many = 16

// guessCodes has the password and guesses codes, one after another. Then the right one is
// not taken either: first not alone, then not with the next behind it. Where the machine was
// so slow that the pause before a further one was over, it begins again at another account.
func (s guesses) guessCodes(ctx context.Context, p *drill.Play, c *drill.Canary) (tries []drill.Try, _ error) {
	if s.mode() == Wait {
		return nil, nil
	}
	for range 3 {
		of, err := victim(ctx, p, c)
		if err != nil {
			return nil, err
		}
		g := &guesser{s: s, p: p, of: of}
		if p.Down || p.Unguarded {
			g.wrong(ctx, 1)
			return []drill.Try{g.try("guessed codes", g.last, g.err)}, nil
		}
		if tries = g.play(ctx); !g.slow {
			break
		}
	}
	return tries, nil
}

// guesser guesses the codes of one account.
type guesser struct {
	s    guesses
	p    *drill.Play
	of   *drill.Canary
	sent int // wrong codes
	last reply
	err  error // the first that there was
	slow bool  // so that what was let in may have waited long enough
}

// play guesses as many as may be looked at, and uses what is right on the way.
func (g *guesser) play(ctx context.Context) []drill.Try {
	began, most, alone := time.Now(), mostChecked(g.p), ceiling
	if g.p.Bed != nil {
		alone = nextCode
	}
	g.wrong(ctx, alone)
	tries := []drill.Try{g.try("guessed codes one by one", g.last, g.err),
		g.right(ctx, fmt.Sprintf("the right code after %d wrong ones", alone), g.of.Code())}
	g.wrong(ctx, most-alone-1)
	last := time.Now()
	g.wrong(ctx, 1)
	if g.s.takesTwo() {
		two := g.right(ctx, fmt.Sprintf("the right code and the next after %d wrong ones", g.sent), g.of.Code()+g.of.Code())
		if g.slow = two.Open && time.Since(last) >= firstPause; g.slow {
			return append(tries, two)
		}
		tries = append(tries, two)
	}
	g.wrong(ctx, nextCode)
	tries = append(tries, g.s.counted(ctx, g.p, g.of, burst{g.sent, time.Since(began), "guessed one by one"}))
	if g.p.Bed != nil {
		tries = append(tries, g.patiently(ctx))
	}
	return tries
}

// wrong guesses so many codes. One that is accepted is the last.
func (g *guesser) wrong(ctx context.Context, n int) {
	for range n {
		if g.err != nil || g.last.code == accessAccept {
			return
		}
		g.sent++
		g.last, g.err = g.s.says(ctx, g.p, g.of.Name, g.s.lines(g.of.Password, g.s.guessed(g.sent)), true)
	}
}

func (g *guesser) try(name string, r reply, err error) drill.Try { return g.s.tried(g.p, name, r, err) }

// right sends what is right and must not be taken.
func (g *guesser) right(ctx context.Context, name, code string) drill.Try {
	r, err := g.s.says(ctx, g.p, g.of.Name, g.s.lines(g.of.Password, code), true)
	return g.try(name, r, err)
}

// pause is longer than any further code must wait, and than an hour's budget lasts.
const pause = 2 * time.Hour

// patiently guesses on as slowly as it must, until the generator should be closed: then
// what is right is not taken either, however long it waited.
func (g *guesser) patiently(ctx context.Context) drill.Try {
	for g.sent < closed+nextCode && g.err == nil && g.last.code != accessAccept {
		g.p.Bed.Later(pause)
		g.wrong(ctx, 1)
	}
	g.p.Bed.Later(pause)
	name := fmt.Sprintf("all that is right after %d wrong codes, with a pause before each", g.sent)
	if g.err != nil || g.last.code == accessAccept {
		return g.try(name, g.last, g.err)
	}
	code := g.of.Code()
	if g.s.takesTwo() {
		code += g.of.Code()
	}
	return g.right(ctx, name, code)
}

// burst is how many wrong codes were sent, in what time, and how.
type burst struct {
	sent  int
	taken time.Duration
	how   string
}

// counted is open if more wrong codes were looked at than may be. The log says of each
// whether it was compared with anything.
func (s guesses) counted(ctx context.Context, p *drill.Play, of *drill.Canary, b burst) drill.Try {
	n, err := s.checked(ctx, p, of.Name, b.sent)
	most := mostChecked(p) + more(b.taken)
	t := p.Tried(fmt.Sprintf("RADIUS, more than %d codes are checked that were %s", most, b.how), n > most, err)
	if err == nil {
		t.Detail = fmt.Sprintf("%d of %d, in %s", n, b.sent, b.taken.Round(time.Second))
	}
	return t
}

// compared are the reasons of a refused code that was compared with the right ones.
var compared = []string{"wrong", "ahead", "replayed"}

// settled is for how long the log tells of no more before it is believed to tell of all.
const settled = 2 * time.Second

// checked counts the wrong codes of an account that were compared with anything. Each of
// them has an entry of its own, whatever noise there is; of the others some are only
// counted in one that comes later.
func (s guesses) checked(ctx context.Context, p *drill.Play, name string, sent int) (int, error) {
	before, since := -1, time.Now()
	for {
		all, err := s.refusals(ctx, p, name)
		if err != nil {
			return 0, err
		}
		if len(all) != before {
			before, since = len(all), time.Now()
		} else if len(all) >= sent || time.Since(since) > settled {
			return len(slices.DeleteFunc(all, func(reason string) bool { return !slices.Contains(compared, reason) })), nil
		}
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// refusals are the reasons of the refused sign-ins of an account at this application. An
// entry that sums up stands for as many.
func (s guesses) refusals(ctx context.Context, p *drill.Play, name string) (reasons []string, err error) {
	found, err := p.Logged(ctx, map[string]any{"account": name, "event": "signin.refused"})
	for _, e := range found {
		if e.Account == name && (s.Application == "" || e.Application == s.Application) {
			reasons = append(reasons, slices.Repeat([]string{e.Reason}, e.Times())...)
		}
	}
	return reasons, err
}
