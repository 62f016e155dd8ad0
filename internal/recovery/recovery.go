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
package recovery

import (
	"context"
	"crypto/sha256"
	"net/url"
	"sync/atomic"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/directory"
	"countersign/internal/enrollment"
	"countersign/internal/failure"
	"countersign/internal/keyring"
	"countersign/internal/notify"
	"countersign/internal/signin"
	"countersign/internal/store"
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
	Directory   *directory.Directory
	Enrollments *enrollment.Enrollments
	Tickets     *ticket.Tickets
	// Outbox takes the notices to people; Tries count the wrong numbers of a case.
	Outbox *notify.Outbox
	Tries  *signin.Tries
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

// Recoveries keeps cases. It is safe for concurrent use.
type Recoveries struct {
	db          *store.DB
	keys        *keyring.Keyring
	directory   *directory.Directory
	enrollments *enrollment.Enrollments
	tickets     *ticket.Tickets
	outbox      *notify.Outbox
	tries       *signin.Tries
	endSessions func(ctx context.Context, tx *store.Tx, account assurance.AccountID, but string) (int, error)
	publicURL   *url.URL
	mailing     bool
	wait        time.Duration
	dormant     time.Duration
	now         func() time.Time

	asked  atomic.Int64 // requests to this server
	opened opened
}

// New makes Recoveries. It refuses a waiting time that is out of range.
func New(p Parts) (*Recoveries, error) {
	if p.Wait < 0 || p.Wait > WaitCeiling {
		return nil, failure.New(failure.Invalid, "recovery.wait must be from 0 to %s.", WaitCeiling)
	}
	return &Recoveries{
		db: p.DB, keys: p.Keys, directory: p.Directory, enrollments: p.Enrollments, tickets: p.Tickets, outbox: p.Outbox, tries: p.Tries,
		endSessions: p.EndSessions, publicURL: p.PublicURL, mailing: p.Mails, wait: p.Wait, dormant: p.Dormant, now: p.Now,
	}, nil
}

// Mails reports whether there is a mail server, so that owners hear of a case.
func (r *Recoveries) Mails() bool { return r.mailing }

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
