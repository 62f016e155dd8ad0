package drill

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1" //nolint:gosec // HOTP is made of it (RFC 4226)
	"encoding/base32"
	"encoding/binary"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"countersign/internal/softkey"
)

// scene is one row's play: a stage, and a canary on it whose password the
// attacker knows.
type scene struct {
	Stage
	admin Administrator
	bed   Bed
	// unguarded says that this is the control arm, down that Countersign is
	// stopped.
	unguarded, down bool
	canary          *canary
	made            []string
	list            *handed // of the canary, where the row has one
	local           string  // its password at the host
}

// canary is an account that nobody needs.
type canary struct {
	name, password string
	secret         []byte // of its code generator
	counter        uint64
	key            *softkey.Key
	link           string // the welcome link that it began with
	// kept is a browser that signed in fully, for attacks with a stolen session.
	kept *browser
}

// code is the next code of the generator (RFC 4226 section 5.3).
func (c *canary) code() string {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], c.counter)
	c.counter++
	m := hmac.New(sha1.New, c.secret)
	m.Write(b[:])
	h := m.Sum(nil)
	at := h[len(h)-1] & 15
	return fmt.Sprintf("%06d", (binary.BigEndian.Uint32(h[at:])&0x7fffffff)%1_000_000)
}

func newScene(ctx context.Context, stage Stage, admin Administrator) (*scene, error) {
	s := &scene{Stage: stage, admin: admin}
	c, err := s.enroll(ctx)
	if err != nil {
		s.close(ctx)
		return nil, err
	}
	s.canary = c
	return s, nil
}

// close takes the canaries away.
func (s *scene) close(ctx context.Context) {
	if s.list != nil {
		s.admin.Do(ctx, "offline.revoke", map[string]string{"host": host, "login": s.canary.name, "reason": "the drill is over"}, nil) //nolint:errcheck // a list of nobody is left over at worst
	}
	for _, name := range s.made {
		s.admin.Do(ctx, "group.member.remove", map[string]string{"group": "administrators", "account": name}, nil) //nolint:errcheck // few ever were
		s.admin.Do(ctx, "account.remove", map[string]string{"name": name}, nil)                                    //nolint:errcheck // a suspended canary is left over at worst
	}
}

type pass struct {
	Link string `json:"link"`
	Code string `json:"code"`
}

// account makes an account with a pass and nothing else.
func (s *scene) account(ctx context.Context) (*canary, error) {
	tag := strings.ToLower(rand.Text()[:8])
	c := &canary{name: "canary-" + tag, password: "canary " + rand.Text(), key: &softkey.Key{}}
	if err := s.admin.Do(ctx, "account.create", map[string]any{"name": c.name, "display": "Drill " + c.name}, nil); err != nil {
		return nil, err
	}
	s.made = append(s.made, c.name)
	var p pass
	if err := s.admin.Do(ctx, "pass.issue", map[string]any{"account": c.name, "note": "a drill"}, &p); err != nil {
		return nil, err
	}
	c.link = p.Link
	return c, nil
}

// enroll makes a canary with password, code generator and passkey.
func (s *scene) enroll(ctx context.Context) (*canary, error) {
	c, err := s.account(ctx)
	if err != nil {
		return nil, err
	}
	b := s.browse(false)
	if err := s.welcome(ctx, b, c.link); err != nil {
		return nil, err
	}
	if err := s.setPassword(ctx, b, c); err != nil {
		return nil, err
	}
	if err := s.setGenerator(ctx, b, c); err != nil {
		return nil, err
	}
	// By now the account has two factors, and what the link opened is closed.
	if err := b.typed(ctx, c.name, c.password, c.code()); err != nil {
		return nil, err
	}
	if err := s.setPasskey(ctx, b, c); err != nil {
		return nil, err
	}
	c.kept = b
	return c, nil
}

// welcome follows a welcome link.
func (s *scene) welcome(ctx context.Context, b *browser, link string) error {
	if err := b.get(ctx, link); err != nil {
		return err
	}
	_, code, _ := strings.Cut(link, "code=")
	if err := b.post(ctx, "/welcome", "code", code); err != nil {
		return err
	}
	if !strings.HasPrefix(b.at.Path, "/account") {
		return fmt.Errorf("the welcome link does not lead to setting up but to %s (%d, %s)", b.at.Path, b.status, b.title())
	}
	return nil
}

func (s *scene) setPassword(ctx context.Context, b *browser, c *canary) error {
	if err := b.post(ctx, "/account/do", "action", "authenticator.enroll", "object", "password"); err != nil {
		return err
	}
	if err := b.post(ctx, "/account/setup", "authenticator", "password", "text", c.password); err != nil {
		return err
	}
	return b.added("the password")
}

var secretField = regexp.MustCompile(`<code class="secret">([A-Z2-7 ]+)</code>`)

func (s *scene) setGenerator(ctx context.Context, b *browser, c *canary) error {
	if err := b.post(ctx, "/account/do", "action", "authenticator.enroll", "object", "hotp"); err != nil {
		return err
	}
	m := secretField.FindStringSubmatch(b.body)
	if m == nil {
		return errors.New("no secret is shown for the code generator")
	}
	secret, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(strings.ReplaceAll(m[1], " ", ""))
	if err != nil {
		return err
	}
	c.secret = secret
	if err := b.post(ctx, "/account/setup", "authenticator", "hotp", "text", c.code()); err != nil {
		return err
	}
	return b.added("the code generator")
}

