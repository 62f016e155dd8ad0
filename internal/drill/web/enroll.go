package web

import (
	"context"
	"encoding/base32"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"countersign/internal/drill"
)

// setup is a browser in which an account gets what it signs in with.
type setup struct{ *browser }

// enroll gives a new account password, code generator and passkey.
func (s portal) enroll(ctx context.Context, p *drill.Play, c *drill.Canary) error {
	b := setup{honest(p, s.server)}
	led, err := b.welcome(ctx, c.Link)
	if err != nil {
		return err
	}
	if !led {
		return fmt.Errorf("the welcome link does not lead to setting up but to %s (%d, %s)", b.at.Path, b.status, b.title())
	}
	if err := b.setPassword(ctx, c); err != nil {
		return err
	}
	if err := b.setGenerator(ctx, c); err != nil {
		return err
	}
	// By now the account has two factors, and what the link opened is closed.
	if err := b.typed(ctx, c.Name, c.Password, c.Code()); err != nil {
		return err
	}
	if err := b.setPasskey(ctx, c); err != nil {
		return err
	}
	c.Jar = b.client.Jar
	return nil
}

// welcome follows a welcome link, and reports whether it leads to setting up.
func (b *browser) welcome(ctx context.Context, link string) (bool, error) {
	if err := b.get(ctx, link); err != nil {
		return false, err
	}
	_, code, _ := strings.Cut(link, "code=")
	if err := b.post(ctx, "/welcome", "code", code); errors.Is(err, errNoForm) {
		return false, nil // a link that is no longer good
	} else if err != nil {
		return false, err
	}
	return strings.HasPrefix(b.at.Path, "/account"), nil
}

func (b setup) setPassword(ctx context.Context, c *drill.Canary) error {
	if err := b.post(ctx, "/account/do", "action", "authenticator.enroll", "object", "password"); err != nil {
		return err
	}
	if err := b.post(ctx, "/account/setup", "authenticator", "password", "text", c.Password); err != nil {
		return err
	}
	return b.added("the password")
}

var secretField = regexp.MustCompile(`<code class="secret">([A-Z2-7 ]+)</code>`)

func (b setup) setGenerator(ctx context.Context, c *drill.Canary) error {
	if err := b.post(ctx, "/account/do", "action", "authenticator.enroll", "object", "hotp"); err != nil {
		return err
	}
	if err := b.seeds(c); err != nil {
		return err
	}
	if err := b.post(ctx, "/account/setup", "authenticator", "hotp", "text", c.Code()); err != nil {
		return err
	}
	return b.added("the code generator")
}

// seeds begins a code generator with the secret that the page shows.
func (b setup) seeds(c *drill.Canary) error {
	m := secretField.FindStringSubmatch(b.body)
	if m == nil {
		return fmt.Errorf("no secret is shown for the code generator (%d, %s)", b.status, b.title())
	}
	secret, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(strings.ReplaceAll(m[1], " ", ""))
	if err != nil {
		return err
	}
	c.Seed(secret)
	return nil
}

func (b setup) setPasskey(ctx context.Context, c *drill.Canary) error {
	if err := b.get(ctx, b.server+"/account"); err != nil {
		return err
	}
	if err := b.post(ctx, "/account/do", "action", "authenticator.enroll", "object", "passkey"); err != nil {
		return err
	}
	options, err := b.options()
	if err != nil {
		if !b.asks("hotp") && !b.asks("password") {
			return err
		}
		if err := b.prove(ctx, c); err != nil {
			return err
		}
		if options, err = b.options(); err != nil {
			return err
		}
	}
	answer, err := c.Key.Create(b.origin(), options)
	if err != nil {
		return err
	}
	if err := b.post(ctx, "/account/setup", "authenticator", "passkey", "data", string(answer)); err != nil {
		return err
	}
	return b.added("the passkey")
}
