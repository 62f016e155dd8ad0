package cli

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"countersign/internal/admin/account"
	"countersign/internal/signin"
	"countersign/internal/web/api"
)

// terminal is a command line that types, with the session that it holds.
type terminal struct {
	w      *world
	secret string
	status int
	api.TerminalStep
	body string
}

func (c *terminal) says(in api.TerminalAnswer) {
	c.w.t.Helper()
	b, err := json.Marshal(in)
	if err != nil {
		c.w.t.Fatal(err)
	}
	r := httptest.NewRequest("POST", c.w.base+"/api/v1/login/terminal", strings.NewReader(string(b)))
	r.RemoteAddr = "127.0.0.1:4711"
	r.Header.Set("X-Forwarded-For", "198.51.100.9")
	r.Header.Set("Content-Type", "application/json")
	if c.secret != "" {
		r.Header.Set("Authorization", "Bearer "+c.secret)
	}
	out := httptest.NewRecorder()
	c.w.Handler.ServeHTTP(out, r)
	c.status, c.body, c.TerminalStep = out.Code, out.Body.String(), api.TerminalStep{}
	if c.status == http.StatusOK {
		if err := json.Unmarshal(out.Body.Bytes(), &c.TerminalStep); err != nil {
			c.w.t.Fatal(err)
		}
	}
	if c.Session != nil {
		c.secret = c.Session.Secret
	}
}

// answers types one after the other what is named, for a command or to sign in.
func (c *terminal) answers(first api.TerminalAnswer, named ...[2]string) {
	c.w.t.Helper()
	c.says(first)
	for _, a := range named {
		if c.status != http.StatusOK || c.Ticket == "" {
			return
		}
		c.says(api.TerminalAnswer{Ticket: c.Ticket, Authenticator: a[0], Text: a[1], Command: first.Command})
	}
}

// The promise, on every wire that there is: a kind that the wire cannot play is asked for
// there by nobody and accepted from nobody, by its own name or another, however right it
// is; what was sent in vain is not used up by it, and does its work where it belongs.
func TestEveryKindOnEveryWire(t *testing.T) {
	w, ada, browser, passkey := withPasskey(t)
	vpn := equipment{w, "a-secret-of-the-equipment"}
	yubi, _ := w.validators()
	browser.post("/account/do", "action", "authenticator.enroll", "object", "recoverycode")
	if passkeyForm.MatchString(browser.page) {
		browser.usePasskey(passkey)
	}
	var codes []string
	for _, m := range recoveryCodes.FindAllStringSubmatch(browser.page, -1) {
		codes = append(codes, m[1])
	}
	if len(codes) < 5 {
		t.Fatalf("no recovery codes:\n%s", browser.page)
	}
	browser.post("/account/setup", "authenticator", "recoverycode", "text", codes[0])
	root := w.clerk()
	if err := root.Do(t.Context(), "account.create", map[string]any{"name": "robot", "kind": "service"}, nil); err != nil {
		t.Fatal(err)
	}
	key, err := root.key("account.list")
	if err != nil {
		t.Fatal(err)
	}
	pass, err := w.Setup.Plant(t.Context(), "newcomer", "")
	if err != nil {
		t.Fatal(err)
	}
	_, link, _ := strings.Cut(pass.Link, "code=")
	_, word, err := w.Passes.Welcome(t.Context(), link)
	if err != nil {
		t.Fatal(err)
	}

	// A wire begins as somebody, with these answers one after the other, each named where
	// names are heard. It reports whether that let them in, and all that was asked.
	wires := map[string]func(name string, answers ...[2]string) (bool, string){
		"browser": func(name string, answers ...[2]string) (bool, string) {
			p, asked := w.person(), ""
			p.get("/sign-in")
			for i, a := range answers {
				field := []string{"authenticator", a[0], "text", a[1]}
				if a[0] == "passkey" {
					field[2] = "data"
				}
				if i == 0 {
					field = append(field, "name", name)
				}
				if !strings.Contains(p.page, "form-token") {
					break
				}
				p.post("/sign-in", field...)
				asked += p.page
			}
			return p.inside(), asked
		},
		"terminal": func(name string, answers ...[2]string) (bool, string) {
			c := &terminal{w: w}
			c.answers(api.TerminalAnswer{Name: name}, answers...)
			asked, _ := json.Marshal(c.Ask)
			return c.Session != nil, string(asked)
		},
		"radius": func(name string, answers ...[2]string) (bool, string) {
			state, out := "", ""
			for i, a := range answers {
				if i > 0 && state == "" {
					break
				}
				said := vpn.ask(name, a[1][:min(len(a[1]), 128)], state)
				out += said
				state = ""
				if m := stateAttribute.FindAllStringSubmatch(said, -1); m != nil && strings.Contains(said, "Access-Challenge") {
					state = m[len(m)-1][1]
				}
			}
			return strings.Contains(out, "Received Access-Accept"), out
		},
		"validation server": func(_ string, answers ...[2]string) (bool, string) {
			said := yubi.otp(answers[len(answers)-1][1])
			return said == "OK", said
		},
	}
	// What carries which kind. A command line is administration, for which a code that
	// was saved is not enough.
	carries := map[string][]string{"totp": {"browser", "terminal", "radius"}, "recoverycode": {"browser", "radius"}, "accesspass": nil, "apikey": nil, "passkey": nil}
	assertion := func() string { // a right answer to a question of a browser
		p := w.person()
		p.get("/sign-in")
		answer, err := passkey.Get(w.base, p.passkeyOptions())
		if err != nil {
			t.Fatal(err)
		}
		return string(answer)
	}
	for on, wire := range wires {
		for kind, by := range carries {
			if kind == "accesspass" && on == "browser" {
				continue // where it belongs, below
			}
			for _, as := range []string{kind, "password", "totp", signin.AnyCode} {
				name, text := "ada", ""
				if kind != "apikey" && kind != "accesspass" { // which is good for an hour
					w.later(time.Minute)
				}
				switch kind {
				case "totp":
					text = ada.code()
				case "recoverycode":
					if as != kind {
						continue
					}
					text, codes = codes[len(codes)-1], codes[:len(codes)-1]
				case "accesspass":
					name, text = "newcomer", word
				case "apikey":
					name, text = "robot", key
				case "passkey":
					text = assertion()
				}
				answers := [][2]string{{"password", passphrase}, {as, text}}
				if name != "ada" {
					answers = [][2]string{{as, text}}
				}
				in, asked := wire(name, answers...)
				if want := slices.Contains(by, on); in != want && (!want || as == kind) {
					t.Errorf("%s as %s on %s: let in %t\n%s", kind, as, on, in, asked)
				}
				if on != "browser" && (strings.Contains(asked, "asskey") || strings.Contains(asked, "access pass") || strings.Contains(asked, "ertificate")) {
					t.Errorf("on %s somebody is asked for what it cannot play:\n%s", on, asked)
				}
			}
		}
	}
	// Each does its work where it belongs.
	p := w.person()
	p.get("/sign-in")
	if p.post("/welcome", "name", "newcomer", "pass", word); !p.limited() {
		t.Errorf("the pass is used up:\n%s", p.page)
	}
	p = w.person()
	p.get("/sign-in")
	if p.usePasskey(passkey); !p.inside() {
		t.Errorf("the passkey does not sign in:\n%s", p.page)
	}
	if step := w.byKey(key, &account.List{}); step.State != signin.Granted {
		t.Errorf("the key is %s for its command: %s", step.State, step.Reason)
	}
}