func (s *scene) setPasskey(ctx context.Context, b *browser, c *canary) error {
	if err := b.get(ctx, s.Server+"/account"); err != nil {
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
		if err := s.prove(ctx, b, c); err != nil {
			return err
		}
		if options, err = b.options(); err != nil {
			return err
		}
	}
	answer, err := c.key.Create(b.origin(), options)
	if err != nil {
		return err
	}
	if err := b.post(ctx, "/account/setup", "authenticator", "passkey", "data", string(answer)); err != nil {
		return err
	}
	return b.added("the passkey")
}

// prove answers the sign-in pages with password and code until they are done.
func (s *scene) prove(ctx context.Context, b *browser, c *canary) error {
	for range 3 {
		switch {
		case b.asks("password"):
			if err := b.post(ctx, "/sign-in", "authenticator", "password", "text", c.password); err != nil {
				return err
			}
		case b.asks("hotp"):
			if err := b.post(ctx, "/sign-in", "authenticator", "hotp", "text", c.code()); err != nil {
				return err
			}
		default:
			return nil
		}
	}
	return nil
}

func (b *browser) added(what string) error {
	if !b.says("Added: ") {
		return fmt.Errorf("%s could not be enrolled", what)
	}
	return nil
}

// passkey signs in with a passkey, on the page that it is on.
func (b *browser) passkey(ctx context.Context, key *softkey.Key) error {
	options, err := b.options()
	if err != nil {
		return err
	}
	answer, err := key.Get(b.origin(), options)
	if err != nil {
		return err
	}
	return b.post(ctx, "/sign-in", "authenticator", "passkey", "data", string(answer))
}

// honest has the canary's owner sign in by every way that there is.
func (s *scene) honest(ctx context.Context) Proof {
	b := s.browse(false)
	if err := b.get(ctx, s.Server+"/sign-in"); err != nil {
		return Proof{Failed, err.Error()}
	}
	if err := b.passkey(ctx, s.canary.key); err != nil {
		return Proof{Failed, "with the passkey: " + err.Error()}
	}
	if !b.inside(ctx) {
		return Proof{Failed, "the owner does not get in with the passkey"}
	}
	ways := []string{"the portal"}
	if s.Page != "" {
		if !b.reads(ctx, s.Page) {
			return Proof{Failed, "the owner does not get to the page with the passkey"}
		}
		ways = append(ways, "the page")
	}
	if s.Radius != "" {
		// By typed codes somebody else than whoever was attacked: their codes may
		// rightly have been switched off.
		other, err := s.enroll(ctx)
		if err != nil {
			return Proof{Failed, err.Error()}
		}
		if in, err := s.vpn(ctx, other.name, other.password, other.code()); err != nil || !in {
			return Proof{Failed, fmt.Sprintf("another person does not get in by RADIUS with password and code (%v)", err)}
		}
		ways = append(ways, "RADIUS")
	}
	return Proof{Passed, "got in to " + strings.Join(ways, ", ")}
}

// entry is what a drill reads of the log.
type entry struct {
	Seq     int64     `json:"seq"`
	Time    time.Time `json:"time"`
	Event   string    `json:"event"`
	Outcome string    `json:"outcome"`
	Reason  string    `json:"reason"`
	Attempt string    `json:"attempt"`
}

// mark returns when the newest entry was written. Numbers would not do: where
// several servers write, an entry is numbered a moment later.
func (s *scene) mark(ctx context.Context) (time.Time, error) {
	page, err := s.search(ctx, map[string]any{"limit": 1})
	if err != nil || len(page) == 0 {
		return time.Time{}, err
	}
	return page[0].Time, nil
}

func (s *scene) search(ctx context.Context, in map[string]any) ([]entry, error) {
	var page struct {
		Entries []entry `json:"entries"`
	}
	err := s.admin.Do(ctx, "audit.search", in, &page)
	return page.Entries, err
}

// audited looks for what the log says of the attack since a mark.
func (s *scene) audited(ctx context.Context, since time.Time, d drill) Proof {
	if len(d.events) == 0 {
		found, err := s.search(ctx, map[string]any{"outcome": "refused", "limit": 100})
		return told(found, since, "", err)
	}
	var all []string
	for i, event := range slices.Concat(d.events, d.after) {
		what := map[string]any{"event": event, "limit": 100}
		if i < len(d.events) {
			what["account"] = s.canary.name
		}
		found, err := s.search(ctx, what)
		p := told(found, since, event, err)
		if p.State != Passed {
			return p
		}
		all = append(all, p.Detail)
	}
	return Proof{Passed, strings.Join(all, "; ")}
}

func told(found []entry, since time.Time, event string, err error) Proof {
	if err != nil {
		return Proof{Failed, err.Error()}
	}
	n := 0
	reasons := map[string]bool{}
	for _, e := range found {
		if e.Time.After(since) {
			n++
			reasons[e.Reason] = true
		}
	}
	if n == 0 {
		return Proof{Failed, "the log does not tell of it: no entry " + event}
	}
	var words []string
	for r := range reasons {
		words = append(words, r)
	}
	slices.Sort(words)
	if event != "" {
		event = " " + event
	}
	return Proof{Passed, fmt.Sprintf("%d entries%s: %s", n, event, strings.Join(words, ", "))}
}
