package throttle

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/directory"
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
	side       Side
	times      int // how many times the limit of one source it has

	count int
	since time.Time
	retry time.Time
	// step is how much was charged just now: 1, or what a wrong answer that counts for
	// several is worth, or 0.
	step int
	// anew says that what is charged begins a count of its own, because the row of the one
	// that is remembered is not there.
	anew bool
	// recalled says that more is remembered here than is stored.
	recalled bool
}

// Budget is what one answer draws on.
type Budget struct {
	side     Side
	subjects []subject
	// others count what was wrong for the same authenticators on other sides.
	others   []subject
	place    Place // what was found of where the answer comes from
	besieged bool  // so much was wrong everywhere that strangers wait from their first wrong answer on
	// stake is what was charged before a check, to be given back once; nil where nothing was.
	stake *sync.Once
}

// Place is what was found of the place that the answer comes from.
func (b *Budget) Place() Place { return b.place }

// Side is which side of the account the answer comes from.
func (b *Budget) Side() Side { return b.side }

// budgets reads, judges and charges them. It is safe for concurrent use.
type budgets struct {
	limits Limits
	now    func() time.Time
	ledger *ledger
	places *places
	fresh  Meter // rows that strangers caused
}

// apart adds the budgets of each side.
func apart(out []subject, s subject, of ...Side) []subject {
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
func (g *budgets) subjects(w Requester, t Target, away, home Side) []subject {
	one := subject{owner: t.Account, limit: g.limits.Disable, reason: "closed"}
	hour := subject{owner: t.Account, window: time.Hour, limit: g.limits.PerAccount, reason: "account-budget"}
	out := make([]subject, 0, len(sides)*max(1, len(t.Credentials))+2+len(widths)+1)
	for _, c := range t.Credentials {
		one.key, one.credential = credentialKey(c), c
		out = apart(out, one, sides[:]...)
	}
	switch {
	case t.Account == 0:
		// A name that nobody has wears out like one that somebody has.
		one.key, hour.key = nameKey(t.Kind, w.Name), nameKey("", w.Name)
		out = apart(out, one, sides[:]...)
	case len(t.Credentials) == 0:
		// What an account has not got wears out like what it has, so that guessing at it
		// does not wear out the account faster.
		one.key, hour.key = "none/"+strconv.FormatInt(int64(t.Account), 10)+"/"+t.Kind, accountKey(t.Account)
		out = apart(out, one, sides[:]...)
	default:
		hour.key = accountKey(t.Account)
	}
	out = apart(out, hour, away, home)
	return append(out, g.anybody(w)...)
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

// Read finds out what an answer draws on, and says whether one more guess is allowed: an
// empty reason is yes. The error is the database's, or one for [Throttle.Confirm].
func (t *Throttle) Read(ctx context.Context, r store.Reader, w Requester, of Target) (Budget, string, error) {
	g := t.budgets
	away, home := g.places.sides(w, of.Account)
	all := g.subjects(w, of, away, home)
	letIn, place, err := g.load(ctx, r, all, note{of.Account, w.place()}, of.Spelling)
	if err != nil {
		return Budget{}, "", err
	}
	b := Budget{side: away, place: place, subjects: make([]subject, 0, len(all))}
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
	if !w.Heard && recalls(&b) {
		return b, "", errUnheard
	}
	return b, refusal, nil
}

// Wrong is how many wrong answers in a row an authenticator has had from where this one
// comes.
func (b *Budget) Wrong(of assurance.CredentialID) (count int) {
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
func recalls(b *Budget) bool {
	return slices.ContainsFunc(b.subjects, func(s subject) bool { return s.recalled })
}

// WrongNumbers is after how many wrong numbers in a row an app is to be switched off.
// Whoever types them has its key and has unlocked it.
const WrongNumbers = 10

// Numbers finds out what a wrong number is charged to, by which an approval is looked for,
// and why none may be tried; app is 0 for a session. The account's budget for numbers is one
// of its own, so that nobody who guesses its password keeps its owner from approving. Heard
// says that all of the log was heard. The error is the database's, or one for
// [Throttle.Confirm].
func (t *Throttle) Numbers(ctx context.Context, r store.Reader, account assurance.AccountID, app assurance.CredentialID, heard bool) (b Budget, over string, err error) {
	b.subjects = []subject{{key: "number/" + strconv.FormatInt(int64(account), 10), window: time.Hour, limit: t.budgets.limits.PerAccount, reason: "account-budget"}}
	if app != 0 {
		b.subjects = append(b.subjects, subject{key: credentialKey(app), credential: app, limit: WrongNumbers, reason: "disabled"})
	}
	if err := t.budgets.loadSubjects(ctx, r, b.subjects); err != nil {
		return b, "", err
	}
	over = t.budgets.judge(&b)
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
func (g *budgets) judge(b *Budget) string {
	now := g.now()
	for i := range b.subjects {
		s := &b.subjects[i]
		if s.window > 0 && now.Sub(s.since) >= s.window {
			s.count, s.since = 0, time.Time{}
		}
		limit := s.limit
		if s.times > 0 && b.side != Stranger {
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
// place within a month, and what it found of it.
func (g *budgets) load(ctx context.Context, r store.Reader, subjects []subject, from note, spelling string) (letIn bool, place Place, err error) {
	known := from.account != 0 && g.places.noted.within(from, g.now()) // then it is not read again
	ask := lookup{owner: from.account != 0, place: from.source != "" && !known}
	var account any = int64(from.account)
	if _, inside := r.(*store.Tx); inside && spelling != "" { // then it may have been read ahead, when nobody knew whether the place is known
		ask.named, ask.place, account = true, from.source != "", spelling
	}
	seen, err := g.fill(ctx, r, subjects, ask, from, g.args(&ask, subjects, account, from.source))
	return seen > 0 || known, Place{from, ask.place, seen}, err
}

// args are the arguments of a lookup, of which it sets for how many subjects it is.
func (g *budgets) args(ask *lookup, subjects []subject, account any, source string) []any {
	args := make([]any, 0, 8)
	for _, s := range subjects {
		if s.owner == 0 {
			args = append(args, s.key)
			ask.subjects++
		}
	}
	if ask.owner {
		args = append(args, account)
	}
	if ask.place {
		args = append(args, account, source, store.Unix(g.now().Add(-placeLife).Truncate(time.Hour))) // the same when it is read ahead
	}
	return args
}

// Ahead is what [Throttle.Read] asks for somebody whose account is known by its number, or
// found by a spelling, to be read before it does ([store.DB.ChangeAhead]).
func (t *Throttle) Ahead(w Requester, account assurance.AccountID, spelling string) store.Ask {
	g := t.budgets
	var of any = int64(account)
	ask := lookup{owner: true, place: w.place() != ""}
	if account == 0 {
		of, ask.named = spelling, true
	} else if ask.place {
		ask.place = !g.places.noted.within(note{account, w.place()}, g.now())
	}
	args := g.args(&ask, g.anybody(w), of, w.place())
	return store.Ask{Query: ask.question(), Args: args}
}

// AheadOfRefund is what [Throttle.Refund] asks of what was charged before a check.
func (t *Throttle) AheadOfRefund(b Budget) store.Ask {
	subjects := append(slices.Clip(b.subjects), b.others...)
	args := make([]any, len(subjects))
	for i := range subjects {
		args[i] = subjects[i].key
	}
	return store.Ask{Query: lookup{subjects: len(subjects)}.question(), Args: args}
}

// anybody lists whom a guess is charged to, whosever the account is.
func (g *budgets) anybody(w Requester) []subject {
	return append(sourceSubjects(w.Source, g.limits.PerSource), subject{key: installation, window: 10 * time.Minute, limit: g.limits.PerInstallation})
}

// loadSubjects fills in the counts of subjects that have no owner.
func (g *budgets) loadSubjects(ctx context.Context, r store.Reader, subjects []subject) error {
	args := make([]any, len(subjects))
	for i, s := range subjects {
		args[i] = s.key
	}
	_, err := g.fill(ctx, r, subjects, lookup{subjects: len(subjects)}, note{}, args)
	return err
}

// fill fills in the counts, and says when the account was let in from the place, or 0.
func (g *budgets) fill(ctx context.Context, r store.Reader, subjects []subject, a lookup, from note, args []any) (seen int64, err error) {
	rows, err := r.Query(ctx, a.question(), args...)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	for rows.Next() {
		var row guessRow
		if err := row.scan(rows); err != nil {
			return 0, err
		}
		if row.subject == thePlace {
			if row.since > store.Unix(g.now().Add(-placeLife)) && g.places.knows(from, row.since, row.mac) {
				seen = row.since
			}
			continue
		}
		for i := range subjects {
			if subjects[i].key == row.subject {
				g.ledger.take(&subjects[i], &row)
			}
		}
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return 0, err
	}
	return seen, g.ledger.recall(ctx, subjects)
}

// thePlace is in a row of a question when the account was let in from the place. No
// subject is called so.
const thePlace = "place"

// lookup is what one question reads: so many subjects by name, all that an account owns,
// which is one look and nearly always finds nothing, and whether it was let in from a place.
// The account is given by its number or, where named is set, by its spelling.
type lookup struct {
	subjects            int
	owner, place, named bool
}

// questions are the first of each form: every sign-in asks one.
var questions = func() (out [8][8]string) {
	for n := range out {
		for form := range out[n] {
			a := lookup{n, form&1 != 0, form&2 != 0, form&4 != 0}
			out[n][a.form()] = a.written()
		}
	}
	return out
}()

func (a lookup) form() (n int) {
	for i, is := range []bool{a.owner, a.place, a.named} {
		if is {
			n |= 1 << i
		}
	}
	return n
}

func (a lookup) question() string {
	if a.subjects >= len(questions) {
		return a.written()
	}
	return questions[a.subjects][a.form()]
}

// written asks for subjects one by one: a list behind "in" costs SQLite a table of its own
// each time.
func (a lookup) written() string {
	const of = "select " + guessColumns + " from guess where "
	var parts []string
	next := 0
	arg := func() string { next++; return "$" + strconv.Itoa(next) }
	account := func() string {
		if a.named {
			return strings.ReplaceAll(directory.Named, "$1", arg())
		}
		return arg()
	}
	for range a.subjects {
		parts = append(parts, of+"subject = "+arg())
	}
	if a.owner {
		parts = append(parts, of+"owner <> 0 and owner = "+account())
	}
	if a.place {
		parts = append(parts, "select '"+thePlace+"', account, 0, seen, 0, mac from known_source where account = "+account()+" and source = "+arg()+" and seen > "+arg())
	}
	return strings.Join(parts, " union all ")
}

// Charge counts one guess against all that [Throttle.Read] or [Throttle.Numbers] has found
// in the same transaction.
func (t *Throttle) Charge(ctx context.Context, tx *store.Tx, b *Budget) error {
	return t.budgets.hold(ctx, tx, b, 0)
}

// Hold is [Throttle.Charge] before a check. What the check finds is booked by
// [Throttle.Decide] or [Throttle.Refund]; until then a server does not keep over a restart
// that it charged this, so that one which is killed takes nothing of it for an attack.
func (t *Throttle) Hold(ctx context.Context, tx *store.Tx, b *Budget) error {
	return t.budgets.hold(ctx, tx, b, 1)
}

// hold counts one guess, of so many that may be given back: one before a check, none after it.
func (g *budgets) hold(ctx context.Context, tx *store.Tx, b *Budget, held int64) error {
	now, delayed := g.now(), g.limits.Delay
	if b.besieged && b.side == Stranger {
		delayed = 1
	}
	rows := make([]guessRow, 0, len(b.subjects))
	for i := range b.subjects {
		s := &b.subjects[i]
		if s.step = s.worth(); s.step == 0 || held > 0 && s.key == installation {
			s.step = 0
			continue
		}
		s.count += s.step
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

// exactly is how many wrong answers the counts of the whole installation count one by one, and
// several how many each of those counts for that are written beyond.
const exactly, several = 200, 16

// worth is how much a wrong answer counts for a subject. The counts of the whole installation
// are rows that all servers write. They refuse nobody, and where many answers are wrong, one in
// so many is written and counts for all of them, by chance, which nobody can foresee: at 2,000
// such a count is right to within a sixth, nineteen times in twenty.
func (s *subject) worth() int {
	switch {
	case s.key != installation && !strings.HasSuffix(s.key, "/"+installation), s.count < exactly:
		return 1
	case rand.IntN(several) == 0:
		return several
	}
	return 0
}

// passed reports whether a count has reached one of these with what was charged just now.
func (s *subject) passed(steps []int) bool {
	return slices.ContainsFunc(steps, func(step int) bool { return s.count-s.step < step && step <= s.count })
}

// Book charges what a wrong answer costs that was held before its check, and that is not held:
// the count of the whole installation, which a right answer never writes.
func (t *Throttle) Book(ctx context.Context, tx *store.Tx, b *Budget) error {
	i := slices.IndexFunc(b.subjects, func(s subject) bool { return s.key == installation })
	if i < 0 {
		return nil
	}
	s := &b.subjects[i]
	s.count, s.since, s.retry = 0, time.Time{}, time.Time{} // others were wrong since it was read
	return t.budgets.count(ctx, tx, b.subjects[i:i+1])
}

// AheadOfBook is what [Throttle.Book] asks.
func (t *Throttle) AheadOfBook() store.Ask {
	return store.Ask{Query: lookup{subjects: 1}.question(), Args: []any{installation}}
}

// keeps reports whether a subject that counts its first guess is written down.
func (g *budgets) keeps(key string, now time.Time) bool {
	kind, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(key, "spray/"), "stuffing/"), "/")
	return kind != "name" && kind != "source" || g.fresh.Take(now, kind, freshMost)
}

// delay grows from 30 seconds, twice as long each time, to an hour
// (SP 800-63B-4 section 3.2.2).
func delay(n int) time.Duration {
	return min(30*time.Second<<min(n, 10), longestDelay)
}

const longestDelay = time.Hour

// slowest is the first of so many wrong answers in a row after which the next must wait for
// as long as any.
func (l Limits) slowest() int {
	n := l.Delay
	for delay(n-l.Delay) < longestDelay {
		n++
	}
	return n
}

// Refund gives back what a right answer was charged: the credential's rows, of all sides,
// begin anew, the others get their one back where they were charged before the check. A
// credential of 0 begins nothing anew.
func (t *Throttle) Refund(ctx context.Context, tx *store.Tx, b Budget, credential assurance.CredentialID, charged bool) error {
	all := append(slices.Clip(b.subjects), b.others...)
	if charged {
		t.budgets.ledger.release(b)
		var err error
		if all, err = t.budgets.current(ctx, tx, all); err != nil {
			return err
		}
	}
	var back []guessRow
	for i, s := range all {
		switch {
		case credential != 0 && s.credential == credential:
			if err := t.budgets.end(ctx, tx, s, charged && i < len(b.subjects)); err != nil {
				return err
			}
		case charged && i < len(b.subjects) && s.count > 0 && s.key != installation:
			s.count--
			back = append(back, s.row())
		}
	}
	return t.budgets.ledger.write(ctx, tx, back)
}

// Decide notes that what [Throttle.Hold] charged stays charged. Call it once that is
// committed.
func (t *Throttle) Decide(b Budget) { t.budgets.ledger.decide(b) }

// current reads once more what an answer drew on, of which others may have charged since.
// What began anew since then is at 0: nothing of it is this answer's.
func (g *budgets) current(ctx context.Context, tx *store.Tx, subjects []subject) ([]subject, error) {
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
func (g *budgets) end(ctx context.Context, tx *store.Tx, s subject, charged bool) error {
	if s.count == 0 {
		return nil
	}
	if !charged || s.count > 1 {
		tx.End("guess", runName(s.key, store.Unix(s.since)), g.now().Add(runLife+time.Hour))
	}
	_, err := tx.Expect(ctx, 1, `delete from guess where subject = $1`, s.key)
	return err
}
