// Package recovery is the commands by which somebody is helped back in.
//
// It owns who may vouch for whom, and what administrators and the help desk are shown of
// a case. The case, its waiting and its end are countersign/internal/recovery's. Its one
// invariant: nobody opens or confirms a recovery of their own.
package recovery

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"countersign/internal/admin"
	"countersign/internal/admin/guard"
	"countersign/internal/assurance"
	"countersign/internal/directory"
	"countersign/internal/enrollment"
	"countersign/internal/failure"
	"countersign/internal/language"
	"countersign/internal/recovery"
	"countersign/internal/session"
	"countersign/internal/signin"
	"countersign/internal/store"
	"countersign/internal/text"
)

// Commands are those about recoveries, some of which the help desk may do as well, with what each answers and leaves in the log.
func Commands() []admin.Spec {
	return []admin.Spec{
		admin.Looks[List]("List recoveries of accounts, newest first.", []Recovery{}).AlsoLent().AlsoHelping(),
		admin.Changes[Open]("Begin a recovery for the person who reads you the number in their browser.", Recovery{}).AlsoHelping().
			Telling("recovery.opened", "{by} opened a recovery of {who}: {detail.check}, {detail.note}"),
		admin.Changes[Confirm]("Confirm a recovery as the second person, so that nobody has to wait.", Recovery{}).
			Telling("recovery.confirmed", "{by} confirmed the recovery of {who}: {detail.note}"),
		admin.Changes[Stop]("Stop a recovery that is under way.", map[string]string{}).AlsoHelping().
			Telling("recovery.stopped", "{by} stopped the recovery of {who}: {detail.reason}"),
	}
}

// Parts are what the commands work on.
type Parts struct {
	DB          *store.DB
	Accounts    *directory.Accounts
	Credentials *directory.Credentials
	Groups      *directory.Groups
	Endings     *enrollment.Endings
	// Sessions ends those of an account that had ended, before it is one again.
	Sessions *session.Endings
	Engine   *signin.Engine
	Notices  *enrollment.Notices
	// Of recovery, what each desk works with.
	Cases         *recovery.Cases
	Openings      *recovery.Openings
	Confirmations *recovery.Confirmations
	Stops         *recovery.Stops
	Owners        *recovery.Owners
	Dormant       time.Duration
	Now           func() time.Time
}

// Desks are where the commands are done.
func Desks(p Parts) []admin.Desk {
	b, g := admin.NewBook(p.DB), guard.NewGiving(guard.New(p.Accounts, p.Engine), p.Dormant, p.Now)
	s := shown{p.DB, p.Accounts, p.Owners, p.Now}
	return []admin.Desk{
		admin.At(&listDesk{s, p.Cases}),
		admin.At(&openDesk{b, g, s, p.Openings}),
		admin.At(&confirmDesk{b, g, s, p.Confirmations}),
		admin.At(&stopDesk{b, g, p.Groups, p.Stops, p.Notices}),
	}
}

// shown is how a case is shown.
type shown struct {
	db     store.Reader
	people *directory.Accounts
	owners *recovery.Owners
	now    func() time.Time
}

// listDesk is where cases are listed.
type listDesk struct {
	shown
	cases *recovery.Cases
}

// openDesk is where somebody vouches for whoever lost what they sign in with.
type openDesk struct {
	admin.Book
	guard.Giving
	shown
	openings *recovery.Openings
}

// confirmDesk is where a second person says their word.
type confirmDesk struct {
	admin.Book
	guard.Giving
	shown
	confirmations *recovery.Confirmations
}

// stopDesk is where a recovery is stopped, and who must hear of it is told.
type stopDesk struct {
	admin.Book
	guard.Giving
	groups  *directory.Groups
	stops   *recovery.Stops
	notices *enrollment.Notices
}

