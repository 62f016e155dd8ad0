package signin

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync"
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
	// anew says that what is charged begins a count of its own, because the row of the one
	// that is remembered is not there.
	anew bool
	// recalled says that more is remembered here than is stored.
	recalled bool
}

// budget is what one answer draws on.
type budget struct {
	side     side
	subjects []subject
	// others count what was wrong for the same authenticators on other sides.
	others   []subject
	besieged bool // so much was wrong everywhere that strangers wait from their first wrong answer on
	// stake is what was charged before a check, to be given back once; nil where nothing was.
	stake *sync.Once
}

// guesses keeps the budgets.
type guesses struct {
	limits Limits
	view   store.View
	now    func() time.Time
	ledger *ledger
	places *places
	closed closed
	swept  atomic.Int64 // when this server last looked for budgets that are over
	fresh  meter        // rows that strangers caused
}

func newGuesses(db *store.DB, keys *keyring.Keyring, limits Limits, now func() time.Time) (*guesses, error) {
	l, err := newLedger(db, keys, now)
	return &guesses{limits: limits, view: db.View(), now: now, ledger: l, places: &places{view: db.View(), keys: keys, now: now}}, err
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
func (g *guesses) subjects(w who, t target, away, home side) []subject {
	one := subject{owner: t.account, limit: g.limits.Disable, reason: "closed"}
	hour := subject{owner: t.account, window: time.Hour, limit: g.limits.PerAccount, reason: "account-budget"}
	out := make([]subject, 0, len(sides)*max(1, len(t.credentials))+2+len(widths)+1)
	for _, c := range t.credentials {
		one.key, one.credential = credentialKey(c), c
		out = apart(out, one, sides[:]...)
	}
	switch {
	case t.account == 0:
		// A name that nobody has wears out like one that somebody has.
		one.key, hour.key = nameKey(t.kind, w.name), nameKey("", w.name)
		out = apart(out, one, sides[:]...)
	case len(t.credentials) == 0:
		// What an account has not got wears out like what it has, so that guessing at it
		// does not wear out the account faster.
		one.key, hour.key = "none/"+strconv.FormatInt(int64(t.account), 10)+"/"+t.kind, accountKey(t.account)
		out = apart(out, one, sides[:]...)
	default:
		hour.key = accountKey(t.account)
	}
	out = apart(out, hour, away, home)
	out = append(out, sourceSubjects(w.source, g.limits.PerSource)...)
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
func (g *guesses) read(ctx context.Context, r store.Reader, w who, t target) (budget, string, error) {
	away, home := g.places.sides(w, t.account)
	all := g.subjects(w, t, away, home)
	letIn, err := g.load(ctx, r, all, note{t.account, w.place()})
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
	refusal := g.judge(&b)
	if !w.heard && recalls(&b) {
		return b, "", errUnheard
	}
	return b, refusal, nil
}

// wrong is how many wrong answers in a row an authenticator has had from where this one
// comes.
func (b *budget) wrong(of assurance.CredentialID) (count int) {
	for _, s := range b.subjects {
		if s.credential == of {
			count = s.count
		}
	}
	return count
}

// recalls reports whether this server remembers more of what an answer draws on than is
// stored: another one may have ended that a moment ago. What is counted on would be written
// down as wrong, and more be demanded of the next answer.
func recalls(b *budget) bool {
	return slices.ContainsFunc(b.subjects, func(s subject) bool { return s.recalled })
}

// wrongNumbers is after how many wrong numbers in a row an app is switched off.
// Whoever types them has its key and has unlocked it.
const wrongNumbers = 10

// numbers finds out what a wrong number is charged to, by which an approval is looked for,
// and why none may be tried; app is 0 for a session. The account's budget for numbers is one
// of its own, so that nobody who guesses its password keeps its owner from approving. Heard
// says that all of the log was heard.
func (g *guesses) numbers(ctx context.Context, r store.Reader, account assurance.AccountID, app assurance.CredentialID, heard bool) (b budget, over string, err error) {
	b.subjects = []subject{{key: "number/" + strconv.FormatInt(int64(account), 10), window: time.Hour, limit: g.limits.PerAccount, reason: "account-budget"}}
	if app != 0 {
		b.subjects = append(b.subjects, subject{key: credentialKey(app), credential: app, limit: wrongNumbers, reason: "disabled"})
	}
	if err := g.loadSubjects(ctx, r, b.subjects); err != nil {
		return b, "", err
	}
	over = g.judge(&b)
	if !heard && recalls(&b) {
		return b, "", errUnheard
	}
	return b, over, nil
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
			s.count, s.since = 0, time.Time{}
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
func (g *guesses) load(ctx context.Context, r store.Reader, subjects []subject, from note) (letIn bool, err error) {
	known := from.account != 0 && g.places.noted.within(from, g.now()) // then it is not read again
	ask := lookup{owner: from.account != 0, place: from.source != "" && !known}
	args := make([]any, 0, 8)
	for _, s := range subjects {
		if s.owner == 0 {
			args = append(args, s.key)
			ask.subjects++
		}
	}
	if ask.owner {
		args = append(args, int64(from.account))
	}
	if ask.place {
		args = append(args, int64(from.account), from.source, store.Unix(g.now().Add(-placeLife)))
	}
	letIn, err = g.fill(ctx, r, subjects, ask, from, args)
	return letIn || known, err
}

// loadSubjects fills in the counts of subjects that have no owner.
func (g *guesses) loadSubjects(ctx context.Context, r store.Reader, subjects []subject) error {
	args := make([]any, len(subjects))
	for i, s := range subjects {
		args[i] = s.key
	}
	_, err := g.fill(ctx, r, subjects, lookup{subjects: len(subjects)}, note{}, args)
	return err
}

func (g *guesses) fill(ctx context.Context, r store.Reader, subjects []subject, a lookup, from note, args []any) (letIn bool, err error) {
	rows, err := r.Query(ctx, a.question(), args...)
	if err != nil {
		return false, err
	}
	defer rows.Close()
	for rows.Next() {
		var row guessRow
		if err := row.scan(rows); err != nil {
			return false, err
		}
		if row.subject == thePlace {
			letIn = letIn || g.places.knows(from, row.since, row.mac)
			continue
		}
		for i := range subjects {
			if subjects[i].key == row.subject {
				g.ledger.take(&subjects[i], &row)
			}
		}
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return false, err
	}
	return letIn, g.ledger.recall(ctx, subjects)
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
	const of = "select " + guessColumns + " from guess where "
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
		parts = append(parts, "select '"+thePlace+"', account, 0, seen, 0, mac from known_source where account = "+arg()+" and source = "+arg()+" and seen > "+arg())
	}
	return strings.Join(parts, " union all ")
}

// charge counts one guess against every subject that read has filled in in the
// same transaction.
func (g *guesses) charge(ctx context.Context, tx *store.Tx, b *budget) error {
	return g.hold(ctx, tx, b, 0)
}

// hold is charge, of so many that may be given back: one before a check, none after it.
func (g *guesses) hold(ctx context.Context, tx *store.Tx, b *budget, held int64) error {
	now, delayed := g.now(), g.limits.Delay
	if b.besieged && b.side == stranger {
		delayed = 1
	}
	rows := make([]guessRow, 0, len(b.subjects))
	for i := range b.subjects {
		s := &b.subjects[i]
		s.count++
		if s.since.IsZero() || s.anew {
			s.since, s.anew = g.ledger.begin(s, now), false
		}
		if s.window == 0 && s.count >= delayed {
			s.retry = now.Add(delay(s.count - delayed))
		}
		if s.count == 1 && !g.keeps(s.key, now) {
			continue
		}
		rows = append(rows, s.row())
	}
	b.stake = new(sync.Once)
	charged := slices.Clone(b.subjects)
	tx.AfterCommit(func() { g.ledger.remember(charged, rows, held) })
	return g.ledger.write(ctx, tx, rows)
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
	return min(30*time.Second<<min(n, 10), longestDelay)
}

const longestDelay = time.Hour

// slowest is the first of so many wrong answers in a row after which the next must wait
// for as long as any.
func (l Limits) slowest() int {
	n := l.Delay
	for delay(n-l.Delay) < longestDelay {
		n++
	}
	return n
}

// refund gives back what a right answer was charged: the credential's rows, of
// all sides, begin anew, the others get their one back.
func (g *guesses) refund(ctx context.Context, tx *store.Tx, b budget, credential assurance.CredentialID, charged bool) error {
	all := append(slices.Clip(b.subjects), b.others...)
	if charged {
		g.ledger.release(b)
		var err error
		if all, err = g.current(ctx, tx, all); err != nil {
			return err
		}
	}
	var back []guessRow
	for i, s := range all {
		switch {
		case credential != 0 && s.credential == credential:
			if err := g.end(ctx, tx, s, charged && i < len(b.subjects)); err != nil {
				return err
			}
		case charged && i < len(b.subjects) && s.count > 0:
			s.count--
			back = append(back, s.row())
		}
	}
	return g.ledger.write(ctx, tx, back)
}

// current reads once more what an answer drew on, of which others may have charged since.
// What began anew since then is at 0: nothing of it is this answer's.
func (g *guesses) current(ctx context.Context, tx *store.Tx, subjects []subject) ([]subject, error) {
	now := slices.Clone(subjects)
	args := make([]any, len(now))
	for i := range now {
		args[i] = now[i].key
		now[i].count, now[i].since, now[i].retry = 0, time.Time{}, time.Time{}
	}
	if _, err := g.fill(ctx, tx, now, lookup{subjects: len(now)}, note{}, args); err != nil {
		return nil, err
	}
	for i := range now {
		if s := &now[i]; s.credential == 0 && store.Unix(s.since) != store.Unix(subjects[i].since) {
			s.count = 0
		}
	}
	return now, nil
}

// end begins a credential's count anew, after a right answer. That is said in the log, for
// the servers that remember what they charged; but not where there was nothing before what
// this answer itself was charged, as with every right password.
func (g *guesses) end(ctx context.Context, tx *store.Tx, s subject, charged bool) error {
	if s.count == 0 {
		return nil
	}
	if !charged || s.count > 1 {
		tx.End("guess", runName(s.key, store.Unix(s.since)), g.now().Add(runLife+time.Hour))
	}
	_, err := tx.Exec(ctx, `delete from guess where subject = $1`, s.key)
	return err
}
