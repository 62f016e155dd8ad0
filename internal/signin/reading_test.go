package signin

import (
	"testing"

	"countersign/internal/assurance"
	"countersign/internal/directory"
	"countersign/internal/failure"
	"countersign/internal/store"
)

// Within one transaction whose an answer is, what it is compared with and what is decided
// rest on one reading, by whichever way the account is known. Nobody else's is taken for
// it, and whatever reads outside of it, or after it, reads for itself.
func TestOneTransactionRestsOnOneReading(t *testing.T) {
	for way, of := range map[string]func(id assurance.AccountID, name string) *attempt{
		"by name":    func(_ assurance.AccountID, name string) *attempt { return &attempt{Request: Request{Name: name}} },
		"by account": func(id assurance.AccountID, _ string) *attempt { return &attempt{Account: id} },
		"by both": func(id assurance.AccountID, name string) *attempt {
			return &attempt{Account: id, Request: Request{Name: name}}
		},
	} {
		t.Run(way, func(t *testing.T) {
			r, ada, app := withAda(t)
			bob := r.person("bob")
			bobs := r.withCodes(bob)
			at := of(ada.ID, "ada")
			display := func(from store.Reader, want string) {
				t.Helper()
				if a, err := r.accounts().person(t.Context(), from, at); err != nil || a.ID != ada.ID || a.Display != want {
					t.Errorf("read %q (%d), %v; want %q", a.Display, a.ID, err, want)
				}
			}
			usable := func(from store.Reader, want string) {
				t.Helper()
				all, err := r.accounts().credentialsOf(t.Context(), from, at, ada.ID)
				if err != nil || len(all) != 2 || all[0].Account != ada.ID || all[1].ID != app.ID || all[1].Status != want {
					t.Errorf("read %+v, %v; want that the app is %s", all, err, want)
				}
			}
			r.change(func(tx *store.Tx) error {
				display(tx, ada.Display)
				usable(tx, directory.CredentialActive)
				now, err := r.people.Get(t.Context(), tx, ada.ID)
				if err != nil {
					return err
				}
				now.Display = "Ada"
				if err := r.people.Update(t.Context(), tx, now); err != nil {
					return err
				}
				c, err := r.credentials.Get(t.Context(), tx, ada.ID, app.ID)
				if err != nil {
					return err
				}
				c.Status = directory.CredentialDisabled
				if err := r.credentials.Update(t.Context(), tx, c); err != nil {
					return err
				}
				display(tx, ada.Display)
				if all, err := r.accounts().credentialsOf(t.Context(), tx, at, bob.ID); err != nil || len(all) != 1 || all[0].ID != bobs.ID {
					t.Errorf("read of bob's %+v, %v", all, err)
				}
				usable(tx, directory.CredentialActive)
				// The same attempt turns out to be somebody else's, nobody's, or of a name that
				// nobody has.
				for what, c := range map[string]struct {
					account assurance.AccountID
					name    string
					want    assurance.AccountID
					missing bool
				}{
					"bob": {account: bob.ID, want: bob.ID}, "bob, who is called so": {name: "bob", want: bob.ID}, "bob, whatever was typed": {account: bob.ID, name: "ada", want: bob.ID},
					"nobody yet": {}, "nobody": {name: "nobody", missing: true}, "gone": {account: 4711, name: "ada", missing: true},
				} {
					other := *at
					other.Account, other.Name = c.account, c.name
					for range 2 {
						if a, err := r.accounts().person(t.Context(), tx, &other); a.ID != c.want || (err != nil) != c.missing || c.missing && failure.ClassOf(err) != failure.NotFound {
							t.Errorf("%s: read %d, %v", what, a.ID, err)
						}
					}
				}
				return nil
			})
			display(r.DB, "Ada")
			usable(r.DB, directory.CredentialDisabled)
			r.change(func(tx *store.Tx) error {
				display(tx, "Ada")
				usable(tx, directory.CredentialDisabled)
				return nil
			})
		})
	}
}
