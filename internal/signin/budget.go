package signin

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/netip"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/directory"
	"countersign/internal/keyring"
	"countersign/internal/store"
)

// A guess budget belongs to a subject: a credential, an account (or the name
// that none has), a source, the installation. One budget serves every protocol
// and every spelling of a name, and a new attempt never refills it. Reading,
// judging and charging happen in one serialisable transaction, so N guesses at
// once on M servers cannot exceed it.
type subject struct {
	key    string
	window time.Duration // after which it starts anew; 0 counts what is consecutive
	limit  int
	reason string

	count int
	since time.Time
	retry time.Time
}

// guesses keeps the budgets.
type guesses struct {
	limits Limits
	keys   *keyring.Keyring
	now    func() time.Time
	noted  noted
	swept  atomic.Int64 // when this server last looked for budgets that are over
}

// subjects lists whom a guess is charged to. The credentials come first.
func (g *guesses) subjects(at *attempt, account directory.Account, kind string, credentials []directory.Credential) []subject {
	var out []subject
	for _, c := range credentials {
		out = append(out, subject{key: credentialKey(c.ID), limit: g.limits.Disable, reason: "disabled"})
	}
	if account.ID != 0 {
		out = append(out, subject{key: accountKey(account.ID), window: time.Hour, limit: g.limits.PerAccount, reason: "account-budget"})
	} else {
		// A name that nobody has wears out like one that somebody has.
		out = append(out,
			subject{key: nameKey(kind, at.Name), limit: g.limits.Disable, reason: "disabled"},
			subject{key: nameKey("", at.Name), window: time.Hour, limit: g.limits.PerAccount, reason: "account-budget"})
	}
	if at.Source.IsValid() {
		out = append(out, subject{key: sourceKey(at.Source), window: sourceWindow, limit: g.limits.PerSource, reason: "source-budget"})
	}
	return append(out, subject{key: installation, window: 10 * time.Minute, limit: g.limits.PerInstallation, reason: "installation-budget"})
}

const (
	installation = "installation"
	sourceWindow = 10 * time.Minute
)

func credentialKey(id assurance.CredentialID) string {
	return "credential/" + strconv.FormatInt(int64(id), 10)
}

func accountKey(id assurance.AccountID) string { return "account/" + strconv.FormatInt(int64(id), 10) }

// nameKey counts for names that nobody has, by a hash: what people type into a
// name field is now and then their password.
func nameKey(kind, typed string) string {
	c, err := directory.Canonical(typed)
	if err != nil {
		c = "\x00malformed"
	}
	h := sha256.Sum256([]byte(kind + "\x00" + c))
	return "name/" + hex.EncodeToString(h[:12])
}

func sourceKey(a netip.Addr) string { return "source/" + Neighbourhood(a) }

// Neighbourhood is what limits count as one source: an IPv4 address, or an IPv6
// /64, because one subscriber has all of it. Empty for no address.
func Neighbourhood(a netip.Addr) string {
	if a = a.Unmap().WithZone(""); !a.IsValid() {
		return ""
	}
	if a.Is6() {
		if p, err := a.Prefix(64); err == nil {
			return p.String()
		}
	}
	return a.String()
}

// read fills in the subjects' counts and says whether one more guess is
// allowed: an empty reason is yes.
func (g *guesses) read(ctx context.Context, r store.Reader, at *attempt, account directory.Account, subjects []subject) (string, error) {
	if err := loadSubjects(ctx, r, subjects); err != nil {
		return "", err
	}
	now := g.now()
	for i := range subjects {
		s := &subjects[i]
		if s.window > 0 && now.Sub(s.since) >= s.window {
			s.count, s.since = 0, now
		}
		switch {
		case s.key == installation && s.count >= s.limit:
			known, err := g.knownSource(ctx, r, account.ID, at.Source)
			if err != nil {
				return "", err
			}
			if !known && !g.remembers(at, account.ID) {
				return s.reason, nil
			}
		case s.count >= s.limit:
			return s.reason, nil
		case now.Before(s.retry):
			return "delayed", nil
		}
	}
	return "", nil
}

