// Package session keeps the evidence that a browser has shown.
//
// It owns the table session, the cookies' names, the handing of a session to
// another host, and the continuations: where a browser was going when it had to sign
// in. It decides nothing: a session is started from a Grant and read by the
// engine, which decides anew each time. Its one invariant: a session's secret
// is in the browser alone (only its hash is stored), it changes whenever the
// session gains evidence, and an ended session holds nothing.
//
// It is in pieces, by who uses them: [Sessions] begins and reads, [Endings] ends,
// [Handovers] hands to other hosts, [Continuations] keeps where a browser was going.
package session

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"strconv"
	"strings"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/audit"
	"countersign/internal/failure"
	"countersign/internal/keyring"
	"countersign/internal/signin"
	"countersign/internal/store"
	"countersign/internal/ticket"
)

// Cookie returns the name of the session cookie. Over https it is bound to its
// host by the __Host- prefix (RFC 6265bis section 4.1.3.2).
func Cookie(secure bool) string {
	if secure {
		return "__Host-countersign"
	}
	return "countersign"
}

// Limits are how long sessions live (SP 800-63B-4 section 2). Zero fields take
// the default, which is also the ceiling.
type Limits struct {
	Overall2 time.Duration // AAL1 and AAL2: 24 h
	Idle2    time.Duration // 1 h
	Overall3 time.Duration // AAL3: 12 h
	Idle3    time.Duration // 15 min
	// EndIdle has a session that was idle for too long end, for whoever was signed in by it as well;
	// otherwise it opens nothing any more, and applications keep theirs until it expires.
	EndIdle bool
}

// longest is how long any session lives.
const longest = 24 * time.Hour

func (l Limits) of(evidence []assurance.Evidence) (overall, idle time.Duration) {
	pick := func(d, ceiling time.Duration) time.Duration {
		if d <= 0 || d > ceiling {
			return ceiling
		}
		return d
	}
	if assurance.AAL(evidence) == 3 {
		return pick(l.Overall3, 12*time.Hour), pick(l.Idle3, 15*time.Minute)
	}
	return pick(l.Overall2, longest), pick(l.Idle2, time.Hour)
}

// Parts are what Sessions are made of.
type Parts struct {
	DB      *store.DB
	Keys    *keyring.Keyring
	Tickets *ticket.Tickets
	Limits  Limits
	Now     func() time.Time
}

// Sessions begins sessions and reads them. It is safe for concurrent use.
type Sessions struct {
	db      *store.DB
	rows    *rows
	endings *Endings
	now     func() time.Time
}

// New makes Sessions.
func New(p Parts) *Sessions {
	r := &rows{view: p.DB.View(), keys: p.Keys, limits: p.Limits, now: p.Now}
	return &Sessions{db: p.DB, rows: r, endings: &Endings{db: p.DB, rows: r, now: p.Now}, now: p.Now}
}

// Session is one session, for its owner and for administrators.
type Session struct {
	Number   string               `json:"number"`
	Account  assurance.AccountID  `json:"account"`
	Host     string               `json:"host,omitempty"` // the host that its cookie serves; empty is our own
	Source   string               `json:"source,omitempty"`
	Agent    string               `json:"agent,omitempty"`
	Evidence []assurance.Evidence `json:"evidence"`
	Created  time.Time            `json:"created"`
	Seen     time.Time            `json:"seen"`
	Expires  time.Time            `json:"expires"`
	Ended    time.Time            `json:"ended,omitzero"` // zero while it stands
	// Bound says that it is bound to its device: whoever copies its cookies has nothing after
	// five minutes.
	Bound bool `json:"bound"`
}

// AAL is the level that the session's evidence supports.
func (s Session) AAL() int { return assurance.AAL(s.Evidence) }

// AMR are the RFC 8176 methods of the session's evidence; method as for [assurance.AMR].
func (s Session) AMR(method func(kind string) string) []string {
	return assurance.AMR(s.Evidence, method)
}

