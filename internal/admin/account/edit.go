package account

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"countersign/internal/admin"
	"countersign/internal/admin/guard"
	"countersign/internal/directory"
	"countersign/internal/enrollment"
	"countersign/internal/failure"
	"countersign/internal/language"
	"countersign/internal/signin"
	"countersign/internal/store"
	"countersign/internal/text"
)

// editDesk is where it is changed who an account says that it is.
type editDesk struct {
	admin.Book
	guard.Guard
	shown
	again   again
	db      store.Reader
	engine  *signin.Engine
	notices *enrollment.Notices
	under   underWay
}

// Rename gives an account another name. It is a command of its own because applications
// know people by their names.
type Rename struct {
	Name            string `json:"name" arg:"" help:"The account."`
	To              string `json:"to" arg:"" help:"Its new name, as the person types it."`
	Reason          string `json:"reason,omitempty" help:"Why, for the log."`
	admin.AuditText `embed:""`
}

func (c *Rename) Action() string { return "account.rename" }
func (c *Rename) About() *string { return &c.Name }
func (c *Rename) Object() string {
	return admin.WithReason(c.Of(c.Name)+", name "+text.Name(c.Name)+" becomes "+text.Name(c.To), c.Reason)
}

// Tell says what the account is called now.
func (c *Rename) Tell(ctx context.Context, a *editDesk, s *admin.Sheet) error {
	d, err := a.people.Find(ctx, a.db, c.Name)
	s.Was("to", d.Name)
	return err
}

func (c *Rename) Do(ctx context.Context, a *editDesk, g signin.Grant) (any, error) {
	return a.edit(ctx, g, edit{event: "account.renamed", name: c.Name, reason: c.Reason, subject: "Your account has another name",
		do: func(tx *store.Tx, d directory.Account) (directory.Account, was, error) {
			if d.ID == g.Account() {
				return d, was{}, failure.Refuse("own-name-change", "You cannot rename yourself: applications would take you for whoever they know by that name. Ask another administrator.")
			}
			if err := a.mayBeCalled(ctx, tx, g, d, c.To); err != nil {
				return d, was{}, err
			}
			now, err := a.people.Rename(ctx, tx, d.ID, c.To)
			return now, was{nameChanged, d.Name, now.Name}, err
		}})
}

// mayBeCalled refuses a name that was a removed account's where that takes somebody else,
// and one by which the policy would take the account for another.
func (a *editDesk) mayBeCalled(ctx context.Context, tx *store.Tx, g signin.Grant, d directory.Account, to string) error {
	if err := a.again.may(ctx, tx, g, "to", to); err != nil {
		return err
	}
	name, err := directory.Canonical(to)
	if err != nil {
		return failure.At("to", err)
	}
	p, err := a.engine.PolicyTx(ctx, tx)
	if err == nil && p.TellsApart(d.Name, name) {
		err = failure.At("to", failure.New(failure.Conflict, "A rule of the policy compares the name of the account, and would take %q for another account than %q. Change the rule first.", name, d.Name))
	}
	return err
}

// SetDisplay changes what people call an account.
type SetDisplay struct {
	Name            string `json:"name" arg:"" help:"The account."`
	Display         string `json:"display" arg:"" help:"What people call it; an empty text takes it away."`
	Reason          string `json:"reason,omitempty" help:"Why, for the log."`
	admin.AuditText `embed:""`
}

func (c *SetDisplay) Action() string { return "account.set-display" }
func (c *SetDisplay) About() *string { return &c.Name }
func (c *SetDisplay) Object() string {
	what := c.Of(c.Name) + ", called " + text.Quote(c.Display)
	if c.Display == "" {
		what = c.Of(c.Name) + ", without a display name"
	}
	return admin.WithReason(what, c.Reason)
}

// Tell says what people call the account now.
func (c *SetDisplay) Tell(ctx context.Context, a *editDesk, s *admin.Sheet) error {
	d, err := a.people.Find(ctx, a.db, c.Name)
	s.Was("display", d.Display)
	return err
}

func (c *SetDisplay) Do(ctx context.Context, a *editDesk, g signin.Grant) (any, error) {
	return a.edit(ctx, g, edit{event: "account.display-set", name: c.Name, reason: c.Reason, subject: "Your account is called something else",
		do: func(tx *store.Tx, d directory.Account) (directory.Account, was, error) {
			now, err := a.people.SetDisplay(ctx, tx, d.ID, c.Display)
			return now, was{displayChanged, d.Display, now.Display}, err
		}})
}

// SetMail replaces an account's mail addresses by one, or by none.
type SetMail struct {
	Name            string `json:"name" arg:"" help:"The account."`
	Mail            string `json:"mail" arg:"" help:"Where notices go from now on; an empty text for nowhere."`
	Reason          string `json:"reason,omitempty" help:"How you made sure that the address is theirs, for the log."`
	admin.AuditText `embed:""`
}

func (c *SetMail) Action() string { return "account.set-mail" }
func (c *SetMail) About() *string { return &c.Name }
func (c *SetMail) Object() string {
	what := c.Of(c.Name) + ", mail becomes " + text.Name(c.Mail)
	if c.Mail == "" {
		what = c.Of(c.Name) + ", without a mail address"
	}
	return admin.WithReason(what, c.Reason)
}

