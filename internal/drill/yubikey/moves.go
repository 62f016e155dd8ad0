package yubikey

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"countersign/internal/drill"
)

// many is how many are sent at once, or one after another.
const many = 16

// asks sends a query that must not be answered OK.
func (s Validation) asks(ctx context.Context, p *drill.Play, name string, q url.Values) drill.Try {
	a, err := s.send(ctx, p, q)
	t := p.Tried(name, a.status == isOK, err)
	if err == nil {
		t.Answer = a.words()
	}
	return t
}

// nobody is what is asked while Countersign is stopped, when nobody can be given a key. Where
// one factor is enough nothing is asked: a touch is one.
func (s Validation) nobody(ctx context.Context, p *drill.Play) (tries []drill.Try, done bool) {
	if p.Down {
		tries = []drill.Try{s.asks(ctx, p, "a code of a key that is nobody's", s.query(newKey().touch()))}
	}
	return tries, p.Down || p.Unguarded
}

// replay listens to an owner's touch, and sends the request again, and the code in others.
func (s Validation) replay(ctx context.Context, p *drill.Play, _ *drill.Canary) ([]drill.Try, error) {
	if tries, done := s.nobody(ctx, p); done {
		return tries, nil
	}
	o, err := s.owner(ctx, p)
	if err != nil {
		return nil, err
	}
	q := s.query(o.touch())
	if a, err := s.send(ctx, p, q); err != nil || a.status != isOK {
		return nil, errors.Join(errNotIn, err)
	}
	tries := []drill.Try{
		s.asks(ctx, p, "every byte of a request again", q),
		s.asks(ctx, p, "its code in a request of one's own", s.query(q.Get("otp"))),
		s.asks(ctx, p, "its code in capitals", s.query(strings.ToUpper(q.Get("otp")))),
	}
	for i := range tries {
		tries[i].Detail = "captured in the program, above TLS"
	}
	return tries, nil
}

// race sends one right code many times at once: it is good once.
func (s Validation) race(ctx context.Context, p *drill.Play, _ *drill.Canary) ([]drill.Try, error) {
	if tries, done := s.nobody(ctx, p); done {
		return tries, nil
	}
	o, err := s.owner(ctx, p)
	if err != nil {
		return nil, err
	}
	otp := o.touch()
	through, err := drill.AtOnce(many, func(int) (bool, error) {
		a, err := s.send(ctx, p, s.query(otp))
		return a.status == isOK, err
	})
	if err == nil && through == 0 {
		err = errors.New("none was OK, and one is owed")
	}
	t := p.Tried(fmt.Sprintf("one right code %d times at once", many), through > 1, err)
	t.Answer = fmt.Sprintf("%d were OK", through)
	return []drill.Try{t}, nil
}

// guess makes codes of a key whose public half is known, without its secrets.
func (s Validation) guess(ctx context.Context, p *drill.Play, _ *drill.Canary) ([]drill.Try, error) {
	if tries, done := s.nobody(ctx, p); done {
		return tries, nil
	}
	victim, err := stocked(ctx, p) // whose key may rightly be closed afterwards
	if err == nil {
		err = victim.assigned(ctx, p)
	}
	if err != nil {
		return nil, err
	}
	var tries []drill.Try
	for i := range many {
		tries = append(tries, s.asks(ctx, p, fmt.Sprintf("guessed code %d of the owner's key", i+1), s.query(victim.forged().touch())))
	}
	return tries, nil
}

// madeUp is everything that a program, and those in front of it, could be made to ask.
func (s Validation) madeUp(ctx context.Context, p *drill.Play, c *drill.Canary) ([]drill.Try, error) {
	if tries, done := s.nobody(ctx, p); done {
		return tries, nil
	}
	s.heard = &heard{}
	o, err := s.owner(ctx, p)
	if err != nil {
		return nil, err
	}
	tries := []drill.Try{
		s.asks(ctx, p, "a code of a key that is nobody's", s.query(newKey().touch())),
		s.asks(ctx, p, "a wrong code of the owner's key", s.query(o.forged().touch())),
		s.asks(ctx, p, "the password of the owner", s.query(c.Password)),
	}
	made, err := s.wrongly(ctx, p, o)
	if tries = append(tries, made...); err != nil {
		return tries, err
	}
	if made, err = s.elsewhere(ctx, p, o); err != nil {
		return append(tries, made...), err
	}
	tries = append(tries, made...)
	made, err = s.stock(ctx, p)
	return append(append(tries, made...), s.heard.signed()), err
}

// wrongly asks about a right code in ways that a program would not, and then as it would:
// the code was not used up by them.
func (s Validation) wrongly(ctx context.Context, p *drill.Play, o *owner) ([]drill.Try, error) {
	skipped, otp := o.touch(), o.touch()
	var tries []drill.Try
	for _, x := range []struct {
		name string
		edit func(q url.Values)
	}{
		{"a right code without a signature", func(q url.Values) { q.Del("h") }},
		{"a right code with a wrong signature", func(q url.Values) { q.Set("h", signature(q, random(20))) }},
		{"a right code under the number of a program that there is not", func(q url.Values) { q.Set("id", "2147483646"); q.Set("h", signature(q, s.Key)) }},
		{"a right code that was changed after it was signed", func(q url.Values) { q.Set("nonce", strings.Repeat("a", 20)) }},
		{"a right code with a parameter that was added", func(q url.Values) { q.Set("sl", "0") }},
		{"a right code twice in one request", func(q url.Values) { q.Add("otp", otp) }},
	} {
		q := s.query(otp)
		x.edit(q)
		tries = append(tries, s.asks(ctx, p, x.name, q))
	}
	q := s.query(otp)
	if a, err := s.send(ctx, p, q); err != nil || a.status != isOK {
		return tries, errors.Join(errNotIn, err)
	}
	return append(tries,
		s.asks(ctx, p, "a request again", q),
		s.asks(ctx, p, "a code that was used", s.query(otp)),
		s.asks(ctx, p, "a code before it that was skipped", s.query(skipped))), nil
}

// elsewhere uses what is good at other applications: their programs' signatures, and codes
// that were used there.
func (s Validation) elsewhere(ctx context.Context, p *drill.Play, o *owner) (tries []drill.Try, _ error) {
	for _, peer := range s.Peers {
		q := s.query(o.touch())
		q.Set("h", signature(q, peer.Key))
		tries = append(tries, s.asks(ctx, p, "a right code under the signature of "+peer.Application, q))
		otp, err := peer.enters(ctx, p, o)
		if err != nil {
			return tries, err
		}
		tries = append(tries, s.asks(ctx, p, "a code that was used at "+peer.Application, s.query(otp)))
	}
	return tries, nil
}

// stock touches a key that is in stock, which whoever has access to the cupboard can.
func (s Validation) stock(ctx context.Context, p *drill.Play) ([]drill.Try, error) {
	o, err := stocked(ctx, p)
	if err != nil {
		return nil, err
	}
	return []drill.Try{s.asks(ctx, p, "a right code of a key that was given to nobody", s.query(o.touch()))}, nil
}
