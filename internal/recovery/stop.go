package recovery

import (
	"context"
	"errors"
	"net/url"
	"strconv"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/audit"
	"countersign/internal/directory"
	"countersign/internal/enrollment"
	"countersign/internal/failure"
	"countersign/internal/language"
	"countersign/internal/signin"
	"countersign/internal/store"
	"countersign/internal/ticket"
)

// stopKind is the ticket in the notice that only stops.
const stopKind = "recovery-stop"

func caseText(id int64) []byte { return strconv.AppendInt(nil, id, 10) }

// Undone is what went with a case that was stopped.
type Undone struct {
	// Cases is how many were stopped, Collected how many of them had given a pass.
	Cases, Collected int
	// Authenticators came of the pass and were revoked, Sessions were ended.
	Authenticators, Sessions int
}

func (u *Undone) add(o Undone) {
	u.Cases += o.Cases
	u.Collected += o.Collected
	u.Authenticators += o.Authenticators
	u.Sessions += o.Sessions
}

// String says what was undone, in a sentence.
func (u Undone) String() string { return u.Sentence().String() }

// Sentence is String for whoever reads it in another language.
func (u Undone) Sentence() language.Sentence {
	if u.Collected == 0 {
		return language.Say("It was stopped before anything came of it.")
	}
	return language.Say("Its pass had been taken already. What came of it was undone: %s and %s. What was revoked for it stays revoked, so that its owner needs a recovery which a second person confirms.",
		language.Counted(u.Authenticators, "%d authenticator was revoked", "%d authenticators were revoked"), language.Counted(u.Sessions, "%d session was ended", "%d sessions were ended"))
}

// Stops ends cases, and undoes what came of them.
type Stops struct {
	db          *store.DB
	people      *directory.Accounts
	credentials *directory.Credentials
	cases       *Cases
	endings     *enrollment.Endings
	tickets     *ticket.Tickets
	messenger   *messenger
	endSessions func(ctx context.Context, tx *store.Tx, account assurance.AccountID, but string) (int, error)
	publicURL   *url.URL
	now         func() time.Time
}

func newStops(p Parts, cases *Cases) *Stops {
	return &Stops{db: p.DB, people: p.Accounts, credentials: p.Credentials, cases: cases, endings: p.Endings, tickets: p.Tickets, messenger: newMessenger(p),
		endSessions: p.EndSessions, publicURL: p.PublicURL, now: p.Now}
}

// link is the address by which the owner of a case stops it, and can do nothing else.
func (s *Stops) link(ctx context.Context, tx *store.Tx, c Case, life time.Duration) (string, error) {
	code, err := s.tickets.IssueTx(ctx, tx, ticket.Spec{Kind: stopKind, Owner: int64(c.Account), Payload: caseText(c.ID), Lifetime: life})
	return s.publicURL.JoinPath("recovery/stop").String() + "?code=" + code, err
}

// end writes that nothing comes of a case any more, and undoes what came of it: the
// pass, what was set up since it was taken, and every session but one.
func (s *Stops) end(ctx context.Context, tx *store.Tx, was Case, keep string) (Undone, error) {
	c := was
	c.state = stateStopped
	out := Undone{Cases: 1}
	if err := s.cases.write(ctx, tx, was, c); err != nil || c.Taken == 0 {
		return out, err
	}
	out.Collected = 1
	credentials, err := s.credentials.All(ctx, tx, c.Account)
	if err != nil {
		return out, err
	}
	for _, one := range credentials {
		switch {
		case one.Traits.Has(assurance.Delegated):
		case !one.Created.Before(c.Collected) && one.Status != directory.CredentialRevoked:
			if err := s.endings.RevokeTx(ctx, tx, &one, directory.ByStop, c.ID); err != nil {
				return out, err
			}
			if !one.Traits.Has(assurance.Vouched) {
				out.Authenticators++
			}
		case one.Status == directory.CredentialRevoked && c.ended(one):
			// It was not replaced after all: it counts as its owner's again.
			one.End.Cause = directory.ByRecovery
			if err := s.credentials.Update(ctx, tx, one); err != nil {
				return out, err
			}
		}
	}
	out.Sessions, err = s.endSessions(ctx, tx, c.Account, keep)
	return out, err
}

// Stoppable returns how far the case is that a code from a notice still stops.
func (s *Stops) Stoppable(ctx context.Context, code string) (Case, error) {
	t, err := s.tickets.Peek(ctx, stopKind, code)
	if err != nil {
		return Case{}, err
	}
	return s.stoppable(ctx, s.db, t.Payload)
}

var isOver = failure.Refuse("unknown-ticket", "That recovery is over already.")

func (s *Stops) stoppable(ctx context.Context, from store.Reader, text []byte) (Case, error) {
	id, err := strconv.ParseInt(string(text), 10, 64)
	if err != nil {
		return Case{}, err
	}
	c, err := s.cases.byNumber(ctx, from, id)
	if errors.Is(err, store.ErrNotFound) || err == nil && !c.underWay(s.now()) {
		return c, isOver
	}
	return c, err
}

// StopByNotice stops the case of a code that its owner was sent, and tells the
// administrators: somebody tried to get in as them.
func (s *Stops) StopByNotice(ctx context.Context, code, source string) (Undone, error) {
	var out Undone
	err := s.db.Change(ctx, audit.Actor{Name: "recovery", Via: "notice"}, func(tx *store.Tx) error {
		t, err := s.tickets.TakeTx(ctx, tx, stopKind, code)
		if err != nil {
			return err
		}
		was, err := s.stoppable(ctx, tx, t.Payload)
		if err != nil {
			return err
		}
		account, err := s.people.Get(ctx, tx, was.Account)
		if err != nil {
			return err
		}
		out, err = s.object(ctx, tx, was, account, "", audit.Entry{Source: source, Reason: "notice"})
		return err
	})
	return out, err
}

