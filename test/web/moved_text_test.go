package web

import (
	"encoding/json"
	"encoding/pem"
	"html"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"countersign/internal/admin"
	"countersign/internal/admin/account"
	"countersign/internal/admin/nouns"
	"countersign/internal/audit"
	"countersign/internal/directory"
	"countersign/internal/failure"
	"countersign/internal/servertest"
	"countersign/internal/signin"
	"countersign/internal/store"
	"countersign/internal/virtualauth"
)

// unsaid are the fields of commands that the approved text does not hold, and why
// another one in their place is no other thing.
var unsaid = map[string]string{
	"token.import upload": "a number of the client's own, by which the parts are found; the text holds the digest of what they hold",
	"token.import parts":  "how many there are of them, under that digest",

	"account.import upload": "as token.import upload", "account.import parts": "as token.import parts",
	"token.assign codes": "what the token of the text shows now, compared by the server",
	"token.resync codes": "what the token of the text shows now, compared by the server",
}

// sentFields are what a client can send of a command, by their names in JSON. What the
// server fills in is none of it.
func sentFields(t reflect.Type) []string {
	var out []string
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Type == reflect.TypeOf(admin.AuditText{}), name == "received", name == "-", !f.IsExported():
		case f.Anonymous && f.Type.Kind() == reflect.Struct && name == "":
			out = append(out, sentFields(f.Type)...)
		case name != "":
			out = append(out, name)
		}
	}
	return out
}

// fillIn writes into one field the first of these values that it takes, and reports
// whether there was one.
func fillIn(cmd admin.Command, field string, values ...any) bool {
	for _, v := range values {
		was, _ := json.Marshal(cmd)
		b, err := json.Marshal(map[string]any{field: v})
		if err == nil && json.Unmarshal(b, cmd) == nil {
			if is, _ := json.Marshal(cmd); string(is) != string(was) {
				return true
			}
		}
	}
	return false
}

// chosen are two values of each field that does not take just anything.
func chosen(t *testing.T) map[string][2]any {
	t.Helper()
	card := func() any {
		ca, err := virtualauth.NewCA("Cards")
		if err != nil {
			t.Fatal(err)
		}
		return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.Root().Raw}))
	}
	return map[string][2]any{"check": {"in-person", "video"}, "certificate": {card(), card()}}
}

var (
	meant = []any{"alpha", 11, true, []string{"alpha"}, []byte("alpha"), map[string]string{"alpha": "alpha"}, map[string]any{"alpha": 1}, "2026-01-01T00:00:00Z"}
	moved = []any{"beta", 12, true, []string{"beta"}, []byte("beta"), map[string]string{"beta": "beta"}, map[string]any{"beta": 1}, "2026-02-01T00:00:00Z"}
)

// The attack: what somebody approved is brought with another target, another name or
// any other field moved, or as another command. The promise, for every command there is
// and every field of it: it is in the text that was approved, so that the approval is
// for something else, nothing happens, and the log says what was wanted.
func TestMovedTextOfEveryCommand(t *testing.T) {
	s := newScene(t)
	root := s.Clerk()
	if _, err := root.Grant(t.Context(), &account.Resume{Name: "ada"}); err != nil {
		t.Fatal(err)
	}
	values, tried := chosen(t), 0
	put := func(cmd admin.Command, name string, which int) bool {
		if v, there := values[name]; there {
			return fillIn(cmd, name, v[which])
		}
		return fillIn(cmd, name, [][]any{meant, moved}[which]...)
	}
	s.unchanged("moved texts", func() {
		for _, spec := range nouns.Commands() {
			if spec.Reads {
				continue
			}
			names := sentFields(reflect.TypeOf(spec.New()).Elem())
			make := func() admin.Command {
				cmd := spec.New()
				for _, name := range names {
					put(cmd, name, 0)
				}
				return cmd
			}
			cmd := make()
			refused := func(what string, g signin.Grant, c admin.Command) {
				t.Helper()
				before := s.Refusals("admin.refused")
				if _, err := s.Admin.Do(t.Context(), g, c); failure.ReasonOf(err) != "other-action" {
					t.Errorf("%s: %q approved, and %s %q is answered %v", spec.Action, cmd.Object(), what, c.Object(), err)
				} else if s.Refusals("admin.refused") != before+1 {
					t.Errorf("%s, %s: the log says nothing", spec.Action, what)
				}
				tried++
			}
			g, err := root.Grant(t.Context(), cmd)
			if err != nil {
				t.Fatal(spec.Action, err)
			}
			for _, name := range names {
				c := make()
				if !put(c, name, 1) && !fillIn(c, name, false) {
					t.Errorf("%s: nobody knows how to fill in %s", spec.Action, name)
					continue
				}
				if why := unsaid[spec.Action+" "+name]; (c.Object() == cmd.Object()) != (why != "") {
					t.Errorf("%s: the text %q with another %s is %q (%s)", spec.Action, cmd.Object(), name, c.Object(), why)
				} else if why == "" {
					refused(name, g, c)
				}
			}
			for _, other := range nouns.Commands() {
				if c := other.New(); other.Action != spec.Action {
					for _, name := range sentFields(reflect.TypeOf(c).Elem()) {
						put(c, name, 0)
					}
					if c.Object() == cmd.Object() || other.Action == "account.remove" {
						refused("as "+other.Action, g, c)
					}
				}
			}
		}
	})
	if tried < 100 {
		t.Errorf("only %d texts were moved", tried)
	}
}

