package web

import (
	"context"
	"encoding/base64"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"countersign/internal/audit"
	"countersign/internal/authenticator/apikey"
	"countersign/internal/directory"
	"countersign/internal/servertest"
	"countersign/internal/store"
	"countersign/internal/testbed"
)

// keyFor makes the service robot, if there is none, and gives it a key for some actions.
func keyFor(w *servertest.World, networks string, actions ...string) string {
	w.T.Helper()
	ctx := context.Background()
	key, enrolled, err := apikey.Issue(apikey.Terms{Actions: actions, Networks: []netip.Prefix{netip.MustParsePrefix(networks)}, Expires: w.Now().Add(time.Hour)})
	if err != nil {
		w.T.Fatal(err)
	}
	err = w.DB.Change(ctx, audit.System("test"), func(tx *store.Tx) error {
		d, err := w.Accounts.Find(ctx, tx, "robot")
		if err != nil {
			if d, err = w.Accounts.Create(ctx, tx, directory.NewAccount{Name: "robot", Display: "Robot", Kind: directory.Service}); err != nil {
				return err
			}
		}
		if _, err := w.Credentials.Add(ctx, tx, directory.Credential{Account: d.ID, Kind: "apikey", Label: "key", Handle: enrolled.Handle, Traits: enrolled.Traits, State: enrolled.State}); err != nil {
			return err
		}
		return tx.Record(audit.Entry{Event: "test.key", Outcome: audit.OK})
	})
	if err != nil {
		w.T.Fatal(err)
	}
	return key
}

func basic(name, password string) string {
	return "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(name+":"+password))
}

// The promise: where an application's settings allow it, a program comes with an automation key
// that was issued for that application, or with a password and a code, behind each proxy; the
// application is told who it is and gets neither. A password alone, a key for something else, and
// either where the settings do not allow it open nothing, and what is the application's own arrives.
func TestPrograms(t *testing.T) {
	t.Parallel()
	for _, f := range servertest.Fronts {
		t.Run(f.Name, func(t *testing.T) {
			t.Parallel()
			w := servertest.NewWorld(t)
			own := strings.Replace(strings.TrimPrefix(w.Base, "http://"), "localhost", "127.0.0.1", 1)
			page := testbed.NewPage(t)
			site := func(name string, settings map[string]any) opened {
				o := opened{World: w, page: page, addr: testbed.Addr(t)}
				f.Start(t, o.addr, own, page.Addr)
				settings["hosts"] = []string{o.addr}
				w.Protect(name, settings)
				return o
			}
			wiki := site("wiki", map[string]any{"programs": []string{"automation-key", "password-and-code"}, "rules": []any{map[string]any{"path": "/admin", "action": "wiki.admin"}}})
			shut := site("shut", map[string]any{})
			ada := w.EnrollCodes("ada")
			key := keyFor(w, "127.0.0.0/8", "wiki/sign-in", "shut/sign-in")
			for agent, told := range map[string]bool{"curl/7.88.1": true, "Mozilla/5.0": false} {
				r, err := http.NewRequest("GET", "http://"+wiki.addr+"/api", nil)
				if err != nil {
					t.Fatal(err)
				}
				r.Header.Set("User-Agent", agent)
				answer, err := http.DefaultTransport.RoundTrip(r)
				if err != nil {
					t.Fatal(err)
				}
				answer.Body.Close()
				if said := strings.Join(answer.Header.Values("WWW-Authenticate"), ", "); answer.StatusCode != http.StatusUnauthorized || strings.Contains(said, "Basic") != told {
					t.Errorf("%s is answered %d with %s", agent, answer.StatusCode, said)
				}
			}
			wiki.passesProgram(key, ada)
			for _, authorization := range []string{"Authorization: Bearer " + key + "x", "Authorization: Bearer " + keyFor(w, "127.0.0.0/8", "other/sign-in", "sign-in", "account.list"), "Authorization: Bearer " + keyFor(w, "10.0.0.0/8", "wiki/sign-in"),
				basic("ada", servertest.Passphrase), basic("ada", servertest.Passphrase+",000000"), basic("ada", "wrong,"+ada.Code()), basic("", servertest.Passphrase+","+ada.Code()), basic("ada", ","+ada.Code())} {
				wiki.stops("GET", "/api", authorization)
			}
			wiki.stops("GET", "/admin/x", "Authorization: Bearer "+key) // it was not issued for that action
			wiki.passes("robot", "GET", "/admin/x", "Authorization: Bearer "+keyFor(w, "127.0.0.0/8", "wiki/wiki.admin"))
			w.Later(31 * time.Second)
			for _, authorization := range []string{"Authorization: Bearer " + key, basic("robot", key), basic("ada", servertest.Passphrase+","+ada.Code())} {
				shut.stops("GET", "/api", authorization)
			}
			shut.cookie = servertest.Handed(w, w.SignedIn(ada), shut.addr)
			if _, seen := shut.asked("GET", "/api", "Authorization: Bearer theirs", shut.cookie); seen == nil || seen.Header.Get("Authorization") != "Bearer theirs" {
				t.Errorf("the application's own Authorization arrived as %+v", seen)
			}
		})
	}
}

// passesProgram fails the test unless a key and a code let a program in.
func (o opened) passesProgram(key string, ada *servertest.Person) {
	o.T.Helper()
	code := ada.Code()
	for who, authorizations := range map[string][]string{"robot": {"Authorization: Bearer " + key, "Authorization: bearer " + key, basic("robot", key), basic("x", key)}, "ada": {basic("ada", servertest.Passphrase+","+code)}} {
		for _, authorization := range authorizations {
			status, seen := o.asked("PUT", "/api/notes?x=1", authorization)
			if status != http.StatusOK || seen == nil {
				o.T.Errorf("%s is answered %d", who, status)
				continue
			}
			if seen.Header.Get("Remote-User") != who || seen.Header.Get("Authorization") != "" || seen.Header.Get("Countersign-Spent") != "" {
				o.T.Errorf("%s reached the page with %v", who, seen.Header)
			}
		}
	}
	o.stops("GET", "/api", basic("ada", servertest.Passphrase+","+code)) // a code is good once
}
