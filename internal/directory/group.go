package directory

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/failure"
	"countersign/internal/keyring"
	"countersign/internal/store"
)

// Group is a named set of accounts. Members of a privileged one are held to
// what policy demands of administrators.
type Group struct {
	ID         int64
	Name       string
	Display    string
	Privileged bool
	Created    time.Time
	Members    int
	// Changed is when what it is called was changed or somebody left it last; zero for never, or
	// not since a release that notes it. Who joins is noted by the membership.
	Changed time.Time

	version int64
}

func (g Group) fields() *keyring.Fields {
	return keyring.NewFields().Int(g.ID).String(g.Name).String(g.Display).Int(store.Bit(g.Privileged)).Int(store.Unix(g.Created)).Int(g.version)
}

func membership(team int64, account assurance.AccountID, created int64) *keyring.Fields {
	return keyring.NewFields().Int(team).Int(int64(account)).Int(created)
}

// teams are the rows of groups.
type teams struct{ kept }

// scan reads a row of a group. With ErrTampered comes what the row says.
func (t teams) scan(ctx context.Context, row scanner, more ...any) (Group, error) {
	var g Group
	var p, created, changed int64
	var mac []byte
	if err := row.Scan(append([]any{&g.ID, &g.Name, &g.Display, &p, &created, &changed, &g.version, &mac}, more...)...); err != nil {
		return Group{}, err
	}
	g.Privileged, g.Created, g.Changed = p == 1, store.Time(created), store.Time(changed)
	if !t.keys.VerifyMAC(keyring.Team, g.fields(), mac) {
		return g, t.tampered("team", g.ID, 0)
	}
	return g, t.newest(ctx, "team", g.ID, g.version, 0)
}

// all is what [Groups.All] returns.
func (t teams) all(ctx context.Context, r store.Reader) ([]Group, error) {
	return t.list(ctx, r, `(select count(*) from membership m where m.team = t.id)`)
}

// uncounted is all for whoever does not ask how many members each has: to count them takes as
// long as they are many.
func (t teams) uncounted(ctx context.Context, r store.Reader) ([]Group, error) {
	return t.list(ctx, r, `0`)
}

