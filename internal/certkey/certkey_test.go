package certkey

import (
	"context"
	"crypto/x509"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"countersign/internal/failure"
	"countersign/internal/keyring"
	"countersign/internal/keyring/keyringtest"
	"countersign/internal/store"
	"countersign/internal/store/storetest"
)

var purpose = Purpose{Name: "saml", Algorithm: RSA, Says: "SAML responses"}

func on(db *store.DB, keys *keyring.Keyring) *Keys {
	return New(Parts{DB: db, Keys: keys, Purposes: []Purpose{purpose}, Subject: "login.example.org", Now: time.Now})
}

func open(t *testing.T, dsn string, root keyring.Root) (*store.DB, *Keys) {
	t.Helper()
	db, keys := keyringtest.Open(t, store.Options{DSN: dsn, Log: slog.New(slog.DiscardHandler)}, root)
	return db, on(db, keys)
}

func set(t *testing.T, k *Keys) Set {
	t.Helper()
	s, err := k.Of(t.Context(), purpose.Name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// The first key is made once, however many ask for it, and its certificate is one of it.
func TestTheFirstKeyIsMadeOnce(t *testing.T) {
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		root := keyring.NewRoot()
		db, keys := keyringtest.Open(t, store.Options{DSN: dsn, Log: slog.New(slog.DiscardHandler)}, root)
		var ids sync.Map
		var all sync.WaitGroup
		for range 2 {
			k := on(db, keys)
			for range 4 {
				all.Go(func() {
					s, err := k.Of(context.Background(), purpose.Name)
					if err != nil {
						t.Error(err)
						return
					}
					ids.Store(s.Now.ID, true)
				})
			}
		}
		all.Wait()
		n := 0
		ids.Range(func(any, any) bool { n++; return true })
		s := set(t, on(db, keys))
		c, err := x509.ParseCertificate(s.Now.Certificate)
		if err != nil || n != 1 || c.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature) != nil || c.Subject.CommonName != "login.example.org" || len(s.Announced()) != 1 {
			t.Errorf("%d keys, %v", n, err)
		}
		if _, err := on(db, keys).Of(t.Context(), "nothing"); failure.ClassOf(err) != failure.NotFound {
			t.Errorf("an unknown purpose: %v", err)
		}
	})
}

// A roll-over announces the next key before it signs, and the former one after; names that
// are made with the keys stay the same.
func TestRollOver(t *testing.T) {
	db, k := open(t, filepath.Join(t.TempDir(), "test.db"), keyring.NewRoot())
	first := set(t, k)
	if err := storetest.Try(t, db, func(tx *store.Tx) error { return k.SwitchTx(t.Context(), tx, purpose.Name) }); failure.ClassOf(err) != failure.Conflict {
		t.Errorf("a key that nobody announced signs: %v", err)
	}
	next, err := k.Make(t.Context(), purpose.Name)
	if err != nil {
		t.Fatal(err)
	}
	storetest.Change(t, db, func(tx *store.Tx) error { return k.AnnounceTx(t.Context(), tx, next) })
	s := set(t, k)
	if s.Now.ID != first.Now.ID || s.Next == nil || s.Former != nil || len(s.Announced()) != 2 {
		t.Fatalf("announced: %+v", s)
	}
	if err := storetest.Try(t, db, func(tx *store.Tx) error { return k.AnnounceTx(t.Context(), tx, next) }); failure.ClassOf(err) != failure.Conflict {
		t.Errorf("announced twice: %v", err)
	}
	announced := s.Next.ID
	storetest.Change(t, db, func(tx *store.Tx) error { return k.SwitchTx(t.Context(), tx, purpose.Name) })
	if s = set(t, k); s.Now.ID != announced || s.Next != nil || s.Former == nil || s.Former.ID != first.Now.ID || len(s.Announced()) != 2 {
		t.Fatalf("switched: %+v", s)
	}
	storetest.Change(t, db, func(tx *store.Tx) error { return k.RetireTx(t.Context(), tx, purpose.Name) })
	if s = set(t, k); s.Now.ID != announced || s.Former != nil || len(s.Announced()) != 1 {
		t.Fatalf("retired: %+v", s)
	}
	if err := storetest.Try(t, db, func(tx *store.Tx) error { return k.RetireTx(t.Context(), tx, purpose.Name) }); failure.ClassOf(err) != failure.Conflict {
		t.Errorf("the last key goes: %v", err)
	}
	a, b := s.Pairwise("one", "ada"), first.Pairwise("one", "ada")
	if a != b || a == s.Pairwise("two", "ada") || a == s.Pairwise("one", "bob") || s.Pairwise("onea", "da") == a {
		t.Error("names are not pairwise, or did not stay")
	}
	if err := k.Inspect(t.Context()); err != nil {
		t.Error(err)
	}
	storetest.Quiet(t, db)
}

// Whatever somebody does to the row, no other key is believed, and the log says so.
func TestTheRowIsOurs(t *testing.T) {
	for name, c := range map[string]struct {
		do    func(t *testing.T, a *storetest.Attacker, before storetest.Copied)
		wrong string
		signs bool // with a key made anew
	}{
		"deleted": {func(_ *testing.T, a *storetest.Attacker, _ storetest.Copied) { a.Do(`delete from cert_key`) }, store.Missing, true},
		"its version": {func(_ *testing.T, a *storetest.Attacker, _ storetest.Copied) {
			a.Do(`update cert_key set version = version + 1`)
		}, store.Altered, false},
		"put back from before a roll-over": {func(_ *testing.T, a *storetest.Attacker, before storetest.Copied) {
			a.PutBack(before, "purpose")
		}, store.Older, false},
	} {
		t.Run(name, func(t *testing.T) {
			dsn := filepath.Join(t.TempDir(), "test.db")
			db, k := open(t, dsn, keyring.NewRoot())
			first := set(t, k)
			a := storetest.NewAttacker(t, dsn)
			before := a.Copy("cert_key", "purpose = 'saml'")
			next, err := k.Make(t.Context(), purpose.Name)
			if err != nil {
				t.Fatal(err)
			}
			storetest.Change(t, db, func(tx *store.Tx) error { return k.AnnounceTx(t.Context(), tx, next) })
			c.do(t, a, before)
			if err := k.Inspect(t.Context()); err != nil {
				t.Error(err)
			}
			s, err := k.Of(t.Context(), purpose.Name)
			if (err == nil) != c.signs || err == nil && s.Now.ID == first.Now.ID {
				t.Errorf("%v", err)
			}
			storetest.Alarmed(t, db, "cert_key", "saml", c.wrong)
		})
	}
}
