package openid

import (
	"context"
	"fmt"
	"net/http"
	"net/url"

	"countersign/internal/drill"
)

// Component is the application as a component of a stage.
func (c Client) Component() drill.Component {
	moves := map[drill.Move]drill.Attack{}
	if c.Code {
		moves[drill.CloneCode] = c.typed
	}
	if c.Mail {
		moves[drill.ReadMail] = c.typed
	}
	return drill.Component{Kind: drill.OpenID, Application: c.Application, Name: c.name(),
		Doors: []drill.Door{{Name: c.name(), Guess: c.guess}}, Moves: moves, Enter: c.enter, Check: c.check}
}

// name is what coverage calls its entrance.
func (c Client) name() string { return "OpenID Connect for " + c.Application }

// enter has the owner sign in with the passkey, and the application learn who it is.
func (c Client) enter(ctx context.Context, p *drill.Play, owner *drill.Canary) error {
	_, err := c.Signs(ctx, p, owner)
	return err
}

// guess signs in where the application's request leads.
func (c Client) guess(ctx context.Context, p *drill.Play, g *drill.Guess) []drill.Try {
	return []drill.Try{c.types(ctx, p, c.name(), g.Name, g.Password, "000000")} // which the log tells of
}

// types signs in with what an attacker has. It is open if the application is given a token.
func (c Client) types(ctx context.Context, p *drill.Play, name, who, password, code string) drill.Try {
	got, said, err := c.Guesses(ctx, p, who, password, code)
	t := p.Tried(name, got.Access != "", err)
	t.Answer = said
	return t
}

// typed is a stolen password, alone and with a code that is guessed.
func (c Client) typed(ctx context.Context, p *drill.Play, owner *drill.Canary) ([]drill.Try, error) {
	return []drill.Try{c.types(ctx, p, c.name()+" with the password alone", owner.Name, owner.Password, ""),
		c.types(ctx, p, c.name()+" with the password and a guessed code", owner.Name, owner.Password, "000000")}, nil
}

// check asks for a sign-in as its browser does, which must lead to the page for that.
func (c Client) check(ctx context.Context) error {
	r, err := ask(ctx, &drill.Play{}, true, http.MethodGet, c.begin().address, nil, nil)
	if err != nil {
		return fmt.Errorf("%s cannot be asked at %s (%w)", c.name(), c.Server, err)
	}
	to, err := url.Parse(r.header.Get("Location"))
	if err == nil && to.Query().Get("error") == "" && (r.status < 400 || r.status == http.StatusUnauthorized) {
		return nil
	}
	return fmt.Errorf("%s is not let in to ask as %s: %s; the settings here are of another installation, or its requests must be pushed or signed", c.name(), c.ID, r.said)
}