// Recovery is a case as administrators and the help desk see it. The pass that it
// ends in is nowhere here: it appears in the person's own browser.
type Recovery struct {
	Number  int64          `json:"number"`
	Account string         `json:"account"`
	Phase   recovery.Phase `json:"phase"`
	// Opener is empty where the person brought codes.
	Opener string `json:"opener,omitempty"`
	Check  string `json:"check"`
	Note   string `json:"note,omitempty"`
	// Forgotten says that what they know is replaced too: because they forgot it, or
	// because it cannot be asked for. It always takes a second person.
	Forgotten bool `json:"forgotten"`
	// Unheard is why the owner hears nothing of it and cannot object, or empty.
	Unheard   string    `json:"unheard,omitempty"`
	Confirmed string    `json:"confirmed,omitempty"`
	Opened    time.Time `json:"opened"`
	// Due is when the person can go on; it counts for nothing while the phase is
	// unsure.
	Due  time.Time `json:"due"`
	Ends time.Time `json:"ends"`
}

// names are what accounts are called, each read once.
type names map[assurance.AccountID]string

func (n names) of(ctx context.Context, people *directory.Accounts, r store.Reader, id assurance.AccountID) (string, error) {
	if known, ok := n[id]; ok {
		return known, nil
	}
	d, err := people.Get(ctx, r, id)
	switch {
	case failure.ClassOf(err) == failure.NotFound:
		n[id] = fmt.Sprintf("removed account %d", id)
	case err != nil:
		return "", err
	default:
		n[id] = d.Name
	}
	return n[id], nil
}

func (a shown) recovery(ctx context.Context, r store.Reader, n names, c recovery.Case) (out Recovery, err error) {
	out = Recovery{Number: c.ID, Phase: c.Phase(a.now()), Check: c.Check, Note: c.Note, Forgotten: c.Forgotten, Opened: c.Opened, Due: c.Due, Ends: c.Ends}
	for _, who := range []struct {
		id   assurance.AccountID
		name *string
	}{{c.Account, &out.Account}, {c.Opener, &out.Opener}, {c.Confirmer, &out.Confirmed}} {
		if who.id == 0 || who.id == c.Account && who.name != &out.Account {
			continue
		}
		if *who.name, err = n.of(ctx, a.people, r, who.id); err != nil {
			return out, err
		}
	}
	if told, err := a.owners.Notified(ctx, r, c); err != nil || told {
		return out, err
	}
	out.Unheard = "No address of theirs is known, so that nobody is told of it and nobody can object."
	if !a.owners.Mails() {
		out.Unheard = "This installation has no mail server, so that nobody is told of it and nobody can object."
	}
	return out, nil
}

// List lists cases.
type List struct {
	Account string `json:"account,omitempty" arg:"" optional:"" help:"Only those of this account."`
}

func (c *List) Action() string { return "recovery.list" }
func (c *List) Object() string { return "" }

