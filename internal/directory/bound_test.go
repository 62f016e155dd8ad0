package directory

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/audit"
	"countersign/internal/failure"
	"countersign/internal/keyring"
	"countersign/internal/store"
	"countersign/internal/store/storetest"
)

// An answer that leaves an authenticator active wakes nobody's memory, and one that uses
// it up all of them.
func TestUsedUpIsAnnounced(t *testing.T) {
	r := setUp(t)
	ada := r.account(t, NewAccount{Name: "ada"})
	c := r.credential(t, Credential{Account: ada.ID, Kind: "recoverycode", Traits: assurance.Held, State: []byte("3")})
	var mu sync.Mutex
	var heard []string
	r.db.Feed().Subscribe(func(topic string) {
		mu.Lock()
		defer mu.Unlock()
		heard = append(heard, topic)
	})
	for _, status := range []string{CredentialActive, CredentialUsedUp} {
		mu.Lock()
		heard = nil
		mu.Unlock()
		c.Status = status
		r.change(t, func(tx *store.Tx) error { return r.credentials.Answered(t.Context(), tx, c) })
		c.Version++
		mu.Lock()
		if got := strings.Contains(strings.Join(heard, " "), Topic(ada.ID)); got != (status == CredentialUsedUp) {
			t.Errorf("%s: heard %v", status, heard)
		}
		mu.Unlock()
	}
}

// What was given up for good is neither active, nor off, nor taken by one person.
func TestSettled(t *testing.T) {
	now := time.Now()
	for _, state := range allConditions {
		if state.set == nil {
			continue
		}
		c := Credential{Status: CredentialActive}
		state.set(&c, now)
		if c.Settled() != !state.mine {
			t.Errorf("%s: given up %t", state.name, c.Settled())
		}
	}
}

// A milestone's row that was changed is reported, and one that was not is not.
func TestAForgedMilestoneIsReported(t *testing.T) {
	r := setUp(t)
	ada := r.account(t, NewAccount{Name: "ada"})
	r.change(t, func(tx *store.Tx) error { return r.milestones.NoteAdministered(t.Context(), tx, ada, "test") })
	if !r.administered(t) {
		t.Error("as it was written")
	}
	storetest.Quiet(t, r.db)
	r.sabotage(t, `update milestone set account = 99`)
	if !r.administered(t) {
		t.Error("changed behind our back")
	}
	r.alarmed(t, "milestone", store.Altered)
}

func (r *rig) serials(t *testing.T, secret string, but string) string {
	t.Helper()
	serial, err := r.tokens.Twin(t.Context(), r.db, []byte(secret), but)
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
		return r.try(t, func(tx *store.Tx) error { return r.tokens.Add(t.Context(), tx, tokens) })
	}
	made := func(serial, secret string) Token {
		return Token{Serial: serial, Kind: "totp", Seed: []byte("seed " + serial), Secret: []byte(secret), Batch: "b"}
	}
	token := func(serial string) Token {
		t.Helper()
		one, err := r.tokens.Get(t.Context(), r.db, serial)
		if err != nil {
			t.Fatal(err)
		}
		return one
	}
	update := func(one Token) {
		t.Helper()
		r.change(t, func(tx *store.Tx) error { return r.tokens.Update(t.Context(), tx, one) })
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
	r.tokens.Liken(&old, []byte("five"))
	r.tokens.Liken(&old, []byte("six"))
	update(old)
	if got := r.serials(t, "five", "") + r.serials(t, "six", ""); got != "A3" {
		t.Errorf("the token that was likened is %q", got)
	}
	lost := token("A4")
	lost.State, lost.Seed = TokenRevoked, nil
	r.tokens.Liken(&lost, []byte("seven"))
	if update(lost); len(lost.likeness) != 0 || r.serials(t, "seven", "") != "" {
		t.Error("one that is revoked was likened")
	}
	gone := token("A2")
	gone.State = TokenReturned
	if update(gone); r.serials(t, "two", "") != "A2" {
		t.Error("one that came back is forgotten")
	}
	gone = token("A2")
	gone.State, gone.Seed = TokenRevoked, nil
	if update(gone); r.serials(t, "two", "") != "" {
		t.Error("one that is revoked is remembered")
	}
	if err := add(made("B2", "two")); err != nil {
		t.Errorf("the secret of one that was revoked: %v", err)
	}

	r.sabotage(t, `update token set likeness = x'00' where serial = 'A1'`)
	if _, err := r.tokens.Get(t.Context(), r.db, "A1"); !errors.Is(err, ErrTampered) {
		t.Errorf("with another likeness it is believed: %v", err)
	}
	r.sabotage(t, `update token set likeness = null where serial = 'B1'`)
	if _, err := r.tokens.Get(t.Context(), r.db, "B1"); !errors.Is(err, ErrTampered) {
		t.Errorf("without its likeness it is believed: %v", err)
	}
	r.sabotage(t, `update token set state = 'stock' where serial = 'A3'`)
	r.sabotage(t, `update token set batch = 'x' where serial = 'A3'`)
	if twin, err := r.tokens.Twin(t.Context(), r.db, []byte("five"), ""); !errors.Is(err, ErrTampered) {
		t.Errorf("a row that was changed is the twin %q, %v", twin, err)
	}
	if err := add(made("B3", "five")); err == nil {
		t.Error("the secret of a row that was changed is taken again")
	}
}
