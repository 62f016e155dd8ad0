package provision

import (
	"context"
	"crypto/rand"
	"errors"
	"strings"
	"time"

	"countersign/internal/audit"
	"countersign/internal/failure"
	"countersign/internal/keyring"
	"countersign/internal/store"
)

// follower reads the log, which has an entry for each change, and marks what each is about. So
// nothing is missed by a server that was down, and no other room need say that something changed.
type follower struct {
	db      *store.DB
	keys    *keyring.Keyring
	queue   *Queue
	targets *Targets
	people  *people
	now     func() time.Time
	me      string // this process, among the servers
}

const (
	workerTable = "scim_worker"
	workerName  = "log"
	// lease is how long a server that works keeps others from it, and entriesAtOnce how many entries
	// are read together.
	lease         = 30 * time.Second
	entriesAtOnce = 250
)

// place is how far the log was read, and who reads it.
type place struct {
	next   int64
	holder string
	until  int64
	mac    []byte
}

func (p place) fields() *keyring.Fields {
	return keyring.NewFields().String(workerTable).String(workerName).Int(p.next).String(p.holder).Int(p.until)
}

func newFollower(p Parts, q *Queue, t *Targets, of *people) *follower {
	return &follower{db: p.DB, keys: p.Keys, queue: q, targets: t, people: of, now: p.Now, me: rand.Text()}
}

// read returns the place; one that nobody wrote, or that somebody else did, begins at the end of the
// log, and everybody is looked at.
func (f *follower) read(ctx context.Context) (p place, fresh bool, err error) {
	err = f.db.QueryRow(ctx, `select next, holder, until, mac from scim_worker where name = $1`, workerName).Scan(&p.next, &p.holder, &p.until, &p.mac)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return place{}, true, nil
	case err != nil:
		return p, false, err
	case !f.keys.VerifyMAC(keyring.Provision, p.fields(), p.mac):
		f.db.Report(store.Finding{Table: workerTable, Row: workerName, Wrong: store.Altered})
		return place{mac: p.mac}, true, nil
	}
	return p, false, nil
}

// hold takes or keeps the lease, and reports whether this server works now.
func (f *follower) hold(ctx context.Context) (place, bool, error) {
	was, fresh, err := f.read(ctx)
	if err != nil || !fresh && was.holder != "" && was.holder != f.me && store.Time(was.until).After(f.now()) {
		return was, false, err
	}
	is := was
	if fresh {
		if err := f.db.QueryRow(ctx, `select coalesce(max(seq), -1) + 1 from audit_entry`).Scan(&is.next); err != nil {
			return was, false, err
		}
	}
	is.holder, is.until = f.me, store.Unix(f.now().Add(lease))
	return f.move(ctx, was, is, fresh, nil)
}

// move writes the place if it is still as it was read, with what else is to be written.
func (f *follower) move(ctx context.Context, was, is place, fresh bool, more func(tx *store.Tx) error) (place, bool, error) {
	is.mac = f.keys.MAC(keyring.Provision, is.fields())
	moved := false
	err := f.db.Housekeep(ctx, "provision.place", func(tx *store.Tx) error {
		n, err := tx.Exec(ctx, `update scim_worker set next = $2, holder = $3, until = $4, mac = $5 where name = $1 and mac = $6`, workerName, is.next, is.holder, is.until, is.mac, was.mac)
		if err == nil && n == 0 && fresh {
			n, err = tx.Exec(ctx, `insert into scim_worker (name, next, holder, until, mac) values ($1,$2,$3,$4,$5) on conflict (name) do nothing`, workerName, is.next, is.holder, is.until, is.mac)
		}
		if moved = n == 1; err != nil || !moved {
			return err
		}
		if fresh {
			if _, err := tx.Exec(ctx, `update scim_target set looked = 0`); err != nil {
				return err
			}
		}
		if more != nil {
			return more(tx)
		}
		return nil
	})
	return is, err == nil && moved, err
}