func (c *List) Do(ctx context.Context, a *listDesk, _ signin.Grant) (any, error) {
	var whose assurance.AccountID
	if c.Account != "" {
		d, err := a.people.Find(ctx, a.db, c.Account)
		if err != nil {
			return nil, failure.At("account", err)
		}
		whose = d.ID
	}
	cases, err := a.cases.List(ctx, whose)
	if err != nil {
		return nil, err
	}
	out, called := make([]Recovery, len(cases)), names{}
	for i, one := range cases {
		if out[i], err = a.recovery(ctx, a.db, called, one); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Open begins the recovery of somebody who lost what they sign in with.
type Open struct {
	Account         string `json:"account" arg:"" help:"Who wants to get back in; never yourself."`
	Browser         string `json:"browser" required:"" help:"The six digits that they read from their browser."`
	Check           string `json:"check" required:"" enum:"in-person,called-back,video,manager" help:"How you made sure who it is: in-person, called-back, video, manager."`
	Note            string `json:"note" required:"" help:"What you saw, or the number of the ticket."`
	Forgotten       bool   `json:"forgotten,omitempty" help:"They do not know their password either. It takes an administrator as a second person."`
	admin.AuditText `embed:""`
}

func (c *Open) Action() string { return "recovery.open" }

func (c *Open) About() *string { return &c.Account }

// Object says whom, on whose word, and for which browser.
func (c *Open) Object() string {
	lost := "what they hold"
	if c.Forgotten {
		lost = "all that they sign in with"
	}
	return admin.WithReason(fmt.Sprintf("%s, who lost %s and whose browser shows %s; %s", c.Of(c.Account), lost, text.Name(c.Browser), text.OneLine(recovery.Words(c.Check))), c.Note)
}

func (c *Open) opening(d directory.Account) recovery.Opening {
	return recovery.Opening{Account: d, Number: c.Browser, Check: c.Check, Note: c.Note, Forgotten: c.Forgotten}
}

func (c *Open) Preflight(ctx context.Context, a *openDesk) error {
	d, err := a.people.Find(ctx, a.db, c.Account)
	if err != nil {
		return failure.At("account", err)
	}
	return a.openings.Preflight(ctx, a.db, c.opening(d))
}

func (c *Open) Do(ctx context.Context, a *openDesk, g signin.Grant) (any, error) {
	var d directory.Account
	var out Recovery
	detail := map[string]string{"check": c.Check, "note": c.Note, "forgotten": fmt.Sprint(c.Forgotten)}
	err := a.Change(ctx, g, "recovery.opened", detail, &d, func(tx *store.Tx) error {
		opener, whose, err := a.Parties(ctx, tx, g, c.Account)
		if err != nil {
			return failure.At("account", err)
		}
		d = whose
		if err := a.mayRecover(opener, d); err != nil {
			return err
		}
		opened, err := a.openings.OpenTx(ctx, tx, opener, c.opening(d))
		if err != nil {
			return err
		}
		out, err = a.recovery(ctx, tx, names{}, opened)
		return err
	})
	return out, err
}

// mayRecover keeps recovery from being the weak door: never for oneself, never for
// who is suspended or dormant, and for whoever administers only by administrators.
func (a *openDesk) mayRecover(opener, to directory.Account) error {
	if err := recovery.Vouches(opener, to); err != nil {
		return failure.At("account", err)
	}
	return failure.At("account", a.MayIssue(opener, to))
}

// Confirm is the word of a second person. It says of which case it is, who
// opened that and on what: an approval for one serves no other.
type Confirm struct {
	Account string `json:"account" arg:"" help:"Whose recovery; never one that you opened."`
	Case    int64  `json:"case" required:"" help:"Its number, as recovery list shows it."`
	// Opener is empty where the person brought codes.
	Opener          string `json:"opener,omitempty" name:"opened-by" help:"Who opened it; left out where the person brought codes."`
	Check           string `json:"check" required:"" enum:"in-person,called-back,video,manager,codes" help:"How they made sure, as recovery list shows it."`
	Forgotten       bool   `json:"forgotten,omitempty" help:"That all is replaced that they sign in with, as recovery list shows it."`
	Browser         string `json:"browser" required:"" help:"The six digits that the person reads from their page to you, now."`
	Note            string `json:"note" required:"" help:"How you made sure as well."`
	admin.AuditText `embed:""`
}

func (c *Confirm) Action() string { return "recovery.confirm" }
func (c *Confirm) About() *string { return &c.Account }

// Object names the case, the person, the helper, how it was made sure, and the browser.
func (c *Confirm) Object() string {
	by := "opened by " + text.Name(c.Opener)
	if c.Opener == "" {
		by = "opened by its owner"
	}
	lost := "what they hold"
	if c.Forgotten {
		lost = "all that they sign in with"
	}
	return admin.WithReason(fmt.Sprintf("recovery %d of %s, at once, which replaces %s, %s (%s), and whose browser shows %s",
		c.Case, c.Of(c.Account), lost, by, text.OneLine(recovery.Words(c.Check)), text.Name(c.Browser)), c.Note)
}

// said is the command as a second person's word, about an account.
func (c *Confirm) said(ctx context.Context, a *confirmDesk, r store.Reader, d directory.Account) (recovery.Confirmation, error) {
	said := recovery.Confirmation{Case: c.Case, Opener: d.ID, Check: c.Check, All: c.Forgotten, Number: c.Browser, Note: c.Note}
	if c.Opener == "" {
		return said, nil
	}
	opener, err := a.people.Find(ctx, r, c.Opener)
	said.Opener = opener.ID
	return said, failure.At("opener", err)
}

func (c *Confirm) Preflight(ctx context.Context, a *confirmDesk) error {
	d, err := a.people.Find(ctx, a.db, c.Account)
	if err != nil {
		return failure.At("account", err)
	}
	said, err := c.said(ctx, a, a.db, d)
	if err != nil {
		return err
	}
	return a.confirmations.Preflight(ctx, a.db, d, said)
}

func (c *Confirm) Do(ctx context.Context, a *confirmDesk, g signin.Grant) (any, error) {
	var d directory.Account
	var out Recovery
	detail := map[string]string{"note": c.Note, "recovery": strconv.FormatInt(c.Case, 10), "opener": c.Opener, "check": c.Check, "forgotten": strconv.FormatBool(c.Forgotten)}
	err := a.Change(ctx, g, "recovery.confirmed", detail, &d, func(tx *store.Tx) error {
		by, whose, err := a.Parties(ctx, tx, g, c.Account)
		if err != nil {
			return failure.At("account", err)
		}
		d = whose
		said, err := c.said(ctx, a, tx, d)
		if err != nil {
			return err
		}
		confirmed, err := a.confirmations.ConfirmTx(ctx, tx, by, d, said)
		if err != nil {
			return err
		}
		out, err = a.recovery(ctx, tx, names{}, confirmed)
		return err
	})
	return out, err
}

// Stop ends a recovery.
type Stop struct {
	Account         string `json:"account" arg:"" help:"Whose recovery."`
	Reason          string `json:"reason" required:"" help:"Why, for the log."`
	admin.AuditText `embed:""`
}

// Stopped says what went with a recovery that was stopped.
type Stopped struct {
	Stopped        string `json:"stopped"`
	Authenticators int    `json:"revoked"`
	Sessions       int    `json:"sessions_ended"`
	// Undone says it in words.
	Undone string `json:"undone"`
}

func (c *Stop) Action() string { return "recovery.stop" }
func (c *Stop) About() *string { return &c.Account }
func (c *Stop) Object() string {
	return admin.WithReason("the recovery of "+c.Of(c.Account), c.Reason)
}

func (c *Stop) Preflight(context.Context, *stopDesk) error {
	return recovery.CheckNote("reason", c.Reason)
}

func (c *Stop) Do(ctx context.Context, a *stopDesk, g signin.Grant) (any, error) {
	if err := recovery.CheckNote("reason", c.Reason); err != nil {
		return nil, err
	}
	var d directory.Account
	var out Stopped
	detail := map[string]string{"reason": c.Reason}
	err := a.Change(ctx, g, "recovery.stopped", detail, &d, func(tx *store.Tx) (err error) {
		by, whose, err := a.Parties(ctx, tx, g, c.Account)
		if err != nil {
			return failure.At("account", err)
		}
		d = whose
		if d.Guarded() && !by.Administers() {
			return failure.Refuse("privileged", "Only an administrator can stop the recovery of an administrator, or of somebody else who is privileged.")
		}
		undone, err := a.stops.StopTx(ctx, tx, d.ID)
		if err == nil && undone.Cases == 0 {
			return failure.At("account", failure.New(failure.NotFound, "No recovery of %s is under way.", d.Name))
		}
		out = Stopped{Stopped: d.Name, Authenticators: undone.Authenticators, Sessions: undone.Sessions, Undone: undone.String()}
		detail["revoked"], detail["sessions-ended"] = strconv.Itoa(out.Authenticators), strconv.Itoa(out.Sessions)
		if err != nil {
			return err
		}
		return a.tellStopped(ctx, tx, by, d, c.Reason)
	})
	return out, err
}

// tellStopped tells whose recovery was stopped, and of an administrator's every
// administrator: who wanted to get back in cannot sign in to look.
func (a *stopDesk) tellStopped(ctx context.Context, tx *store.Tx, by, about directory.Account, reason string) error {
	told := []directory.Account{about}
	if about.Administers() {
		members, err := a.groups.Administering(ctx, tx, 1000)
		if err != nil {
			return err
		}
		for _, m := range members {
			if m.ID != about.ID {
				told = append(told, m)
			}
		}
	}
	for _, one := range told {
		err := a.notices.Tell(ctx, tx, one, language.Say("A recovery was stopped"),
			language.Say("%s stopped the recovery of %s. The reason they gave: %s", by.Name, about.Name, text.Quote(reason)))
		if err != nil {
			return err
		}
	}
	return nil
}