// The attack: somebody reads one text and presses, and another thing is done that was
// begun in the same browser meanwhile, in another tab. The promise: a form that approves
// brings the text that stood over it, and does that or nothing; be it the proof, the
// press after another device proved it, or a form without any text.
func TestMovedTextInTheBrowser(t *testing.T) {
	s := newScene(t)
	s.Later(6 * time.Minute)
	begins := func(reason string) {
		t.Helper()
		s.ada.Get("/console/accounts/eve")
		s.ada.Post("/console/accounts/eve/suspend", "reason", reason)
		s.ada.Sees("person eve: " + reason)
	}
	said := func() string {
		t.Helper()
		return html.UnescapeString(servertest.Last(t, servertest.SaysField, s.ada.Page))
	}
	begins("first")
	first := said()
	begins("second")
	second := said()
	for what, says := range map[string]string{"of before": first, "of nobody": "", "of another target": strings.Replace(second, "eve", "ada", 1), "longer": second + " "} {
		s.ada.Get("/sign-in?errand=own")
		s.ada.Post("/sign-in", "authenticator", "password", "text", servertest.Passphrase, "says", says)
		if s.ada.Status != http.StatusForbidden {
			t.Errorf("the proof under a text %s is answered %d", what, s.ada.Status)
		}
	}
	s.ada.Get("/sign-in?errand=own")
	s.ada.Post("/sign-in", "authenticator", "password", "text", servertest.Passphrase)
	form := filledIn(s.ada, "authenticator", "totp", "text", s.adas.Code())
	form.Del("name")
	if answer := asks(s.ada, http.MethodPost, "/sign-in", form); answer.StatusCode != http.StatusTemporaryRedirect {
		t.Fatalf("%d\n%s", answer.StatusCode, s.ada.Page)
	}
	s.unchanged("a press under another text", func() {
		for _, says := range []string{first, "", "person ada: second"} {
			s.ada.Get("/account")
			s.ada.Post("/console/accounts/eve/suspend/approved", "says", says)
			if s.ada.Status != http.StatusForbidden {
				t.Errorf("a press under %q is answered %d", says, s.ada.Status)
			}
		}
	})
	s.ada.Get("/account")
	s.ada.Post("/console/accounts/eve/suspend/approved", "says", second, "reason", "third", "name", "ada")
	if e := servertest.LatestOf(s.World, "account.suspended"); e.AccountName != "eve" || e.Detail["reason"] != "second" {
		t.Errorf("what was done is %s %v\n%s", e.AccountName, e.Detail, s.ada.Page)
	}
	// What was begun for a page that only signs in serves no text either.
	s.ada.Get("/sign-in")
	s.ada.Post("/sign-in", "name", "ada", "authenticator", "password", "text", servertest.Passphrase, "says", second)
	if s.ada.Status != http.StatusForbidden {
		t.Errorf("a text where nothing is approved is answered %d", s.ada.Status)
	}
}

// The promise: a text that has become another one since it was approved is not done:
// here the name of what is revoked.
func TestMovedTextOfAnObjectThatChanged(t *testing.T) {
	s := newScene(t)
	s.gainsPasskey("eve")
	s.Later(6 * time.Minute)
	var key directory.Credential
	for _, c := range servertest.AuthenticatorsOf(s.World, "eve") {
		if c.Kind == "passkey" {
			key = c
		}
	}
	s.ada.Get("/console/accounts/eve")
	s.ada.Post("/console/accounts/eve/revoke", "id", strconv.FormatInt(int64(key.ID), 10), "reason", "lost")
	s.ada.Sees("Key")
	s.ada.Sees("<h1>Approve</h1>")
	err := s.DB.Change(t.Context(), audit.System("test"), func(tx *store.Tx) error {
		key.Label = "Blue"
		tx.Record(audit.Entry{Event: "test.renamed", Outcome: audit.OK})
		return s.Credentials.Update(t.Context(), tx, key)
	})
	if err != nil {
		t.Fatal(err)
	}
	s.ada.Proves()
	s.ada.Sees("has changed meanwhile")
	if s.Events("credential.revoked") != 0 {
		t.Error("what was approved under another name was done")
	}
}
