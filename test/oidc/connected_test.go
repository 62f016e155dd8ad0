package oidc

import (
	"strings"
	"testing"
	"time"

	"countersign/internal/protocol"
	"countersign/internal/servertest"
	"countersign/internal/store"
)

// The promise: a person reads which applications have something of theirs, what it is and since
// when, and ends each one: its tokens are over at once, it is told, and nothing else ends. Nobody
// ends anything of anybody else's.
func TestConnectedApplications(t *testing.T) {
	w := servertest.NewWorld(t)
	working(t, w)
	ada, bob := w.EnrollCodes("ada"), w.EnrollCodes("bob")
	wiki, ear := listening(w, "wiki", map[string]any{"refresh": "session"})
	files := newParty(w, "files", map[string]any{"refresh": "offline", "offline_days": 7})
	p := signedInAs(w, ada, "ada")
	p.Get("/account/connected")
	p.Sees("No application has anything of you now.")
	access, refresh := wiki.tokens(t, p, "scope", "openid email")
	sid, _ := sessionOf(t, wiki.signs(t, p))
	kept, _ := files.tokens(t, p, "scope", "openid groups offline_access")
	p.Get("/account/applications")
	p.Sees(`href="/account/connected"`)
	p.Get("/account/connected")
	for _, want := range []string{"The wiki", "your mail address", "The files", "the groups that you are in", "It can act for you until"} {
		p.Sees(want)
	}
	other := signedInAs(w, bob, "bob")
	other.Get("/account/connected")
	if strings.Contains(other.Page, "The wiki") {
		t.Error("bob sees what ada has")
	}
	other.Post("/account/connected/end", "application", "wiki")
	if !wiki.alive(t, access) {
		t.Fatal("bob ended what ada has")
	}
	p.Get("/account/connected")
	p.Post("/account/connected/end", "application", "wiki")
	p.Sees("What the application had been given was ended.")
	if strings.Contains(p.Page, "The wiki") || wiki.alive(t, access) || !files.alive(t, kept) || !isSignedIn(p) {
		t.Error("not the wiki alone ended")
	}
	status, got := wiki.refresh(t, refresh)
	fails(t, "refreshed", status, got, "invalid_grant")
	if told := wiki.reads(t, ear.waits(t, 1)[0]); told.Sid != sid {
		t.Errorf("%+v", told)
	}
	p.Get("/account/connected")
	p.Post("/account/connected/end", "application", "wiki") // once more
	p.Get("/account/history")
	p.Sees("What wiki had been given was ended by ada")
	// Signed in to again in the same session, it is told of that one's end as well.
	w.Later(time.Minute)
	again, _ := wiki.tokens(t, p)
	p.Get("/account")
	p.Post("/sign-out")
	ear.waits(t, 2)
	if wiki.alive(t, again) || !files.alive(t, kept) {
		t.Error("the session ended, and not what hangs from it alone")
	}
}

// An administrator reads and ends the same for somebody, with an entry that says so.
func TestAnAdministratorEndsWhatAnApplicationHas(t *testing.T) {
	w := servertest.NewWorld(t)
	working(t, w)
	ada := w.EnrollCodes("ada")
	w.Equipment()
	clerk := w.Clerk()
	wiki, ear := listening(w, "wiki", nil)
	p := signedIn(w, ada)
	access, _ := wiki.tokens(t, p)
	var all []protocol.Connected
	if err := clerk.Do(t.Context(), "connection.list", map[string]any{"account": "ada"}, &all); err != nil {
		t.Fatal(err)
	}
	if len(all) != 1 || all[0].Application != "wiki" || all[0].Title != "The wiki" || !all[0].Ends || strings.Join(all[0].Gets, " ") != "openid profile email groups" || all[0].Since.IsZero() {
		t.Errorf("%+v", all)
	}
	end := map[string]any{"account": "ada", "application": "wiki", "reason": "the wiki was attacked"}
	if err := clerk.Do(t.Context(), "connection.end", end, nil); err != nil {
		t.Fatal(err)
	}
	ear.waits(t, 1)
	if wiki.alive(t, access) || !isSignedIn(p) {
		t.Error("not the wiki alone ended")
	}
	if err := clerk.Do(t.Context(), "connection.end", end, nil); err == nil {
		t.Error("what has ended ends again")
	}
	entries, err := w.DB.AuditLog().Entries(t.Context(), store.Filter{Event: "client.disconnected"})
	if err != nil || len(entries) != 1 || entries[0].AccountName != "ada" || entries[0].Detail["application"] != "wiki" || entries[0].Detail["reason"] != "the wiki was attacked" || entries[0].Actor.Name == "ada" {
		t.Errorf("%+v, %v", entries, err)
	}
}
