// Package recovery is how people get back in who lost what they sign in with.
//
// It owns the tables recovery_request and recovery: the browser that shows a
// number, and the case that somebody opens for it. It does not say who may open
// one (admin does, under a Grant), and it lets nobody in: what a case ends in is a
// temporary access pass, which goes to the engine like any other. Its neighbours
// are admin, which does the commands, and web/challenge, which shows the person how
// far it is. Its one invariant: a pass is made for the browser whose number was
// read out and for no other, after somebody recorded how they made sure who it is,
// after the waiting time or with a second person, and not when the owner objects.
//
// SP 800-63B-4 section 4.2 names the ways; the waiting time and the second person
// are ours (docs/decisions/0010).
//
// It is in pieces, by who uses them: [Cases] are the rows, [Requests] the browsers,
// [Openings], [Confirmations] and [Passes] the way of a case, [Stops] its end, and
// [Owners] whether somebody could object.
package recovery

import (
	"context"
	"crypto/sha256"
	"net/url"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/directory"
	"countersign/internal/enrollment"
	"countersign/internal/failure"
	"countersign/internal/keyring"
	"countersign/internal/notify"
	"countersign/internal/store"
	"countersign/internal/throttle"
	"countersign/internal/ticket"
)

// WaitDefault and WaitCeiling bound how long an owner has to object.
const (
	WaitDefault = 24 * time.Hour
	WaitCeiling = 7 * 24 * time.Hour
)

// collectLife is for how long a pass can be had once it is due.
const collectLife = 72 * time.Hour

// stopLife is for how long the link that stops a case is good, beyond the waiting time:
// a confirmation and a pass each lengthen the case, once.
const stopLife = 3 * collectLife

// mostPasses is how many passes one case gives: a person who closes the page
// half-way begins again in the same browser. A new pass ends the one before.
const mostPasses = 3

// mostWrong is how many wrong numbers are typed to confirm a case before it ends.
const mostWrong = 5

// Parts are what recoveries are made of.
type Parts struct {
	DB          *store.DB
	Keys        *keyring.Keyring
	Accounts    *directory.Accounts
	Credentials *directory.Credentials
	Groups      *directory.Groups
	// Endings revokes what is lost, Passes issues the passes that cases end in.
	Endings *enrollment.Endings
	Passes  *enrollment.Passes
	Tickets *ticket.Tickets
	// Outbox takes the notices to people; Tries count the wrong numbers of a case.
	Outbox *notify.Outbox
	Tries  *throttle.Tries
	// EndSessions ends an account's sessions but one, and says how many they were.
	EndSessions func(ctx context.Context, tx *store.Tx, account assurance.AccountID, but string) (int, error)
	PublicURL   *url.URL
	// Mails says that there is a mail server: without one nobody hears of a case, and
	// nobody can object.
	Mails bool
	// Wait is how long an owner has to object; 0 is not at all.
	Wait time.Duration
	// Dormant is after how long an unused account gets no pass.
	Dormant time.Duration
	Now     func() time.Time
}

// Pieces are what a recovery is made of. Whoever puts a server together hands each caller
// the piece that it needs. Each is safe for concurrent use.
type Pieces struct {
	Cases         *Cases
	Requests      *Requests
	Openings      *Openings
	Confirmations *Confirmations
	Passes        *Passes
	Stops         *Stops
	Owners        *Owners
}

// New makes the pieces. It refuses a waiting time that is out of range.
func New(p Parts) (Pieces, error) {
	if p.Wait < 0 || p.Wait > WaitCeiling {
		return Pieces{}, failure.New(failure.Invalid, "recovery.wait must be from 0 to %s.", WaitCeiling)
	}
	made := Pieces{Cases: newCases(p), Owners: newOwners(p)}
	made.Requests, made.Stops = newRequests(p, made.Cases), newStops(p, made.Cases)
	made.Openings, made.Confirmations, made.Passes = newOpenings(p, made), newConfirmations(p, made), newPasses(p, made)
	return made, nil
}

// hash is what is kept of a browser's secret.
func hash(secret string) []byte {
	h := sha256.Sum256([]byte("recovery\x00" + secret))
	return h[:]
}

// Checks are the ways in which a person can have made sure who it is, with the
// words for each.
func Checks() [][2]string {
	return [][2]string{
		{"in-person", "seen in person, and known or with a photo identity card"},
		{"called-back", "called back on the number that was on file before"},
		{"video", "seen on video, with a photo identity card"},
		{"manager", "their manager confirmed it, asked on a known number"},
	}
}

// Codes is the check of who brought two codes by themselves.
const Codes = "codes"

// Words says a check in words; empty for one that is none.
func Words(check string) string {
	if check == Codes {
		return "a saved recovery code, and a code that was mailed"
	}
	for _, c := range Checks() {
		if c[0] == check {
			return c[1]
		}
	}
	return ""
}

// Owners says whether the owner of an account hears of a case and could object.
type Owners struct {
	people      *directory.Accounts
	credentials *directory.Credentials
	mailing     bool
	now         func() time.Time
}

func newOwners(p Parts) *Owners {
	return &Owners{people: p.Accounts, credentials: p.Credentials, mailing: p.Mails, now: p.Now}
}

// Mails reports whether there is a mail server, so that owners hear of a case.
func (ow *Owners) Mails() bool { return ow.mailing }

// settles is how long after an account's addresses were replaced nobody relies on them:
// whoever replaced them may read what is sent there, and the owner may not.
const settles = 7 * 24 * time.Hour

// notified reports whether an account's owner hears of a case, and so can object.
func (ow *Owners) notified(ctx context.Context, from store.Reader, account assurance.AccountID) (bool, error) {
	a, err := ow.people.Get(ctx, from, account)
	if err != nil {
		return false, err
	}
	moved := !a.MailMoved.IsZero() && ow.now().Before(a.MailMoved.Add(settles))
	return ow.mailing && a.Mail != "" && !moved, nil
}

// Notified reports whether the owner of a case hears of it.
func (ow *Owners) Notified(ctx context.Context, from store.Reader, c Case) (bool, error) {
	return ow.notified(ctx, from, c.Account)
}