// payload is what is sealed. It names its row so that it cannot be moved.
type payload struct {
	Number   string
	Account  assurance.AccountID
	Name     string `json:",omitempty"` // of the account, for the log
	Parent   string
	Host     string
	Evidence []assurance.Evidence
	// Since is when it began to hold this, in microseconds: what is said of all of an
	// account's sessions is said of those before.
	Since int64
	// Device is the key that it is bound to; nil is none.
	Device *device `json:",omitempty"`
}

type row struct {
	payload
	sealed  []byte // the payload
	mac     []byte
	id      []byte
	source  string
	agent   string
	created time.Time
	seen    time.Time
	expires time.Time
	ended   time.Time
	// lapses is when what was brought for it is no longer enough; zero is with the session.
	lapses time.Time
}

func aad(number string, account assurance.AccountID) keyring.AAD {
	return keyring.AAD{Table: "session", Column: "payload", Key: number, Account: int64(account)}
}

var gone = &failure.Error{Class: failure.Refused, Reason: "no-session", Public: "Your session has ended. Sign in again."}

func secretOf(id []byte) string { return base64.RawURLEncoding.EncodeToString(id) }

func hash(secret string) ([]byte, bool) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(secret)
	if err != nil || len(raw) != 32 {
		return nil, false
	}
	h := sha256.Sum256(raw)
	return h[:], true
}

// Topic is the feed's word for a session that ended or changed.
func Topic(number string) string { return "session/" + number }

// Start begins a session with what was shown for a claimed grant, and returns
// its secret for the cookie.
func (s *Sessions) Start(ctx context.Context, g signin.Grant, agent string) (string, error) {
	return s.StartAt(ctx, g, "", agent)
}

// CommandLine is the host of a command line's session. No host of the network
// has such a name, so neither serves in the other's place.
const CommandLine = "(command-line)"

// StartAt is Start for a session that another host holds by itself: its secret
// alone is nothing, see [At].
func (s *Sessions) StartAt(ctx context.Context, g signin.Grant, host, agent string) (string, error) {
	r := row{payload: payload{Number: newNumber(), Account: g.Account(), Name: g.Name(), Host: host, Evidence: g.Evidence()}, source: g.SourceText(), agent: clip(agent, 200)}
	var secret string
	err := s.db.Change(ctx, g.Actor(), func(tx *store.Tx) error {
		var err error
		secret, err = s.rows.insert(ctx, tx, &r)
		if err != nil {
			return err
		}
		tx.Record(entryOf(g, "session.started", r))
		return nil
	})
	return secret, err
}

// Raise adds what a grant has shown to a session of the same account and gives
// it a new secret; the old one is dead. When the session has ended, or is
// somebody else's, a new one begins instead and the old one is ended.
func (s *Sessions) Raise(ctx context.Context, secret string, g signin.Grant, agent string) (string, error) {
	var fresh string
	err := s.db.Change(ctx, g.Actor(), func(tx *store.Tx) error {
		old, err := s.rows.read(ctx, tx, secret)
		switch {
		case failure.ReasonOf(err) == signin.OtherDevice, err == nil && (old.Account != g.Account() || old.Host != ""):
			if err := s.endings.end(ctx, tx, beginning{number: old.Number, parent: old.Parent, account: old.Account}); err != nil {
				return err
			}
			old = nil
		case failure.ClassOf(err) == failure.Refused:
			if err := s.endings.endHidden(ctx, tx, secret); err != nil {
				return err
			}
			old = nil
		case err != nil:
			return err
		}
		r := row{payload: payload{Number: newNumber(), Account: g.Account(), Name: g.Name()}, source: g.SourceText(), agent: clip(agent, 200)}
		if old != nil {
			r.Number, r.Evidence, r.created, r.Device = old.Number, old.Evidence, old.created, old.Device
			if _, err := tx.Exec(ctx, `delete from session where id = $1`, old.id); err != nil {
				return err
			}
			tx.AfterCommit(func() { s.rows.begun.drop(old.id) })
			tx.Announce(Topic(old.Number))
			tx.End(table, keyring.SealName(old.sealed), old.expires)
		}
		for _, e := range g.Evidence() {
			r.Evidence = assurance.Append(r.Evidence, e)
		}
		if fresh, err = s.rows.insert(ctx, tx, &r); err != nil {
			return err
		}
		en := entryOf(g, "session.raised", r)
		en.Detail["level"] = strconv.Itoa(assurance.AAL(r.Evidence))
		if old != nil {
			en.Detail["level-before"] = strconv.Itoa(assurance.AAL(old.Evidence))
		}
		tx.Record(en)
		return nil
	})
	return fresh, err
}

