package throttle

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/netip"
	"strconv"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/keyring"
	"countersign/internal/store"
)

// places are those from which accounts were let in, and the browsers.
type places struct {
	view  store.View
	keys  *keyring.Keyring
	now   func() time.Time
	noted noted
}

// Side is what is known of whoever answers. Each side has guess budgets of its own, so
// that nobody who has shown nothing wears out what is left to the owner. See
// docs/decisions/0013.
type Side string

const (
	// Stranger is everybody of whom nothing is known.
	Stranger Side = ""
	// AtHome comes from an address from which this account was let in.
	AtHome Side = "/home"
	// InBrowser comes in a browser or in a session in which this account was let in, which
	// nobody else at that address has.
	InBrowser Side = "/browser"
	// HasShown has shown something else of this account in the same attempt.
	HasShown Side = "/shown"
	// Gateway comes by equipment that does not tell where people are, and through which
	// this account was let in.
	Gateway Side = "/gateway"
)

var sides = [...]Side{Stranger, AtHome, InBrowser, HasShown, Gateway}

// sides says which side of an account somebody is on: away where its account was not let in from
// its place, and home where it was. They are the same where the place does not matter.
func (k *places) sides(w Requester, account assurance.AccountID) (away, home Side) {
	if account == 0 {
		return Stranger, Stranger
	}
	if w.Session && w.Account == account || k.remembers(w.Browser, account) {
		return InBrowser, InBrowser
	}
	away, home = Stranger, Gateway
	if w.Shown {
		away, home = HasShown, HasShown
	}
	if w.Source.IsValid() {
		home = AtHome
	}
	return away, home
}

// place is the neighbourhood of an address, or the equipment where that does not tell;
// empty where neither is known.
func (o Origin) place() string {
	switch {
	case o.Source.IsValid():
		return sourceKey(o.Source)
	case o.Partner != "":
		return o.equipment()
	}
	return ""
}

// equipment names equipment by a hash: what it calls itself may be long.
func (o Origin) equipment() string {
	h := sha256.Sum256([]byte(o.Application + "\x00" + o.Partner))
	return "equipment/" + hex.EncodeToString(h[:12])
}

func sourceKey(a netip.Addr) string { return "source/" + Neighbourhood(a) }

// Neighbourhood is what limits count as one source: an IPv4 address, or an IPv6
// /64, because one subscriber has all of it. Empty for no address.
func Neighbourhood(a netip.Addr) string { return within(a, 64) }

// within is the IPv6 network of this size that an address is in, or the IPv4 address
// itself.
func within(a netip.Addr, bits int) string {
	if a = a.Unmap().WithZone(""); !a.IsValid() {
		return ""
	}
	if a.Is6() {
		if p, err := a.Prefix(bits); err == nil {
			return p.String()
		}
	}
	return a.String()
}

// widths are the networks that an IPv6 source is counted in, and how many times the
// limit of one source each may have: a subscriber has a /56 or a /48, and so 256 or
// 65,536 networks to guess from.
var widths = [...]struct{ bits, times int }{{64, 1}, {56, 4}, {48, 16}}

// sourceSubjects are whom a source's wrong answers are charged to.
func sourceSubjects(a netip.Addr, limit int) []subject {
	if !a.IsValid() {
		return nil
	}
	var out []subject
	for _, w := range widths {
		s := subject{key: "source/" + within(a, w.bits), window: sourceWindow, limit: limit * w.times, reason: "source-budget", times: w.times}
		if len(out) > 0 && out[0].key == s.key {
			break // IPv4
		}
		out = append(out, s)
	}
	return out
}

// LetIn is the condition, in a statement, that the account of r was let in from the
// neighbourhood that is r.source.
const LetIn = `exists (select 1 from known_source k where k.account = r.account and k.source = 'source/' || r.source)`

// knownSource reports whether the account has signed in from this source in
// the last 30 days.
func (k *places) knownSource(ctx context.Context, r store.Reader, account assurance.AccountID, source netip.Addr) (bool, error) {
	if account == 0 || !source.IsValid() {
		return false, nil
	}
	n := note{account, sourceKey(source)}
	var seen int64
	var mac []byte
	err := r.QueryRow(ctx, `select seen, mac from known_source where account = $1 and source = $2 and seen > $3`,
		int64(account), n.source, store.Unix(k.now().Add(-placeLife))).Scan(&seen, &mac)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	return err == nil && k.knows(n, seen, mac), err
}

