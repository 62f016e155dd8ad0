package provision

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"countersign/internal/directory"
	"countersign/internal/failure"
	"countersign/internal/provision"
	"countersign/internal/servertest"
)

func office(t *testing.T, to *receiver) *sender {
	t.Helper()
	w := servertest.NewWorld(t)
	return &sender{World: w, clerk: servertest.OfficeOf(w, "chief")[0], to: to}
}

// The promise: no more than the share of those who are there is ended within a day, whatever was
// removed here; the others wait, an alarm says so, and exactly their number is approved.
func TestNoMoreThanTheShareIsEnded(t *testing.T) {
	to := newReceiver(t)
	s := office(t, to)
	s.does(t, "group.create", map[string]any{"name": "barred"}, nil)
	for i := range 9 {
		s.person(t, fmt.Sprintf("p%d", i), "")
	}
	s.set(t, map[string]any{"share": 20, "leavers": provision.Delete})
	s.works(t)
	left := func() (n int) {
		for i := range 9 {
			if _, there := to.has(t, fmt.Sprintf("p%d", i)); there {
				n++
			}
		}
		return n
	}
	if n := left(); n != 9 {
		t.Fatalf("%d of 9 are there: %+v", n, s.shown(t))
	}
	for i := range 5 {
		s.does(t, "account.remove", map[string]any{"name": fmt.Sprintf("p%d", i), "reason": "left"}, nil)
	}
	s.works(t)
	shown := s.shown(t)
	if n := left(); n != 7 || shown.Held != 3 { // 2 of 10 are a fifth
		t.Fatalf("%d are left, and %+v", n, shown)
	}
	if alarms := s.told(t, "alarm.provisioning-held"); len(alarms) != 1 {
		t.Errorf("alarms: %v", alarms)
	}
	s.works(t)
	if n := left(); n != 7 {
		t.Errorf("without an approval %d are left", n)
	}
	if err := s.clerk.Do(t.Context(), "provisioning.release", map[string]any{"application": "wiki", "people": 5}, nil); failure.ClassOf(err) != failure.Conflict {
		t.Errorf("another number is approved: %v", err)
	}
	s.does(t, "provisioning.release", map[string]any{"application": "wiki", "people": 3}, nil)
	s.works(t)
	if n := left(); n != 4 {
		t.Errorf("approved, and %d are left: %+v", n, s.shown(t))
	}
	s.does(t, "account.remove", map[string]any{"name": "p5", "reason": "left"}, nil)
	s.works(t)
	if n := left(); n != 4 {
		t.Errorf("the approval was for three, and %d are left", n)
	}
	s.Later(25 * time.Hour)
	s.works(t)
	s.does(t, "provisioning.release", map[string]any{"application": "wiki", "people": 1}, nil)
	s.works(t)
	if n := left(); n != 3 {
		t.Errorf("another day, and %d are left", n)
	}
}

