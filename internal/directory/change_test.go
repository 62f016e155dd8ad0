package directory

import (
	"slices"
	"strings"
	"testing"
	"time"

	"countersign/internal/failure"
	"countersign/internal/store"
	"countersign/internal/store/storetest"
)

// cast is a privileged account, and two that are not.
func (r *rig) cast(t *testing.T) (root, ada, bob Account) {
	t.Helper()
	r.change(t, func(tx *store.Tx) error {
		g, err := r.groups.Create(t.Context(), tx, "administrators", "", true)
		if err != nil {
			return err
		}
		for _, c := range []struct {
			to         *Account
			name, mail string
		}{{&root, "root", ""}, {&ada, "ada@example.org", "ada@example.org"}, {&bob, "bob", "bob@example.org"}} {
			if *c.to, err = r.people.Create(t.Context(), tx, NewAccount{Name: c.name, Mail: c.mail}); err != nil {
				return err
			}
		}
		return r.groups.AddMember(t.Context(), tx, g, root)
	})
	return root, ada, bob
}

func (r *rig) rename(t *testing.T, a Account, to string) error {
	t.Helper()
	return r.try(t, func(tx *store.Tx) error { _, err := r.people.Rename(t.Context(), tx, a.ID, to); return err })
}

func (r *rig) setMail(t *testing.T, a Account, to string) error {
	t.Helper()
	return r.try(t, func(tx *store.Tx) error { _, err := r.people.SetMail(t.Context(), tx, a.ID, to); return err })
}

// leads fails where a name does not lead to an account; the zero Account is nobody.
func (r *rig) leads(t *testing.T, name string, to Account) {
	t.Helper()
	got, err := r.people.Find(t.Context(), r.db, name)
	if to.ID == 0 && failure.ClassOf(err) != failure.NotFound || to.ID != 0 && (err != nil || got.ID != to.ID) {
		t.Errorf("%s leads to %d, %v; want %d", name, got.ID, err, to.ID)
	}
}

// The promise: a renamed account is found by every name that it had, in every form, nobody
// else is given one of them, and no row looks as if somebody else had written it.
func TestRename(t *testing.T) {
	r := setUp(t)
	root, ada, bob := r.cast(t)
	if err := r.rename(t, bob, "Robert"); err != nil {
		t.Fatal(err)
	}
	if err := r.rename(t, root, "grace"); err != nil {
		t.Fatal(err)
	}
	r.restart(t)
	for _, name := range []string{"bob", "BOB", `CORP\bob`, "robert", `CORP\Robert`, "bob@example.org"} {
		r.leads(t, name, bob)
	}
	now, err := r.people.Find(t.Context(), r.db, "bob")
	if former, odd := r.people.FormerNames(t.Context(), r.db, now); err != nil || odd != nil || now.Name != "robert" || !slices.Equal(former, []string{"bob"}) {
		t.Errorf("%q, was %q: %v, %v", now.Name, former, err, odd)
	}
	for _, name := range []string{"bob", "robert", "root", "r00t", "grace", "gr-ace", "adrninistrators", "a b", "-x", "b\u043eb", "ada@example.org", ""} {
		if err := r.rename(t, ada, name); err == nil {
			t.Errorf("ada may be called %q", name)
		}
		if err := r.try(t, func(tx *store.Tx) error {
			_, err := r.people.Create(t.Context(), tx, NewAccount{Name: name})
			return err
		}); err == nil {
			t.Errorf("a new account may be called %q", name)
		}
	}
	if err := r.rename(t, bob, "bob"); err != nil {
		t.Errorf("its own former name: %v", err)
	}
	if err := r.inspection.Inspect(t.Context()); err != nil {
		t.Fatal(err)
	}
	storetest.Quiet(t, r.db)
}

// The promise: a removed account's former names are as its name: whoever gives one again is
// asked who removed it.
func TestRemovedFormerNames(t *testing.T) {
	r := setUp(t)
	root, _, bob := r.cast(t)
	if err := r.rename(t, bob, "robert"); err != nil {
		t.Fatal(err)
	}
	r.change(t, func(tx *store.Tx) error { return r.people.Remove(t.Context(), tx, bob, root.ID) })
	for _, name := range []string{"bob", "robert"} {
		r.leads(t, name, Account{})
		if by, was, err := r.people.TakenAway(t.Context(), r.db, name); by != root.ID || !was || err != nil {
			t.Errorf("%s was taken away: %v by %d, %v", name, was, by, err)
		}
	}
	if err := r.inspection.Inspect(t.Context()); err != nil {
		t.Fatal(err)
	}
	storetest.Quiet(t, r.db)
}