func (k *places) writePlace(ctx context.Context, tx *store.Tx, n note, seen int64) error {
	_, err := tx.Expect(ctx, 1, `insert into known_source (account, source, seen, mac) values ($1,$2,$3,$4) on conflict (account, source) do update set seen = excluded.seen, mac = excluded.mac`,
		int64(n.account), n.source, seen, k.keys.MAC(keyring.Guess, n.fields(seen)))
	return err
}

func (n note) fields(seen int64) *keyring.Fields {
	return keyring.NewFields().String("known_source").Int(int64(n.account)).String(n.source).Int(seen)
}

// knows reports whether we wrote that an account was let in from a place, and reports a
// row that somebody else wrote. To remove one, or to put an older one back, makes nobody
// less of a stranger.
func (k *places) knows(n note, seen int64, mac []byte) bool {
	if k.keys.VerifyMAC(keyring.Guess, n.fields(seen), mac) {
		return true
	}
	k.view.Report(store.Finding{Table: "known_source", Row: n.row(), Wrong: store.Altered, Account: int64(n.account)})
	return false
}

func (n note) row() string { return strconv.FormatInt(int64(n.account), 10) + " " + n.source }

// placeLife is for how long a place is known after somebody was let in from there.
const placeLife = 30 * day

// Place is what [Throttle.Read] found of the place that an answer comes from, for
// [Throttle.NotePlace] in the same transaction. The zero Place is that nothing was read.
type Place struct {
	note note
	read bool
	seen int64 // when the account was let in from there within a month, or 0
}

// notePlace remembers from where the account was granted something, at most
// once a day for each.
func (k *places) notePlace(ctx context.Context, tx *store.Tx, from Origin, account assurance.AccountID, found Place) error {
	key := from.place()
	if key == "" {
		return nil
	}
	n, now := note{account, key}, k.now()
	if k.noted.within(n, now) {
		return nil
	}
	if !found.read || found.note != n {
		var err error
		if found, err = k.place(ctx, tx, n); err != nil {
			return err
		}
	}
	last := store.Time(found.seen)
	if now.Sub(last) >= day {
		last = now
		if err := k.writePlace(ctx, tx, n, store.Unix(now)); err != nil {
			return err
		}
	}
	tx.AfterCommit(func() { k.noted.keep(n, last) })
	return nil
}

// place reads when the account was let in from a place; what somebody else wrote is never.
func (k *places) place(ctx context.Context, tx *store.Tx, n note) (Place, error) {
	p := Place{note: n, read: true}
	var mac []byte
	err := tx.QueryRow(ctx, `select seen, mac from known_source where account = $1 and source = $2`, int64(n.account), n.source).Scan(&p.seen, &mac)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return p, nil
	case err == nil && !k.knows(n, p.seen, mac):
		p.seen = 0
	}
	return p, err
}

// Position is where somebody stands in line, by where they come from.
func (t *Throttle) Position(ctx context.Context, r store.Reader, from Origin) (Position, error) {
	key := from.place()
	if key == "" {
		return Position{priority: strange}, nil
	}
	p := Position{priority: strange, source: key}
	if s := sourceSubjects(from.Source, 0); len(s) > 0 {
		if err := t.budgets.loadSubjects(ctx, r, s); err != nil {
			return Position{}, err
		}
		for _, n := range s {
			if t.budgets.now().Sub(n.since) < sourceWindow {
				p.wrong = max(p.wrong, n.count/n.times)
			}
		}
		p.source = s[min(1, len(s)-1)].key // a subscriber waits in one place, from however many networks
	}
	if p.wrong >= suspectAfter {
		p.priority = suspect
		return p, nil
	}
	letIn, err := t.places.anybody(ctx, r, key)
	if letIn {
		p.priority = known
	}
	return p, err
}

// anybody reports whether somebody was let in from a place lately. Of the newest rows of
// it one must be ours.
func (k *places) anybody(ctx context.Context, r store.Reader, source string) (bool, error) {
	rows, err := r.Query(ctx, `select account, seen, mac from known_source where source = $1 and seen >= $2 order by seen desc limit 20`, source, store.Unix(k.now().Add(-placeLife)))
	if err != nil {
		return false, err
	}
	defer rows.Close()
	for rows.Next() {
		var account, seen int64
		var mac []byte
		if err := rows.Scan(&account, &seen, &mac); err != nil {
			return false, err
		}
		if k.knows(note{assurance.AccountID(account), source}, seen, mac) {
			return true, nil
		}
	}
	return false, rows.Err()
}

const sourceWindow = 10 * time.Minute