// The promise: an application that fails is tried again, less and less often, and nothing of it is
// lost, also not with a server that ends: another one goes on. Its token is in no log, no entry and
// no answer.
func TestFailingApplication(t *testing.T) {
	to := newReceiver(t)
	s := office(t, to)
	down := http.StatusServiceUnavailable
	to.front.answers(func(w http.ResponseWriter, r *http.Request) bool {
		w.WriteHeader(down)
		fmt.Fprintf(w, `{"detail":"no: %s"}`, r.Header.Get("Authorization"))
		return true
	})
	s.person(t, "ada", "Ada")
	s.set(t, nil)
	s.works(t)
	asked := len(to.front.seen())
	s.works(t)
	if n := len(to.front.seen()); n != asked || asked == 0 {
		t.Errorf("at once it is asked again: %d and %d", asked, n)
	}
	shown := s.shown(t)
	if shown.Problem == "" || !strings.Contains(shown.Problem, "503") || shown.Waiting == 0 {
		t.Errorf("shown: %+v", shown)
	}
	down = http.StatusUnauthorized
	s.Later(time.Minute)
	s.works(t)
	if events := s.told(t, "provisioning.failing"); len(events) != 1 {
		t.Errorf("the log is told %v", events)
	}
	everything, err := json.Marshal(shown)
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	for _, e := range s.entries(t, "") {
		fmt.Fprintf(&log, "%+v", e)
	}
	if secret := to.key; strings.Contains(string(everything), secret) || strings.Contains(log.String(), secret) {
		t.Error("the token is shown")
	}
	to.front.answers(nil)
	other := provision.New(provision.Parts{DB: s.DB, Keys: s.Keys, Accounts: s.Installation.Accounts, Groups: s.Groups, Roll: directory.NewRoll(directory.Parts{DB: s.DB, Keys: s.Keys}), Applications: s.Catalogue, MayUse: s.SignIn.Prospects.MayUse, Now: s.Now, Log: s.Installation.DB.Log()})
	if err := other.Worker.Step(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, there := to.has(t, "ada"); there {
		t.Error("another server works while this one holds the lease")
	}
	s.Later(31 * time.Second)
	if err := other.Worker.Step(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, there := to.has(t, "ada"); !there {
		t.Error("another server does not go on")
	}
}

// The promise: one person whom the application refuses holds up nobody else, and is tried again.
func TestOneRefusal(t *testing.T) {
	to := newReceiver(t)
	s := office(t, to)
	refuse := true
	to.front.answers(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPost || !refuse {
			return false
		}
		body := &bytes.Buffer{}
		_, _ = body.ReadFrom(r.Body)
		r.Body = http.NoBody
		if !strings.Contains(body.String(), `"bob"`) {
			r.Body = readCloser{body}
			return false
		}
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprint(w, `{"detail":"bob is no name","scimType":"invalidValue"}`)
		return true
	})
	for _, name := range []string{"ada", "bob", "carol"} {
		s.person(t, name, "")
	}
	s.set(t, nil)
	s.works(t)
	for name, want := range map[string]bool{"ada": true, "bob": false, "carol": true} {
		if _, there := to.has(t, name); there != want {
			t.Errorf("%s is there: %t", name, there)
		}
	}
	shown := s.shown(t)
	if shown.Failing == 0 || !slices.ContainsFunc(shown.Troubled, func(x troubled) bool { return strings.Contains(x.Says, "bob is no name") }) {
		t.Errorf("shown: %+v", shown)
	}
	refuse = false
	s.Later(time.Minute)
	s.works(t)
	if _, there := to.has(t, "bob"); !there {
		t.Error("bob is not tried again")
	}
}

type readCloser struct{ *bytes.Buffer }

func (readCloser) Close() error { return nil }

// The promise: what somebody changed in the application is found by a comparison, and mended by a
// command; who is there and was never ours is left alone.
func TestDriftIsMended(t *testing.T) {
	to := newReceiver(t)
	s := office(t, to)
	for _, name := range []string{"ada", "bob", "carol"} {
		s.person(t, name, "Name of "+name)
	}
	s.set(t, map[string]any{"share": 100})
	s.works(t)
	there := servertest.Clerk{W: to.World, Name: "operator", Person: to.Administrator("second")}
	there.Name = "second"
	for action, in := range map[string]map[string]any{
		"account.set-display": {"name": "ada", "display": "Somebody else"}, "account.remove": {"name": "bob", "reason": "by mistake"}, "account.create": {"name": "local", "kind": "person"}} {
		if err := there.Do(t.Context(), action, in, nil); err != nil {
			t.Fatal(action, err)
		}
	}
	d := s.drift(t)
	if d.Missing != 1 || d.Differing != 1 || d.Surplus != 0 || d.Strange == 0 {
		t.Errorf("it differs so: %+v", d)
	}
	s.does(t, "provisioning.mend", map[string]any{"application": "wiki"}, nil)
	s.works(t)
	if a, _ := to.has(t, "ada"); a.Display != "Name of ada" {
		t.Errorf("ada is called %q", a.Display)
	}
	if _, there := to.has(t, "local"); !there {
		t.Error("who is not ours was ended")
	}
	if d := s.drift(t); d.Differing != 0 {
		t.Errorf("mended, it differs so: %+v", d)
	}
}

// The promise: no request goes to an address inside that nobody listed, none is sent on to where a
// redirect leads, and a hidden token stays with its address.
func TestProvisioningIsNoWayInside(t *testing.T) {
	to := newReceiver(t)
	s := office(t, to)
	for what, settings := range map[string]map[string]any{
		"http elsewhere":   {"address": "http://app.example.org/scim", "token": "long-enough"},
		"http, not listed": {"address": to.front.URL, "token": "long-enough"},
		"a user":           {"address": "https://me@app.example.org/scim", "token": "long-enough"},
		"a query":          {"address": "https://app.example.org/scim?x=1", "token": "long-enough"},
		"a token of lines": {"address": "https://app.example.org/scim", "token": "a token\nX: y"},
		"no token":         {"address": "https://app.example.org/scim"},
		"an unknown word":  {"address": "https://app.example.org/scim", "token": "long-enough", "insecure": true},
		"a hidden token":   {"address": "https://app.example.org/scim", "token": "(hidden)"},
	} {
		if err := s.trySet(t, settings); failure.ClassOf(err) != failure.Invalid {
			t.Errorf("%s: %v", what, err)
		}
	}
	s.person(t, "ada", "")
	inside := strings.Replace(to.front.URL, "http://", "https://", 1)
	if err := s.trySet(t, map[string]any{"address": inside, "token": to.key}); err != nil {
		t.Fatal(err)
	}
	s.works(t)
	if seen := to.front.seen(); len(seen) > 0 || !strings.Contains(s.shown(t).Problem, "inside") {
		t.Errorf("it was asked %v; %+v", seen, s.shown(t))
	}
	s.set(t, nil)
	raw := s.settings(map[string]any{"token": "(hidden)"})
	if err := s.trySet(t, raw); err != nil {
		t.Errorf("the token does not stay: %v", err)
	}
	raw["address"] = strings.Replace(to.front.URL, "127.0.0.1", "localhost", 1)
	if err := s.trySet(t, raw); failure.ClassOf(err) != failure.Invalid {
		t.Errorf("the token goes to another address: %v", err)
	}
	caught := newFront(t, to.Base)
	to.front.answers(func(w http.ResponseWriter, r *http.Request) bool {
		http.Redirect(w, r, caught.URL+r.URL.RequestURI(), http.StatusTemporaryRedirect)
		return true
	})
	s.Later(time.Hour)
	s.works(t)
	if seen := caught.seen(); len(seen) > 0 {
		t.Errorf("a redirect is followed: %v", seen)
	}
}
