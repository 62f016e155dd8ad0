package signin

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"countersign/internal/admin/account"
	"countersign/internal/servertest"
	"countersign/internal/signin"
	"countersign/internal/web/api"
)

// The promise, on every wire that there is: a kind that the wire cannot play is asked for
// there by nobody and accepted from nobody, by its own name or another, however right it
// is; what was sent in vain is not used up by it, and does its work where it belongs.
func TestEveryKindOnEveryWire(t *testing.T) {
	w, ada, browser, passkey := servertest.WithPasskey(t)
	vpn := servertest.Equipment{W: w, Secret: "a-secret-of-the-equipment"}
	yubi, _ := servertest.Validators(w)
	browser.Post("/account/do", "action", "authenticator.enroll", "object", "recoverycode")
	if servertest.PasskeyForm.MatchString(browser.Page) {
		browser.UsePasskey(passkey)
	}
	var codes []string
	for _, m := range servertest.RecoveryCodes.FindAllStringSubmatch(browser.Page, -1) {
		codes = append(codes, m[1])
	}
	if len(codes) < 5 {
		t.Fatalf("no recovery codes:\n%s", browser.Page)
	}
	browser.Post("/account/setup", "authenticator", "recoverycode", "text", codes[0])
	root := w.Clerk()
	if err := root.Do(t.Context(), "account.create", map[string]any{"name": "robot", "kind": "service"}, nil); err != nil {
		t.Fatal(err)
	}
	key, err := root.Key("account.list")
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
			p, asked := w.Person(), ""
			p.Get("/sign-in")
			for i, a := range answers {
				field := []string{"authenticator", a[0], "text", a[1]}
				if a[0] == "passkey" {
					field[2] = "data"
				}
				if i == 0 {
					field = append(field, "name", name)
				}
				if !strings.Contains(p.Page, "form-token") {
					break
				}
				p.Post("/sign-in", field...)
				asked += p.Page
			}
			return p.Inside(), asked
		},
		"terminal": func(name string, answers ...[2]string) (bool, string) {
			c := &servertest.Terminal{W: w}
			c.Answers(api.TerminalAnswer{Name: name}, answers...)
			asked, _ := json.Marshal(c.Ask)
			return c.Session != nil, string(asked)
		},
		"radius": func(name string, answers ...[2]string) (bool, string) {
			state, out := "", ""
			for i, a := range answers {
				if i > 0 && state == "" {
					break
				}
				said := vpn.Ask(name, a[1][:min(len(a[1]), 128)], state)
				out += said
				state = ""
				if m := servertest.StateAttribute.FindAllStringSubmatch(said, -1); m != nil && strings.Contains(said, "Access-Challenge") {
					state = m[len(m)-1][1]
				}
			}
			return strings.Contains(out, "Received Access-Accept"), out
		},
		"validation server": func(_ string, answers ...[2]string) (bool, string) {
			said := yubi.Otp(answers[len(answers)-1][1])
			return said == "OK", said
		},
	}
	// What carries which kind. A command line is administration, for which a code that
	// was saved is not enough.
	carries := map[string][]string{"totp": {"browser", "terminal", "radius"}, "recoverycode": {"browser", "radius"}, "accesspass": nil, "apikey": nil, "passkey": nil}
	assertion := func() string { // a right answer to a question of a browser
		p := w.Person()
		p.Get("/sign-in")
		answer, err := passkey.Get(w.Base, p.PasskeyOptions())
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
					w.Later(time.Minute)
				}
				switch kind {
				case "totp":
					text = ada.Code()
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
				answers := [][2]string{{"password", servertest.Passphrase}, {as, text}}
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
	p := w.Person()
	p.Get("/sign-in")
	if p.Post("/welcome", "name", "newcomer", "pass", word); !servertest.Limited(p) {
		t.Errorf("the pass is used up:\n%s", p.Page)
	}
	p = w.Person()
	p.Get("/sign-in")
	if p.UsePasskey(passkey); !p.Inside() {
		t.Errorf("the passkey does not sign in:\n%s", p.Page)
	}
	if step := servertest.ByKey(w, key, &account.List{}); step.State != signin.Granted {
		t.Errorf("the key is %s for its command: %s", step.State, step.Reason)
	}
}

// The attack: an insider wrote two codes of a token down, days ago, and says on a terminal
// that they come from then. The promise: by which time codes are judged is the server's
// own; it is the moment in which the conversation began, so that who types slowly is heard.
func TestResyncOnATerminalIsByOurClock(t *testing.T) {
	w := servertest.NewWorld(t)
	desk := servertest.TokenDesk(w)
	f := &servertest.Fob{T: t, Serial: "T-1", Hash: "sha1", Secret: servertest.SecretOf(20, 0), Digits: 6, Period: 30, Count: 0}
	desk.Does("token", "import", desk.File("T-1,"+f.Secret+",totp\n"), "--format", "oath-csv", "--commit")
	w.Welcomed("grace")
	desk.Does("token", "assign", "T-1", "grace")
	bob := w.Administrator("bob")
	w.Later(72 * time.Hour)
	c := &servertest.Terminal{W: w}
	c.Answers(api.TerminalAnswer{Name: "bob"}, [2]string{"password", servertest.Passphrase}, [2]string{"totp", bob.Code()})
	if c.Session == nil {
		t.Fatal(c.Status, c.Body)
	}
	resync := func(then time.Time, slowly time.Duration, received time.Time) {
		t.Helper()
		w.Later(6 * time.Minute) // so that it is proved anew
		then = then.Add(6 * time.Minute)
		input, err := json.Marshal(map[string]any{"serial": "T-1", "codes": f.At(then.Add(-30*time.Second)) + " " + f.At(then), "received": received})
		if err != nil {
			t.Fatal(err)
		}
		first := api.TerminalAnswer{Command: &api.TerminalCommand{Action: "token.resync", Input: string(input)}}
		c.Says(first)
		for _, kind := range []string{"password", "totp"} {
			if c.Ticket == "" {
				return
			}
			w.Later(slowly / 2)
			c.Says(api.TerminalAnswer{Ticket: c.Ticket, Authenticator: kind, Text: map[string]string{"password": servertest.Passphrase, "totp": bob.Code()}[kind], Command: first.Command})
		}
	}
	noted := w.Now().Add(-48 * time.Hour)
	for what, received := range map[string]time.Time{"that moment": noted, "one before": noted.Add(-time.Hour), "one to come": w.Now().Add(24 * time.Hour), "none": {}} {
		if resync(noted, 0, received); c.Status == http.StatusOK || !strings.Contains(c.Body, "not two codes") || w.Events("token.resynchronised") != 0 {
			t.Errorf("codes of two days ago, received at %s: %d %s", what, c.Status, c.Body)
		}
	}
	if resync(w.Now(), 2*time.Minute, noted); c.Status != http.StatusOK || w.Events("token.resynchronised") != 1 {
		t.Errorf("the codes of now, typed slowly: %d %s", c.Status, c.Body)
	}
}
