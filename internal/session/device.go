package session

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"strings"
	"time"

	"countersign/internal/audit"
	"countersign/internal/dbsc"
	"countersign/internal/failure"
	"countersign/internal/keyring"
	"countersign/internal/signin"
	"countersign/internal/store"
	"countersign/internal/ticket"
)

// A session is bound to a device by a key that the browser keeps where it cannot be copied
// (W3C, Device Bound Session Credentials). From then on the session's secret alone is nothing: it
// needs the bound cookie beside it, which lives for [boundLife] and is given only to whoever has
// the key. See docs/decisions/0030.

const (
	// boundLife is how long the bound cookie is good, and so how long a copied jar is.
	boundLife = 5 * time.Minute
	// boundKept is how long the browser keeps it: it comes for a new one before it is worthless.
	boundKept = boundLife - 30*time.Second
	// bindWithin is how long after a sign-in its browser can bind the session, once. Nobody can
	// later, so that whoever copies the cookie binds nothing.
	bindWithin = time.Minute
	// bindSoon is within what an honest browser does it, and a page that needs it waits.
	bindSoon = 10 * time.Second
	// bindGrace is how long requests that a browser sent before it had the bound cookie are
	// answered.
	bindGrace = 10 * time.Second
	// challengeLife is how long a browser has for the proof of a refresh.
	challengeLife = time.Minute

	refreshKind = "device-refresh"
)

// BoundCookie returns the name of the bound cookie of our own pages.
func BoundCookie(secure bool) string {
	if secure {
		return "__Host-countersign-bound"
	}
	return "countersign-bound"
}

// With returns the reference of a session whose browser brings a bound cookie beside the secret.
func With(secret, bound string) string {
	if secret == "" || bound == "" {
		return secret
	}
	return secret + "." + bound
}

// device is the key that a session is bound to.
type device struct {
	Key   []byte // as [dbsc.Key.Stored]
	Since int64  // in microseconds
}

// elsewhere says that a session is bound to another device than the one that brings its secret.
var elsewhere = &failure.Error{Class: failure.Refused, Reason: signin.OtherDevice, Public: gone.Public}

// boundFields are what a bound cookie says: of which session, for which key, until when.
func (r *row) boundFields(until int64) *keyring.Fields {
	return keyring.NewFields().String("bound cookie").String(r.Number).Bytes(r.Device.Key).Int(until)
}

// offerFields are what the challenge of a registration says: for which secret of which session,
// until when. It is good once because a session is bound once.
func (r *row) offerFields(until int64) *keyring.Fields {
	return keyring.NewFields().String("bind challenge").String(r.Number).Bytes(r.id).Int(until)
}

// stamped is a moment and a MAC over what it is for.
func (rs *rows) stamped(life time.Duration, fields func(until int64) *keyring.Fields) string {
	until := store.Unix(rs.now().Add(life))
	b := binary.BigEndian.AppendUint64(nil, uint64(until))
	return base64.RawURLEncoding.EncodeToString(append(b, rs.keys.MAC(keyring.Session, fields(until))...))
}

// until is until when something stamped is good; the zero time is not at all.
func (rs *rows) until(stamped string, fields func(until int64) *keyring.Fields) time.Time {
	b, err := base64.RawURLEncoding.Strict().DecodeString(stamped)
	if err != nil || len(b) <= 8 || len(b) > 128 {
		return time.Time{}
	}
	until := int64(binary.BigEndian.Uint64(b))
	if !rs.keys.VerifyMAC(keyring.Session, fields(until), b[8:]) {
		return time.Time{}
	}
	return store.Time(until)
}

// bound is what a browser is given for a proof of a session's key.
func (rs *rows) bound(r *row) Bound {
	return Bound{Number: r.Number, Cookie: rs.stamped(boundLife, r.boundFields), Kept: boundKept}
}

// checkDevice reports whether whoever brings a bound session's secret has its device, and notes
// for how long that is so.
func (rs *rows) checkDevice(r *row, cookie string) error {
	if r.Device == nil {
		if rs.binding(r) {
			r.lapses = store.Time(r.Since).Add(bindSoon)
		}
		return nil
	}
	r.lapses = rs.until(cookie, r.boundFields)
	if grace := store.Time(r.Device.Since).Add(bindGrace); r.lapses.Before(grace) {
		r.lapses = grace
	}
	if !rs.now().Before(r.lapses) {
		return elsewhere
	}
	return nil
}

// binding reports whether a session that is not bound may be so in a moment.
func (rs *rows) binding(r *row) bool {
	return r.Device == nil && r.Host != CommandLine && rs.now().Before(store.Time(r.Since).Add(bindSoon))
}

// Devices bind sessions to browsers' keys.
type Devices struct {
	db      *store.DB
	rows    *rows
	tickets *ticket.Tickets
}

// NewDevices makes the Devices of sessions.
func NewDevices(s *Sessions, t *ticket.Tickets) *Devices {
	return &Devices{db: s.db, rows: s.rows, tickets: t}
}

// Bound is what a browser is given for a proof.
type Bound struct {
	// Number is the session's, by which the browser knows it.
	Number string
	// Cookie is the bound cookie's value, and Kept how long the browser keeps it.
	Cookie string
	Kept   time.Duration
}

