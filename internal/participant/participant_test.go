package participant

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/enginetest"
	"countersign/internal/failure"
	"countersign/internal/keyring"
	"countersign/internal/signin"
	"countersign/internal/store"
	"countersign/internal/store/storetest"
)

type rig struct {
	*enginetest.Rig
	watch *storetest.Watch
	*Participants
	requests *Requests
}

func setUp(t *testing.T, dsn string) *rig {
	t.Helper()
	watch := storetest.NewWatch(time.Now())
	e := enginetest.Open(t, store.Options{DSN: dsn, Now: watch.Now}, keyring.NewRoot(), enginetest.Shows{Kind: "password", Traits: assurance.Known})
	e.Found()
	e.Person("ada", "password")
	return &rig{e, watch, New(Parts{DB: e.DB, Keys: e.Keys, Tickets: e.Tickets, Now: watch.Now}), NewRequests(e.Keys, watch.Now)}
}

func (r *rig) grant() signin.Grant {
	return r.Grant("ada", "", signin.SignIn, "", "password")
}

func joining(once string) Joining {
	return Joining{Name: "n4m3", Format: "persistent", Once: once, Fresh: time.Minute, Lasts: time.Hour, Detail: map[string]string{"class": "mfa"}}
}

// A request is answered once, however many answer it at once, and the one answer is in the log.
func TestARequestIsAnsweredOnce(t *testing.T) {
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		r := setUp(t, dsn)
		g := r.grant()
		var all sync.WaitGroup
		var mu sync.Mutex
		joined := 0
		for range 8 {
			all.Go(func() {
				_, err := r.Join(t.Context(), g, joining("_1"))
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err == nil:
					joined++
				case !errors.Is(err, ErrTwice) && failure.ClassOf(err) != failure.Conflict:
					t.Error(err)
				}
			})
		}
		all.Wait()
		entries, err := r.DB.AuditLog().Entries(t.Context(), store.Filter{Event: "application.opened"})
		if joined != 1 || err != nil || len(entries) != 1 || entries[0].AccountName != "ada" || entries[0].Detail["class"] != "mfa" {
			t.Errorf("%d joined, %+v, %v", joined, entries, err)
		}
		if _, err := r.Join(t.Context(), g, joining("_2")); err != nil {
			t.Errorf("another request: %v", err)
		}
		for range 2 { // nobody asked
			if _, err := r.Join(t.Context(), g, joining("")); err != nil {
				t.Error(err)
			}
		}
	})
}

// Who was told is found by the session, and by the name and the index that the application
// knows, and by nothing else; until it was told of the end, or its own session is over.
func TestWhoWasTold(t *testing.T) {
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		r := setUp(t, dsn)
		g := r.grant()
		one, err := r.Join(t.Context(), g, joining(""))
		if err != nil {
			t.Fatal(err)
		}
		if len(one.Index) != 24 || !one.Expires.Equal(r.watch.Now().Add(time.Hour).Truncate(time.Microsecond)) {
			t.Errorf("%+v", one)
		}
		for name, c := range map[string]struct {
			app, name, index string
			want             int
		}{"its own": {g.Application(), "n4m3", one.Index, 1}, "all of somebody's": {g.Application(), "n4m3", "", 1}, "another index": {g.Application(), "n4m3", one.Index + "A", 0},
			"another name": {g.Application(), "n4m4", one.Index, 0}, "another application": {"other", "n4m3", one.Index, 0}} {
			found, err := r.Named(t.Context(), c.app, c.name, c.index)
			if err != nil || len(found) != c.want {
				t.Errorf("%s: %d, %v", name, len(found), err)
			}
		}
		of, err := r.Of(t.Context(), g.Session())
		if err != nil || len(of) != 1 || of[0].Name != "n4m3" || of[0].AccountName != "ada" {
			t.Fatalf("%+v, %v", of, err)
		}
		if err := r.Leave(t.Context(), of[0]); err != nil {
			t.Fatal(err)
		}
		if of, err = r.Of(t.Context(), g.Session()); err != nil || len(of) != 0 {
			t.Errorf("%+v, %v", of, err)
		}
		if _, err := r.Join(t.Context(), g, joining("")); err != nil {
			t.Fatal(err)
		}
		r.watch.Later(time.Hour)
		if of, err = r.Of(t.Context(), g.Session()); err != nil || len(of) != 0 {
			t.Errorf("its session is over: %+v, %v", of, err)
		}
		r.watch.Later(time.Second)
		if err := r.Sweep(t.Context()); err != nil {
			t.Error(err)
		}
		var n int
		if err := r.DB.QueryRow(t.Context(), `select count(*) from participant`).Scan(&n); err != nil || n != 0 {
			t.Errorf("%d rows are left, %v", n, err)
		}
		storetest.Quiet(t, r.DB)
	})
}

// What an application asked for comes back as it was, to its own protocol and in time.
func TestRequestsOnTheirWay(t *testing.T) {
	r := setUp(t, t.TempDir()+"/test.db")
	type state struct{ A, B string }
	code, err := r.requests.Seal("saml", state{"a", "b"})
	if err != nil {
		t.Fatal(err)
	}
	var got state
	if err := r.requests.Open("saml", code, &got); err != nil || got != (state{"a", "b"}) {
		t.Errorf("%+v, %v", got, err)
	}
	flipped := []byte(code)
	flipped[30] ^= 1
	for name, wrong := range map[string]string{"nothing": "", "cut": code[:len(code)-2], "longer": code + "AA", "flipped": string(flipped), "no base64": "!" + code, "endless": strings.Repeat("A", requestMost+1)} {
		if err := r.requests.Open("saml", wrong, &got); !errors.Is(err, ErrStray) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := r.requests.Open("oidc", code, &got); !errors.Is(err, ErrStray) {
		t.Errorf("of another protocol: %v", err)
	}
	r.watch.Later(requestLife)
	if err := r.requests.Open("saml", code, &got); !errors.Is(err, ErrStray) {
		t.Errorf("late: %v", err)
	}
	if _, err := r.requests.Seal("saml", state{A: strings.Repeat("x", 3000)}); failure.ClassOf(err) != failure.Invalid {
		t.Errorf("too long: %v", err)
	}
}
