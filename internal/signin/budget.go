package signin

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
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
// and every spelling of a name, and a new attempt never refills it. Those of
// credentials and accounts are kept apart by side. Reading, judging and charging
// happen in one serialisable transaction, so N guesses at once on M servers
// cannot exceed it.
type subject struct {
	key    string
	window time.Duration // after which it starts anew; 0 counts what is consecutive
	limit  int
	reason string
	// credential is whose budget it is, or 0, and owner of which account, or 0. Where apart
	// is set, it is that of one side.
	credential assurance.CredentialID
	owner      assurance.AccountID
	apart      bool
	side       side
	times      int // how many times the limit of one source it has

	count int
	since time.Time
	retry time.Time
}

// budget is what one answer draws on.
type budget struct {
	side     side
	subjects []subject
	// others count what was wrong for the same authenticators on other sides.
	others   []subject
	besieged bool // so much was wrong everywhere that strangers wait from their first wrong answer on
}

// guesses keeps the budgets.
type guesses struct {
	limits Limits
	keys   *keyring.Keyring
	now    func() time.Time
	noted  noted
	closed closed
	swept  atomic.Int64 // when this server last looked for budgets that are over
	fresh  meter        // rows that strangers caused
}

// apart adds the budgets of each side.
func apart(out []subject, s subject, of ...side) []subject {
	base := s.key
	for i, side := range of {
		if i > 0 && side == of[0] {
			continue
		}
		s.key, s.side, s.apart = base+string(side), side, true
		out = append(out, s)
	}
	return out
}

// subjects lists whom a guess may be charged to, on whichever of two sides. The
// credentials come first, with those of all sides: a right answer opens all.
func (g *guesses) subjects(at *attempt, account directory.Account, kind string, credentials []directory.Credential, away, home side) []subject {
	one := subject{owner: account.ID, limit: g.limits.Disable, reason: "closed"}
	hour := subject{owner: account.ID, window: time.Hour, limit: g.limits.PerAccount, reason: "account-budget"}
	out := make([]subject, 0, len(sides)*max(1, len(credentials))+2+len(widths)+1)
	for _, c := range credentials {
		one.key, one.credential = credentialKey(c.ID), c.ID
		out = apart(out, one, sides[:]...)
	}
	switch {
	case account.ID == 0:
		// A name that nobody has wears out like one that somebody has.
		one.key, hour.key = nameKey(kind, at.Name), nameKey("", at.Name)
		out = apart(out, one, sides[:]...)
	case len(credentials) == 0:
		// What an account has not got wears out like what it has, so that guessing at it
		// does not wear out the account faster.
		one.key, hour.key = "none/"+strconv.FormatInt(int64(account.ID), 10)+"/"+kind, accountKey(account.ID)
		out = apart(out, one, sides[:]...)
	default:
		hour.key = accountKey(account.ID)
	}
	out = apart(out, hour, away, home)
	out = append(out, sourceSubjects(at.Source, g.limits.PerSource)...)
	return append(out, subject{key: installation, window: 10 * time.Minute, limit: g.limits.PerInstallation})
}

const installation = "installation"

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

// read finds out what an answer draws on, and says whether one more guess is
// allowed: an empty reason is yes.
func (g *guesses) read(ctx context.Context, r store.Reader, at *attempt, account directory.Account, kind string, credentials []directory.Credential) (budget, string, error) {
	away, home := g.sides(at, account.ID)
	all := g.subjects(at, account, kind, credentials, away, home)
	letIn, err := g.load(ctx, r, all, account.ID, placeKey(at))
	if err != nil {
		return budget{}, "", err
	}
	b := budget{side: away, subjects: make([]subject, 0, len(all))}
	if letIn {
		b.side = home
	}
	for _, s := range all {
		switch {
		case !s.apart || s.side == b.side:
			b.subjects = append(b.subjects, s)
		case s.credential != 0 && s.count > 0:
			b.others = append(b.others, s)
		}
	}
	return b, g.judge(&b), nil
}

// roomier is how many times as much may come from the address of somebody who is no
// stranger there: an office is not shut out by one who guesses in it.
const roomier = 10

// judge says why no more guess is allowed; empty when one is. What is wrong in the
// whole installation refuses nobody.
func (g *guesses) judge(b *budget) string {
	now := g.now()
	for i := range b.subjects {
		s := &b.subjects[i]
		if s.window > 0 && now.Sub(s.since) >= s.window {
			s.count, s.since = 0, now
		}
		limit := s.limit
		if s.times > 0 && b.side != stranger {
			limit *= roomier
		}
		switch {
		case s.key == installation:
			b.besieged = s.count >= limit
		case s.count >= limit:
			return s.reason
		case now.Before(s.retry):
			return "delayed"
		}
	}
	return ""
}

// load fills in the subjects' counts, and says whether the account was let in from this
// place within a month.
func (g *guesses) load(ctx context.Context, r store.Reader, subjects []subject, account assurance.AccountID, place string) (letIn bool, err error) {
	ask := lookup{owner: account != 0, place: place != ""}
	args := make([]any, 0, 8)
	for _, s := range subjects {
		if s.owner == 0 {
			args = append(args, s.key)
			ask.subjects++
		}
	}
	if ask.owner {
		args = append(args, int64(account))
	}
	if ask.place {
		args = append(args, int64(account), place, store.Unix(g.now().Add(-placeLife)))
	}
	return fill(ctx, r, subjects, ask, args)
}

