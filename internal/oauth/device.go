package oauth

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/audit"
	"countersign/internal/failure"
	"countersign/internal/keyring"
	"countersign/internal/language"
	"countersign/internal/signin"
	"countersign/internal/store"
	"countersign/internal/throttle"
	"countersign/internal/ticket"
)

// Devices are programs on devices that have no browser of their own, and wait until somebody lets
// them in by another one (RFC 8628). What waits is in tickets: one that the device holds the secret
// of, and one whose secret is computed from the code that a person types. It is safe for concurrent
// use.
type Devices struct {
	db      *store.DB
	keys    *keyring.Keyring
	tickets *ticket.Tickets
	grants  *Grants
	tries   *throttle.Tries
	now     func() time.Time
	polls   polls
	asked   *throttle.Meter
}

// NewDevices makes Devices, whose yes becomes one of these grants.
func NewDevices(p Parts, grants *Grants) *Devices {
	return &Devices{db: p.DB, keys: p.Keys, tickets: p.Tickets, grants: grants, tries: p.Tries, now: p.Now,
		polls: polls{at: map[[sha256.Size]byte]poll{}}, asked: throttle.NewMeter(askedSpan)}
}

const (
	// DeviceLife is how long a device waits: as long as somebody needs who stands before it, and
	// who is sent its code by a stranger has little time (RFC 8628 section 5.4).
	DeviceLife = 5 * time.Minute
	// DeviceInterval is the least time between two questions of a device (RFC 8628 section 3.2).
	DeviceInterval = 5 * time.Second
	// mostTyped is how many codes an account may type in an hour, right ones among them: of 2.6e10
	// codes nobody finds another one's by trying.
	mostTyped, typedWindow = 10, time.Hour
	// askedSpan is in what time one source may have so many devices ask, and all sources together.
	askedSpan              = 5 * time.Minute
	mostFrom, mostAtAnyone = 30, 2000
)

// The kinds of tickets: of the device while it waits, of the code that is typed, of the answer, and
// of a device code that was turned into tokens.
const (
	waitsKind, typedKind, doneKind, spentKind = "device-waits", "device-typed", "device-done", "device-spent"
)

// Waiting is a device that waits, as it asked.
type Waiting struct {
	// Client is the application, and Scopes what it asks for.
	Client string   `json:"client"`
	Scopes []string `json:"scopes"`
	// Source is where the device asked from, and Agent what it calls itself. Nobody has checked
	// either.
	Source string    `json:"source,omitempty"`
	Agent  string    `json:"agent,omitempty"`
	Begun  time.Time `json:"begun"`
	// Code is the code that a person types, with its hyphen.
	Code string `json:"code"`

	// Device is the secret of the device's ticket: it stays in this room.
	Device string `json:"device"`
}

// From is where the device asked from; the zero address is not known.
func (w Waiting) From() netip.Addr {
	a, _ := netip.ParseAddr(w.Source) // empty is none
	return a
}

// letters are those of user codes: no vowels, so that no word comes of it, and none that is taken
// for another one (RFC 8628 section 6.1). Eight of them are 34.5 bits.
const letters, codeLetters = "BCDFGHJKLMNPQRSTVWXZ", 8

// newUserCode is a random code, such as WDJB-MJHT.
func newUserCode() string {
	out := make([]byte, 0, codeLetters+1)
	one := make([]byte, 1)
	for len(out) < codeLetters+1 {
		if len(out) == codeLetters/2 {
			out = append(out, '-')
		}
		if rand.Read(one); int(one[0]) < 256/len(letters)*len(letters) {
			out = append(out, letters[int(one[0])%len(letters)])
		}
	}
	return string(out)
}

// spelled is a code as it was made, however it was typed; what can be none is empty.
func spelled(typed string) string {
	if len(typed) > 64 {
		return ""
	}
	var b strings.Builder
	for _, r := range strings.ToUpper(typed) {
		switch {
		case strings.ContainsRune(letters, r):
			b.WriteRune(r)
		case !strings.ContainsRune("-–— \t.", r):
			return ""
		}
	}
	if b.Len() != codeLetters {
		return ""
	}
	return b.String()[:codeLetters/2] + "-" + b.String()[codeLetters/2:]
}

// secretOf is the secret of the ticket of a user code: who reads the database finds no code by
// trying all of them.
func (d *Devices) secretOf(code string) string {
	mac := d.keys.MAC(keyring.OAuth, keyring.NewFields().String("device code").String(code))
	sum := sha256.Sum256(mac)
	return base64.RawURLEncoding.EncodeToString(sum[:24])
}

// ErrBusy says that more devices ask than are let.
var ErrBusy = &failure.Error{Class: failure.Refused, Reason: "too-many-devices", Public: "Too many devices ask at once. Try again in a few minutes."}

