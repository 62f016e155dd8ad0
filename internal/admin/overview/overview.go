// Package overview is the command that says how an installation is.
//
// It owns what is counted, each by the room that keeps it. Its one invariant: it changes
// nothing.
package overview

import (
	"context"
	"errors"
	"time"

	"countersign/internal/admin"
	"countersign/internal/admin/administrators"
	"countersign/internal/application"
	"countersign/internal/audit"
	"countersign/internal/directory"
	"countersign/internal/recovery"
	"countersign/internal/signin"
	"countersign/internal/store"
)

// Commands are those about the whole installation, with what each answers and leaves in the log.
func Commands() []admin.Spec {
	return []admin.Spec{
		admin.Looks[Show]("Count accounts that need attention, and say how far the audit log is signed.", Overview{}).AlsoLent(),
	}
}

// Parts are what the commands work on.
type Parts struct {
	DB             *store.DB
	Accounts       *directory.Accounts
	Groups         *directory.Groups
	Applications   *application.Catalogue
	Cases          *recovery.Cases
	Administrators *administrators.Administrators
	Counts         *Counts
	// Carriers says what is wrong with each service that takes messages to people; nil
	// knows of none.
	Carriers func() []string
	// Mails says that there is a mail server.
	Mails   bool
	Dormant time.Duration
	Now     func() time.Time
}

// Desk is where the command is done.
func Desk(p Parts) admin.Desk {
	return admin.At(&desk{p.DB.View(), p.DB.Condition(), p.DB.Alarms(), &people{accounts: p.Accounts, rows: p.DB.View(), dormant: p.Dormant, now: p.Now, many: manyPeople}, p.Groups, p.Applications, p.Cases, p.Administrators, p.Counts, p.Carriers, p.Mails})
}

type desk struct {
	rows         store.View
	condition    *store.Condition
	alarms       *store.Alarms
	people       *people
	groups       *directory.Groups
	applications *application.Catalogue
	cases        *recovery.Cases
	whoCan       *administrators.Administrators
	counts       *Counts
	carriers     func() []string
	mails        bool
}

// Show says how the installation is: what is to be counted, and how far
// the audit log is signed.
type Show struct{}

// Overview is what overview.show answers.
type Overview struct {
	Accounts          int64 `json:"accounts"`
	WithoutTwoFactors int64 `json:"without_two_factors"`
	Dormant           int64 `json:"dormant"`
	Suspended         int64 `json:"suspended"`
	AtRisk            int64 `json:"at_risk"`
	// Counted is when the accounts were counted: now, or with 50,000 and more at most a
	// minute ago.
	Counted      time.Time `json:"counted"`
	Groups       int       `json:"groups"`
	Applications int       `json:"applications"`
	// Administrators are all of them, and Able those who could administer now: awake,
	// and with what policy demands. Few says what is weak about that, and Falling
	// that all of those are about to go dormant.
	Administrators int    `json:"administrators"`
	Able           int    `json:"administrators_able"`
	Few            string `json:"administrators_few,omitempty"`
	Falling        bool   `json:"administrators_going_dormant,omitempty"`
	// Recoveries are under way; Unconfirmed are those of them that want a second
	// person.
	Recoveries  int64 `json:"recoveries"`
	Unconfirmed int64 `json:"unconfirmed_recoveries"`
	// Entries is how long the audit log is, Signed how much of it the newest
	// checkpoint covers, and Checkpoint when that was signed. They are as the
	// store says; "audit verify" proves it.
	Entries    int64     `json:"entries"`
	Signed     int64     `json:"signed"`
	Checkpoint time.Time `json:"checkpoint,omitzero"`
	// Alarms is how many rows were found to be changed in the database from outside, which
	// nobody has seen yet, and Halted why nothing is changed any more.
	Alarms int    `json:"alarms"`
	Halted string `json:"halted,omitempty"`
	// Carriers says what is wrong with each service that takes messages to people, as the
	// server that answers finds it: the mail server, the SMS gateway.
	Carriers []string `json:"carriers,omitempty"`
	// MailOff says that the server that answers sends no mail: notices wait.
	MailOff bool `json:"mail_off,omitempty"`
	// Raised are the newest alarms of the last 14 days, and Days what there was on each of
	// them. Counting says that the log is longer than what was counted of it yet.
	Raised []audit.Entry `json:"raised,omitempty"`
	Days   []Day         `json:"days,omitempty"`
	// Lately is what was refused among the newest entries of the log.
	Lately   []audit.Entry `json:"refused_lately,omitempty"`
	Counting bool          `json:"counting,omitempty"`
	// Clock says what is wrong with this server's clock, or nothing.
	Clock string `json:"clock,omitempty"`
}

