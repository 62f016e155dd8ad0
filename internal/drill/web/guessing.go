package web

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"

	"countersign/internal/drill"
)

// closing is after how many wrong answers in a row a stranger must wait: five, unless a
// deployment allows more; ten is the most that a server takes (limits.delay).
func closing(p *drill.Play) int {
	if p.Bed != nil {
		return 5
	}
	return 10
}

// atOnce is how many passwords are guessed at once.
const atOnce = 16

// victim is an account of its own for an attack that closes it to strangers. While
// Countersign is stopped nobody can be enrolled.
func victim(ctx context.Context, p *drill.Play, c *drill.Canary) (*drill.Canary, error) {
	if p.Down {
		return c, nil
	}
	return p.Enroll(ctx)
}

// guesses are what an attacker tries before the right one.
var guesses = []string{"password", "Winter2026!", "letmein123", "qwertyuiop", "iloveyou2026", "dragon-monkey", "football99", "sunshine01", "trustno1!", "starwars77"}

// guessPasswords tries a list that ends with the right password. That is not taken any
// more: the second factor is not asked for.
func (s portal) guessPasswords(ctx context.Context, p *drill.Play, c *drill.Canary) ([]drill.Try, error) {
	v, err := victim(ctx, p, c)
	if err != nil {
		return nil, err
	}
	wrong := drill.Try{Name: "the portal with a list of wrong passwords"}
	for _, g := range guesses[:closing(p)] {
		b := attacker(p, s.server)
		in, err := b.enters(ctx, b.typed(ctx, v.Name, g, ""))
		if wrong = b.tried(p, wrong.Name, in, err); in || err != nil {
			return []drill.Try{wrong}, nil
		}
	}
	return append([]drill.Try{wrong}, s.closed(ctx, p, v)...), nil
}

// racePasswords guesses many at once. No more are checked than one after another.
func (s portal) racePasswords(ctx context.Context, p *drill.Play, c *drill.Canary) ([]drill.Try, error) {
	v, err := victim(ctx, p, c)
	if err != nil {
		return nil, err
	}
	var said tally
	through, err := drill.AtOnce(atOnce, func(i int) (bool, error) {
		b := attacker(p, s.server)
		in, err := b.enters(ctx, b.typed(ctx, v.Name, fmt.Sprintf("guess number %d", i), ""))
		said.note(b.answer)
		return in, err
	})
	tries := []drill.Try{said.tried(p, fmt.Sprintf("the portal with %d wrong passwords at once", atOnce), through > 0, err)}
	if p.Down {
		return tries, nil
	}
	n, err := checked(ctx, p, v)
	most := p.Tried(fmt.Sprintf("more than %d of %d passwords at once are checked", closing(p), atOnce), n > closing(p), err)
	most.Answer = fmt.Sprintf("the log says that %d were checked", n)
	return append(append(tries, most), s.closed(ctx, p, v)...), nil
}

// tally counts the answers to what was tried many times.
type tally struct {
	mu  sync.Mutex
	all map[string]int
}

func (t *tally) note(answer string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.all == nil {
		t.all = map[string]int{}
	}
	t.all[answer]++
}

// tried is what came of all of them together.
func (t *tally) tried(p *drill.Play, name string, open bool, err error) drill.Try {
	try := p.Tried(name, open, err)
	var words []string
	for _, answer := range slices.Sorted(maps.Keys(t.all)) {
		words = append(words, fmt.Sprintf("%d times %s", t.all[answer], answer))
	}
	try.Answer = strings.Join(words, "; ")
	return try
}

// checked is how many wrong passwords of an account were compared with the right one.
func checked(ctx context.Context, p *drill.Play, c *drill.Canary) (n int, err error) {
	found, err := p.Logged(ctx, map[string]any{"event": "answer.refused", "account": c.Name})
	for _, e := range found {
		if e.Reason == "wrong" {
			n += e.Times()
		}
	}
	return n, err
}

