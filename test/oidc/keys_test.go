package oidc

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"countersign/internal/admin/rollover"
	"countersign/internal/servertest"
)

// published are the names of the keys that everybody may read.
func published(t testing.TB, w *servertest.World) (names []string) {
	t.Helper()
	r, err := http.Get(w.Base + "/oidc/keys")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	var set struct{ Keys []struct{ Kid string } }
	if err := json.NewDecoder(r.Body).Decode(&set); err != nil {
		t.Fatal(err)
	}
	for _, k := range set.Keys {
		names = append(names, k.Kid)
	}
	return names
}

// The promise: an administrator has the next key announced, sign, and the former one go, by hand.
// No ID token is ever signed by a key that is not published.
func TestSigningKeysRollOverByHand(t *testing.T) {
	w := servertest.NewWorld(t)
	ada, clerk := w.EnrollCodes("ada"), servertest.OfficeOf(w, "boss")[0]
	wiki := newParty(w, "wiki", nil)
	p := signedIn(w, ada)
	signs := func() string {
		t.Helper()
		token, _ := wiki.exchange(t, wiki.code(p))
		raw, _ := token.Extra("id_token").(string)
		header, _ := parts(t, raw)
		kid, _ := header["kid"].(string)
		if !strings.Contains(strings.Join(published(t, w), " "), kid) {
			t.Errorf("the key %s is not published", kid)
		}
		return kid
	}
	does := func(step string) (all []rollover.Key, err error) {
		err = clerk.Do(t.Context(), "rollover."+step, map[string]any{"purpose": "oidc-es256"}, &all)
		return all, err
	}
	first := signs()
	for _, step := range []string{"switch", "retire"} {
		if _, err := does(step); err == nil {
			t.Errorf("%s before one is announced", step)
		}
	}
	if all, err := does("announce"); err != nil || len(all) != 2 || all[0].State != "signs" || all[1].State != "announced" || all[0].Name != first {
		t.Fatalf("%+v, %v", all, err)
	}
	if got := published(t, w); len(got) != 2 || signs() != first {
		t.Errorf("announced: %v", got)
	}
	w.Later(time.Second)
	if all, err := does("switch"); err != nil || len(all) != 2 || all[0].State != "former" || all[1].State != "signs" {
		t.Fatalf("%+v, %v", all, err)
	}
	second := signs()
	if second == first || len(published(t, w)) != 2 {
		t.Error("the announced key does not sign, or the former one is gone")
	}
	if all, err := does("retire"); err != nil || len(all) != 1 || all[0].Name != second {
		t.Fatalf("%+v, %v", all, err)
	}
	if got := published(t, w); len(got) != 1 || got[0] != second || signs() != second {
		t.Errorf("retired: %v", got)
	}
	if err := clerk.Do(t.Context(), "rollover.announce", map[string]any{"purpose": "oidc-none"}, nil); err == nil {
		t.Error("there are keys of a word that nobody knows")
	}
}

// The same by the buttons of the console.
func TestSigningKeysRollOverOnAPage(t *testing.T) {
	w := servertest.NewWorld(t)
	boss := w.Administrator("boss")
	p := w.Person()
	p.Get("/sign-in")
	signIn(p, "boss", boss.Code())
	p.Get("/console/signing-keys?purpose=oidc-rs256")
	p.Sees("There is none yet")
	before := len(published(t, w))
	presses := func(step, says string) {
		t.Helper()
		w.Later(time.Minute)
		p.Post("/console/signing-keys/"+step, "purpose", "oidc-es256")
		if strings.Contains(p.Page, "Confirm") || !strings.Contains(p.Page, says) {
			p.ProveAgain(boss)
		}
		p.Sees(says)
	}
	presses("announce", "The next key is announced")
	if got := published(t, w); len(got) != before+1 {
		t.Errorf("%v", got)
	}
	presses("switch", "The next key signs from now on")
	presses("retire", "The key is gone")
	if got := published(t, w); len(got) != 1 {
		t.Errorf("%v", got)
	}
}
