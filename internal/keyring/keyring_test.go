package keyring

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"countersign/internal/audit"
	"countersign/internal/failure"
	"countersign/internal/store"
)

var operator = audit.Actor{Name: "operator", Via: "test"}

// file is where a database is; each server opens it by itself.
type file string

func database(t *testing.T) file { return file(filepath.Join(t.TempDir(), "keyring.db")) }

func (f file) server(t *testing.T) *store.DB {
	t.Helper()
	db, err := store.Open(t.Context(), store.Options{DSN: string(f), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func (f file) open(t *testing.T, root Root) (*Keyring, error) {
	t.Helper()
	return Open(t.Context(), f.server(t), root)
}

func open(t *testing.T, f file, root Root) *Keyring {
	t.Helper()
	k, err := f.open(t, root)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// before opens a database as a release did that had no such purpose.
func (f file) before(t *testing.T, root Root, without Purpose) *Keyring {
	t.Helper()
	k, err := openFor(t.Context(), f.server(t), root, slices.DeleteFunc(Purposes(), func(p Purpose) bool { return p == without }))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// sabotage runs plain SQL, as somebody with write access to the database would.
func sabotage(t *testing.T, k *Keyring, query string, args ...any) {
	t.Helper()
	err := k.db.Change(t.Context(), operator, func(tx *store.Tx) error {
		if _, err := tx.Exec(t.Context(), query, args...); err != nil {
			return err
		}
		return tx.Record(audit.Entry{Event: "test.sabotage", Outcome: audit.OK})
	})
	if err != nil {
		t.Fatal(err)
	}
}

func panics(fn func()) (said string) {
	defer func() {
		if p := recover(); p != nil {
			said = fmt.Sprint(p)
		}
	}()
	fn()
	return ""
}

// What was sealed for one place opens there and nowhere else: each part of the place
// and the purpose is changed in turn.
func TestSealedValueOpensInItsPlaceOnly(t *testing.T) {
	k := open(t, database(t), NewRoot())
	place := AAD{Table: "credential", Column: "state", Row: 7, Key: "k", Account: 3}
	sealed := k.Seal(Credential, place, []byte("seed"))
	if got, err := k.Open(Credential, place, sealed); err != nil || string(got) != "seed" {
		t.Fatalf("its own place: %q, %v", got, err)
	}
	for name, other := range map[string]AAD{
		"table": {Table: "token", Column: "state", Row: 7, Key: "k", Account: 3}, "column": {Table: "credential", Column: "label", Row: 7, Key: "k", Account: 3},
		"row": {Table: "credential", Column: "state", Row: 8, Key: "k", Account: 3}, "key": {Table: "credential", Column: "state", Row: 7, Key: "l", Account: 3},
		"account": {Table: "credential", Column: "state", Row: 7, Key: "k", Account: 4}, "shifted": {Table: "credentials", Column: "tate", Row: 7, Key: "k", Account: 3},
	} {
		if got, err := k.Open(Credential, other, sealed); !errors.Is(err, ErrSealed) {
			t.Errorf("another %s: %q, %v", name, got, err)
		}
	}
	if got, err := k.Open(Token, place, sealed); !errors.Is(err, ErrSealed) {
		t.Errorf("another purpose: %q, %v", got, err)
	}
	for i := range sealed { // version, generation, epoch, nonce, text and tag alike
		bad := append([]byte(nil), sealed...)
		bad[i] ^= 1
		if got, err := k.Open(Credential, place, bad); !errors.Is(err, ErrSealed) {
			t.Errorf("with bit %d flipped: %q, %v", i, got, err)
		}
	}
	for n := range len(sealed) {
		if got, err := k.Open(Credential, place, sealed[:n]); !errors.Is(err, ErrSealed) {
			t.Errorf("cut to %d: %q, %v", n, got, err)
		}
	}
}

func TestSealingTheSameTwiceDiffers(t *testing.T) {
	k := open(t, database(t), NewRoot())
	place := AAD{Table: "ticket", Column: "payload"}
	first, second := k.Seal(Ticket, place, []byte("x")), k.Seal(Ticket, place, []byte("x"))
	if string(first) == string(second) {
		t.Error("the same twice")
	}
}

func TestMACIsOfItsPurposeAndFields(t *testing.T) {
	k := open(t, database(t), NewRoot())
	mac := k.MAC(Membership, NewFields().Int(1).String("ab"))
	if !k.VerifyMAC(Membership, NewFields().Int(1).String("ab"), mac) {
		t.Fatal("its own fields")
	}
	for name, f := range map[string]*Fields{
		"number": NewFields().Int(2).String("ab"), "text": NewFields().Int(1).String("ac"), "order": NewFields().String("ab").Int(1), "fewer": NewFields().Int(1),
		"bytes for text": NewFields().Int(1).Bytes([]byte("ab")), "two for one": NewFields().Int(1).String("a").String("b"), "none": NewFields(),
	} {
		if k.VerifyMAC(Membership, f, mac) {
			t.Errorf("%s: verified", name)
		}
	}
	if k.VerifyMAC(Team, NewFields().Int(1).String("ab"), mac) {
		t.Error("another purpose verified")
	}
	for i := range mac {
		bad := append([]byte(nil), mac...)
		bad[i] ^= 1
		if k.VerifyMAC(Membership, NewFields().Int(1).String("ab"), bad) {
			t.Errorf("with bit %d flipped", i)
		}
	}
	for _, n := range []int{0, 1, macSize - 1} {
		if k.VerifyMAC(Membership, NewFields().Int(1).String("ab"), mac[:n]) {
			t.Errorf("cut to %d", n)
		}
	}
	if k.VerifyMAC(Membership, NewFields().Int(1).String("ab"), append(mac, 0)) {
		t.Error("one octet longer")
	}
}

// A purpose or place that nobody declared is a mistake in the program, and is not
// passed over.
func TestUndeclaredPurposesPanic(t *testing.T) {
	k := open(t, database(t), NewRoot())
	place := AAD{Table: "t", Column: "c"}
	sealed := k.Seal(Ticket, place, nil)
	for name, fn := range map[string]func(){
		"seal unknown": func() { k.Seal("made-up", place, nil) }, "mac unknown": func() { k.MAC("made-up", NewFields()) },
		"open unknown":     func() { k.Open("made-up", place, sealed) },
		"verify unknown":   func() { k.VerifyMAC("made-up", NewFields(), make([]byte, macSize)) },
		"seal as the log":  func() { k.Seal(auditMAC, place, nil) },
		"mac as the log":   func() { k.MAC(auditSign, NewFields()) },
		"open as the log":  func() { k.Open(auditMAC, place, sealed) },
		"without a table":  func() { k.Seal(Ticket, AAD{Column: "c"}, nil) },
		"without a column": func() { k.Seal(Ticket, AAD{Table: "t"}, nil) },
	} {
		if panics(fn) == "" {
			t.Errorf("%s: no panic", name)
		}
	}
}

func TestAnotherRootOpensNothing(t *testing.T) {
	db := database(t)
	root := NewRoot()
	open(t, db, root)
	if _, err := db.open(t, NewRoot()); !errors.Is(err, ErrWrongRoot) {
		t.Errorf("another root: %v", err)
	}
	if _, err := db.open(t, Root{}); err == nil {
		t.Error("no root was taken")
	}
	open(t, db, root)
}

// Each row of the table of keys is changed, copied and removed from outside.
func TestWrappedKeysAreNotWrittenByOthers(t *testing.T) {
	root := NewRoot()
	for name, c := range map[string]struct{ query, says string }{
		"a key of another purpose": {`update wrapped_key set purpose = 'team' where purpose = 'token'`, "does not open though others do"},
		"another time":             {`update wrapped_key set created = created + 1 where purpose = 'token'`, "does not open though others do"},
		"a key emptied":            {`update wrapped_key set wrapped = x'' where purpose = 'token'`, "does not open though others do"},
		"another version":          {`update wrapped_key set wrapped = cast(x'02' || substr(wrapped, 2) as blob) where purpose = 'token'`, "does not open though others do"},
		"a key twice":              {`insert into wrapped_key (purpose, wrapped, created) select purpose, wrapped, created from wrapped_key where purpose = 'token'`, "is there twice"},
		"no key of the log":        {`delete from wrapped_key where purpose = 'audit-mac'`, "the keys of the audit log are missing"},
		"no other key of the log":  {`delete from wrapped_key where purpose = 'audit-sign'`, "the keys of the audit log are missing"},
		"all swapped":              {`update wrapped_key set created = created + 1`, ErrWrongRoot.Error()},
	} {
		t.Run(name, func(t *testing.T) {
			db := database(t)
			sabotage(t, open(t, db, root), c.query)
			if _, err := db.open(t, root); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v, want something with %q", err, c.says)
			}
		})
	}
}

// A purpose that came with a new release gets its key at the next start, with an
// entry, and what was there stays.
func TestNewPurposeGetsItsKey(t *testing.T) {
	db, root := database(t), NewRoot()
	k := db.before(t, root, HostCodes)
	place := AAD{Table: "ticket", Column: "payload"}
	sealed := k.Seal(Ticket, place, []byte("x"))
	k = open(t, db, root)
	if _, err := k.Open(Ticket, place, sealed); err != nil {
		t.Error(err)
	}
	if k.MAC(HostCodes, NewFields()) == nil {
		t.Error("no key for it")
	}
	keys, err := k.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if want := len(Purposes()) + 2; len(keys) != want {
		t.Errorf("%d keys, want %d", len(keys), want)
	}
	for i, key := range keys {
		if key.Generation != 1 || !key.Retired.IsZero() || key.Created.IsZero() {
			t.Errorf("%+v", key)
		}
		if i > 0 && keys[i-1].Purpose > key.Purpose {
			t.Error("not sorted")
		}
	}
	entries := 0
	if err := k.db.QueryRow(t.Context(), `select count(*) from audit_entry`).Scan(&entries); err != nil || entries < 2 { // made, and made the new one
		t.Errorf("%d entries, %v", entries, err)
	}
}

func TestRotateRoot(t *testing.T) {
	db, root := database(t), NewRoot()
	k := open(t, db, root)
	place := AAD{Table: "ticket", Column: "payload"}
	sealed, mac := k.Seal(Ticket, place, []byte("x")), k.MAC(Team, NewFields().Int(1))
	if err := k.RotateRoot(t.Context(), operator, root); failure.ClassOf(err) != failure.Invalid {
		t.Errorf("the same root: %v", err)
	}
	if err := k.RotateRoot(t.Context(), operator, Root{}); err == nil {
		t.Error("no root was taken")
	}
	other := open(t, db, root) // a second server, which still has the old one
	fresh := NewRoot()
	if err := k.RotateRoot(t.Context(), operator, fresh); err != nil {
		t.Fatal(err)
	}
	if _, err := db.open(t, root); !errors.Is(err, ErrWrongRoot) {
		t.Errorf("the old root: %v", err)
	}
	if err := other.RotateDataKey(t.Context(), operator, Ticket); failure.ClassOf(err) != failure.Conflict {
		t.Errorf("a server with the old root rotates: %v", err)
	}
	if err := other.RotateRoot(t.Context(), operator, NewRoot()); failure.ClassOf(err) != failure.Conflict {
		t.Errorf("a server with the old root rotates it: %v", err)
	}
	for _, ring := range []*Keyring{k, open(t, db, fresh)} {
		if got, err := ring.Open(Ticket, place, sealed); err != nil || string(got) != "x" || !ring.VerifyMAC(Team, NewFields().Int(1), mac) {
			t.Errorf("%q, %v", got, err)
		}
	}
	if err := k.RotateRoot(t.Context(), operator, fresh); failure.ClassOf(err) != failure.Invalid {
		t.Errorf("the root that it has by now: %v", err)
	}
}

// After a rotation the new key seals and the old one still opens, also on a server
// that has heard nothing of it.
func TestRotateDataKey(t *testing.T) {
	db, root := database(t), NewRoot()
	k := open(t, db, root)
	other := open(t, db, root)
	place := AAD{Table: "ticket", Column: "payload"}
	old := k.Seal(Ticket, place, []byte("old"))
	for range 2 {
		if err := k.RotateDataKey(t.Context(), operator, Ticket); err != nil {
			t.Fatal(err)
		}
	}
	fresh := k.Seal(Ticket, place, []byte("new"))
	if string(old[1:5]) == string(fresh[1:5]) {
		t.Error("the old key seals")
	}
	if got, err := k.Open(Ticket, place, old); err != nil || string(got) != "old" {
		t.Errorf("%q, %v", got, err)
	}
	deadline := time.Now().Add(time.Minute)
	for { // it reads them again at most once a second
		got, err := other.Open(Ticket, place, fresh)
		if err == nil && string(got) == "new" {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the other server: %q, %v", got, err)
		}
		time.Sleep(50 * time.Millisecond)
	}
	keys, err := k.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var generations []uint32
	for _, key := range keys {
		if key.Purpose == Ticket {
			generations = append(generations, key.Generation)
			if retired := !key.Retired.IsZero(); retired != (key.Generation < 3) {
				t.Errorf("%+v", key)
			}
		}
	}
	if fmt.Sprint(generations) != "[1 2 3]" {
		t.Errorf("generations %v", generations)
	}
	for _, p := range []Purpose{"made-up", auditMAC, auditSign, ""} {
		if err := k.RotateDataKey(t.Context(), operator, p); failure.ClassOf(err) != failure.Invalid {
			t.Errorf("%q: %v", p, err)
		}
	}
	sabotage(t, k, `delete from wrapped_key where purpose = 'form'`)
	if err := k.RotateDataKey(t.Context(), operator, Form); err == nil {
		t.Error("a key that is missing was rotated")
	}
}

// What must not outlive its key opens under the newest one only, on every server.
func TestOpenCurrent(t *testing.T) {
	db, root := database(t), NewRoot()
	k := open(t, db, root)
	other := open(t, db, root)
	place := AAD{Table: "ticket", Column: "sealed"}
	old := k.Seal(Ticket, place, []byte("old"))
	if got, err := k.OpenCurrent(Ticket, place, old); err != nil || string(got) != "old" {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := k.OpenCurrent(Ticket, AAD{Table: "ticket", Column: "payload"}, old); !errors.Is(err, ErrSealed) {
		t.Errorf("in another place: %v", err)
	}
	if err := k.RotateDataKey(t.Context(), operator, Ticket); err != nil {
		t.Fatal(err)
	}
	if got, err := k.OpenCurrent(Ticket, place, old); !errors.Is(err, ErrSealed) || got != nil {
		t.Errorf("under the old key: %q, %v", got, err)
	}
	deadline := time.Now().Add(time.Minute)
	for { // it hears of the new key
		if _, err := other.OpenCurrent(Ticket, place, old); errors.Is(err, ErrSealed) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("the other server believes the old key")
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// A made-up generation costs one look into the database a second, not one each.
func TestMadeUpGenerationsAreNoFlood(t *testing.T) {
	k := open(t, database(t), NewRoot())
	k.mu.Lock()
	k.loaded = time.Now().Add(time.Hour)
	before := k.ring.Load()
	k.mu.Unlock()
	place := AAD{Table: "ticket", Column: "payload"}
	sealed := k.Seal(Ticket, place, nil)
	sealed[4] = 9
	for range 100 {
		if _, err := k.Open(Ticket, place, sealed); !errors.Is(err, ErrSealed) {
			t.Fatal(err)
		}
	}
	if k.ring.Load() != before {
		t.Error("it was read again")
	}
	k.reload(-2 * time.Hour)
	if k.ring.Load() == before {
		t.Error("it was not read at all")
	}
}

// Values of other servers' epochs open, and remembering their keys has a bound.
func TestEpochs(t *testing.T) {
	var key [keySize]byte
	key[0] = 1
	d := newDataKey(1, key)
	for i := range 2*epochsCached + 1 {
		s := newDataKey(1, key)
		sealed := s.seal(nil, []byte("x"))
		for range 2 { // once to derive the key, once from memory
			if got, err := d.open(nil, sealed); err != nil || string(got) != "x" {
				t.Fatalf("epoch %d: %q, %v", i, got, err)
			}
		}
		if len(d.cache) > epochsCached || i < epochsCached && len(d.cache) != i+1 {
			t.Fatalf("%d epochs are remembered", len(d.cache))
		}
	}
	if len(d.cache) == 0 {
		t.Error("none is remembered")
	}
	bad := newDataKey(1, key).seal(nil, nil)
	bad[len(bad)-1] ^= 1
	n := len(d.cache)
	if _, err := d.open(nil, bad); !errors.Is(err, ErrSealed) || len(d.cache) != n {
		t.Errorf("%v, %d remembered after %d: what opens nothing is remembered", err, len(d.cache), n)
	}
	own := d.seal(nil, nil)
	e := d.epoch.Load()
	if _, err := d.open(nil, own); err != nil || len(d.cache) != n {
		t.Errorf("its own epoch: %v", err)
	}
	e.left.Store(1)
	d.seal(nil, nil)
	if d.epoch.Load() != e {
		t.Error("a new epoch before the old one is spent")
	}
	d.seal(nil, nil)
	if d.epoch.Load() == e {
		t.Error("an epoch is sealed in for ever")
	}
}

func TestRootText(t *testing.T) {
	root := NewRoot()
	for _, text := range []string{root.Text(), "\n# a comment\n" + root.Text() + "\n\n"} {
		if got, err := ParseRoot(text); err != nil || !got.Equal(root) {
			t.Errorf("%v", err)
		}
	}
	line := strings.Split(root.Text(), "\n")[2]
	for name, text := range map[string]string{
		"nothing": "", "a comment": "# only", "two keys": root.Text() + root.Text(), "no base64": "!" + line[1:], "short": line[:40], "longer": line + "AAAA",
		"zeros": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", "a long file": strings.Repeat("#\n", 3000) + root.Text(),
	} {
		if _, err := ParseRoot(text); !errors.Is(err, ErrRootText) || text != "" && strings.Contains(err.Error(), line) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if root.Equal(NewRoot()) || root.Equal(Root{}) || !(Root{}).Equal(Root{}) || (Root{}).Equal(Root{made: true}) {
		t.Error("Equal")
	}
	key := fmt.Sprintf("%x", root.key)
	text, _ := root.MarshalText()
	for _, printed := range []string{fmt.Sprint(root), fmt.Sprintf("%v %+v %#v %s", root, root, root, root), root.LogValue().String(), string(text)} {
		if strings.Contains(printed, key) || !strings.Contains(printed, "[root key]") {
			t.Errorf("it prints as %q", printed)
		}
	}
}

// Several servers that start on a new database at once make its keys once.
func TestFirstStartsAtOnce(t *testing.T) {
	db, root := database(t), NewRoot()
	type opened struct {
		k   *Keyring
		err error
	}
	all := make(chan opened)
	for range 8 {
		server := db.server(t)
		go func() {
			k, err := Open(context.Background(), server, root)
			all <- opened{k, err}
		}()
	}
	var origin string
	for range 8 {
		o := <-all
		if o.err != nil {
			t.Error(o.err)
			continue
		}
		if origin == "" {
			origin = o.k.Origin()
		}
		if o.k.Origin() != origin || !strings.Contains(o.k.LogKey(), origin) || o.k.AuditKeys().Origin != origin {
			t.Errorf("two logs: %s and %s", origin, o.k.Origin())
		}
	}
}