// Offer returns the challenge by which the browser can bind the session that has just begun, or
// has just gained evidence, within a minute; empty for one that is bound. It must be called in
// the answer that gives the secret, and nowhere else.
func (ds *Devices) Offer(ctx context.Context, reference string) (string, error) {
	r, _, err := ds.rows.find(ctx, ds.db, reference)
	if err != nil || r.Device != nil {
		return "", err
	}
	return ds.rows.stamped(bindWithin, r.offerFields), nil
}

// challenge is one for a refresh, good once.
func (ds *Devices) challenge(ctx context.Context, r *row) (string, error) {
	return ds.tickets.Issue(ctx, ticket.Spec{Kind: refreshKind, Owner: int64(r.Account), Payload: []byte(r.Number), Lifetime: challengeLife})
}

var errNotOffered = &failure.Error{Class: failure.Refused, Reason: "not-offered", Public: "This session is bound already, or was not asked to be. Sign in again."}

// Bind binds the session of a reference to the key of a proof. It does so once: a session that
// is bound stays with its key until it ends.
func (ds *Devices) Bind(ctx context.Context, reference, proof string, at Visit) (Bound, error) {
	r, _, err := ds.rows.find(ctx, ds.db, reference)
	if err != nil {
		return Bound{}, err
	}
	key, challenge, err := dbsc.Registered(proof)
	if err != nil {
		return Bound{}, failure.Refuse("no-device-proof", errNotOffered.Public)
	}
	err = ds.db.Change(ctx, at.actor(*r), func(tx *store.Tx) error {
		if r, _, err = ds.rows.find(ctx, tx, reference); err != nil {
			return err
		}
		if r.Device != nil || !ds.rows.now().Before(ds.rows.until(challenge, r.offerFields)) {
			return errNotOffered
		}
		return ds.bindTx(ctx, tx, r, key, at)
	})
	if err != nil {
		return Bound{}, err
	}
	return ds.rows.bound(r), nil
}

// bindTx writes the key down. What the row said before is over: whoever puts it back has no
// session.
func (ds *Devices) bindTx(ctx context.Context, tx *store.Tx, r *row, key dbsc.Key, at Visit) error {
	tx.End(table, keyring.SealName(r.sealed), r.expires)
	tx.Announce(Topic(r.Number))
	was := r.mac
	r.Device = &device{Key: key.Stored(), Since: store.Unix(ds.rows.now())}
	if err := ds.rows.sealRow(r); err != nil {
		return err
	}
	ds.rows.bind(r)
	n, err := tx.Exec(ctx, `update session set payload = $2, mac = $3 where id = $1 and mac = $4`, r.id, r.sealed, r.mac, was)
	if err != nil {
		return err
	}
	if n != 1 {
		return errNotOffered
	}
	return tx.Record(audit.Entry{Event: "session.bound", Outcome: audit.OK, Account: int64(r.Account), AccountName: r.Name, Application: at.Application, Source: at.Source,
		Detail: map[string]string{"session": r.Number, "host": r.Host, "agent": clip(at.Agent, 200), "key": base64.RawURLEncoding.EncodeToString(key.Thumbprint())}})
}

// Refresh gives a browser the next bound cookie for a proof. Without a proof, or with one of a
// challenge that is over, it returns a challenge to sign. A proof by another key than the
// session's is a Refused failure of reason [signin.OtherDevice], and the session stays as it is.
func (ds *Devices) Refresh(ctx context.Context, reference, number, proof string) (b Bound, challenge string, err error) {
	r, _, err := ds.rows.find(ctx, ds.db, reference)
	if err != nil {
		return Bound{}, "", err
	}
	if r.Device == nil || r.Number != number {
		return Bound{}, "", gone
	}
	if proof == "" {
		challenge, err = ds.challenge(ctx, r)
		return Bound{}, challenge, err
	}
	key, err := dbsc.ParseKey(r.Device.Key)
	if err != nil {
		return Bound{}, "", err
	}
	signed, err := key.Proven(proof)
	if err != nil {
		return Bound{}, "", elsewhere
	}
	t, err := ds.tickets.Take(ctx, refreshKind, signed)
	if failure.ClassOf(err) == failure.Refused {
		challenge, err = ds.challenge(ctx, r)
		return Bound{}, challenge, err
	}
	if err != nil {
		return Bound{}, "", err
	}
	if string(t.Payload) != r.Number {
		return Bound{}, "", elsewhere
	}
	return ds.rows.bound(r), "", nil
}

// Owner says whose session a reference is, whether its device is there or not, for whoever tells
// its owner. A session that is unknown or over is a Refused failure.
func (ds *Devices) Owner(ctx context.Context, reference string) (signin.Held, error) {
	r, _, err := ds.rows.find(ctx, ds.db, reference)
	if err != nil {
		return signin.Held{}, err
	}
	return signin.Held{Account: r.Account, Number: r.Number, Own: r.Number}, nil
}

// cut takes the bound cookie off a secret.
func cut(secret string) (string, string) {
	secret, bound, _ := strings.Cut(secret, ".")
	return secret, bound
}
