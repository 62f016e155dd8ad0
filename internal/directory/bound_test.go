package directory

import (
	"strings"
	"sync"
	"testing"
	"time"

	"countersign/internal/assurance"
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
		if c.GivenUp() != !state.mine {
			t.Errorf("%s: given up %t", state.name, c.GivenUp())
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
		t.Error("failed its integrity check")
	}
	r.alarmed(t, "milestone", store.Altered)
}