// StopOwn stops the cases of the grant's account: its owner is signed in, and says
// that they lost nothing.
func (s *Stops) StopOwn(ctx context.Context, g signin.Grant) (Undone, error) {
	var out Undone
	err := s.db.Change(ctx, g.Actor(), func(tx *store.Tx) error {
		out = Undone{}
		account, err := s.people.Get(ctx, tx, g.Account())
		if err != nil {
			return err
		}
		all, err := s.cases.standing(ctx, tx, `account = $1`, account.ID)
		if err != nil {
			return err
		}
		if len(all) == 0 {
			return failure.New(failure.NotFound, "No recovery of %s is under way.", account.Name)
		}
		for _, was := range all {
			one, err := s.object(ctx, tx, was, account, g.Session(), audit.Entry{Source: g.SourceText(), Protocol: g.Protocol(), Attempt: g.Attempt(), Reason: "signed-in"})
			if err != nil {
				return err
			}
			out.add(one)
		}
		return nil
	})
	return out, err
}

// object stops a case because its owner says that it is not theirs.
func (s *Stops) object(ctx context.Context, tx *store.Tx, was Case, account directory.Account, keep string, en audit.Entry) (Undone, error) {
	out, err := s.end(ctx, tx, was, keep)
	if err != nil {
		return out, err
	}
	en.Event, en.Outcome = "alarm.recovery-not-mine", audit.OK
	en.Detail = map[string]string{"opener": strconv.FormatInt(int64(was.Opener), 10), "revoked": strconv.Itoa(out.Authenticators), "sessions-ended": strconv.Itoa(out.Sessions)}
	if err := tx.Record(was.entry(en, account)); err != nil {
		return out, err
	}
	opener, err := s.people.Get(ctx, tx, was.Opener)
	if err != nil && failure.ClassOf(err) != failure.NotFound {
		return out, err
	}
	return out, s.messenger.tellAdministrators(ctx, tx, noticeNotMine(opener, account, out))
}

// StopTx ends an account's cases inside a change that records it, and undoes what came
// of them.
func (s *Stops) StopTx(ctx context.Context, tx *store.Tx, account assurance.AccountID) (Undone, error) {
	var out Undone
	all, err := s.cases.standing(ctx, tx, `account = $1`, account)
	if err != nil {
		return out, err
	}
	for _, was := range all {
		one, err := s.end(ctx, tx, was, "")
		if err != nil {
			return out, err
		}
		out.add(one)
	}
	return out, nil
}

// FinishTx has an account's cases that gave a pass give no other, inside a change that
// records it. They can still be objected to.
func (s *Stops) FinishTx(ctx context.Context, tx *store.Tx, account assurance.AccountID) error {
	all, err := s.cases.standing(ctx, tx, `account = $1`, account)
	if err != nil {
		return err
	}
	for _, was := range all {
		if err := s.finish(ctx, tx, was); err != nil {
			return err
		}
	}
	return nil
}

// CloseTx has nothing more come of an account's cases: those that wait are stopped, and
// those that gave a pass give no other.
func (s *Stops) CloseTx(ctx context.Context, tx *store.Tx, account assurance.AccountID) error {
	all, err := s.cases.standing(ctx, tx, `account = $1`, account)
	if err != nil {
		return err
	}
	for _, was := range all {
		if was.Taken == 0 {
			_, err = s.end(ctx, tx, was, "")
		} else {
			err = s.finish(ctx, tx, was)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *Stops) finish(ctx context.Context, tx *store.Tx, was Case) error {
	if was.Taken == 0 || was.state != stateOpen {
		return nil
	}
	c := was
	c.state = stateDone
	return s.cases.write(ctx, tx, was, c)
}

// DoubtTx is for when somebody says, in a change that records it, that something in
// their name was not them. A recovery of their account that waits is stopped, and so
// is every one that waits on their word for somebody else. One that gave its pass
// gives no other, and administrators are told whose it is: many of these people will
// have been who they said, and only somebody who asks them can tell.
func (s *Stops) DoubtTx(ctx context.Context, tx *store.Tx, account directory.Account) (stopped int, err error) {
	own, err := s.cases.standing(ctx, tx, `account = $1`, account.ID)
	if err != nil {
		return 0, err
	}
	theirs, err := s.cases.standing(ctx, tx, `account <> $1 and (opener = $1 or confirmer = $1)`, account.ID)
	if err != nil {
		return 0, err
	}
	var taken []string
	for _, was := range append(own, theirs...) {
		whose, err := s.people.Get(ctx, tx, was.Account)
		if failure.ClassOf(err) == failure.NotFound {
			continue
		}
		if err != nil {
			return stopped, err
		}
		if was.Taken > 0 {
			if was.Account != account.ID {
				taken = append(taken, whose.Name)
			}
			if err := s.finish(ctx, tx, was); err != nil {
				return stopped, err
			}
			continue
		}
		if _, err := s.end(ctx, tx, was, ""); err != nil {
			return stopped, err
		}
		if err := tx.Record(was.entry(audit.Entry{Event: "recovery.refused", Outcome: audit.Refused, Reason: "disowned", Detail: map[string]string{"by": account.Name}}, whose)); err != nil {
			return stopped, err
		}
		stopped++
	}
	if len(taken) == 0 {
		return stopped, nil
	}
	return stopped, s.messenger.tellAdministrators(ctx, tx, noticeDoubted(account, taken))
}
