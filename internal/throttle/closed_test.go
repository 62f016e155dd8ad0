package throttle

import (
	"countersign/internal/assurance"
	"countersign/internal/store"
	"countersign/internal/store/storetest"
	"testing"
)

// Each side has words of its own, which the log and people read.
func TestSidesHaveWords(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range sides {
		if w := s.Words(); w == "" || seen[w] {
			t.Errorf("%q is said %q", s, w)
		} else {
			seen[w] = true
		}
	}
	if Stranger.Words() != "strangers" || HasShown.Words() != "those who have shown another factor" {
		t.Error("the wrong words")
	}
}

// What another server closed is heard, and nothing else that goes round.
func TestClosedIsHeard(t *testing.T) {
	c := &closed{}
	for topic, want := range map[string]bool{"closed/7": true, "closed/8x": false, "account/9": false, "9": false, "closed/": false} {
		c.hear(topic)
		for id := assurance.AccountID(7); id < 10; id++ {
			if c.accounts[id] != (id == 7 && c.accounts[7]) {
				t.Errorf("%s: %v", topic, c.accounts)
			}
		}
		if want && !c.accounts[7] {
			t.Errorf("%s was not heard", topic)
		}
	}
	c.set(7, false)
	if c.accounts[7] {
		t.Error("it stays closed")
	}
}

// What is opened is open on this server as well, and nobody else's is.
func TestOpeningIsOfOneAccountHere(t *testing.T) {
	r := newRig(t)
	const bob = assurance.AccountID(8)
	for _, id := range []assurance.AccountID{ada, bob} {
		r.change(func(tx *store.Tx) error { return r.Close(t.Context(), tx, id) })
		if is, err := r.IsClosed(t.Context(), r.db, id); !is || err != nil {
			t.Fatalf("account %d is open, %v", id, err)
		}
	}
	r.change(func(tx *store.Tx) error { return r.Open(t.Context(), tx, ada) })
	for id, want := range map[assurance.AccountID]bool{ada: false, bob: true} {
		if is, err := r.closed.is(t.Context(), r.db, id); is != want || err != nil {
			t.Errorf("this server thinks that account %d is closed: %t, %v", id, is, err)
		}
		if is, err := r.IsClosed(t.Context(), r.db, id); is != want || err != nil {
			t.Errorf("account %d is closed: %t, %v", id, is, err)
		}
	}
	storetest.Sabotage(t, r.db, `update guess set count = 2 where subject = 'closed/8'`)
	if is, err := r.IsClosed(t.Context(), r.db, bob); is || err != nil {
		t.Errorf("by a row of another's making: %t, %v", is, err)
	}
	storetest.Alarmed(t, r.db, "guess", "closed/8", store.Altered)
}