func (rs *rows) insert(ctx context.Context, tx *store.Tx, r *row) (string, error) {
	raw := make([]byte, 32)
	rand.Read(raw)
	id := sha256.Sum256(raw)
	now := rs.now()
	if r.created.IsZero() {
		r.created = now
	}
	overall, _ := rs.limits.of(r.Evidence)
	if r.expires = r.created.Add(overall); r.expires.After(dies(r.Evidence)) {
		r.expires = dies(r.Evidence)
	}
	r.id, r.seen, r.Since = id[:], now, max(store.Unix(now), rs.epoch(r.Account))
	if err := rs.sealRow(r); err != nil {
		return "", err
	}
	rs.bind(r)
	_, err := tx.Expect(ctx, 1, `insert into session (id, number, account, parent, host, payload, source, agent, created, seen, expires, mac) values ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12)`,
		r.id, r.Number, int64(r.Account), r.Parent, r.Host, r.sealed, r.source, r.agent, store.Unix(r.created), store.Unix(r.seen), store.Unix(r.expires), r.mac)
	tx.AfterCommit(func() { rs.begun.note(r, now) })
	return secretOf(raw), err
}

// dies is when a session that rests on a pass alone ends: with the pass.
func dies(evidence []assurance.Evidence) time.Time {
	end := time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, e := range evidence {
		if !e.Until.IsZero() && e.Until.Before(end) {
			end = e.Until
		}
	}
	return end
}

// At returns the reference of a session that serves another host: the secret
// alone is nothing there, so what one application's cookie opens is that
// application.
func At(origin, secret string) string {
	if secret == "" {
		return ""
	}
	return origin + " " + secret
}

// parse takes a reference apart: the host that the session serves, its id, and the bound cookie.
func parse(reference string) (origin string, id []byte, bound string, ok bool) {
	origin, secret, elsewhere := strings.Cut(reference, " ")
	if !elsewhere {
		origin, secret = "", reference
	}
	secret, bound = cut(secret)
	id, ok = hash(secret)
	return origin, id, bound, ok
}

// find returns the active session of a secret, or of a reference that [At] made, and the bound
// cookie that came with it, whatever that is worth.
func (rs *rows) find(ctx context.Context, from store.Reader, reference string) (r *row, bound string, err error) {
	origin, id, bound, ok := parse(reference)
	if !ok {
		return nil, "", gone
	}
	r, err = rs.scan(from.QueryRow(ctx, `select `+columns+` from session where id = $1`, id))
	if errors.Is(err, store.ErrNotFound) {
		return nil, "", gone
	}
	if err != nil {
		return nil, "", err
	}
	if r.Host != origin {
		return nil, "", gone
	}
	return r, bound, rs.checkActive(ctx, r)
}

// read is find for whoever also has the device that the session is bound to. For another one the
// row comes with the failure, to tell its owner.
func (rs *rows) read(ctx context.Context, from store.Reader, reference string) (*row, error) {
	r, bound, err := rs.find(ctx, from, reference)
	if err != nil {
		return nil, err
	}
	return r, rs.checkDevice(r, bound)
}

