package servertest

import (
	"fmt"
	"html"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"countersign/internal/testbed"
)

// Comes signs a person in on a fresh page.
func (p *Person) Comes(name string, secret []byte) {
	p.W.T.Helper()
	p.Secret = secret
	p.Get("/sign-in")
	p.SignIn(name, p.Code())
	p.W.Later(time.Minute) // the next code is another one
}

// Proves shows again what an approval asks for.
func (p *Person) Proves() {
	p.W.T.Helper()
	p.Sees("Approve")
	p.Post("/sign-in", "authenticator", "password", "text", Passphrase)
	p.Post("/sign-in", "authenticator", "totp", "text", p.Code())
	p.W.Later(time.Minute)
}

var (
	// Disowns is the number of an entry that can be said to be somebody else's.
	Disowns = regexp.MustCompile(`name="action" value="report.not-me"><input type="hidden" name="object" value="(\d+)"`)
	// Pressed is the text of an act that waits for its press.
	Pressed = regexp.MustCompile(`name="text" value="([^"]+)">`)
)

// Does posts a form, presses under the text of what it does, and approves it, where
// these are asked for.
func (p *Person) Does(path string, fields ...string) {
	p.W.T.Helper()
	p.Post(path, fields...)
	if m := Pressed.FindStringSubmatch(p.Page); m != nil {
		p.Post(path, append(fields, "text", html.UnescapeString(m[1]))...)
	}
	if strings.Contains(p.Page, "<h1>Approve</h1>") {
		p.Proves()
	}
}

// Pictures keeps a page at both widths, in light and dark, when
// COUNTERSIGN_SCREENSHOTS names a folder.
func Pictures(b *testbed.Browser, name string) {
	dir := os.Getenv("COUNTERSIGN_SCREENSHOTS")
	if dir == "" {
		return
	}
	for _, p := range []struct {
		ending string
		width  int
		dark   bool
	}{{"phone", 390, false}, {"phone-dark", 390, true}, {"desk", 1280, false}, {"desk-dark", 1280, true}} {
		testbed.Eval[bool](b, `window.scrollTo(0, 0), document.activeElement.blur(), true`) // the links go with the page
		b.Screenshot(filepath.Join(dir, name+"-"+p.ending+".png"), p.width, p.dark)
	}
}

// Fits fails when a page is wider than a phone: then it must be moved sideways
// to be read (WCAG 2.2, 1.4.10).
func Fits(t *testing.T, b *testbed.Browser, page string) {
	t.Helper()
	b.Screenshot(filepath.Join(t.TempDir(), "p.png"), 390, false)
	if wide := testbed.Eval[int](b, `document.documentElement.scrollWidth`); wide > 390 {
		t.Errorf("%s is %d wide on a phone", page, wide)
	}
	if unnamed := testbed.Eval[string](b, `[...document.querySelectorAll("main input:not([type=hidden]), main select, main textarea")].filter(e => !e.labels || e.labels.length === 0).map(e => e.name).join(" ")`); unnamed != "" {
		t.Errorf("%s: no label for %s", page, unnamed)
	}
	if twice := testbed.Eval[string](b, `[...document.querySelectorAll("[id]")].map(e => e.id).filter((id, i, all) => all.indexOf(id) !== i).join(" ")`); twice != "" {
		t.Errorf("%s: an id is there twice: %s", page, twice)
	}
}

// BehindNginx puts the example of deploy/examples in front of a real page.
func BehindNginx(w *World, page *testbed.Page) string {
	w.T.Helper()
	port := testbed.Port(w.T)
	addr := fmt.Sprintf("127.0.0.1:%d", port)
	own := strings.Replace(strings.TrimPrefix(w.Base, "http://"), "localhost", "127.0.0.1", 1)
	host := fmt.Sprintf("localhost:%d", port)
	testbed.Nginx(w.T, addr, testbed.Example(w.T, "nginx.conf", "127.0.0.1:8081", addr, "wiki.example.org", host, "127.0.0.1:8080", own, "127.0.0.1:3000", page.Addr))
	return host
}

// Screenshot keeps a picture when COUNTERSIGN_SCREENSHOTS names a folder.
func Screenshot(b *testbed.Browser, name string) {
	if dir := os.Getenv("COUNTERSIGN_SCREENSHOTS"); dir != "" {
		b.Screenshot(filepath.Join(dir, name+"-phone.png"), 390, false)
		b.Screenshot(filepath.Join(dir, name+"-phone-dark.png"), 390, true)
		b.Screenshot(filepath.Join(dir, name+"-wide.png"), 1280, false)
		b.Screenshot(filepath.Join(dir, name+"-wide-dark.png"), 1280, true)
	}
}

// MakePasskey makes the first passkey, on the page that a pass leads to.
func MakePasskey(b *testbed.Browser) {
	b.WaitText("h1", "Set up how you sign in")
	b.Click(`form:has(input[value=passkey]) button`)
	b.WaitText("button", "Create it")
	b.Click("main form button")
}
