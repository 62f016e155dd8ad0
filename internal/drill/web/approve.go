package web

import (
	"context"
	"errors"
	"fmt"
	"html"
	"regexp"
	"strings"

	"countersign/internal/drill"
	"countersign/internal/virtualauth"
)

const (
	pagesAsked = 3
	// NumbersTried is how many numbers Tap guesses.
	NumbersTried = 40
)

var numberOnPage = regexp.MustCompile(`class="transfer"[^>]*>(\d{6})<`)

// Owner is somebody in a browser, who approves what waits there and elsewhere.
type Owner struct {
	b   *browser
	key *virtualauth.Key
}

// Owner signs the canary's owner in with the passkey.
func (s Server) Owner(ctx context.Context, p *drill.Play, c *drill.Canary) (*Owner, error) {
	b := honest(p, string(s))
	if err := b.get(ctx, b.server+"/sign-in"); err != nil {
		return nil, err
	}
	return &Owner{b, c.Key}, b.passkey(ctx, c.Key)
}

// Numbers has an attacker ask for approval in one browser after another, and returns the
// numbers that they are shown.
func (s Server) Numbers(ctx context.Context, p *drill.Play, c *drill.Canary) (map[string]bool, error) {
	shown := map[string]bool{}
	for range pagesAsked {
		b := attacker(p, string(s))
		if err := b.typed(ctx, c.Name, c.Password, ""); err != nil {
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

// Waiting counts the numbers under which something waits, if their owner types each.
func (o *Owner) Waiting(ctx context.Context, shown map[string]bool) (n int, err error) {
	for number := range shown {
		if err := o.b.get(ctx, o.b.server+"/account/approve"); err != nil {
			return n, err
		}
		if err := o.b.post(ctx, "/account/approve", "number", number); err != nil {
			return n, err
		}
		if o.b.says(found) {
			n++
		}
	}
	return n, nil
}

// found is what a page says of a number under which something waits.
const found = "This waits for you"

var waitingField = regexp.MustCompile(`name="action" value="sign-in.approve"><input type="hidden" name="object" value="([^"]+)"`)

// Led has the owner approve, with the passkey, something that was put together for them: what
// waits, under a number that they never saw. It reports whether that was taken.
func (o *Owner) Led(ctx context.Context, shown map[string]bool) (bool, error) {
	for number := range shown {
		if err := o.b.get(ctx, o.b.server+"/account/approve"); err != nil {
			return false, err
		}
		if err := o.b.post(ctx, "/account/approve", "number", number); err != nil {
			return false, err
		}
		m := waitingField.FindStringSubmatch(o.b.body)
		if m == nil {
			continue // it waits no more
		}
		other := map[bool]string{true: "271829", false: "271828"}[number == "271828"]
		object := strings.Replace(html.UnescapeString(m[1]), "number "+number, "number "+other, 1)
		if err := o.b.post(ctx, "/account/do", "action", "sign-in.approve", "object", object); err != nil {
			return false, err
		}
		if strings.HasPrefix(o.b.at.Path, "/sign-in") {
			if err := o.b.passkey(ctx, o.key); err != nil {
				return false, err
			}
		}
		return o.b.says("Approved."), nil
	}
	return false, errors.New("nothing waits that an owner could be led to approve")
}

// Tap types, [NumbersTried] times, what is no number that was shown, and counts what was
// found under it.
func (o *Owner) Tap(ctx context.Context, shown map[string]bool) (n int) {
	for i := range NumbersTried {
		number := fmt.Sprintf("%06d", (i*271_829)%1_000_000)
		if i == 0 {
			number = "" // nothing but the button
		}
		if shown[number] || o.b.get(ctx, o.b.server+"/account/approve") != nil {
			continue
		}
		if o.b.post(ctx, "/account/approve", "number", number) == nil && o.b.says(found) {
			n++
		}
	}
	return n
}

// wasReported is what the portal says of a report that switched the password off.
const wasReported = "your password was switched off"

// Report says of the newest entry of the history that it was not them, as whoever is asked
// too often should, and proves it with the passkey where the page wants that.
func (o *Owner) Report(ctx context.Context) error {
	err := o.b.report(ctx, func() error {
		if !strings.HasPrefix(o.b.at.Path, "/sign-in") {
			return nil // what was shown to sign in is enough
		}
		return o.b.passkey(ctx, o.key)
	})
	if err != nil {
		return err
	}
	if !o.b.says(wasReported) {
		return fmt.Errorf("the report was not taken (%d, %s)", o.b.status, o.b.title())
	}
	return nil
}