// Active returns what the session of a secret holds, and notes that it is in
// use. A session for another host holds what its parent holds. With a failure of reason
// [signin.OtherDevice] it says whose session it is, and nothing that it holds.
func (s *Sessions) Active(ctx context.Context, secret string) (signin.Held, error) {
	r, err := s.rows.read(ctx, s.db, secret)
	if failure.ReasonOf(err) == signin.OtherDevice {
		return signin.Held{Account: r.Account, Number: cmp.Or(r.Parent, r.Number), Own: r.Number}, err
	}
	if err != nil {
		return signin.Held{}, err
	}
	root := r
	if r.Parent != "" {
		if root, err = s.rows.byNumber(ctx, r.Parent); err != nil {
			return signin.Held{}, err
		}
		if root.Account != r.Account {
			return signin.Held{}, gone
		}
	}
	if err := s.touch(ctx, r, root); err != nil {
		return signin.Held{}, err
	}
	s.rows.begun.note(r, s.now())
	s.rows.begun.note(root, s.now())
	expires := r.expires
	if root.expires.Before(expires) {
		expires = root.expires
	}
	return signin.Held{Account: r.Account, Number: root.Number, Own: r.Number, Evidence: root.Evidence, Expires: expires,
		Bound: r.Device != nil, Binding: s.rows.binding(r), Lapses: r.lapses}, nil
}

func (rs *rows) byNumber(ctx context.Context, number string) (*row, error) {
	r, err := rs.scan(rs.view.QueryRow(ctx, `select `+columns+` from session where number = $1`, number))
	if errors.Is(err, store.ErrNotFound) {
		return nil, gone
	}
	if err != nil {
		return nil, err
	}
	return r, rs.checkActive(ctx, r)
}

// touch notes the use of sessions at most once a minute each.
func (s *Sessions) touch(ctx context.Context, rows ...*row) error {
	now := s.now()
	for _, r := range rows {
		if now.Sub(r.seen) < time.Minute {
			continue
		}
		was := r.mac
		r.seen = now
		s.rows.bind(r)
		err := s.db.Housekeep(ctx, "session.seen", func(tx *store.Tx) error {
			// One that was ended, raised or seen since is left as it is.
			_, err := tx.Exec(ctx, `update session set seen = $1, mac = $2 where id = $3 and mac = $4`, store.Unix(now), r.mac, r.id, was)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// List returns the account's active sessions, the newest first. Those of
// other hosts hang from one of ours and are not listed by themselves.
func (s *Sessions) List(ctx context.Context, account assurance.AccountID) ([]Session, error) {
	all, err := s.rows.all(s.db.Query(ctx, `select `+columns+` from session where account = $1 and ended = 0 and expires > $2 order by seen desc limit 200`,
		int64(account), store.Unix(s.now())))
	if err != nil {
		return nil, err
	}
	var out []Session
	for _, r := range all {
		err := s.rows.checkActive(ctx, r)
		if err != nil && failure.ClassOf(err) != failure.Refused {
			return nil, err
		}
		if err == nil && r.Parent == "" {
			out = append(out, Session{Number: r.Number, Account: r.Account, Host: r.Host, Source: r.source, Agent: r.agent,
				Evidence: r.Evidence, Created: r.created, Seen: r.seen, Expires: r.expires, Ended: r.ended, Bound: r.Device != nil})
		}
	}
	return out, nil
}

// entryOf is what the log says of a session and a grant.
func entryOf(g signin.Grant, event string, r row) audit.Entry {
	return audit.Entry{Event: event, Outcome: "ok", Account: int64(g.Account()), AccountName: g.Name(), Application: g.Application(),
		Protocol: g.Protocol(), Source: g.SourceText(), Attempt: g.Attempt(),
		Detail: map[string]string{"session": r.Number, "host": r.Host, "agent": r.agent}}
}

func via(r *row) string {
	if r.Host == CommandLine {
		return "api"
	}
	return "browser"
}

const numberSize = 9

func newNumber() string {
	var b [numberSize]byte
	rand.Read(b[:])
	return base64.RawURLEncoding.EncodeToString(b[:])
}

func clip(s string, n int) string {
	if len(s) > n {
		s = s[:n]
	}
	return s
}
