package directory

import (
	"errors"
	"strings"
	"testing"
	"time"

	"countersign/internal/failure"
	"countersign/internal/store"
)

func TestCheckDisplay(t *testing.T) {
	for s, ok := range map[string]bool{
		"": true, "Grace Hopper": true, "Zoë Ångström": true, "京都": true, "Ὀδυσσεύς": true, "שלום": true, strings.Repeat("x", 100): true,
		strings.Repeat("x", 101): false, "a\nb": false, "a\u202Eb": false, "a\u200Bb": false, "a\u2066b": false, "\x1b[2J": false, "a  b": false, "a\u3164b": false,
		"a\u00a0b": false, "\u0430dmin": false, "Gr\u0430ce Hopper": false, "Анна Петрова": true, "Anna Петрова": true,
	} {
		if _, err := CheckDisplay(s); (err == nil) != ok {
			t.Errorf("%q: %v", s, err)
		}
	}
	if got, err := CheckDisplay("Zoe\u0308"); err != nil || got != "Zoë" {
		t.Errorf("%q, %v", got, err)
	}
}

// The promise: no group and no account can be made that is taken for a privileged one.
func TestNamesThatLookAlike(t *testing.T) {
	r := setUp(t)
	r.change(t, func(tx *store.Tx) error {
		g, err := r.groups.Create(t.Context(), tx, "administrators", "Administrators", true)
		if err != nil {
			return err
		}
		root, err := r.people.Create(t.Context(), tx, NewAccount{Name: "modern-root", Display: "Marta Klein"})
		if err != nil {
			return err
		}
		if err := r.groups.AddMember(t.Context(), tx, g, root); err != nil {
			return err
		}
		_, err = r.people.Create(t.Context(), tx, NewAccount{Name: "pao"})
		return err
	})
	refused := func(what string, do func(tx *store.Tx) error) {
		t.Helper()
		if err := r.try(t, do); failure.ClassOf(err) != failure.Conflict && failure.ClassOf(err) != failure.Invalid {
			t.Errorf("%s: %v", what, err)
		}
	}
	for _, name := range []string{"adrninistrators", "administrat0rs", "adm1nistrators", "\u0430dministrators", "ad-ministrators", "büro", "a\u200Bb", "админы"} {
		refused("group "+name, func(tx *store.Tx) error { _, err := r.groups.Create(t.Context(), tx, name, "", false); return err })
	}
	for _, name := range []string{"modern-r00t", "rnodern-root", "modern.root", "administrat0rs", "\u0440\u0430\u043e", "a\uFE0Fb"} {
		refused("account "+name, func(tx *store.Tx) error {
			_, err := r.people.Create(t.Context(), tx, NewAccount{Name: name})
			return err
		})
	}
	for _, display := range []string{"Administrators", "administrat0rs", "Marta Klein", "Marta  Klein", "Marta K1ein", "modern-root", "pao", "x\u202Ey"} {
		refused("called "+display, func(tx *store.Tx) error {
			_, err := r.people.Create(t.Context(), tx, NewAccount{Name: "mallory", Display: display})
			return err
		})
	}
	r.change(t, func(tx *store.Tx) error {
		if _, err := r.groups.Create(t.Context(), tx, "staff", "Büro", false); err != nil {
			return err
		}
		if _, err := r.people.Create(t.Context(), tx, NewAccount{Name: "anna", Display: "Anna Müller"}); err != nil {
			return err
		}
		_, err := r.people.Create(t.Context(), tx, NewAccount{Name: "anna2", Display: "Anna Müller"}) // there are two of them
		return err
	})
}

// What looks like somebody privileged is refused in every form of its letters, and
// nobody is called what nobody looks like.
func TestFormsOfLettersThatLookAlike(t *testing.T) {
	r := setUp(t)
	r.change(t, func(tx *store.Tx) error {
		if _, err := r.groups.Create(t.Context(), tx, "chiefs", "Board of Trustees", true); err != nil {
			return err
		}
		_, err := r.groups.Create(t.Context(), tx, "team-1", "", true)
		return err
	})
	for display, ok := range map[string]bool{
		"\uff22\uff4f\uff41\uff52\uff44 of Trustees": false, "board 0f trustees": false, "Ch\u0131efs": false, "\uff43hiefs": false, "tearn l": false,
		"Board of Directors": true, "-": true, "team 2": true,
	} {
		err := r.try(t, func(tx *store.Tx) error {
			_, err := r.people.Create(t.Context(), tx, NewAccount{Name: "mallory", Display: display})
			if err == nil {
				return errTaken
			}
			return err
		})
		if errors.Is(err, errTaken) != ok || !ok && failure.ClassOf(err) != failure.Conflict {
			t.Errorf("called %q: %v", display, err)
		}
	}
	for name, ok := range map[string]bool{"team0": true, "team9": true, "a.b_c-d@e": true, "team!": false, "team 7": false, "Team7": true, "t\u00e9am": false, "tea{": false, "team-l": false} {
		err := r.try(t, func(tx *store.Tx) error { _, err := r.groups.Create(t.Context(), tx, name, "", false); return err })
		if (err == nil) != ok {
			t.Errorf("group %q: %v", name, err)
		}
	}
}

var errTaken = errors.New("it is taken")

// A name in other letters is refused where it looks like one that somebody has, and a
// row that was changed is nobody to be called after.
func TestNamesInOtherLetters(t *testing.T) {
	r := setUp(t)
	r.account(t, NewAccount{Name: "pao"})
	create := func(name, display string) error {
		return r.try(t, func(tx *store.Tx) error {
			_, err := r.people.Create(t.Context(), tx, NewAccount{Name: name, Display: display})
			return err
		})
	}
	if err := create("\u0440\u0430\u043e", ""); failure.ClassOf(err) != failure.Conflict {
		t.Errorf("pao in other letters: %v", err)
	}
	if err := create("\u0430\u043d\u043d\u0430", ""); err != nil {
		t.Errorf("a name that nobody has in Latin ones: %v", err)
	}
	r.sabotage(t, `update account set display = 'x', state = 'odd' where name = 'pao'`)
	if err := create("\u0440\u0430\u043e", ""); !errors.Is(err, ErrTampered) {
		t.Errorf("like a row that was changed: %v", err)
	}
	if err := create("mallory", "pao"); !errors.Is(err, ErrTampered) {
		t.Errorf("called like a row that was changed: %v", err)
	}
}

// A group of before names were plain keeps its own from being imitated; of plain ones
// only those that are privileged do.
func TestGroupsOfBefore(t *testing.T) {
	r := setUp(t)
	r.group(t, "staff", false)
	old := Group{Name: "\u0455alES", Created: time.Unix(1_700_000_000, 0)}
	r.change(t, func(tx *store.Tx) error {
		if err := tx.QueryRow(t.Context(), `insert into team (name, display, privileged, created, mac) values ($1,'',0,$2,$3) returning id`, old.Name, store.Unix(old.Created), []byte{}).Scan(&old.ID); err != nil {
			return err
		}
		_, err := tx.Exec(t.Context(), `update team set mac = $2 where id = $1`, old.ID, r.keys.MAC("team", old.fields()))
		return err
	})
	for name, ok := range map[string]bool{"sales": false, "sa1es": false, "salt": true, "st-aff": true} {
		err := r.try(t, func(tx *store.Tx) error { _, err := r.groups.Create(t.Context(), tx, name, "", false); return err })
		if (err == nil) != ok {
			t.Errorf("group %q: %v", name, err)
		}
	}
}
