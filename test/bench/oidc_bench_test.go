package bench

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"

	"countersign/internal/application"
	"countersign/internal/audit"
	"countersign/internal/oauth"
	"countersign/internal/prompt"
	"countersign/internal/servertest"
	"countersign/internal/signin"
	"countersign/internal/store"
)

const benchSecret = "a-client-secret-of-more-than-32-characters"

// openID measures the token endpoint against what no token endpoint can do without: a signature
// and a commit.
func (c *costs) openID() {
	w := servertest.NewWorld(c.b)
	ada := w.EnrollCodes("ada")
	ctx := context.Background()
	settings, _ := json.Marshal(map[string]any{"client_id": "bench", "client_secret": benchSecret, "redirect_uris": []string{"https://bench.example.org/callback"}, "refresh": "session"})
	err := w.DB.Change(ctx, audit.System("bench"), func(tx *store.Tx) error {
		if _, err := w.Catalogue.Set(ctx, tx, application.Application{Name: "bench", Kind: "wiki", Tier: application.Standard, Protocol: "oidc", Settings: settings}); err != nil {
			return err
		}
		return tx.Record(audit.Entry{Event: "application.set", Outcome: audit.OK})
	})
	if err != nil {
		c.b.Fatal(err)
	}
	session := w.SignedIn(ada)
	refreshes := make([]string, 4)
	for i := range refreshes {
		refreshes[i] = c.begins(w, session)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		c.b.Fatal(err)
	}
	digest := sha256.Sum256([]byte("a token"))
	for _, parallel := range []int{1, len(refreshes)} {
		took, limit := c.turns(parallel, func(worker int) error {
			next, err := asksTokens(w, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {refreshes[worker]}})
			refreshes[worker] = next
			return err
		}, func(int) error {
			if _, err := ecdsa.SignASN1(rand.Reader, key, digest[:]); err != nil {
				return err
			}
			return w.DB.Change(ctx, audit.System("bench"), func(tx *store.Tx) error {
				if _, err := tx.Exec(ctx, `update oauth_grant set ended = 0 where id = $1`, []byte("none")); err != nil {
					return err
				}
				return tx.Record(audit.Entry{Event: "client.refreshed", Outcome: audit.OK})
			})
		})
		c.dearer(fmt.Sprintf("OpenID: a refresh, %d at once", parallel), "SQLite", took, limit, "ES256 and a commit", "1.5")
	}
}

// begins is a refresh token of a sign-in to the application.
func (c *costs) begins(w *servertest.World, session string) string {
	c.b.Helper()
	refresh, access, err := tokensOf(w, session)
	if err != nil {
		c.b.Fatal(err)
	}
	c.access = access
	return refresh
}

// tokensOf are the tokens of a sign-in to the application by somebody who has a session: the
// engine's yes, a code, and what it is turned into.
func tokensOf(w *servertest.World, session string) (refresh, access string, err error) {
	ctx, verifier := context.Background(), strings.Repeat("v", 43)
	sum := sha256.Sum256([]byte(verifier))
	step, err := w.Engine.Check(ctx, signin.Request{Application: "bench", Session: session, Source: netip.MustParseAddr("127.0.0.1"), Protocol: "oidc", Medium: prompt.Browser})
	if err != nil || step.State != signin.Granted {
		return "", "", fmt.Errorf("%v %s %w", step.State, step.Reason, err)
	}
	const redirect = "https://bench.example.org/callback"
	code, err := w.Grants.Begin(ctx, step.Grant, oauth.Spec{Redirect: redirect, Challenge: base64.RawURLEncoding.EncodeToString(sum[:]), Scopes: []string{"openid", "profile"}})
	if err != nil {
		return "", "", err
	}
	return asksBoth(w, url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {redirect}, "code_verifier": {verifier}})
}

// asksTokens asks the token endpoint and returns the refresh token that it answers with.
func asksTokens(w *servertest.World, form url.Values) (string, error) {
	refresh, _, err := asksBoth(w, form)
	return refresh, err
}

// asksBoth asks the token endpoint and returns both tokens that it answers with.
func asksBoth(w *servertest.World, form url.Values) (refresh, access string, err error) {
	form.Set("client_id", "bench")
	form.Set("client_secret", benchSecret)
	r := httptest.NewRequest(http.MethodPost, "/oidc/token", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	got := httptest.NewRecorder()
	w.Handler.ServeHTTP(got, r)
	var answer struct {
		Refresh string `json:"refresh_token"`
		Access  string `json:"access_token"`
	}
	if err := json.Unmarshal(got.Body.Bytes(), &answer); err != nil || got.Code != http.StatusOK {
		return "", "", fmt.Errorf("status %d: %s %w", got.Code, got.Body, err)
	}
	return answer.Refresh, answer.Access, nil
}
