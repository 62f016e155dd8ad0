package webpush

import (
	"crypto/ecdh"
	"crypto/rand"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"countersign/internal/failure"
)

// A push service that gives no answer is left alone for longer and longer, and others are
// not; one that answers, whatever it says, is asked each time.
func TestSilentServices(t *testing.T) {
	ua, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key, err := NewKey()
	if err != nil {
		t.Fatal(err)
	}
	to := Recipient{Public: ua.PublicKey().Bytes(), Secret: make([]byte, 16)}
	asked, silent := 0, true
	endpoint, roots := service(t, func(w http.ResponseWriter, r *http.Request) {
		asked++
		if silent {
			panic(http.ErrAbortHandler) // the connection ends without an answer
		}
		w.WriteHeader(http.StatusTooManyRequests)
	})
	other, otherRoots := service(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusCreated) })
	now := time.Unix(1_800_000_000, 0)
	inside := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	s := NewSender(key, "https://login.example.org", Options{Inside: inside, Roots: roots}, func() time.Time { return now })
	send := func() error {
		return s.Send(t.Context(), endpoint, to, Message{Text: []byte("wake"), Keep: time.Minute})
	}
	for try, pause := range []time.Duration{firstRest, 2 * firstRest, 4 * firstRest, 8 * firstRest, longestRest, longestRest} {
		before := asked
		if err := send(); failure.ClassOf(err) != failure.Unavailable || asked == before {
			t.Fatalf("try %d: asked %d times, %v", try, asked-before, err)
		}
		before, now = asked, now.Add(pause-time.Second)
		if err := send(); failure.ClassOf(err) != failure.Unavailable || asked != before || !strings.Contains(err.Error(), "left alone") {
			t.Errorf("try %d: asked %d times, %v", try, asked-before, err)
		}
		now = now.Add(time.Second)
	}
	silent = false
	for range 3 {
		if before := asked; failure.ClassOf(send()) != failure.Unavailable || asked != before+1 {
			t.Error("one that answers is left alone")
		}
	}
	silent = true
	if send() == nil || s.rests.all[strings.TrimPrefix(strings.TrimSuffix(endpoint, "/p/a-secret"), "https://")].pause != firstRest {
		t.Error("it answered meanwhile, and is left alone for long")
	}
	s.client = NewSender(key, "", Options{Inside: inside, Roots: otherRoots}, time.Now).client
	if err := s.Send(t.Context(), other, to, Message{Text: []byte("wake"), Keep: time.Minute}); err != nil {
		t.Errorf("another: %v", err)
	}
	for range mostRests + 1 {
		s.rests.begin(rand.Text(), now)
	}
	if n := len(s.rests.all); n > mostRests {
		t.Errorf("%d are remembered", n)
	}
}
