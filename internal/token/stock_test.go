package token

import (
	"countersign/internal/audit"
	"countersign/internal/directory"
	"countersign/internal/failure"
	"countersign/internal/keyring"
	"countersign/internal/store"
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestTokens(t *testing.T) {
	r := setUp(t)
	stock := []Token{{Serial: "A1", Kind: "totp", Seed: []byte("seed-1"), Batch: "b"}, {Serial: "A2", Kind: "hotp", Seed: []byte("seed-2"), Batch: "b"}, {Serial: "B_3", Kind: "totp", Seed: []byte("seed-3"), Batch: "b"}}
	r.change(t, func(tx *store.Tx) error { return r.Add(t.Context(), tx, stock) })
	err := r.try(t, func(tx *store.Tx) error {
		return r.Add(t.Context(), tx, []Token{{Serial: "C1", Kind: "totp", Seed: []byte("x1"), Batch: "c"}, {Serial: "A2", Kind: "totp", Seed: []byte("x2"), Batch: "c"}})
	})
	if failure.ClassOf(err) != failure.Conflict {
		t.Error(err)
	}
	if _, err := r.Get(t.Context(), r.db, "C1"); failure.ClassOf(err) != failure.NotFound {
		t.Errorf("half of an import is there: %v", err)
	}
	one, err := r.Get(t.Context(), r.db, "A1")
	if err != nil || string(one.Seed) != "seed-1" || one.State != InStock {
		t.Fatalf("%+v, %v", one, err)
	}
	serials := make([]string, 0, 120)
	for range 118 {
		serials = append(serials, "none")
	}
	known, err := r.Known(t.Context(), r.db, append(serials, "A1", "B_3"))
	if err != nil || strings.Join(known, " ") != "A1 B_3" && strings.Join(known, " ") != "B_3 A1" {
		t.Errorf("%v, %v", known, err)
	}
	given := one
	given.State, given.Account, given.Seed = Assigned, ada, nil
	r.change(t, func(tx *store.Tx) error { return r.Update(t.Context(), tx, given) })
	if err := r.try(t, func(tx *store.Tx) error { return r.Update(t.Context(), tx, one) }); failure.ClassOf(err) != failure.Conflict {
		t.Errorf("an older one was written: %v", err)
	}
	for _, c := range []struct {
		which Which
		after string
		limit int
		want  string
	}{{Which{}, "", 9, "A1 A2 B_3"}, {Which{}, "A1", 1, "A2"}, {Which{Serial: "A"}, "", 9, "A1 A2"}, {Which{Serial: "_"}, "", 9, "B_3"}, {Which{State: InStock}, "", 9, "A2 B_3"}, {Which{Owner: ada}, "", 9, "A1"}} {
		all, err := r.List(t.Context(), r.db, c.which, c.after, c.limit)
		var got []string
		for _, tok := range all {
			got = append(got, tok.Serial)
		}
		if err != nil || strings.Join(got, " ") != c.want {
			t.Errorf("%+v: %v, %v", c.which, got, err)
		}
	}
	r.intruder(t, `delete from token where serial in ('A1', 'A2')`)
	for serial, taken := range map[string]bool{"A1": false, "A2": true} { // which nobody had yet
		err := r.try(t, func(tx *store.Tx) error {
			return r.Add(t.Context(), tx, []Token{{Serial: serial, Kind: "totp", Seed: []byte("x"), Batch: "c"}})
		})
		if taken && err != nil || !taken && failure.ClassOf(err) != failure.Conflict {
			t.Errorf("%s, whose row was removed: %v", serial, err)
		}
	}
	r.finds(t, store.Finding{Table: "token", Row: "A1", Wrong: store.Missing})
}

// Each column of a token is changed by plain SQL: it is refused, and lists go on.
func TestTokensChangedBehindOurBack(t *testing.T) {
	for _, query := range []string{
		`update token set serial = 'A9' where serial = 'A1'`, `update token set manufacturer = 'x' where serial = 'A1'`, `update token set kind = 'hotp' where serial = 'A1'`, `update token set detail = 'x' where serial = 'A1'`,
		`update token set issued = 9 where serial = 'A1'`, `update token set state = 'stock' where serial = 'A1'`, `update token set account = 0 where serial = 'A1'`, `update token set credential = 9 where serial = 'A1'`,
		`update token set batch = 'x' where serial = 'A1'`, `update token set version = 9 where serial = 'A1'`, `update token set created = 1 where serial = 'A1'`, `update token set likeness = null where serial = 'A1'`,
		`update token set id = id + 5 where serial = 'A1'`, `update token set mac = (select mac from token where serial = 'A2') where serial = 'A1'`,
		`update token set seed = (select seed from token where serial = 'A2') where serial = 'A1'`,
	} {
		t.Run(query, func(t *testing.T) {
			t.Parallel()
			r := setUp(t)
			r.change(t, func(tx *store.Tx) error {
				return r.Add(t.Context(), tx, []Token{{Serial: "A1", Kind: "totp", Seed: []byte("1"), Secret: []byte("1"), Batch: "b"}, {Serial: "A2", Kind: "totp", Seed: []byte("2"), Secret: []byte("2"), Batch: "b"}})
			})
			r.change(t, func(tx *store.Tx) error {
				one, err := r.Get(t.Context(), tx, "A1")
				if err != nil {
					return err
				}
				one.State, one.Account = Assigned, ada
				return r.Update(t.Context(), tx, one)
			})
			r.intruder(t, query)
			for _, serial := range []string{"A1", "A9"} {
				if one, err := r.Get(t.Context(), r.db, serial); err == nil {
					t.Errorf("%+v is believed", one)
				}
			}
			all, err := r.List(t.Context(), r.db, Which{}, "", 9)
			tampered := slices.DeleteFunc(slices.Clone(all), func(one Token) bool { return one.State != directory.Tampered })
			if err != nil || len(all) != 2 || len(tampered) != 1 {
				t.Errorf("%+v, %v", all, err)
			}
			r.alarmed(t)
		})
	}
}

func (r *rig) serials(t *testing.T, secret string, but string) string {
	t.Helper()
	serial, err := r.Twin(t.Context(), r.db, []byte(secret), but)
	if err != nil {
		t.Fatal(err)
	}
	return serial
}

// A second token of one secret is known, by whatever key its likeness was made, until the
// first is revoked; what makes the answers of tokens is bound to their rows.
func TestTwoTokensOfOneSecret(t *testing.T) {
	r := setUp(t)
	add := func(tokens ...Token) error {
		return r.try(t, func(tx *store.Tx) error { return r.Add(t.Context(), tx, tokens) })
	}
	made := func(serial, secret string) Token {
		return Token{Serial: serial, Kind: "totp", Seed: []byte("seed " + serial), Secret: []byte(secret), Batch: "b"}
	}
	token := func(serial string) Token {
		t.Helper()
		one, err := r.Get(t.Context(), r.db, serial)
		if err != nil {
			t.Fatal(err)
		}
		return one
	}
	update := func(one Token) {
		t.Helper()
		r.change(t, func(tx *store.Tx) error { return r.Update(t.Context(), tx, one) })
	}
	if err := add(made("A1", "one"), made("A2", "two"), made("A3", ""), made("A4", "")); err != nil {
		t.Fatal(err)
	}
	rotate := func() {
		t.Helper()
		if err := r.keys.RotateDataKey(t.Context(), audit.System("test"), keyring.Token); err != nil {
			t.Fatal(err)
		}
	}
	for turn := range 3 { // under the key of then, the one after, and the next
		for what, tokens := range map[string][]Token{"another file": {made("B1", "one")}, "one file": {made("B1", "three"), made("B2", "three")}} {
			if err := add(tokens...); failure.ClassOf(err) != failure.Conflict {
				t.Errorf("in %s, %d keys later: %v", what, turn, err)
			}
		}
		if got := r.serials(t, "one", ""); got != "A1" {
			t.Errorf("the token of that secret is %q", got)
		}
		if got := r.serials(t, "one", "A1") + r.serials(t, "three", "") + r.serials(t, "", ""); got != "" {
			t.Errorf("another one is %q", got)
		}
		rotate()
	}
	if err := add(made("B1", "three")); err != nil {
		t.Errorf("a secret that nobody has: %v", err)
	}

	// What was imported before likenesses were kept is told apart once it is known.
	old := token("A3")
	r.Liken(&old, []byte("five"))
	r.Liken(&old, []byte("six"))
	update(old)
	if got := r.serials(t, "five", "") + r.serials(t, "six", ""); got != "A3" {
		t.Errorf("the token that was likened is %q", got)
	}
	lost := token("A4")
	lost.State, lost.Seed = Revoked, nil
	r.Liken(&lost, []byte("seven"))
	if update(lost); len(lost.likeness) != 0 || r.serials(t, "seven", "") != "" {
		t.Error("one that is revoked was likened")
	}
	gone := token("A2")
	gone.State = Returned
	if update(gone); r.serials(t, "two", "") != "A2" {
		t.Error("one that came back is forgotten")
	}
	gone = token("A2")
	gone.State, gone.Seed = Revoked, nil
	if update(gone); r.serials(t, "two", "") != "" {
		t.Error("one that is revoked is remembered")
	}
	if err := add(made("B2", "two")); err != nil {
		t.Errorf("the secret of one that was revoked: %v", err)
	}

	r.intruder(t, `update token set likeness = x'00' where serial = 'A1'`)
	if _, err := r.Get(t.Context(), r.db, "A1"); !errors.Is(err, directory.ErrTampered) {
		t.Errorf("with another likeness it is believed: %v", err)
	}
	r.intruder(t, `update token set likeness = null where serial = 'B1'`)
	if _, err := r.Get(t.Context(), r.db, "B1"); !errors.Is(err, directory.ErrTampered) {
		t.Errorf("without its likeness it is believed: %v", err)
	}
	r.intruder(t, `update token set state = 'stock' where serial = 'A3'`)
	r.intruder(t, `update token set batch = 'x' where serial = 'A3'`)
	if twin, err := r.Twin(t.Context(), r.db, []byte("five"), ""); !errors.Is(err, directory.ErrTampered) {
		t.Errorf("a row that was changed is the twin %q, %v", twin, err)
	}
	if err := add(made("B3", "five")); err == nil {
		t.Error("the secret of a row that was changed is taken again")
	}
}