// The attack: an insider wrote two codes of a token down, days ago, and says on a terminal
// that they come from then. The promise: by which time codes are judged is the server's
// own; it is the moment in which the conversation began, so that who types slowly is heard.
func TestResyncOnATerminalIsByOurClock(t *testing.T) {
	w := newWorld(t)
	desk := w.tokenDesk()
	f := &fob{t, "T-1", "sha1", secretOf(20, 0), 6, 30, 0}
	desk.does("token", "import", desk.file("T-1,"+f.secret+",totp\n"), "--format", "oath-csv", "--commit")
	w.welcomed("grace")
	desk.does("token", "assign", "T-1", "grace")
	bob := w.administrator("bob")
	w.later(72 * time.Hour)
	c := &terminal{w: w}
	c.answers(api.TerminalAnswer{Name: "bob"}, [2]string{"password", passphrase}, [2]string{"totp", bob.code()})
	if c.Session == nil {
		t.Fatal(c.status, c.body)
	}
	resync := func(then time.Time, slowly time.Duration, received time.Time) {
		t.Helper()
		w.later(6 * time.Minute) // so that it is proved anew
		then = then.Add(6 * time.Minute)
		input, err := json.Marshal(map[string]any{"serial": "T-1", "codes": f.at(then.Add(-30*time.Second)) + " " + f.at(then), "received": received})
		if err != nil {
			t.Fatal(err)
		}
		first := api.TerminalAnswer{Command: &api.TerminalCommand{Action: "token.resync", Input: string(input)}}
		c.says(first)
		for _, kind := range []string{"password", "totp"} {
			if c.Ticket == "" {
				return
			}
			w.later(slowly / 2)
			c.says(api.TerminalAnswer{Ticket: c.Ticket, Authenticator: kind, Text: map[string]string{"password": passphrase, "totp": bob.code()}[kind], Command: first.Command})
		}
	}
	noted := w.now().Add(-48 * time.Hour)
	for what, received := range map[string]time.Time{"that moment": noted, "one before": noted.Add(-time.Hour), "one to come": w.now().Add(24 * time.Hour), "none": {}} {
		if resync(noted, 0, received); c.status == http.StatusOK || !strings.Contains(c.body, "not two codes") || w.events("token.resynchronised") != 0 {
			t.Errorf("codes of two days ago, received at %s: %d %s", what, c.status, c.body)
		}
	}
	if resync(w.now(), 2*time.Minute, noted); c.status != http.StatusOK || w.events("token.resynchronised") != 1 {
		t.Errorf("the codes of now, typed slowly: %d %s", c.status, c.body)
	}
}

// apiName begins to sign in on a terminal.
func apiName(name string) api.TerminalAnswer { return api.TerminalAnswer{Name: name} }

// page asks for a command with the terminal's session, and returns where it is approved.
func (c *terminal) page(action, body string) string {
	c.w.t.Helper()
	r := httptest.NewRequest("POST", c.w.base+api.Root+"commands/"+action, strings.NewReader(body))
	r.RemoteAddr = "127.0.0.1:4711"
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+c.secret)
	c.w.later(6 * time.Minute) // so that it waits for a proof
	out := httptest.NewRecorder()
	c.w.Handler.ServeHTTP(out, r)
	var waits api.Approval
	if err := json.Unmarshal(out.Body.Bytes(), &waits); err != nil || waits.Page == "" {
		c.w.t.Fatalf("%d %s", out.Code, out.Body)
	}
	return waits.Page
}
