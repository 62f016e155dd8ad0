// Package checklist is what is left to do until an installation is ready for its people.
//
// It owns the list, the sentences on it, the test mail, and the table checklist: what the mail
// server took last, and whether the list was put away. Each item is read from what is there
// whenever the list is shown, and nothing is ticked by hand. Neighbours are administrators,
// which says who could administer, and notify, which sends the mail. Its one invariant: no
// item is done that is not so at that moment.
package checklist

import (
	"context"
	"sync"
	"time"

	"countersign/internal/admin"
	"countersign/internal/admin/administrators"
	"countersign/internal/application"
	"countersign/internal/directory"
	"countersign/internal/enrollment"
	"countersign/internal/notify"
	"countersign/internal/protocol"
	"countersign/internal/signin"
	"countersign/internal/store"
)

// Commands are those about what is left to do, with what each answers and leaves in the log.
func Commands() []admin.Spec {
	return []admin.Spec{
		admin.Looks[Show]("Show what is left to do until the installation is ready, and what is done.", List{}),
		admin.Looks[TestMail]("Send a test mail to your own address, and say what the mail server answered.", Mailed{}).
			Telling(testedEvent, "{by} sent a test mail to their own address: {detail.answer}"),
		admin.Changes[PutAway]("Put the checklist away, for all administrators.", List{}).
			Telling(awayEvent, "{by} put the checklist away"),
		admin.Changes[BringBack]("Bring back the checklist that was put away.", List{}).
			Telling(backEvent, "{by} brought the checklist back"),
	}
}

// Parts are what the list is read from.
type Parts struct {
	DB             *store.DB
	Accounts       *directory.Accounts
	Survey         *directory.Survey
	Applications   *application.Catalogue
	Ears           *protocol.Ears
	Administrators *administrators.Administrators
	Prospects      *signin.Prospects
	Listing        *enrollment.Listing
	// Mailer is the mail server as it is configured at this moment; one without a Server is none.
	Mailer func() (notify.Mailer, error)
	// MailFails says why the mail server takes nothing now; empty while it works.
	MailFails func() string
	Now       func() time.Time
}

// Desk is where the commands are done.
func Desk(p Parts) admin.Desk {
	return admin.At(&desk{Book: admin.NewBook(p.DB), db: p.DB, people: p.Accounts, survey: p.Survey, applications: p.Applications, ears: p.Ears, whoCan: p.Administrators,
		prospects: p.Prospects, listing: p.Listing, mailer: p.Mailer, mailFails: p.MailFails, now: p.Now})
}

type desk struct {
	admin.Book
	db           *store.DB
	people       *directory.Accounts
	survey       *directory.Survey
	applications *application.Catalogue
	ears         *protocol.Ears
	whoCan       *administrators.Administrators
	prospects    *signin.Prospects
	listing      *enrollment.Listing
	mailer       func() (notify.Mailer, error)
	mailFails    func() string
	now          func() time.Time
	one          sync.Mutex // one test mail at a time
}

// List is what is to be done, in the order in which it is best done.
type List struct {
	Items []Item `json:"items"`
	// Done is how many of the items are done.
	Done int `json:"done"`
	// Away says that an administrator put the list away: the overview does not show it.
	Away bool `json:"put_away,omitempty"`
}

// Ready reports whether all of it is done.
func (l List) Ready() bool { return l.Done == len(l.Items) }

// Show shows what is left to do.
type Show struct{}

func (c *Show) Action() string { return "checklist.show" }

// Object is empty: nothing is changed.
func (c *Show) Object() string { return "" }

func (c *Show) Do(ctx context.Context, a *desk, g signin.Grant) (any, error) { return a.list(ctx, g) }

func (a *desk) list(ctx context.Context, g signin.Grant) (List, error) {
	f, err := a.facts(ctx, g)
	if err != nil {
		return List{}, err
	}
	l := List{Items: items(f)}
	for _, i := range l.Items {
		if i.Done {
			l.Done++
		}
	}
	_, l.Away, err = a.row(ctx, awayRow)
	return l, err
}

// theList is what the commands that change something are about: it is everybody's.
const theList = "the checklist of all administrators"

const awayEvent, backEvent = "checklist.put-away", "checklist.brought-back"

// PutAway puts the list away for all administrators: it is about the installation, and whoever
// comes later does not begin it anew. It can be shown all the same, and brought back.
type PutAway struct{}

func (c *PutAway) Action() string { return "checklist.put-away" }

// Object names the one list.
func (c *PutAway) Object() string { return theList }

func (c *PutAway) Do(ctx context.Context, a *desk, g signin.Grant) (any, error) {
	err := a.Change(ctx, g, awayEvent, nil, nil, func(tx *store.Tx) error { return a.keep(ctx, tx, awayRow, "") })
	if err != nil {
		return nil, err
	}
	return a.list(ctx, g)
}

// BringBack undoes PutAway.
type BringBack struct{}

func (c *BringBack) Action() string { return "checklist.bring-back" }

// Object names the one list.
func (c *BringBack) Object() string { return theList }

func (c *BringBack) Do(ctx context.Context, a *desk, g signin.Grant) (any, error) {
	err := a.Change(ctx, g, backEvent, nil, nil, func(tx *store.Tx) error { return a.drop(ctx, tx, awayRow) })
	if err != nil {
		return nil, err
	}
	return a.list(ctx, g)
}