// The promise: the old address is told of nothing and leads to nobody any more, except where
// it is or was the account's name.
func TestSetMail(t *testing.T) {
	r := setUp(t)
	_, ada, bob := r.cast(t)
	if err := r.setMail(t, bob, "robert@Example.org"); err != nil {
		t.Fatal(err)
	}
	r.leads(t, "bob@example.org", Account{})
	r.leads(t, "robert@example.org", bob)
	if err := r.setMail(t, ada, "lovelace@example.org"); err != nil {
		t.Fatal(err)
	}
	r.leads(t, "ada@example.org", ada)
	if err := r.rename(t, ada, "ada"); err != nil {
		t.Fatal(err)
	}
	if err := r.setMail(t, ada, "ada@example.org"); err != nil {
		t.Fatal(err)
	}
	if err := r.setMail(t, ada, ""); err != nil {
		t.Fatal(err)
	}
	r.leads(t, "ada@example.org", ada)
	r.leads(t, "lovelace@example.org", Account{})
	r.restart(t)
	now, err := r.people.Get(t.Context(), r.db, bob.ID)
	if mails, odd := r.people.Mails(t.Context(), r.db, bob.ID); err != nil || odd != nil || !slices.Equal(mails, []string{"robert@example.org"}) || now.Mail != mails[0] || time.Since(now.MailMoved) > time.Hour {
		t.Errorf("%q, %q since %s: %v, %v", mails, now.Mail, now.MailMoved, err, odd)
	}
	for _, wrong := range []string{"robert@example.org", "nobody", "a@b@c", "a@example.org\r\nBcc: x@example.org"} {
		if err := r.setMail(t, bob, wrong); err == nil {
			t.Errorf("%q is an address", wrong)
		}
	}
	if err := r.inspection.Inspect(t.Context()); err != nil {
		t.Fatal(err)
	}
	storetest.Quiet(t, r.db)
}

// The promise: what people call an account is no name of somebody else's.
func TestSetDisplay(t *testing.T) {
	r := setUp(t)
	_, ada, _ := r.cast(t)
	for display, ok := range map[string]bool{"Ada Lovelace": true, "bob": false, "root": false, "r00t": false, "": true} {
		err := r.try(t, func(tx *store.Tx) error { _, err := r.people.SetDisplay(t.Context(), tx, ada.ID, display); return err })
		if (err == nil) != ok {
			t.Errorf("%q: %v", display, err)
		}
	}
}

// The promise: a list is sorted by each column, both ways, page by page, without leaving
// anybody out or naming anybody twice, and is narrowed by mail and group.
func TestListsAreSorted(t *testing.T) {
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		r := setUpOn(t, dsn)
		root, _, _ := r.cast(t)
		for _, n := range []NewAccount{{Name: "zoe", Display: "Ada"}, {Name: "yves", Display: "Zed", Mail: "aa@example.org"}, {Name: "xeno", Display: "Ada"}} {
			r.account(t, n)
		}
		for sort, want := range map[string]string{
			"": "ada@example.org bob root xeno yves zoe", "-name": "zoe yves xeno root bob ada@example.org", "display": "ada@example.org bob root xeno zoe yves", "-display": "yves zoe xeno root bob ada@example.org",
			"mail": "root xeno zoe yves ada@example.org bob", "used": "ada@example.org bob root xeno yves zoe",
		} {
			for size := 1; size < 4; size++ {
				var got []string
				for after := ""; ; {
					page, err := r.people.ListOf(t.Context(), r.db, Which{Sort: sort}, after, size)
					if err != nil {
						t.Fatal(err)
					}
					for _, a := range page {
						got = append(got, a.Name)
						after = a.Name
					}
					if len(page) < size {
						break
					}
				}
				if strings.Join(got, " ") != want {
					t.Errorf("by %q, %d a page: %q, want %q", sort, size, got, want)
				}
			}
		}
		if _, err := r.people.ListOf(t.Context(), r.db, Which{Sort: "mac; drop table account"}, "", 9); failure.ClassOf(err) != failure.Invalid {
			t.Errorf("sorted by anything: %v", err)
		}
		for w, want := range map[Which]string{{Query: "AA@exam"}: "yves", {Group: "administrators"}: root.Name, {Query: "%"}: ""} {
			page, err := r.people.ListOf(t.Context(), r.db, w, "", 9)
			if err != nil || want == "" && len(page) > 0 || want != "" && (len(page) != 1 || page[0].Name != want) {
				t.Errorf("%+v: %v, %v", w, page, err)
			}
		}
	})
}