// Ask has a device wait, and returns its secret code, which is its own alone, and the one that a
// person types. Too many of a source or of all are [ErrBusy].
func (d *Devices) Ask(ctx context.Context, w Waiting) (device string, waiting Waiting, err error) {
	w.Begun = d.now()
	if !d.asked.Take(w.Begun, "all", mostAtAnyone) || !d.asked.Take(w.Begun, "from "+w.Source, mostFrom) {
		return "", w, ErrBusy
	}
	w.Code, w.Device = newUserCode(), ticket.NewSecret()
	plain, err := json.Marshal(w)
	if err != nil {
		return "", w, err
	}
	err = d.db.Housekeep(ctx, "device.ask", func(tx *store.Tx) error {
		if _, err := d.tickets.IssueTx(ctx, tx, ticket.Spec{Kind: waitsKind, Secret: w.Device, Payload: plain, Lifetime: DeviceLife}); err != nil {
			return err
		}
		_, err := d.tickets.IssueTx(ctx, tx, ticket.Spec{Kind: typedKind, Secret: d.secretOf(w.Code), Payload: plain, Lifetime: DeviceLife})
		return err
	})
	return w.Device, w, err
}

// The refusals of a code that somebody typed.
var (
	ErrNoDevice = &failure.Error{Class: failure.Refused, Reason: "unknown-code", Public: "No device waits with this code, or not any more. Have the device show a new one."}
	ErrTyped    = &failure.Error{Class: failure.Refused, Reason: "too-many-tries", Public: "You typed too many codes. Try again in an hour."}
)

// Typed returns the device that waits with a code that somebody typed, and spends one of the
// account's tries, before the code is looked at.
func (d *Devices) Typed(ctx context.Context, account assurance.AccountID, code string) (Waiting, error) {
	n := 0
	err := d.db.Housekeep(ctx, "device.try", func(tx *store.Tx) (err error) {
		n, err = d.tries.Count(ctx, tx, fmt.Sprintf("device/%d", account), typedWindow)
		return err
	})
	switch {
	case err != nil:
		return Waiting{}, err
	case n > mostTyped:
		return Waiting{}, ErrTyped
	}
	return d.Waits(ctx, code)
}

// Waits returns the device that waits with a code, as it was shown to somebody who typed it.
func (d *Devices) Waits(ctx context.Context, code string) (Waiting, error) {
	own := spelled(code)
	if own == "" {
		return Waiting{}, ErrNoDevice
	}
	t, err := d.tickets.Peek(ctx, typedKind, d.secretOf(own))
	return waiting(t, err)
}

func waiting(t ticket.Ticket, err error) (w Waiting, _ error) {
	if failure.ClassOf(err) == failure.Refused {
		return w, ErrNoDevice
	}
	if err == nil {
		err = json.Unmarshal(t.Payload, &w)
	}
	return w, err
}

// answered is what a device is told: the code of what it was given, or that it was refused.
type answered struct {
	Code    string `json:"code,omitempty"`
	Refused bool   `json:"refused,omitempty"`
}

// Approve lets a waiting device in for a grant of the engine, once: whoever comes second, and who
// comes after its time, gets [ErrNoDevice]. The account's owner is told.
func (d *Devices) Approve(ctx context.Context, by signin.Grant, w Waiting, s Spec) error {
	if by.Session() == "" {
		return errNoSession
	}
	if by.Application() != w.Client || !subset(s.Scopes, w.Scopes) {
		return errOther
	}
	s.Device = true
	until, err := until(ctx, d.grants.sessions, by, s)
	if err != nil {
		return err
	}
	return d.db.Change(ctx, by.Actor(), func(tx *store.Tx) error {
		if err := d.take(ctx, tx, w); err != nil {
			return err
		}
		g, code, err := s.beginTx(ctx, tx, d.grants, by, until)
		if err != nil {
			return err
		}
		if err := d.answer(ctx, tx, w, answered{Code: code}); err != nil {
			return err
		}
		en := g.logged("client.device-approved", audit.OK, "")
		en.Detail["scopes"], en.Detail["device"] = strings.Join(s.Scopes, " "), w.Source
		if err := tx.Record(en); err != nil || d.grants.tell == nil {
			return err
		}
		return d.grants.tell(ctx, tx, g.Account, language.Say("A device was signed in with your account"),
			language.Say("You let a device in to %s, by the code %s. If that was not you, or somebody else sent you that code, report it.", w.Client, w.Code))
	})
}

// Refuse tells a waiting device that somebody does not let it in, and writes that down: somebody may
// have been sent its code.
func (d *Devices) Refuse(ctx context.Context, by signin.Grant, w Waiting) error {
	return d.db.Change(ctx, by.Actor(), func(tx *store.Tx) error {
		if err := d.take(ctx, tx, w); err != nil {
			return err
		}
		if err := d.answer(ctx, tx, w, answered{Refused: true}); err != nil {
			return err
		}
		return tx.Record(audit.Entry{Event: "client.device-refused", Outcome: audit.Refused, Reason: "by-person", Account: int64(by.Account()), AccountName: by.Name(), Application: w.Client,
			Protocol: "oidc", Source: by.SourceText(), Detail: map[string]string{"device": w.Source}})
	})
}

