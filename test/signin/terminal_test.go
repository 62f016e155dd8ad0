package signin

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"countersign/internal/servertest"
)

// The promise: nobody is told by a terminal's question what a command is about before
// they have a session that may ask for it: whose a token is, or who has a mail address.
func TestTerminalTellsStrangersNothing(t *testing.T) {
	t.Parallel()
	w := servertest.NewWorld(t)
	desk := servertest.TokenDesk(w)
	w.Welcomed("grace")
	servertest.TakesToken(w, desk, "C-1", "grace")
	ask := func(bearer, body string) (int, string) {
		t.Helper()
		r := httptest.NewRequest("POST", w.Base+"/api/v1/login/terminal", strings.NewReader(body))
		r.RemoteAddr = "127.0.0.1:4711"
		r.Header.Set("X-Forwarded-For", "198.51.100.9")
		r.Header.Set("Content-Type", "application/json")
		if bearer != "" {
			r.Header.Set("Authorization", "Bearer "+bearer)
		}
		out := httptest.NewRecorder()
		w.Handler.ServeHTTP(out, r)
		return out.Code, out.Body.String()
	}
	lost := `"command":{"action":"token.lost","input":"{\"serial\":\"C-1\"}"}`
	for _, bearer := range []string{"", "made-up", strings.Repeat("A", 43)} {
		if code, body := ask(bearer, `{"name":"nobody",`+lost+`}`); code != http.StatusUnauthorized || strings.Contains(body, "grace") {
			t.Errorf("with %q: %d %s", bearer, code, body)
		}
	}
	code, body := ask("", `{"name":"grace"}`)
	_, ticket, _ := strings.Cut(body, `"ticket":"`)
	ticket, _, _ = strings.Cut(ticket, `"`)
	if code != http.StatusOK || ticket == "" {
		t.Fatalf("to sign in: %d %s", code, body)
	}
	if code, body = ask("made-up", `{"ticket":"`+ticket+`","authenticator":"password","text":"`+servertest.Passphrase+`",`+lost+`}`); code != http.StatusUnauthorized || strings.Contains(body, "of person grace") {
		t.Errorf("with a ticket of one's own: %d %s", code, body)
	}
}
