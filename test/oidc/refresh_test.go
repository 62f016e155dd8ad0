package oidc

import (
	"net/url"
	"testing"
	"time"

	"countersign/internal/audit"
	"countersign/internal/servertest"
	"countersign/internal/store"
)

// refresh sends a refresh token.
func (p *party) refresh(t testing.TB, token string, more ...string) (int, reply) {
	t.Helper()
	form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}, "client_id": {p.config.ClientID}}
	if p.config.ClientSecret != "" {
		form.Set("client_secret", p.config.ClientSecret)
	}
	for i := 0; i < len(more); i += 2 {
		form.Set(more[i], more[i+1])
	}
	return p.post(t, "/oidc/token", form)
}

// tokens are those for a fresh code: of access and refresh.
func (p *party) tokens(t testing.TB, browser *servertest.Person, more ...string) (access, refresh string) {
	t.Helper()
	browser.Get(p.begin(more...))
	form := p.tokenForm(p.back())
	if p.config.ClientSecret == "" {
		form.Del("client_secret")
	}
	status, got := p.post(t, "/oidc/token", form)
	if status != 200 {
		t.Fatalf("%d %v", status, got)
	}
	access, _ = got["access_token"].(string)
	refresh, _ = got["refresh_token"].(string)
	return access, refresh
}

// The promise: each refresh token is good once. One that comes again, whoever brings it, ends all
// that came of that sign-in; the owner is told, and nothing of another sign-in ends.
func TestARefreshTokenIsUsedOnce(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, dsn string) {
		w := servertest.NewWorldOn(t, dsn)
		ada := w.EnrollCodes("ada")
		w.Address("ada", "ada@example.org")
		wiki := newParty(w, "wiki", map[string]any{"refresh": "session"})
		p := signedIn(w, ada)
		access, first := wiki.tokens(t, p)
		other, otherRefresh := wiki.tokens(t, p)
		status, got := wiki.refresh(t, first)
		second, _ := got["refresh_token"].(string)
		newer, _ := got["access_token"].(string)
		if status != 200 || second == "" || second == first || !wiki.alive(t, newer) || !wiki.alive(t, access) {
			t.Fatalf("%d %v", status, got)
		}
		status, got = wiki.refresh(t, second)
		if status != 200 {
			t.Fatalf("%d %v", status, got)
		}
		third, _ := got["refresh_token"].(string)
		status, got = wiki.refresh(t, first)
		fails(t, "the first again", status, got, "invalid_grant")
		status, got = wiki.refresh(t, third)
		fails(t, "the newest after that", status, got, "invalid_grant")
		if wiki.alive(t, access) || wiki.alive(t, newer) {
			t.Error("an access token of the family is good still")
		}
		if reason, n := ended(w, "alarm.token-misused"), told(w, "ada@example.org"); reason != "reused" || n != 1 {
			t.Errorf("%q, and the owner was told %d times", reason, n)
		}
		if status, _ := wiki.refresh(t, otherRefresh); status != 200 || !wiki.alive(t, other) {
			t.Error("what came of another sign-in ended, too")
		}
	})
}

// A refresh token is for its client, whole, and gives no more than was granted.
func TestARefreshTokenIsBound(t *testing.T) {
	w := servertest.NewWorld(t)
	ada := w.EnrollCodes("ada")
	how := map[string]any{"refresh": "session"}
	wiki, evil, none := newParty(w, "wiki", how), newParty(w, "evil", how), newParty(w, "none", nil)
	p := signedIn(w, ada)
	access, token := wiki.tokens(t, p)
	for name, wrong := range map[string]string{"cut": token[:len(token)-4], "longer": token + "AAAA", "another kind": access, "nothing": "", "another letter": token[:30] + "A" + token[31:] + ""} {
		if wrong == token {
			continue
		}
		status, got := wiki.refresh(t, wrong)
		fails(t, name, status, got, "invalid_grant")
	}
	status, got := wiki.refresh(t, token, "scope", "openid profile groups admin")
	fails(t, "a scope that was not granted", status, got, "invalid_scope")
	if _, none := none.tokens(t, p); none != "" {
		t.Error("a client without refresh tokens got one")
	}
	status, got = wiki.refresh(t, token, "scope", "openid")
	narrow, _ := got["access_token"].(string)
	if status != 200 || got["scope"] != "openid" {
		t.Fatalf("%d %v", status, got)
	}
	if _, info := wiki.userinfo(t, narrow); info["preferred_username"] != nil || info["sub"] == nil {
		t.Errorf("a token of fewer scopes says %v", info)
	}
	next, _ := got["refresh_token"].(string)
	status, got = evil.refresh(t, next)
	fails(t, "by another client", status, got, "invalid_grant")
	status, got = wiki.refresh(t, next)
	fails(t, "after another client brought it", status, got, "invalid_grant")
	if reason := ended(w, "alarm.token-misused"); reason != "other-client" {
		t.Errorf("the alarm says %q", reason)
	}
	if wiki.alive(t, narrow) {
		t.Error("its access token is good still")
	}
}

