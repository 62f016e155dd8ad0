package bench

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"countersign/internal/application"
	"countersign/internal/servertest"
	"countersign/internal/session"
	"countersign/internal/testbed"
)

// codeFlow compares a sign-in to an application by somebody who has a session: the authorization
// request, the tokens and the facts about the person. dex keeps no sessions: its mock connector
// says at once who it is, so that it too asks nobody. Both write their rows to SQLite; without a
// disk, in memory, dex keeps nothing.
func (p *peers) codeFlow() {
	w := servertest.NewWorld(p.b)
	ada := w.EnrollCodes("ada")
	servertest.PlantApplication(w, application.Application{Name: "bench", Kind: "wiki", Tier: application.Standard, Protocol: "oidc"},
		map[string]any{"client_id": "bench", "client_secret": benchSecret, "redirect_uris": []string{flowRedirect}})
	ours := flow{client: flowClient(), authorize: w.Base + "/oidc/authorize", token: w.Base + "/oidc/token", userinfo: w.Base + "/oidc/userinfo",
		cookie: session.Cookie(strings.HasPrefix(w.Base, "https:")) + "=" + w.SignedIn(ada)}
	p.dex = installed(p.b, "dex")
	for _, kept := range []struct{ path, against, storage string }{
		{"OpenID code flow, session; SQLite", "dex, SQLite with a write-ahead log", "sqlite3"},
		{"OpenID code flow, session; SQLite", "dex, in memory", "memory"},
	} {
		theirs := startDex(p.b, p.dex, kept.storage)
		budget := 2.0
		if kept.storage == "memory" {
			budget = 0
		}
		p.each(kept.path, kept.against, budget, ours.signIn, theirs.signIn)
	}
}

const flowRedirect = "https://bench.example.org/callback"

// flow is a code flow at one provider.
type flow struct {
	client                     *http.Client
	authorize, token, userinfo string
	cookie                     string
}

// flowClient is a browser and an application in one, which follows no redirect by itself.
func flowClient() *http.Client {
	return &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: slices.Max(levels)},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// signIn is one whole sign-in.
func (f flow) signIn(int) error {
	verifier := strings.Repeat("v", 43)
	sum := sha256.Sum256([]byte(verifier))
	code, err := f.code(f.authorize + "?" + url.Values{"response_type": {"code"}, "client_id": {"bench"}, "redirect_uri": {flowRedirect}, "scope": {"openid profile"}, "state": {"a-state-of-some-length"},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "code_challenge_method": {"S256"}}.Encode())
	if err != nil {
		return err
	}
	r, err := http.NewRequest(http.MethodPost, f.token, strings.NewReader(url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {flowRedirect}, "code_verifier": {verifier}}.Encode()))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth("bench", benchSecret)
	var tokens struct {
		Access string `json:"access_token"`
		ID     string `json:"id_token"`
	}
	if err := f.answer(r, &tokens); err != nil {
		return err
	}
	if r, err = http.NewRequest(http.MethodGet, f.userinfo, nil); err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+tokens.Access)
	var person struct{ Sub string }
	if err := f.answer(r, &person); err != nil {
		return err
	}
	if tokens.ID == "" || person.Sub == "" {
		return fmt.Errorf("no ID token, or nobody: %+v", person)
	}
	return nil
}

// code follows the browser from the authorization request to the application.
func (f flow) code(address string) (string, error) {
	for range 6 {
		r, err := http.NewRequest(http.MethodGet, address, nil)
		if err != nil {
			return "", err
		}
		if f.cookie != "" {
			r.Header.Set("Cookie", f.cookie)
		}
		resp, err := f.client.Do(r)
		if err != nil {
			return "", err
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		to, err := resp.Location()
		if err != nil {
			return "", fmt.Errorf("%s: %s %.300s", address, resp.Status, body)
		}
		if code := to.Query().Get("code"); code != "" && strings.HasPrefix(to.String(), flowRedirect) {
			return code, nil
		}
		address = to.String()
	}
	return "", fmt.Errorf("no code after six redirects")
}

func (f flow) answer(r *http.Request, into any) error {
	resp, err := f.client.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s %s", r.URL.Path, resp.Status, b)
	}
	if err == nil {
		err = json.Unmarshal(b, into)
	}
	return err
}

// startDex starts a dex that knows one application, and whose connector asks nobody. It is given
// what makes SQLite fast, which its own settings leave out: a log written ahead.
func startDex(t testing.TB, program, storage string) flow {
	t.Helper()
	folder, addr := t.TempDir(), testbed.Addr(t)
	base := "http://" + addr + "/dex"
	if storage == "sqlite3" {
		storage = "sqlite3\n  config:\n    file: " + filepath.Join(folder, "dex.db") + "?_journal_mode=WAL"
	}
	config := filepath.Join(folder, "dex.yaml")
	text := fmt.Sprintf(`issuer: %s
storage:
  type: %s
web:
  http: %s
logger:
  level: error
oauth2:
  skipApprovalScreen: true
connectors:
- type: mockCallback
  id: mock
  name: mock
staticClients:
- id: bench
  name: bench
  redirectURIs: ["%s"]
  secret: %s
`, base, storage, addr, flowRedirect, benchSecret)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	testbed.Start(t, testbed.Process{Path: program, Dir: folder, Ready: addr, Args: []string{"serve", config}})
	return flow{client: flowClient(), authorize: base + "/auth/mock", token: base + "/token", userinfo: base + "/userinfo"}
}
