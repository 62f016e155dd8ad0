package directory

import (
	"errors"
	"testing"

	"countersign/internal/store"
	"countersign/internal/store/storetest"
)

// An account has the language that was chosen, beside an end or without one; a language or an
// end that somebody else wrote, moved or took away is not believed.
func TestLanguageOfAnAccount(t *testing.T) {
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		r := setUpOn(t, dsn)
		ada := r.account(t, NewAccount{Name: "ada"})
		set := func(tag string) {
			r.change(t, func(tx *store.Tx) error {
				a, err := r.people.Get(t.Context(), tx, ada.ID)
				if err != nil {
					return err
				}
				a.Language = tag
				return r.people.Update(t.Context(), tx, a)
			})
		}
		find := func() (Account, error) { return r.people.Find(t.Context(), r.db, "ada") }
		for _, tag := range []string{"de", "pt-BR", "", "de"} {
			set(tag)
			if found, err := find(); err != nil || found.Language != tag {
				t.Errorf("%q: %+v, %v", tag, found, err)
			}
		}
		for _, wrong := range []string{`language = 'fr'`, `language = ''`, `language = '', ends = 25701`, `ends = 25701`} {
			r.sabotage(t, `update account set `+wrong+` where name = 'ada'`)
			if found, err := find(); !errors.Is(err, ErrTampered) {
				t.Errorf("%s is believed: %+v, %v", wrong, found, err)
			}
			r.sabotage(t, `update account set language = 'de', ends = 0 where name = 'ada'`)
		}
		if found, err := find(); err != nil || found.Language != "de" {
			t.Errorf("%+v, %v", found, err)
		}
	})
}