func (t teams) list(ctx context.Context, r store.Reader, members string) ([]Group, error) {
	rows, err := r.Query(ctx, `select `+groupColumns+`, `+members+` from team t order by t.name`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []Group
	for rows.Next() {
		var members int
		g, err := t.scan(ctx, rows, &members)
		switch {
		case errors.Is(err, ErrTampered):
			g.Privileged = true
		case err == unknown: // removed since
			continue
		case err != nil:
			return nil, err
		}
		g.Members = members
		out = append(out, g)
	}
	return out, rows.Err()
}

// Groups reads and writes groups and who is in them. Reads take the Reader to read from,
// as those of [Accounts] do.
type Groups struct {
	people
	teams teams
	first *Milestones
}

// NewGroups makes Groups.
func NewGroups(p Parts) *Groups {
	k := keptBy(p)
	return &Groups{people: people{k}, teams: teams{k}, first: NewMilestones(p)}
}

// All returns all groups by name, with how many members each has. One whose row is not
// believed is there, and privileged: what names a group goes on to do so.
func (gs *Groups) All(ctx context.Context, r store.Reader) ([]Group, error) {
	return gs.teams.all(ctx, r)
}

// Uncounted is All without how many members each has.
func (gs *Groups) Uncounted(ctx context.Context, r store.Reader) ([]Group, error) {
	return gs.teams.uncounted(ctx, r)
}

// Create inserts a group.
func (gs *Groups) Create(ctx context.Context, tx *store.Tx, name, display string, privileged bool) (Group, error) {
	c, err := Canonical(name)
	if err != nil {
		return Group{}, failure.At("name", err)
	}
	if err := CheckNew(c); err != nil {
		return Group{}, failure.At("name", err)
	}
	if err := gs.checkName(ctx, tx, c); err != nil {
		return Group{}, failure.At("name", err)
	}
	return gs.create(ctx, tx, c, display, privileged)
}

// create inserts a group whose name was looked at.
func (gs *Groups) create(ctx context.Context, tx *store.Tx, c, display string, privileged bool) (Group, error) {
	display, err := CheckDisplay(display)
	if err != nil {
		return Group{}, failure.At("display", err)
	}
	g := Group{Name: c, Display: display, Privileged: privileged, Created: tx.Now().Truncate(time.Microsecond), version: 1}
	err = tx.QueryRow(ctx, `insert into team (name, display, privileged, created, version, mac) values ($1,$2,$3,$4,$5,$6) returning id`,
		g.Name, g.Display, store.Bit(privileged), store.Unix(g.Created), g.version, []byte{}).Scan(&g.ID)
	if errors.Is(err, store.ErrConflict) {
		return Group{}, failure.At("name", failure.New(failure.Conflict, "There is a group named %q already.", c))
	}
	if err != nil {
		return Group{}, err
	}
	tx.Announce("group")
	tx.Anchor("team", g.ID, g.version)
	_, err = tx.Exec(ctx, `update team set mac = $2 where id = $1`, g.ID, gs.keys.MAC("team", g.fields()))
	return g, err
}

// Describe changes what a group is called. Its name, and whether it is privileged, stay.
func (gs *Groups) Describe(ctx context.Context, tx *store.Tx, g Group, display string) (Group, error) {
	display, err := CheckDisplay(display)
	if err != nil {
		return g, failure.At("display", err)
	}
	g.Display = display
	g.version++
	n, err := tx.Exec(ctx, `update team set display = $2, version = $3, mac = $4, changed = $6 where id = $1 and version = $5`, g.ID, g.Display, g.version, gs.keys.MAC("team", g.fields()), g.version-1, store.Unix(tx.Now()))
	if err == nil && n == 0 {
		return g, failure.New(failure.Conflict, "The group %q was changed meanwhile.", g.Name)
	}
	tx.Announce("group")
	tx.Anchor("team", g.ID, g.version)
	return g, err
}

const groupColumns = `t.id, t.name, t.display, t.privileged, t.created, t.changed, t.version, t.mac`

// Find returns the group of this name.
func (gs *Groups) Find(ctx context.Context, r store.Reader, name string) (Group, error) {
	c, err := Canonical(name)
	if err != nil {
		return Group{}, err
	}
	g, err := gs.teams.scan(ctx, r.QueryRow(ctx, `select `+groupColumns+` from team t where t.name = $1`, c))
	if errors.Is(err, store.ErrNotFound) {
		return Group{}, failure.New(failure.NotFound, "There is no group named %q.", c)
	}
	return g, err
}

// Remove deletes a group that has no members any more: whoever is in it is
// taken out one by one, each with an entry of its own.
func (gs *Groups) Remove(ctx context.Context, tx *store.Tx, g Group) error {
	if g.OfPartner() {
		return partnersOwn
	}
	return gs.remove(ctx, tx, g)
}

func (gs *Groups) remove(ctx context.Context, tx *store.Tx, g Group) error {
	var members int64
	if err := tx.QueryRow(ctx, `select count(*) from membership where team = $1`, g.ID).Scan(&members); err != nil {
		return err
	}
	if members > 0 {
		return failure.New(failure.Conflict, "%s still has %d members; take them out first.", g.Name, members)
	}
	if err := gs.forgetExternals(ctx, tx, ExternalGroup, g.ID); err != nil {
		return err
	}
	n, err := tx.Exec(ctx, `delete from team where id = $1`, g.ID)
	if err == nil && n == 0 {
		return failure.New(failure.NotFound, "There is no group named %q.", g.Name)
	}
	tx.Announce("group")
	tx.Anchor("team", g.ID, store.Gone)
	return err
}

// AddMember puts an account into a group. Twice is a Conflict. Nobody comes into the group of a
// partner by it, and nobody of a partner into one that is privileged.
func (gs *Groups) AddMember(ctx context.Context, tx *store.Tx, g Group, a Account) error {
	a, err := gs.get(ctx, tx, a.ID)
	switch {
	case err != nil:
		return err
	case g.OfPartner():
		return partnersOwn
	case g.Privileged && a.Partner != "":
		return failure.Refuse("partner", a.Name+" is a person of the partner "+a.Partner+", who get what is delegated to them and no privileged group; make an account of their own for somebody who joined you.")
	}
	return gs.join(ctx, tx, g, a)
}

// join puts an account that was just read into a group.
func (gs *Groups) join(ctx context.Context, tx *store.Tx, g Group, a Account) error {
	at := store.Unix(tx.Now())
	if !a.roster.join(g, at) {
		return failure.New(failure.Conflict, "%s is in %s already.", a.Name, g.Name)
	}
	_, err := tx.Exec(ctx, `insert into membership (team, account, created, mac) values ($1,$2,$3,$4)
		on conflict (account, team) do update set created = excluded.created, mac = excluded.mac`, // which somebody else wrote
		g.ID, int64(a.ID), at, gs.keys.MAC(keyring.Membership, membership(g.ID, a.ID, at)))
	if err != nil {
		return err
	}
	a.touch(tx)
	if err := gs.save(ctx, tx, &a); err != nil {
		return err
	}
	tx.Announce(Topic(a.ID))
	return gs.first.reached(ctx, tx, a.ID)
}

// RemoveMember takes an account out of a group.
func (gs *Groups) RemoveMember(ctx context.Context, tx *store.Tx, g Group, a Account) error {
	if g.OfPartner() {
		return partnersOwn
	}
	n, err := tx.Exec(ctx, `delete from membership where team = $1 and account = $2`, g.ID, int64(a.ID))
	if err != nil {
		return err
	}
	if a, err = gs.get(ctx, tx, a.ID); err != nil {
		return err
	}
	tx.Announce(Topic(a.ID))
	if err := gs.Touch(ctx, tx, g); err != nil {
		return err
	}
	if a.roster.leave(g) {
		a.touch(tx)
		return gs.save(ctx, tx, &a)
	}
	if n == 0 {
		return failure.New(failure.NotFound, "%s is not in %s.", a.Name, g.Name)
	}
	return nil
}

// Touch notes that something about a group was changed that its row does not have. Once for each
// transaction is enough.
func (gs *Groups) Touch(ctx context.Context, tx *store.Tx, g Group) error {
	_, err := tx.Exec(ctx, `update team set changed = $2 where id = $1 and changed < $2`, g.ID, store.Unix(tx.Now()))
	return err
}

// Members returns the accounts of a group by name, at most limit of them. An account whose
// row is not believed is left out.
func (gs *Groups) Members(ctx context.Context, r store.Reader, g Group, limit int) ([]Account, error) {
	all, err := gs.list(ctx, r, `select `+accountColumns+` from membership m join account a on a.id = m.account where m.team = $1 order by a.name limit $2`, g.ID, limit)
	return slices.DeleteFunc(all, func(a Account) bool {
		if a.State != Tampered && !a.roster.in(g.ID) {
			gs.report("membership", fmt.Sprintf("%d/%d", g.ID, a.ID), store.Returned, a.ID)
			return true
		}
		return a.State == Tampered
	}), err
}

func escapeLike(s string) string {
	out := make([]byte, 0, len(s))
	for i := range len(s) {
		if s[i] == '%' || s[i] == '_' || s[i] == '!' {
			out = append(out, '!')
		}
		out = append(out, s[i])
	}
	return string(out)
}

// Administering returns up to limit accounts that administer Countersign, by name;
// none where the group is not there yet.
func (gs *Groups) Administering(ctx context.Context, r store.Reader, limit int) ([]Account, error) {
	group, err := gs.Find(ctx, r, Administrators)
	if failure.ClassOf(err) == failure.NotFound {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return gs.Members(ctx, r, group, limit)
}

// Administers reports whether an account administers Countersign.
func (gs *Groups) Administers(ctx context.Context, r store.Reader, id assurance.AccountID) (bool, error) {
	a, err := gs.get(ctx, r, id)
	return err == nil && a.Administers(), err
}
