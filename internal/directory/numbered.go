package directory

import (
	"context"
	"errors"
	"slices"

	"countersign/internal/assurance"
	"countersign/internal/failure"
	"countersign/internal/store"
)

// Version counts the changes of the account and of what hangs from it, its groups and addresses
// among them. A sign-in counts nothing up.
func (a Account) Version() int64 { return a.version }

// Version counts the changes of the group itself. Who enters or leaves counts nothing up, see
// [Groups.Membership].
func (g Group) Version() int64 { return g.version }

// Joined is a group by its number and its name.
type Joined struct {
	ID   int64
	Name string
}

// Joined are the account's groups, by number.
func (a Account) Joined() []Joined {
	var out []Joined
	if a.roster != nil {
		for _, j := range a.roster.groups {
			out = append(out, Joined{j.team, j.name})
		}
	}
	return out
}

// MailAddresses are the account's addresses, sorted.
func (a Account) MailAddresses() []string {
	var out []string
	if a.roster != nil {
		for _, m := range a.roster.mails {
			out = append(out, m.address)
		}
	}
	return out
}

// believed leaves out what is not.
func believed(all []Account, err error) ([]Account, error) {
	return slices.DeleteFunc(all, func(a Account) bool { return a.State == Tampered }), err
}

// Roll lists people by number, for whoever goes through all of them a page at a time.
type Roll struct{ people }

// NewRoll makes a Roll.
func NewRoll(p Parts) *Roll { return &Roll{people{keptBy(p)}} }

// People returns people by number, after the one of that number, at most limit; no service is
// among them, and none whose row is not believed. Last is the number of the last row that was
// read, and read how many were: fewer than limit is the end.
func (d *Roll) People(ctx context.Context, r store.Reader, after assurance.AccountID, limit int) (all []Account, last assurance.AccountID, read int, err error) {
	rows, err := d.list(ctx, r, `select `+accountColumns+` from account a where a.id > $1 and a.kind = 'person' order by a.id limit $2`, int64(after), limit)
	if len(rows) > 0 {
		last = rows[len(rows)-1].ID
	}
	read = len(rows)
	all, err = believed(rows, err)
	return all, last, read, err
}

// PeopleAt is People by place: skip of them are passed over.
func (d *Roll) PeopleAt(ctx context.Context, r store.Reader, skip, limit int) ([]Account, error) {
	return believed(d.list(ctx, r, `select `+accountColumns+` from account a
		where a.id in (select p.id from account p where p.kind = 'person' order by p.id limit $2 offset $1) order by a.id`, skip, limit))
}

// CountPeople returns how many people there are.
func (d *Roll) CountPeople(ctx context.Context, r store.Reader) (int, error) {
	var n int
	err := r.QueryRow(ctx, `select count(*) from account where kind = 'person'`).Scan(&n)
	return n, err
}

// WithMail returns the people who have a mail address, in whatever case it is written, at most limit.
func (d *Roll) WithMail(ctx context.Context, r store.Reader, address string, limit int) ([]Account, error) {
	return believed(d.list(ctx, r, `select `+accountColumns+` from account a
		where a.kind = 'person' and a.id in (select s.account from address s where lower(s.address) = lower($1) and s.kind = 'mail') order by a.id limit $2`, address, limit))
}

// Get returns the group of this number.
func (gs *Groups) Get(ctx context.Context, r store.Reader, id int64) (Group, error) {
	g, err := gs.teams.scan(ctx, r.QueryRow(ctx, `select `+groupColumns+` from team t where t.id = $1`, id))
	if errors.Is(err, store.ErrNotFound) || err == unknown {
		return Group{}, failure.New(failure.NotFound, "There is no such group.")
	}
	return g, err
}

// Membership is how many are in a group, and when the last of them came. Together they differ
// after each change of who is in it: whoever comes does so later than all others, and whoever
// leaves is missed, for as long as nobody comes.
func (gs *Groups) Membership(ctx context.Context, r store.Reader, g Group) (count int, newest int64, err error) {
	err = r.QueryRow(ctx, `select count(*), coalesce(max(created), 0) from membership where team = $1`, g.ID).Scan(&count, &newest)
	return count, newest, err
}

// MembersAfter returns the members of a group by number, after the one of that number, at most
// limit. One whose row is not believed, and one who was put back into the group, are left out. Last
// is the number of the last row that was read, and read how many were: fewer than limit is the end.
func (gs *Groups) MembersAfter(ctx context.Context, r store.Reader, g Group, after assurance.AccountID, limit int) (all []Account, last assurance.AccountID, read int, err error) {
	rows, err := gs.list(ctx, r, `select `+accountColumns+` from membership m join account a on a.id = m.account where m.team = $1 and m.account > $2 order by m.account limit $3`, g.ID, int64(after), limit)
	if len(rows) > 0 {
		last = rows[len(rows)-1].ID
	}
	read = len(rows)
	return slices.DeleteFunc(rows, func(a Account) bool { return a.State == Tampered || !a.roster.in(g.ID) }), last, read, err
}
