package servertest

import (
	"html"
	"net/netip"
	"net/url"
	"regexp"
	"testing"
	"time"

	"countersign/internal/admin"
	"countersign/internal/prompt"
	"countersign/internal/session"
	"countersign/internal/signin"
	"countersign/internal/virtualauth"
)

var PasskeyForm = regexp.MustCompile(`data-passkey="([^"]*)"`)

func (p *Person) PasskeyOptions() []byte {
	p.W.T.Helper()
	m := PasskeyForm.FindStringSubmatch(p.Page)
	if m == nil {
		p.W.T.Fatalf("the page asks for no passkey:\n%s", p.Page)
	}
	return []byte(html.UnescapeString(m[1]))
}

// AddPasskey enrolls a passkey in a browser that is signed in.
func (p *Person) AddPasskey(key *virtualauth.Key) {
	p.W.T.Helper()
	p.Get("/account")
	p.Post("/account/do", "action", "authenticator.enroll", "object", "passkey")
	answer, err := key.Create(p.W.Base, p.PasskeyOptions())
	if err != nil {
		p.W.T.Fatal(err)
	}
	p.Post("/account/setup", "authenticator", "passkey", "data", string(answer))
	p.Sees("Added: ")
}

// UsePasskey answers the sign-in page that the browser is on.
func (p *Person) UsePasskey(key *virtualauth.Key) {
	p.W.T.Helper()
	answer, err := key.Get(p.W.Base, p.PasskeyOptions())
	if err != nil {
		p.W.T.Fatal(err)
	}
	p.Post("/sign-in", "authenticator", "passkey", "data", string(answer))
}

// WithPasskey is ada with password, authenticator app and passkey, signed in,
// and a VPN.
func WithPasskey(t *testing.T) (w *World, ada, browser *Person, key *virtualauth.Key) {
	w, ada = WithVPN(t)
	key = &virtualauth.Key{}
	browser = w.Person()
	browser.Get("/sign-in")
	browser.SignIn("ada", ada.Code())
	browser.AddPasskey(key)
	if _, offered := Elsewhere(w.Begin(Display("ada", Passphrase))); offered {
		t.Error("a passkey in quarantine approves")
	}
	w.Later(25 * time.Hour) // until it may approve
	browser.Get("/sign-in")
	browser.UsePasskey(key)
	browser.Sees("Where you are signed in")
	return w, ada, browser, key
}

func Last(t *testing.T, re *regexp.Regexp, text string) string {
	t.Helper()
	m := re.FindAllStringSubmatch(text, -1)
	if m == nil {
		t.Fatalf("nothing like %s in\n%s", re, text)
	}
	return m[len(m)-1][1]
}

// approve types a number in a browser and approves with the passkey.
func (p *Person) Transfer(number string, key *virtualauth.Key) {
	p.W.T.Helper()
	p.Get("/account/approve")
	p.Post("/account/approve", "number", number[:3]+" "+number[3:])
	p.Sees("This waits for you")
	m := regexp.MustCompile(`name="object" value="([^"]+)"`).FindStringSubmatch(p.Page)
	if m == nil {
		p.W.T.Fatal(p.Page)
	}
	p.Post("/account/do", "action", signin.Approve, "object", html.UnescapeString(m[1]))
	if PasskeyForm.MatchString(p.Page) {
		p.UsePasskey(key)
	}
	p.Sees("Approved")
}

func Display(name, password string) signin.Request {
	return signin.Request{Application: "vpn", Name: name, Protocol: "radius", Medium: prompt.Line | prompt.Display, Source: netip.MustParseAddr("203.0.113.9"),
		Opening: []prompt.Answer{{Authenticator: "password", Text: password}}}
}

func Elsewhere(s signin.Step) (number string, offered bool) {
	for _, p := range s.Prompts {
		if p.Kind == prompt.OutOfBand {
			return p.Number, true
		}
	}
	return "", false
}

// PageNumber is the number on a page that waits.
var PageNumber = regexp.MustCompile(`class="transfer"[^>]*>(\d{6})<`)

// AsksElsewhere is ada, who types her password and asks to approve on another device.
func (p *Person) AsksElsewhere() {
	p.W.T.Helper()
	p.Get("/sign-in")
	p.Post("/sign-in", "name", "ada", "authenticator", "password", "text", Passphrase)
	p.Post("/sign-in", "authenticator", signin.OutOfBand)
}

// Held is the secret of the session that a browser has.
func (p *Person) Held() string {
	p.W.T.Helper()
	base, err := url.Parse(p.W.Base)
	if err != nil {
		p.W.T.Fatal(err)
	}
	for _, c := range p.Client.Jar.Cookies(base) {
		if c.Name == session.Cookie(false) {
			return c.Value
		}
	}
	p.W.T.Fatal("the browser has no session")
	return ""
}

// Prepared is a command as it is asked for: what the server fills in of it is there.
func Prepared(w *World, action string, in map[string]any) admin.Command {
	w.T.Helper()
	cmd := Command(w.T, action, in)
	if err := w.Admin.Prepare(w.T.Context(), cmd); err != nil {
		w.T.Fatal(err)
	}
	return cmd
}