func loadSubjects(ctx context.Context, r store.Reader, subjects []subject) error {
	args := make([]any, len(subjects))
	for i, s := range subjects {
		args[i] = s.key
	}
	rows, err := r.Query(ctx, subjectsQuery(len(subjects)), args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var key string
		var count, since, retry int64
		if err := rows.Scan(&key, &count, &since, &retry); err != nil {
			return err
		}
		for i := range subjects {
			if subjects[i].key == key {
				subjects[i].count, subjects[i].since, subjects[i].retry = int(count), store.Time(since), store.Time(retry)
			}
		}
	}
	return rows.Err()
}

// subjectsQuery reads n subjects, one by one: a list behind "in" costs SQLite a
// table of its own each time.
func subjectsQuery(n int) string {
	const one = `select subject, count, since, retry from guess where subject = $`
	const and = " union all "
	var b strings.Builder
	b.Grow(n * (len(and) + len(one) + len("99"))) // every sign-in writes it, and one goroutine for all in SQLite
	for i := 1; i <= n; i++ {
		if i > 1 {
			b.WriteString(and)
		}
		b.WriteString(one)
		b.WriteString(strconv.Itoa(i))
	}
	return b.String()
}

// charge counts one guess against every subject that read has filled in in the
// same transaction.
func (g *guesses) charge(ctx context.Context, tx *store.Tx, subjects []subject) error {
	now := g.now()
	for i := range subjects {
		s := &subjects[i]
		s.count++
		if s.since.IsZero() {
			s.since = now
		}
		if s.window == 0 && s.count >= g.limits.Delay {
			s.retry = now.Add(delay(s.count - g.limits.Delay))
		}
		_, err := tx.Exec(ctx, `insert into guess (subject, count, since, retry) values ($1,$2,$3,$4)
			on conflict (subject) do update set count = excluded.count, since = excluded.since, retry = excluded.retry`,
			s.key, s.count, store.Unix(s.since), store.Unix(s.retry))
		if err != nil {
			return err
		}
	}
	return nil
}

// delay grows from 30 seconds, twice as long each time, to an hour
// (SP 800-63B-4 section 3.2.2).
func delay(n int) time.Duration {
	return min(30*time.Second<<min(n, 10), time.Hour)
}

// refund gives back what a right answer was charged: the credential's row and
// the account's begin anew, the shared ones get their one back.
func (g *guesses) refund(ctx context.Context, tx *store.Tx, subjects []subject, credential assurance.CredentialID, charged bool) error {
	for _, s := range subjects {
		var err error
		switch {
		case s.key == credentialKey(credential) && (s.count > 0 || charged):
			_, err = tx.Exec(ctx, `delete from guess where subject = $1`, s.key)
		case charged:
			_, err = tx.Exec(ctx, `update guess set count = count - 1 where subject = $1 and count > 0`, s.key)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// knownSource reports whether the account has signed in from this source in
// the last 30 days.
func (g *guesses) knownSource(ctx context.Context, r store.Reader, account assurance.AccountID, source netip.Addr) (bool, error) {
	if account == 0 || !source.IsValid() {
		return false, nil
	}
	var n int64
	err := r.QueryRow(ctx, `select count(*) from known_source where account = $1 and source = $2 and seen > $3`,
		int64(account), sourceKey(source), store.Unix(g.now().Add(-30*day))).Scan(&n)
	return n > 0, err
}

// noteSource remembers from where the account was granted something, at most
// once a day for each.
func (g *guesses) noteSource(ctx context.Context, tx *store.Tx, at *attempt, account directory.Account) error {
	if !at.Source.IsValid() {
		return nil
	}
	n, now := note{account.ID, sourceKey(at.Source)}, g.now()
	if g.noted.within(n, now) {
		return nil
	}
	var seen int64
	err := tx.QueryRow(ctx, `select coalesce(max(seen), 0) from known_source where account = $1 and source = $2`, int64(n.account), n.source).Scan(&seen)
	if err != nil {
		return err
	}
	last := store.Time(seen)
	if now.Sub(last) >= day {
		last = now
		_, err = tx.Exec(ctx, `insert into known_source (account, source, seen) values ($1,$2,$3) on conflict (account, source) do update set seen = excluded.seen`,
			int64(n.account), n.source, store.Unix(now))
	}
	tx.AfterCommit(func() { g.noted.keep(n, last) })
	return err
}
