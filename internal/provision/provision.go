// Package provision makes, changes and ends people and groups in applications by SCIM 2.0
// (RFC 7643, RFC 7644), so that who may use an application is there, and who may not is not.
//
// It owns the tables scim_target, scim_entry and scim_worker: which applications are provisioned,
// what of each person and group is there, and how far the audit log was read for it. A row that is
// due is the queue, so that nothing of it is lost with a server. It decides nothing: signin says
// who may use an application, and directory who there is. Its neighbours are admin/provisioning,
// whose commands change targets, and protocol/scim, which is the other end of the same protocol. Its
// one invariant: it connects to no address inside the network that an administrator did not list,
// and ends more than the configured share of an application's people only after an approval.
package provision

import (
	"context"
	"log/slog"
	"time"

	"countersign/internal/application"
	"countersign/internal/assurance"
	"countersign/internal/directory"
	"countersign/internal/keyring"
	"countersign/internal/store"
)

// Parts are what everything here works on.
type Parts struct {
	DB           *store.DB
	Keys         *keyring.Keyring
	Accounts     *directory.Accounts
	Groups       *directory.Groups
	Roll         *directory.Roll
	Applications *application.Catalogue
	// MayUse returns who may sign in to an application at all, whatever they would have to show.
	MayUse func(ctx context.Context, app application.Application) (func(directory.Account) bool, error)
	Now    func() time.Time
	Log    *slog.Logger
}

// Pieces are what is made of it.
type Pieces struct {
	Targets *Targets
	Queue   *Queue
	Worker  *Worker
}

// New makes the Pieces. The worker does nothing before [Worker.Run].
func New(p Parts) Pieces {
	targets := &Targets{db: p.DB, keys: p.Keys, applications: p.Applications, now: p.Now}
	queue := &Queue{db: p.DB, keys: p.Keys, now: p.Now}
	people := &people{view: p.DB.View(), accounts: p.Accounts, groups: p.Groups, roll: p.Roll, applications: p.Applications, mayUse: p.MayUse, now: p.Now}
	return Pieces{Targets: targets, Queue: queue, Worker: newWorker(p, targets, queue, people)}
}

// The kinds of what is provisioned.
const (
	KindUser  = "user"
	KindGroup = "group"
)

// actor is who the log says did what nobody asked for just now.
const actor = "provisioning"

// people reads who there is and who may use what.
type people struct {
	view         store.View
	accounts     *directory.Accounts
	groups       *directory.Groups
	roll         *directory.Roll
	applications *application.Catalogue
	mayUse       func(ctx context.Context, app application.Application) (func(directory.Account) bool, error)
	now          func() time.Time
}

// pageRows is how many accounts are read at once.
const pageRows = 500

// each goes through all people.
func (p *people) each(ctx context.Context, fn func(directory.Account) error) error {
	for after := assurance.AccountID(0); ; {
		all, last, read, err := p.roll.People(ctx, p.view, after, pageRows)
		if err != nil {
			return err
		}
		for _, a := range all {
			if err := fn(a); err != nil {
				return err
			}
		}
		if after = last; read < pageRows {
			return nil
		}
	}
}