// What a client was given ends with what it rests on: the session, the account, the authenticator,
// all sessions together. Without a session it lives on where it may, and no longer than it may.
func TestWhatEndsRefreshTokens(t *testing.T) {
	offline := map[string]any{"refresh": "offline", "offline_days": 7}
	for name, c := range map[string]struct {
		how   map[string]any
		scope string
		do    func(w *servertest.World, p *servertest.Person)
		good  bool
	}{
		"signed out":                       {map[string]any{"refresh": "session"}, "openid", signsOut, false},
		"signed out, and offline":          {offline, "openid offline_access", signsOut, true},
		"signed out, and offline unasked":  {offline, "openid", signsOut, false},
		"an idle browser":                  {map[string]any{"refresh": "session"}, "openid", func(w *servertest.World, _ *servertest.Person) { w.Later(3 * time.Hour) }, true},
		"a day":                            {map[string]any{"refresh": "session"}, "openid", func(w *servertest.World, _ *servertest.Person) { w.Later(25 * time.Hour) }, false},
		"a day, offline":                   {offline, "openid offline_access", func(w *servertest.World, _ *servertest.Person) { w.Later(25 * time.Hour) }, true},
		"a week, offline":                  {offline, "openid offline_access", func(w *servertest.World, _ *servertest.Person) { w.Later(7*24*time.Hour + time.Minute) }, false},
		"suspended":                        {offline, "openid offline_access", func(w *servertest.World, _ *servertest.Person) { w.Suspend("ada") }, false},
		"all sessions ended":               {offline, "openid offline_access", endsAll, false},
		"all sessions ended, with session": {map[string]any{"refresh": "session"}, "openid", endsAll, false},
		"its authenticator removed":        {offline, "openid offline_access", removesApp, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := servertest.NewWorld(t)
			ada := w.EnrollCodes("ada")
			wiki := newParty(w, "files", c.how)
			p := signedIn(w, ada)
			access, token := wiki.tokens(t, p, "scope", c.scope)
			if !wiki.alive(t, access) || token == "" {
				t.Fatal("no tokens")
			}
			c.do(w, p)
			status, got := wiki.refresh(t, token)
			if (status == 200) != c.good {
				t.Errorf("%d %v", status, got)
			}
			if !c.good {
				fails(t, name, status, got, "invalid_grant")
				if wiki.alive(t, access) {
					t.Error("its access token is good still")
				}
			}
		})
	}
}

func signsOut(_ *servertest.World, p *servertest.Person) {
	p.Get("/account")
	p.Post("/sign-out")
}

func endsAll(w *servertest.World, _ *servertest.Person) {
	w.T.Helper()
	a, err := w.Accounts.Find(w.T.Context(), w.DB, "ada")
	if err != nil {
		w.T.Fatal(err)
	}
	err = w.DB.Change(w.T.Context(), testActor, func(tx *store.Tx) error {
		if _, err := w.Endings.EndAllTx(w.T.Context(), tx, a.ID, ""); err != nil {
			return err
		}
		return tx.Record(audit.Entry{Event: "session.ended", Outcome: "ok", Account: int64(a.ID), Reason: "test"})
	})
	if err != nil {
		w.T.Fatal(err)
	}
}

func removesApp(w *servertest.World, _ *servertest.Person) {
	w.T.Helper()
	w.Equipment()
	servertest.Revokes(w, w.Clerk(), "ada", "totp")
}
