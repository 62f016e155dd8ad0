package web

import (
	"context"
	"errors"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"time"

	"countersign/internal/drill"
	"countersign/internal/failure"
)

// Hybrid is another organisation's identity provider, at which people sign in first. It is in the
// hands of the attacker: whatever it says, it signs with the right key.
type Hybrid struct {
	// Name is that under which it is registered.
	Name string
	// Means has it say of whoever comes next that they are somebody, that they showed two
	// factors, and that these resist phishing.
	Means func(subject string)
	// Lies are what is not to be believed whoever says it.
	Lies []Lie
	// Turns has it sign with a key that is published and that it has not signed with before, and
	// returns what undoes that; nil where keys change by an administrator's hand alone.
	Turns func() (undo func())
}

// Lie is one thing that is wrong with what a provider says.
type Lie struct {
	Name string
	// Tell has the provider say it, and returns what undoes that. Edit changes the response that
	// the browser carries. Either is nil where it does not do it.
	Tell func() (undo func())
	Edit func(response string) string
}

// Hybrid is the sign-in of the server by way of such a provider. Its owners enter as a part of the
// attack, before and after it: those of other rows, who administer at times, are linked to nobody.
func (s Server) Hybrid(h Hybrid) drill.Component {
	of := hybrid{h, string(s)}
	return drill.Component{Kind: drill.Upstream, Application: Self, Name: "sign-in by way of " + h.Name,
		Moves: map[drill.Move]drill.Attack{drill.ForgeIdentity: of.forge}}
}

type hybrid struct {
	Hybrid
	server string
}

// links links the canary to the name that the provider has for it.
func (h hybrid) links(ctx context.Context, p *drill.Play, c *drill.Canary) error {
	err := p.Admin.Do(ctx, "upstream.link", map[string]string{"name": h.Name, "account": c.Name, "subject": c.Name}, nil)
	if failure.ClassOf(err) == failure.Conflict {
		return nil // it is already
	}
	return err
}

// enter has the owner come by way of the provider, and show a code of their own.
func (h hybrid) enter(ctx context.Context, p *drill.Play, c *drill.Canary) error {
	if err := h.links(ctx, p, c); err != nil {
		return err
	}
	h.Means(c.Name)
	b := honest(p, h.server)
	if err := h.comes(ctx, b, nil); err != nil {
		return err
	}
	if !b.asks("hotp") {
		return fmt.Errorf("whoever comes from %s is not asked for a factor of their own: %s", h.Name, b.answer)
	}
	if err := b.post(ctx, "/sign-in", "authenticator", "hotp", "text", c.Code()); err != nil {
		return err
	}
	if in, err := b.inside(ctx); err != nil || !in {
		return errors.Join(fmt.Errorf("the owner does not get in from %s with a code", h.Name), err)
	}
	return nil
}

var (
	answerForm    = regexp.MustCompile(`action="([^"]+)"`)
	answerOfThem  = regexp.MustCompile(`name="SAMLResponse" value="([^"]+)"`)
	upstreamsPath = "/sign-in/upstream"
)

// comes goes to the provider and back. What comes back by a form is edited on its way.
func (h hybrid) comes(ctx context.Context, b *browser, edit func(string) string) error {
	to, response, err := h.fetches(ctx, b)
	if err != nil || to == "" {
		return err
	}
	if edit != nil {
		response = edit(response)
	}
	return b.do(ctx, http.MethodPost, to, url.Values{"SAMLResponse": {response}})
}

// fetches goes to the provider, and returns the form that it sends the browser back with; none
// where it sent it back by an address.
func (h hybrid) fetches(ctx context.Context, b *browser) (to, response string, err error) {
	if err := b.get(ctx, b.server+"/sign-in"); err != nil {
		return "", "", err
	}
	if err := b.post(ctx, upstreamsPath, "upstream", h.Name); err != nil {
		return "", "", err
	}
	action, value := answerForm.FindStringSubmatch(b.body), answerOfThem.FindStringSubmatch(b.body)
	if action == nil || value == nil {
		return "", "", nil
	}
	return html.UnescapeString(action[1]), html.UnescapeString(value[1]), nil
}