func (c *Show) Action() string { return "overview.show" }

// Object is empty: nothing is changed.
func (c *Show) Object() string { return "" }

func (c *Show) Do(ctx context.Context, a *desk, _ signin.Grant) (any, error) {
	var o Overview
	there, err := a.people.count(ctx)
	if err != nil {
		return nil, err
	}
	o.Counted, o.Accounts, o.WithoutTwoFactors, o.Dormant, o.Suspended, o.AtRisk = there.at, there.all, there.withoutTwoFactors, there.dormant, there.suspended, there.atRisk
	groups, err := a.groups.All(ctx, a.rows)
	if err != nil {
		return nil, err
	}
	applications, err := a.applications.All(ctx)
	if err != nil {
		return nil, err
	}
	o.Groups, o.Applications = len(groups), len(applications)
	if o.Recoveries, o.Unconfirmed, err = a.cases.Count(ctx); err != nil {
		return nil, err
	}
	if err := a.administrators(ctx, &o); err != nil {
		return nil, err
	}
	clock, err := a.condition.Clock(ctx)
	if err != nil {
		return nil, err
	}
	o.Clock, o.Halted, o.MailOff = clock.Says(), a.halted(), !a.mails
	if a.carriers != nil {
		o.Carriers = a.carriers()
	}
	alarms, err := a.alarms.Unseen(ctx)
	if err != nil {
		return nil, err
	}
	o.Alarms = len(alarms)
	if err := a.lately(ctx, &o); err != nil {
		return nil, err
	}
	err = a.log(ctx, &o)
	return o, err
}

const (
	// mostRaised is how many alarms are told.
	mostRaised = 8
	// pagesAtOnce is how much of the log is read while somebody waits for it, beyond what was
	// counted. The server counts by itself, so that there is rarely more.
	pagesAtOnce = 2
)

// lately fills in what there was in the last days.
func (a *desk) lately(ctx context.Context, o *Overview) error {
	l, err := a.counts.look(ctx, pagesAtOnce)
	if err != nil {
		return err
	}
	o.Counting, o.Days = !l.all, l.days
	if o.Raised, err = a.counts.alarms(ctx, l.rings, mostRaised); err != nil {
		return err
	}
	o.Lately, err = a.counts.refusedLately(ctx)
	return err
}

// administrators fills in who is left to administer.
func (a *desk) administrators(ctx context.Context, o *Overview) error {
	all, able, err := a.whoCan.Able(ctx)
	if err != nil {
		return err
	}
	o.Administrators, o.Able, o.Falling = all, len(able), a.whoCan.Falling(able)
	few, err := a.whoCan.Few(ctx)
	if len(few) > 0 {
		o.Few = few[0]
	}
	return err
}

// log fills in how long the log is and how far it is signed.
func (a *desk) log(ctx context.Context, o *Overview) error {
	if err := a.rows.QueryRow(ctx, `select coalesce(max(seq), -1) + 1 from audit_entry`).Scan(&o.Entries); err != nil {
		return err
	}
	var at int64
	err := a.rows.QueryRow(ctx, `select size, at from audit_checkpoint order by size desc limit 1`).Scan(&o.Signed, &at)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	o.Checkpoint = store.Time(at)
	return err
}

// halted says why nothing is changed any more.
func (a *desk) halted() string {
	if err := a.condition.Halted(); err != nil {
		return err.Error()
	}
	return ""
}
