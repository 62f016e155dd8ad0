package directory

import (
	"strings"
	"testing"

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
		g, err := r.CreateGroup(t.Context(), tx, "administrators", "Administrators", true)
		if err != nil {
			return err
		}
		root, err := r.Create(t.Context(), tx, NewAccount{Name: "modern-root", Display: "Marta Klein"})
		if err != nil {
			return err
		}
		if err := r.AddMember(t.Context(), tx, g, root); err != nil {
			return err
		}
		_, err = r.Create(t.Context(), tx, NewAccount{Name: "pao"})
		return err
	})
	refused := func(what string, do func(tx *store.Tx) error) {
		t.Helper()
		if err := r.try(t, do); failure.ClassOf(err) != failure.Conflict && failure.ClassOf(err) != failure.Invalid {
			t.Errorf("%s: %v", what, err)
		}
	}
	for _, name := range []string{"adrninistrators", "administrat0rs", "adm1nistrators", "\u0430dministrators", "ad-ministrators", "büro", "a\u200Bb", "админы"} {
		refused("group "+name, func(tx *store.Tx) error { _, err := r.CreateGroup(t.Context(), tx, name, "", false); return err })
	}
	for _, name := range []string{"modern-r00t", "rnodern-root", "modern.root", "administrat0rs", "\u0440\u0430\u043e", "a\uFE0Fb"} {
		refused("account "+name, func(tx *store.Tx) error { _, err := r.Create(t.Context(), tx, NewAccount{Name: name}); return err })
	}
	for _, display := range []string{"Administrators", "administrat0rs", "Marta Klein", "Marta  Klein", "Marta K1ein", "modern-root", "pao", "x\u202Ey"} {
		refused("called "+display, func(tx *store.Tx) error {
			_, err := r.Create(t.Context(), tx, NewAccount{Name: "mallory", Display: display})
			return err
		})
	}
	r.change(t, func(tx *store.Tx) error {
		if _, err := r.CreateGroup(t.Context(), tx, "staff", "Büro", false); err != nil {
			return err
		}
		if _, err := r.Create(t.Context(), tx, NewAccount{Name: "anna", Display: "Anna Müller"}); err != nil {
			return err
		}
		_, err := r.Create(t.Context(), tx, NewAccount{Name: "anna2", Display: "Anna Müller"}) // there are two of them
		return err
	})
}