// free lets another server work at once.
func (f *follower) free(ctx context.Context) error {
	was, fresh, err := f.read(ctx)
	if err != nil || fresh || was.holder != f.me {
		return err
	}
	is := was
	is.holder, is.until = "", 0
	_, _, err = f.move(ctx, was, is, false, nil)
	return err
}

// step reads a page of entries and marks what they are about; more says that there may be more.
func (f *follower) step(ctx context.Context, all []Target) (more bool, err error) {
	was, ok, err := f.hold(ctx)
	if err != nil || !ok {
		return false, err
	}
	read, err := f.db.AuditLog().Entries(ctx, store.Filter{From: was.next, Limit: entriesAtOnce})
	if err != nil {
		return false, err
	}
	is, marks := was, newMarks()
	for _, e := range read {
		if e.Seq < 0 {
			break // it has no number yet
		}
		is.next = e.Seq + 1
		marks.note(e, all)
	}
	if is.next == was.next {
		return false, nil
	}
	groups, err := f.named(ctx, marks)
	if err != nil {
		return false, err
	}
	_, ok, err = f.move(ctx, was, is, false, func(tx *store.Tx) error { return f.marked(ctx, tx, all, marks, groups) })
	return ok && len(read) == entriesAtOnce, err
}

// marks are what entries are about.
type marks struct {
	accounts map[int64]bool
	groups   map[string]bool
	wide     map[string]bool // applications for which everybody is looked at
	all      bool
}

func newMarks() *marks {
	return &marks{accounts: map[int64]bool{}, groups: map[string]bool{}, wide: map[string]bool{}}
}

// note takes down what an entry is about: an account, a group, an application, or the policy.
func (m *marks) note(e audit.Entry, all []Target) {
	switch {
	case strings.HasPrefix(e.Event, "account.") || strings.HasPrefix(e.Event, "group."):
		if e.Account != 0 {
			m.accounts[e.Account] = true
		}
		if g := e.Detail["group"]; g != "" {
			m.groups[g] = true
		}
	case strings.HasPrefix(e.Event, "policy."):
		m.all = true
	case strings.HasPrefix(e.Event, "application.") && e.Application != "" && e.Event != "application.opened":
		m.wide[e.Application] = true
	}
	if e.At.IsZero() { // it could not be read
		m.all = true
	}
}

// named are the groups of these names that there are, by name.
func (f *follower) named(ctx context.Context, m *marks) (map[string]int64, error) {
	out := map[string]int64{}
	for name := range m.groups {
		g, err := f.people.groups.Find(ctx, f.people.view, name)
		if failure.ClassOf(err) == failure.NotFound {
			continue // what is left of it there is found by the entry, see marked
		}
		if err != nil {
			return nil, err
		}
		out[name] = g.ID
	}
	return out, nil
}

func (f *follower) marked(ctx context.Context, tx *store.Tx, all []Target, m *marks, groups map[string]int64) error {
	for _, t := range all {
		for id := range m.accounts {
			if err := f.queue.markTx(ctx, tx, t.Application, KindUser, id); err != nil {
				return err
			}
		}
		for _, name := range t.Groups {
			if id, there := groups[name]; there {
				if err := f.queue.markTx(ctx, tx, t.Application, KindGroup, id); err != nil {
					return err
				}
			} else if m.groups[name] { // it was removed
				if _, err := tx.Exec(ctx, `update scim_entry set due = $2, tries = 0 where application = $1 and kind = 'group'`, t.Application, max(1, store.Unix(tx.Now()))); err != nil {
					return err
				}
			}
		}
		if m.all || m.wide[t.Application] {
			if _, err := tx.Exec(ctx, `update scim_target set looked = 0 where application = $1`, t.Application); err != nil {
				return err
			}
		}
	}
	return nil
}

// inspect reports a place that somebody else wrote.
func (f *follower) inspect(ctx context.Context) error {
	_, _, err := f.read(ctx)
	return err
}
