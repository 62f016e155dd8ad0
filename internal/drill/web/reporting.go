package web

import (
	"context"
	"errors"
	"fmt"
	"html"
	"regexp"
	"slices"
	"strings"
	"time"

	"countersign/internal/drill"
)

var (
	doubtfulEntry = regexp.MustCompile(`name="action" value="report.not-me"><input type="hidden" name="object" value="(\d+)"`)
	pressedText   = regexp.MustCompile(`name="text" value="([^"]*)"`)
)

// leaked is somebody whose password others know. They are told, and say that it was not them:
// from then on the password is taken nowhere, until they have set another.
func (s portal) leaked(ctx context.Context, p *drill.Play) ([]drill.Try, error) {
	owner, err := p.Enroll(ctx)
	if err != nil {
		return nil, err
	}
	var read func(context.Context) ([]string, error)
	if p.Bed != nil {
		if read, err = p.Bed.Mailbox(ctx, owner.Name); err != nil {
			return nil, err
		}
		p.Bed.Later(matured) // so that the passkey alone sets another password
	}
	thief := attacker(p, s.server)
	in, err := s.exhausted(ctx, thief, owner)
	tries := []drill.Try{thief.tried(p, "the portal with a password that leaked", in, err), alarmed(ctx, p, "alarm.factor-missing", owner)}
	if read != nil {
		mails, err := read(ctx)
		told := slices.ContainsFunc(mails, func(subject string) bool { return strings.HasPrefix(subject, "Somebody used your password") })
		tries = append(tries, mailed(p, "the owner is not told that somebody has the password", mails, err == nil && !told, err))
	}
	b := honest(p, s.server)
	if err := reported(ctx, b, owner); err != nil {
		return tries, err
	}
	tries = append(tries, alarmed(ctx, p, "alarm.not-me", owner), s.taken(ctx, p, "the password is taken after its owner reported it", owner))
	if p.Bed == nil {
		return tries, nil
	}
	changed := *owner
	changed.Password += " another"
	if err := setAnother(ctx, b, &changed); err != nil {
		return tries, fmt.Errorf("the owner cannot set another password: %w", err)
	}
	return append(tries, s.taken(ctx, p, "the old password is taken after its owner set another", owner)), nil
}

// taken types a name and a password from an address of its own where there are many, and sees
// whether more is asked for.
func (s portal) taken(ctx context.Context, p *drill.Play, name string, c *drill.Canary) drill.Try {
	b := attacker(p, s.server)
	err := b.typed(ctx, c.Name, c.Password, "")
	more := b.asks("hotp")
	in, err := b.enters(ctx, err)
	return b.tried(p, name, more || in, err)
}

// told is how long an entry may take from the moment at which it was written to the page of
// the history: it is numbered meanwhile.
const told = 15 * time.Second

// history finds what can be reported on the page of the history, as soon as it is there.
func (b *browser) history(ctx context.Context) ([]string, error) {
	for end := time.Now().Add(told); ; {
		if err := b.get(ctx, b.server+"/account/history"); err != nil {
			return nil, err
		}
		if m := doubtfulEntry.FindStringSubmatch(b.body); m != nil {
			return m, nil
		}
		if time.Now().After(end) {
			return nil, errors.New("there is nothing in the owner's history that can be reported")
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// report says of the newest entry of the history that could have been somebody else that it
// was not its owner, and has that proved where the page asks for it.
func (b *browser) report(ctx context.Context, prove func() error) error {
	m, err := b.history(ctx)
	if err != nil {
		return err
	}
	said := []string{"action", "report.not-me", "object", m[1]}
	if err := b.post(ctx, "/account/do", said...); err != nil {
		return err
	}
	text := pressedText.FindStringSubmatch(b.body)
	if text == nil {
		return errors.New("what is reported is not shown")
	}
	if err := b.post(ctx, "/account/do", append(said, "text", html.UnescapeString(text[1]))...); err != nil {
		return err
	}
	return prove()
}

// reported signs an owner in with the passkey, who reports what others did.
func reported(ctx context.Context, b *browser, c *drill.Canary) error {
	if err := b.get(ctx, b.server+"/sign-in"); err != nil {
		return err
	}
	if err := b.passkey(ctx, c.Key); err != nil {
		return err
	}
	if err := b.report(ctx, func() error { return proveIt(ctx, b, c) }); err != nil {
		return err
	}
	if !b.says("Thank you.") {
		return fmt.Errorf("the owner's report is not taken (%d, %s)", b.status, b.title())
	}
	return nil
}

// proveIt answers with the passkey where the page asks for it, and with password and code
// where a new passkey does not count yet.
func proveIt(ctx context.Context, b *browser, c *drill.Canary) error {
	switch {
	case !strings.HasPrefix(b.at.Path, "/sign-in"):
		return nil // what was shown to sign in is enough
	case passkeyForm.MatchString(b.body):
		return b.passkey(ctx, c.Key)
	}
	return b.prove(ctx, c)
}

// setAnother sets another password, with the passkey.
func setAnother(ctx context.Context, b *browser, c *drill.Canary) error {
	if err := b.get(ctx, b.server+"/account"); err != nil {
		return err
	}
	if err := b.post(ctx, "/account/do", "action", "authenticator.enroll", "object", "password"); err != nil {
		return err
	}
	if err := proveIt(ctx, b, c); err != nil {
		return err
	}
	if err := b.post(ctx, "/account/setup", "authenticator", "password", "text", c.Password); err != nil {
		return err
	}
	return b.added("the password")
}