// closed is an account after so many wrong answers that a stranger must wait: the right
// password is not taken, and its owner gets in with the passkey from the attacker's address.
// One more wrong answer comes first, so that the time to wait begins now on a slow machine.
func (s portal) closed(ctx context.Context, p *drill.Play, c *drill.Canary) []drill.Try {
	if p.Down {
		return nil
	}
	b := attacker(p, s.server)
	err := b.typed(ctx, c.Name, "one more", "")
	if err == nil {
		b = attacker(p, s.server)
		err = b.typed(ctx, c.Name, c.Password, "")
	}
	taken := b.asks("hotp")
	in, err := b.enters(ctx, err)
	tries := []drill.Try{b.tried(p, "the portal takes the right password after too many wrong ones", taken || in, err)}
	owner := attacker(p, s.server)
	if err = owner.get(ctx, s.server+"/sign-in"); err == nil {
		err = owner.passkey(ctx, c.Key)
	}
	in, err = owner.enters(ctx, err)
	return append(tries, owner.tried(p, "the guesses shut the owner's passkey out", err == nil && !in, err))
}

// mostTries is how many answers a server lets one sign-in have at most (limits.tries).
const mostTries = 20

// guessCodes has the right password and guesses codes until the sign-in is ended. From then
// on not even two right codes in a row are taken, and an alarm is raised about the account.
func (s portal) guessCodes(ctx context.Context, p *drill.Play, c *drill.Canary) ([]drill.Try, error) {
	v, err := victim(ctx, p, c)
	if err != nil {
		return nil, err
	}
	b := attacker(p, s.server)
	err = b.typed(ctx, v.Name, v.Password, "")
	var tries []drill.Try
	i := 0
	for ; err == nil && i < mostTries && b.asks("hotp"); i++ {
		code := fmt.Sprintf("%06d", (i*271_829)%1_000_000)
		alone := i == nextCode && p.Bed != nil
		if alone {
			code = v.Code()
		}
		if err = b.post(ctx, "/sign-in", "authenticator", "hotp", "text", code); err == nil && alone {
			tries = append(tries, b.tried(p, "the portal takes one right code after three wrong ones", !b.asks("hotp"), nil))
		}
	}
	tries = append(tries, b.tried(p, fmt.Sprintf("one sign-in takes %d answers", i+1), i == mostTries, err))
	in, err := b.enters(ctx, err)
	tries = append(tries, b.tried(p, "the portal with guessed codes", in, err))
	if in || err != nil || p.Down {
		return tries, nil
	}
	again := attacker(p, s.server)
	err = again.typed(ctx, v.Name, v.Password, v.Code())
	if err == nil && again.asks("hotp") {
		err = again.post(ctx, "/sign-in", "authenticator", "hotp", "text", v.Code())
	}
	in, err = again.enters(ctx, err)
	tries = append(tries, again.tried(p, "the portal takes two right codes after too many wrong ones", in, err))
	return append(tries, alarmed(ctx, p, "alarm.factor-missing", v)), nil
}

// nextCode is after how many wrong codes in a row two consecutive ones are demanded.
const nextCode = 3

// cardChallenge is what a link to where smart cards are shown ends with.
var cardChallenge = regexp.MustCompile(`/sign-in/[A-Za-z0-9_-]{43}`)

var tokens = regexp.MustCompile(`(name="form-token" value=|nonce=|"challenge":|data-passkey=|value=)"[^"]*"`)

// plain is a page without what is another each time: what must be the same for a name that
// nobody has and one that somebody has.
func (b *browser) plain(name string) string {
	return fmt.Sprint(b.status, b.at.Path, "\n", strings.ReplaceAll(cardChallenge.ReplaceAllString(tokens.ReplaceAllString(b.body, "$1"), "/sign-in/"), name, "NAME"))
}

// enumerate tells names that somebody has from those that nobody has, by what the pages say.
func (s portal) enumerate(ctx context.Context, p *drill.Play, c *drill.Canary) drill.Try {
	const name = "the portal's pages tell who has an account"
	var pages [2]string
	for i, who := range []string{c.Name, strings.Replace(c.Name, "canary", "nobody", 1)} {
		b := attacker(p, s.server)
		if err := b.typed(ctx, who, "a wrong password", ""); err != nil {
			return p.Tried(name, false, err)
		}
		pages[i] = b.plain(who)
	}
	try := p.Tried(name, pages[0] != pages[1], nil)
	try.Answer = map[bool]string{true: "the pages differ", false: "both pages are the same"}[try.Open]
	return try
}
