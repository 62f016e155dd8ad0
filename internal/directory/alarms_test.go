package directory

import (
	"fmt"
	"testing"

	"countersign/internal/store"
)

// Groups, milestones and names that were taken away hang from no account, so that
// nothing misses them: one that is removed, altered or put back is an alarm of its own,
// by a round of the sweep or by whoever asks for it, and nothing else is.
func TestAlarmsOfWhatHangsFromNoAccount(t *testing.T) {
	type subject struct {
		*rig
		staff Group
	}
	sweep := func(t *testing.T, s subject) {
		if err := s.inspection.Inspect(t.Context()); err != nil {
			t.Error(err)
		}
	}
	asks := func(t *testing.T, s subject) {
		if _, err := s.groups.Find(t.Context(), s.db, "staff"); err == nil {
			t.Error("a group is believed")
		}
	}
	name := func(t *testing.T, s subject) {
		if by, was, err := s.people.TakenAway(t.Context(), s.db, "yves"); by != Somebody || !was || err != nil {
			t.Errorf("a name that was taken away is free: %d, %t, %v", by, was, err)
		}
	}
	once := func(t *testing.T, s subject) {
		if is, err := s.binding.Bound(t.Context()); !is || err != nil {
			t.Errorf("rows would be bound a second time: %t, %v", is, err)
		}
	}
	set := func(t *testing.T, s subject) {
		if !s.administered(t) {
			t.Error("set-up would begin anew")
		}
	}
	for what, c := range map[string]struct {
		do    string // %[1]d the group
		ask   func(t *testing.T, s subject)
		table string
		row   string // empty: the number of the group
		wrong string
	}{
		"a group removed, swept":             {`delete from team where id = %[1]d`, sweep, "team", "", store.Missing},
		"a group altered, swept":             {`update team set privileged = 1 - privileged where id = %[1]d`, sweep, "team", "", store.Altered},
		"a group altered, asked for":         {`update team set privileged = 1 - privileged where id = %[1]d`, asks, "team", "", store.Altered},
		"a name removed, asked for":          {`delete from account_alias where alias = 'yves'`, name, "account_alias", "yves", store.Missing},
		"a name altered, asked for":          {`update account_alias set account = account - 1 where alias = 'yves'`, name, "account_alias", "yves", store.Altered},
		"a name altered, swept":              {`update account_alias set account = account - 1 where alias = 'yves'`, sweep, "account_alias", "yves", store.Altered},
		"the first administrator, swept":     {`delete from milestone where name = 'administered'`, sweep, "milestone", administered, store.Missing},
		"the first administrator, asked for": {`delete from milestone where name = 'administered'`, set, "milestone", administered, store.Missing},
		"a milestone altered, asked for":     {`update milestone set at = at + 1 where name = 'administered'`, set, "milestone", administered, store.Altered},
		"a milestone altered, swept":         {`update milestone set at = at + 1 where name = 'bound'`, sweep, "milestone", bound, store.Altered},
		"that all is bound, swept":           {`delete from milestone where name = 'bound'`, sweep, "milestone", bound, store.Missing},
		"that all is bound, asked for":       {`delete from milestone where name = 'bound'`, once, "milestone", bound, store.Missing},
	} {
		t.Run(what, func(t *testing.T) {
			s := subject{rig: setUp(t)}
			ada := s.account(t, NewAccount{Name: "ada"})
			s.staff = s.group(t, "staff", false)
			yves := s.account(t, NewAccount{Name: "yves"})
			s.change(t, func(tx *store.Tx) error {
				if err := s.milestones.NoteAdministered(t.Context(), tx, ada, "test"); err != nil {
					return err
				}
				return s.people.Remove(t.Context(), tx, yves, ada.ID)
			})
			if err := s.binding.NoteBound(t.Context()); err != nil {
				t.Fatal(err)
			}
			i := s.intruder(t)
			sweep(t, s)
			s.finds(t)
			i.run(fmt.Sprintf(c.do+`; select %[1]d`, s.staff.ID))
			c.ask(t, s)
			c.ask(t, s)
			if c.row == "" {
				c.row = number(s.staff.ID)
			}
			found := store.Finding{Table: c.table, Row: c.row, Wrong: c.wrong}
			s.finds(t, found)
		})
	}
}