// Tell says where notices go now.
func (c *SetMail) Tell(ctx context.Context, a *editDesk, s *admin.Sheet) error {
	d, err := a.people.Find(ctx, a.db, c.Name)
	if err != nil {
		return err
	}
	mails, err := a.people.Mails(ctx, a.db, d.ID)
	s.Was("mail", strings.Join(mails, ", "))
	return err
}

// Do also ends what was on its way to the old address and to whoever may hold the new one: a
// recovery that waits for its owner's objection, a pass, and an invitation.
func (c *SetMail) Do(ctx context.Context, a *editDesk, g signin.Grant) (any, error) {
	return a.edit(ctx, g, edit{event: "account.mail-set", name: c.Name, reason: c.Reason, subject: "Your account has another mail address",
		do: func(tx *store.Tx, d directory.Account) (directory.Account, was, error) {
			before, err := a.people.Mails(ctx, tx, d.ID)
			if err != nil {
				return d, was{}, err
			}
			now, err := a.people.SetMail(ctx, tx, d.ID, c.Mail)
			if err != nil {
				return d, was{}, err
			}
			return now, was{mailChanged, strings.Join(before, ", "), now.Mail}, a.under.helpTx(ctx, tx, d.ID)
		}})
}

// edit is one change of who an account says that it is.
type edit struct {
	event, name, reason, subject string
	do                           func(tx *store.Tx, d directory.Account) (directory.Account, was, error)
}

// What the owner is told of each change: by whom, of which account, from what, and to what.
const (
	nameChanged    = "%s changed the name of the account %s from %s to %s."
	displayChanged = "%s changed the display name of the account %s from %s to %s."
	mailChanged    = "%s changed the mail of the account %s from %s to %s."
)

// was is what was changed, as one of these texts, before and after.
type was struct{ what, before, after string }

// told are the words for the owner.
func (w was) told(by, account string) language.Sentence {
	return language.Say(w.what, by, account, text.Quote(w.before), text.Quote(w.after))
}

// orNone is what is said where there was or is nothing.
func orNone(s string) string { return cmp.Or(s, "none") }

// edit does it, writes down what was before and after, and tells the owner at every address
// that they had before and have now.
func (a *editDesk) edit(ctx context.Context, g signin.Grant, e edit) (any, error) {
	var out Account
	var d directory.Account
	detail := map[string]string{"reason": e.reason}
	err := a.Change(ctx, g, e.event, detail, &d, func(tx *store.Tx) error {
		before, err := a.people.Find(ctx, tx, e.name)
		if err != nil {
			return failure.At("name", err)
		}
		if err := a.PersonMust(ctx, tx, g.Account(), before.Guarded()); err != nil {
			return err
		}
		mails, err := a.people.Mails(ctx, tx, before.ID)
		if err != nil {
			return err
		}
		var w was
		if d, w, err = e.do(tx, before); err != nil {
			return err
		}
		w.before, w.after = orNone(w.before), orNone(w.after)
		detail["before"], detail["after"] = w.before, w.after
		if err := a.tell(ctx, tx, mails, d, language.Say(e.subject), w.told(g.Name(), before.Name)); err != nil {
			return err
		}
		if d, err = a.people.Get(ctx, tx, d.ID); err != nil {
			return err
		}
		out, err = a.of(ctx, tx, d)
		return err
	})
	return out, err
}

func (a *editDesk) tell(ctx context.Context, tx *store.Tx, old []string, d directory.Account, subject, what language.Sentence) error {
	now, err := a.people.Mails(ctx, tx, d.ID)
	if err != nil {
		return err
	}
	return a.notices.TellAt(ctx, tx, d, union(old, now), subject, what)
}

func union(a, b []string) []string {
	out := append([]string{}, a...)
	for _, one := range b {
		if !slices.Contains(out, one) {
			out = append(out, one)
		}
	}
	return out
}

// again keeps a removed account's name from being a way into what was theirs, see may.
type again struct {
	people *directory.Accounts
}

// may keeps a removed account's name from being a way into what was theirs.
// Applications know people by their names, and a new account has nothing that is asked
// for beside a pass: whoever removed somebody would make them anew and come in as them.
// It takes a second person, and no program.
func (a again) may(ctx context.Context, r store.Reader, g signin.Grant, field, name string) error {
	remover, was, err := a.people.TakenAway(ctx, r, name)
	if err != nil || !was {
		return err
	}
	by, err := a.people.Get(ctx, r, g.Account())
	switch {
	case err != nil:
		return err
	case by.Kind != directory.Person:
		return failure.At(field, failure.Refuse("a-person-must", "An account of that name was removed. Whether it is given again takes a person, and no automation key."))
	case remover == directory.Somebody:
		return failure.At(field, failure.Refuse("nobody-knows", "An account of that name was removed, and the row that says by whom was changed from outside. Choose another name."))
	case by.ID == remover:
		return failure.At(field, failure.Refuse("second-person", "You removed an account of that name. Applications would take the new one for the old: choose another name, or ask another administrator to give it."))
	}
	return nil
}