// loadSubjects fills in the counts of subjects that have no owner.
func loadSubjects(ctx context.Context, r store.Reader, subjects []subject) error {
	args := make([]any, len(subjects))
	for i, s := range subjects {
		args[i] = s.key
	}
	_, err := fill(ctx, r, subjects, lookup{subjects: len(subjects)}, args)
	return err
}

func fill(ctx context.Context, r store.Reader, subjects []subject, a lookup, args []any) (letIn bool, err error) {
	rows, err := r.Query(ctx, a.question(), args...)
	if err != nil {
		return false, err
	}
	defer rows.Close()
	for rows.Next() {
		var key string
		var count, since, retry int64
		if err := rows.Scan(&key, &count, &since, &retry); err != nil {
			return false, err
		}
		letIn = letIn || key == thePlace
		for i := range subjects {
			if subjects[i].key == key {
				subjects[i].count, subjects[i].since, subjects[i].retry = int(count), store.Time(since), store.Time(retry)
			}
		}
	}
	return letIn, rows.Err()
}

// thePlace is in a row of a question when the account was let in from the place. No
// subject is called so.
const thePlace = "place"

// lookup is what one question reads: so many subjects by name, all that an account owns,
// which is one look and nearly always finds nothing, and whether it was let in from a place.
type lookup struct {
	subjects     int
	owner, place bool
}

// questions are the first of each form: every sign-in asks one.
var questions = func() (out [8][2][2]string) {
	for n := range out {
		for i, is := range []bool{false, true} {
			out[n][i] = [2]string{lookup{n, is, false}.written(), lookup{n, is, true}.written()}
		}
	}
	return out
}()

func (a lookup) question() string {
	if a.subjects >= len(questions) {
		return a.written()
	}
	of := func(is bool) int {
		if is {
			return 1
		}
		return 0
	}
	return questions[a.subjects][of(a.owner)][of(a.place)]
}

// written asks for subjects one by one: a list behind "in" costs SQLite a table of its own
// each time.
func (a lookup) written() string {
	const of = "select subject, count, since, retry from guess where "
	var parts []string
	next := 0
	arg := func() string { next++; return "$" + strconv.Itoa(next) }
	for range a.subjects {
		parts = append(parts, of+"subject = "+arg())
	}
	if a.owner {
		parts = append(parts, of+"owner <> 0 and owner = "+arg())
	}
	if a.place {
		parts = append(parts, "select '"+thePlace+"', seen, 0, 0 from known_source where account = "+arg()+" and source = "+arg()+" and seen > "+arg())
	}
	return strings.Join(parts, " union all ")
}

// charge counts one guess against every subject that read has filled in in the
// same transaction.
func (g *guesses) charge(ctx context.Context, tx *store.Tx, b budget) error {
	now, delayed := g.now(), g.limits.Delay
	if b.besieged && b.side == stranger {
		delayed = 1
	}
	for i := range b.subjects {
		s := &b.subjects[i]
		s.count++
		if s.since.IsZero() {
			s.since = now
		}
		if s.window == 0 && s.count >= delayed {
			s.retry = now.Add(delay(s.count - delayed))
		}
		if s.count == 1 && !g.keeps(s.key, now) {
			continue
		}
		_, err := tx.Exec(ctx, `insert into guess (subject, owner, count, since, retry) values ($1,$2,$3,$4,$5)
			on conflict (subject) do update set owner = excluded.owner, count = excluded.count, since = excluded.since, retry = excluded.retry`,
			s.key, int64(s.owner), s.count, store.Unix(s.since), store.Unix(s.retry))
		if err != nil {
			return err
		}
	}
	return nil
}

// freshMost is how many new rows an hour strangers cause at most on one server: of names
// that nobody has, and as many of addresses, so that made-up names take no room from the
// budgets of sources. What is beyond is not kept: that a name which nobody
// has does not wear out cannot be seen, because nothing is right for it; and whoever has
// so many addresses loses nothing by the budget of one.
const freshMost = 50_000

// keeps reports whether a subject that counts its first guess is written down.
func (g *guesses) keeps(key string, now time.Time) bool {
	kind, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(key, "spray/"), "stuffing/"), "/")
	return kind != "name" && kind != "source" || g.fresh.take(now, kind, freshMost)
}

// delay grows from 30 seconds, twice as long each time, to an hour
// (SP 800-63B-4 section 3.2.2).
func delay(n int) time.Duration {
	return min(30*time.Second<<min(n, 10), time.Hour)
}

// slowest is the first of so many wrong answers in a row after which the next must wait
// for as long as any.
func (l Limits) slowest() int {
	n := l.Delay
	for delay(n-l.Delay) < time.Hour {
		n++
	}
	return n
}

// refund gives back what a right answer was charged: the credential's rows, of
// all sides, begin anew, the others get their one back.
func (g *guesses) refund(ctx context.Context, tx *store.Tx, b budget, credential assurance.CredentialID, charged bool) error {
	for _, s := range b.subjects {
		var err error
		switch {
		case credential != 0 && s.credential == credential && s.count > 0:
			_, err = tx.Exec(ctx, `delete from guess where subject = $1`, s.key)
		case charged:
			_, err = tx.Exec(ctx, `update guess set count = count - 1 where subject = $1 and count > 0`, s.key)
		}
		if err != nil {
			return err
		}
	}
	for _, s := range b.others {
		if s.credential != credential {
			continue
		}
		if _, err := tx.Exec(ctx, `delete from guess where subject = $1`, s.key); err != nil {
			return err
		}
	}
	return nil
}
