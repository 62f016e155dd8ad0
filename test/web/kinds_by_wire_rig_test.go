package web

import (
	"encoding/json"
	"net/http/httptest"
	"strings"
	"time"

	"countersign/internal/servertest"
	"countersign/internal/web/api"
)

// apiName begins to sign in on a terminal.
func apiName(name string) api.TerminalAnswer { return api.TerminalAnswer{Name: name} }

// page asks for a command with the terminal's session, and returns where it is approved.
func page(c *servertest.Terminal, action, body string) string {
	c.W.T.Helper()
	r := httptest.NewRequest("POST", c.W.Base+api.Root+"commands/"+action, strings.NewReader(body))
	r.RemoteAddr = "127.0.0.1:4711"
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+c.Secret)
	r.Header.Set("Prefer", api.Async)
	c.W.Later(6 * time.Minute) // so that it waits for a proof
	out := httptest.NewRecorder()
	c.W.Handler.ServeHTTP(out, r)
	var waits api.Approval
	if err := json.Unmarshal(out.Body.Bytes(), &waits); err != nil || waits.Page == "" {
		c.W.T.Fatalf("%d %s", out.Code, out.Body)
	}
	return waits.Page
}