// forge has the provider say that everything is in order. It is open if that lets somebody in, or
// if what nobody may believe is believed as far as to ask for the second factor.
func (h hybrid) forge(ctx context.Context, p *drill.Play, c *drill.Canary) ([]drill.Try, error) {
	if !p.Down { // a link that its owner has not confirmed shows less
		if err := h.enter(ctx, p, c); err != nil {
			return nil, err
		}
	}
	h.Means(c.Name)
	tries := []drill.Try{h.word(ctx, p, "which says that two factors were shown, signed with its own key", "")}
	if p.Down {
		return tries, nil
	}
	tries = append(tries, h.word(ctx, p, "the same, with a guessed code", "000000"))
	for _, lie := range h.Lies {
		tries = append(tries, h.lies(ctx, p, lie))
	}
	tries = append(append(tries, h.again(ctx, p)...), h.turned(ctx, p)...)
	return tries, h.enter(ctx, p, c) // the owner still does
}

// word comes by way of the provider, and goes on with what is typed.
func (h hybrid) word(ctx context.Context, p *drill.Play, name, code string) drill.Try {
	b := attacker(p, h.server)
	err := h.comes(ctx, b, nil)
	asked := b.asks("hotp")
	if err == nil && asked && code != "" {
		err = b.post(ctx, "/sign-in", "authenticator", "hotp", "text", code)
	}
	in, err := b.enters(ctx, err)
	if err == nil && !in && !asked && !p.Down {
		err = fmt.Errorf("nobody is asked for a second factor who comes from %s: %s", h.Name, b.answer)
	}
	return b.tried(p, "the word of "+h.Name+", "+name, in, err)
}

// lies brings what is wrong. Whoever is asked for a second factor after that was believed.
func (h hybrid) lies(ctx context.Context, p *drill.Play, lie Lie) drill.Try {
	if lie.Tell != nil {
		defer lie.Tell()()
	}
	b := attacker(p, h.server)
	err := h.comes(ctx, b, lie.Edit)
	return b.tried(p, "the word of "+h.Name+", "+lie.Name, b.asks("hotp"), err)
}

// again brings a response that was taken, in the browser that it was for and in another; what
// comes by an address cannot be kept by a browser, and is the provider's to give out once.
func (h hybrid) again(ctx context.Context, p *drill.Play) []drill.Try {
	first, second := attacker(p, h.server), attacker(p, h.server)
	to, response, err := h.fetches(ctx, first)
	if err == nil && to == "" {
		return nil
	}
	brings := func(b *browser) error {
		return b.do(ctx, http.MethodPost, to, url.Values{"SAMLResponse": {response}})
	}
	if err == nil {
		err = brings(first)
	}
	if err == nil && !first.asks("hotp") {
		err = errors.New("the response is not taken the first time: " + first.answer)
	}
	if err == nil {
		_, _, err = h.fetches(ctx, second)
	}
	if err == nil {
		err = brings(second)
	}
	return []drill.Try{second.tried(p, "the word of "+h.Name+", a response that another browser used", second.asks("hotp"), err)}
}

// rekeyed is longer than keys are not fetched again for one that is not known.
const rekeyed = 20 * time.Minute

// turned has the provider sign with a key that nobody saw. That is believed, and an alarm.
func (h hybrid) turned(ctx context.Context, p *drill.Play) []drill.Try {
	if h.Turns == nil {
		return nil
	}
	defer h.Turns()()
	p.Bed.Later(rekeyed)
	defer p.Bed.Later(-rekeyed)
	count := func() (int, error) {
		found, err := p.Logged(ctx, map[string]any{"event": "alarm.upstream-key"})
		return len(found), err
	}
	before, err := count()
	b := attacker(p, h.server)
	if err == nil {
		err = h.comes(ctx, b, nil)
	}
	after, failed := count()
	if err = errors.Join(err, failed); err == nil && !b.asks("hotp") {
		err = errors.New("a key that is published is not believed: " + b.answer)
	}
	t := drill.Tried("the word of "+h.Name+", with a key that it has not signed with, and no alarm", after == before && err == nil, err)
	t.Answer = fmt.Sprintf("%d alarms", after-before)
	return []drill.Try{t}
}