func (d *Devices) take(ctx context.Context, tx *store.Tx, w Waiting) error {
	_, err := waiting(d.tickets.TakeTx(ctx, tx, typedKind, d.secretOf(w.Code)))
	return err
}

func (d *Devices) answer(ctx context.Context, tx *store.Tx, w Waiting, a answered) error {
	plain, err := json.Marshal(a)
	if err != nil {
		return err
	}
	_, err = d.tickets.IssueTx(ctx, tx, ticket.Spec{Kind: doneKind, Secret: w.Device, Payload: plain, Lifetime: DeviceLife})
	return err
}

// What a device is told that has no tokens yet (RFC 8628 section 3.5).
var (
	ErrPending = &failure.Error{Class: failure.Refused, Reason: "pending", Public: "Nobody has answered yet."}
	ErrSlower  = &failure.Error{Class: failure.Refused, Reason: "slower", Public: "The device asks too often."}
	ErrDenied  = &failure.Error{Class: failure.Refused, Reason: "denied", Public: "The person did not let the device in."}
)

// Poll returns what a device was given, by its secret code, once: a code that comes again is an error
// of [IsReused] with its grant. By another client than the one that asked it is an error of
// [IsStolen], and nobody gets anything for it any more.
func (d *Devices) Poll(ctx context.Context, client, device string) (*Given, error) {
	w, err := waiting(d.tickets.Peek(ctx, waitsKind, device))
	if failure.ClassOf(err) == failure.Refused {
		return d.spent(ctx, client, device)
	}
	switch {
	case err != nil:
		return nil, err
	case w.Client != client:
		return nil, d.stolen(ctx, w)
	case d.polls.early(device, d.now()):
		return nil, ErrSlower
	}
	a, err := d.collect(ctx, w)
	switch {
	case failure.ClassOf(err) == failure.Refused:
		return nil, ErrPending
	case err != nil:
		return nil, err
	case a.Refused:
		return nil, ErrDenied
	}
	return d.grants.ByCode(ctx, client, a.Code)
}

// collect takes the answer to a device, once.
func (d *Devices) collect(ctx context.Context, w Waiting) (a answered, err error) {
	err = d.db.Housekeep(ctx, "device.collect", func(tx *store.Tx) error {
		t, err := d.tickets.TakeTx(ctx, tx, doneKind, w.Device)
		if err != nil {
			return err
		}
		if _, err := d.tickets.TakeTx(ctx, tx, waitsKind, w.Device); err != nil {
			return err
		}
		_, err = d.tickets.IssueTx(ctx, tx, ticket.Spec{Kind: spentKind, Secret: w.Device, Payload: t.Payload, Lifetime: DeviceLife})
		if err == nil {
			err = json.Unmarshal(t.Payload, &a)
		}
		return err
	})
	return a, err
}

// spent says what came of a device code that does not wait: it was used, or is over.
func (d *Devices) spent(ctx context.Context, client, device string) (*Given, error) {
	t, err := d.tickets.Peek(ctx, spentKind, device)
	if err != nil {
		return nil, err
	}
	var a answered
	if err := json.Unmarshal(t.Payload, &a); err != nil {
		return nil, err
	}
	if a.Refused {
		return nil, ErrDenied
	}
	g, err := d.grants.ByCode(ctx, client, a.Code)
	if err == nil {
		err = ErrPending // its tokens are being issued, to whoever came first
	}
	return g, err
}

// stolen ends a device code that came by another client.
func (d *Devices) stolen(ctx context.Context, w Waiting) error {
	err := d.db.Housekeep(ctx, "device.stolen", func(tx *store.Tx) error {
		for kind, secret := range map[string]string{waitsKind: w.Device, typedKind: d.secretOf(w.Code), doneKind: w.Device} {
			if _, err := d.tickets.TakeTx(ctx, tx, kind, secret); err != nil && failure.ClassOf(err) != failure.Refused {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return errOtherClient
}

// polls remember how often devices ask, on this server.
type polls struct {
	mu sync.Mutex
	at map[[sha256.Size]byte]poll
}

type poll struct {
	next     time.Time
	interval time.Duration
}

// mostPolls bounds the memory: beyond it what is over is forgotten.
const mostPolls = 2 * mostAtAnyone

// early reports whether a device asks before its time, and has it wait five seconds longer each time
// from then on (RFC 8628 section 3.5).
func (p *polls) early(device string, now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.at) >= mostPolls {
		for key, one := range p.at {
			if now.Sub(one.next) > DeviceLife {
				delete(p.at, key)
			}
		}
	}
	key := sha256.Sum256([]byte(device))
	one, known := p.at[key]
	if !known {
		one.interval = DeviceInterval
	}
	early := known && now.Before(one.next)
	if early {
		one.interval += DeviceInterval
	}
	one.next = now.Add(one.interval)
	p.at[key] = one
	return early
}
