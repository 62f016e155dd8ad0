package web

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"

	"countersign/internal/application"
	"countersign/internal/servertest"
	"countersign/internal/testbed"
)

// axe is axe-core, see testdata/axe/README.md.
func axe(t *testing.T) string {
	t.Helper()
	f, err := os.Open("testdata/axe/axe.min.js.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// judge opens everything that is folded on the page that a browser is on, and says where the page is
// wider than its window, and what axe finds there of the rules of WCAG 2.2 A and AA and of good
// practice, at both widths and in both lights. Without axe it says the first alone.
func judge(b *testbed.Browser, axe string) []string {
	testbed.Eval[bool](b, axe+`;document.querySelectorAll("details").forEach(d => d.open = true), true`)
	var out []string
	for _, as := range []struct {
		width int
		dark  bool
	}{{390, false}, {390, true}, {1440, true}, {1440, false}} {
		b.Window(as.width, as.dark)
		if wide := testbed.Eval[int](b, `document.documentElement.scrollWidth`); wide > as.width {
			out = append(out, fmt.Sprintf("%d wide, dark %t: the page has %d", as.width, as.dark, wide))
		}
		if axe == "" {
			continue
		}
		only := `{type: "tag", values: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}`
		if as.dark { // all else is the same in both
			only = `{type: "rule", values: ["color-contrast", "link-in-text-block"]}`
		}
		found := testbed.Eval[string](b, `axe.run({runOnly: `+only+`, resultTypes: ["violations"]}).then(r => JSON.stringify(r.violations.flatMap(v => v.nodes.map(n => v.id + ": " + n.html.slice(0, 160) + " (" + (n.any[0] ?? n.all[0] ?? n.none[0])?.message + ")"))))`)
		var lines []string
		if err := json.Unmarshal([]byte(found), &lines); err != nil {
			lines = []string{err.Error()}
		}
		for _, line := range lines {
			out = append(out, fmt.Sprintf("%d wide, dark %t: %s", as.width, as.dark, line))
		}
	}
	return out
}

// filled are the pages behind routes that name something, and those that nobody reads as a page.
var filled = map[string]string{
	"/account/after/{act}": "/account/after/removed", "/app/{$}": "/app/", "/{$}": "/",
	"/console/accounts/{name}": "/console/accounts/grace", "/console/applications/{name}": "/console/applications/wiki", "/console/groups/{name}": "/console/groups/administrators",
	"/console/streams/{name}": "/console/streams/elsewhere", "/console/sources/{name}": "/console/sources/elsewhere",
	"/console/coverage/rows/{row}": "/console/coverage/rows/T1110", "/console/recoveries/{name}": "/console/recoveries/grace", "/console/tokens/{serial}": "/console/tokens/SN-1",
	"/console/new-application": "/console/new-application?protocol=forward-auth", "/console/coverage/declare": "/console/coverage/declare?row=T1110",
	"/sign-in/upstream/{name}": "/sign-in/upstream/partner", "/console/identity-providers/{name}": "/console/identity-providers/partner",
	"/console/coverage/runs/{number}": "", // no drill was recorded here
}

// closed are the pages that are refused in this story, each with why: what is judged is how they
// refuse, which others see as well.
var closed = map[string]string{
	"/nowhere": "there is none", "/approve": "nothing waits for the command line", "/recovery/stop": "the link of a mail", "/sign-in/wait": "nothing waits on another device",
	"/sign-in/upstream/partner": "no visit was begun", "/console/identity-providers/partner": "there is none",
	"/sign-in/card": "no card was shown", "/account/setup/card": "no card was shown", "/sign-in/open": "the link of a mail", "/welcome": "the link of a pass, which a stranger looks at above",
	"/setup": "there is an administrator, and it was looked at above", "/account/setup": "nothing is offered, and it was looked at above", "/account/pin": "there is no token",
	"/account/rename": "no number, and it is looked at below", "/console/tokens/SN-1": "there is none", "/console/streams/elsewhere": "there is none", "/console/sources/elsewhere": "there is none", "/console/recoveries/grace": "there is none", "/console/policy/compare": "nothing to compare with",
}

// unread reports whether a route is for programs: its answer is no page.
func unread(path string) bool {
	for _, begins := range []string{"/api/", "/scim/", "/signals/", "/console/audit/export", "/console/coverage/export", "/console/coverage/runs/{number}/json", "/app/app", "/app/icon", "/app/key", "/app/manifest", "/app/moment", "/app/worker", "/app/apple"} {
		if strings.HasPrefix(path, begins) {
			return true
		}
	}
	return false
}

// everyPage is the address of each page that there is.
func everyPage(t *testing.T, w *servertest.World) []string {
	t.Helper()
	out := []string{"/nowhere", "/console/new-application?protocol=radius", "/console/applications/vpn", "/console/accounts/root"}
	for _, r := range w.Routes {
		path, isGet := strings.CutPrefix(r.Pattern, "GET ")
		if !isGet || unread(path) {
			continue
		}
		address, known := filled[path]
		if !known {
			if address = path; strings.Contains(path, "{") {
				t.Errorf("nobody has said which %s is looked at", path)
				continue
			}
		}
		if address != "" {
			out = append(out, address)
		}
	}
	return out
}

// The promise: axe-core finds nothing to mend on any page, on a phone and on a desk, in light and
// in dark, with everything open that can be folded. A page that is new is looked at as well.
func TestEveryPageCanBeReadByEverybody(t *testing.T) {
	w := servertest.NewWorld(t)
	if err := w.PlantApplications(context.Background(), "wiki.example.org", "kX9-Lq27-vTzp-40aM"); err != nil {
		t.Fatal(err)
	}
	w.EnrollCodes("grace")
	mallory := w.Person()
	for range 3 {
		mallory.Get("/sign-in")
		mallory.SignIn("grace", "000000")
	}
	code, err := w.Setup.Link(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	script := axe(t)
	b := testbed.Chromium(t)
	check := func(b *testbed.Browser, page string) {
		t.Helper()
		for _, line := range judge(b, script) {
			t.Errorf("%s: %s", page, line)
		}
	}
	b.Visit(w.Base + "/sign-in")
	testbed.Eval[bool](b, `document.querySelector("main").insertAdjacentElement("beforeend", Object.assign(document.createElement("input"), {style: "color:#777;background:#888", value: "x"})), true`)
	if found := judge(b, script); !slices.ContainsFunc(found, func(s string) bool { return strings.Contains(s, "label:") }) || !slices.ContainsFunc(found, func(s string) bool { return strings.Contains(s, "color-contrast") }) {
		t.Fatalf("axe does not see a field without a label: %q", found)
	}
	b.Passkey()
	b.Visit(w.Base + "/setup?code=" + code)
	check(b, "/setup with its code")
	b.Fill("#name", "root")
	b.Click("main form button")
	b.WaitText("h1", "Set up how you sign in")
	check(b, "the first set-up")
	b.Click(`form:has(input[value=passkey]) button`)
	b.WaitText("button", "Create it")
	check(b, "the offer of a passkey")
	b.Click("main form button")
	b.WaitText("main", "Use a passkey or security key")
	check(b, "a sign-in under way")
	b.Click("form[data-passkey] button")
	b.WaitText("main", "Until all is ready")
	pass, err := w.Setup.Plant(context.Background(), "linus", "")
	if err != nil {
		t.Fatal(err)
	}
	stranger := b.Stranger()
	stranger.Visit(pass.Link)
	check(stranger, "the welcome of a pass")
	stranger.Click("main form button")
	stranger.WaitText("h1", "Set up how you sign in")
	check(stranger, "the set-up of a newcomer")
	for _, page := range []string{"/sign-in", "/recovery", "/welcome", "/invited", "/sign-in/open"} {
		stranger.Visit(w.Base + page)
		check(stranger, "a stranger’s "+page)
	}
	for _, page := range everyPage(t, w) {
		if status := b.Status(w.Base + page); status != http.StatusOK && closed[page] == "" {
			t.Errorf("%s is answered %d: say in filled what is looked at", page, status)
		}
		check(b, page)
	}
	var number int64
	if err := w.DB.QueryRow(t.Context(), `select max(id) from credential where account = (select id from account where name = 'root')`).Scan(&number); err != nil {
		t.Fatal(err)
	}
	b.Visit(fmt.Sprint(w.Base, "/account/rename?number=", number))
	b.WaitText("h1", "name")
	check(b, "/account/rename")
	servertest.PlantApplication(w, application.Application{Name: "tv", Title: "The television", Kind: "other", Tier: application.Standard, Protocol: "oidc"},
		map[string]any{"client_id": "tv", "authentication": "none", "device": "anywhere"})
	r, err := http.PostForm(w.Base+"/oidc/device", url.Values{"client_id": {"tv"}, "scope": {"openid profile groups"}})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	var device struct {
		Code string `json:"user_code"`
	}
	if err := json.NewDecoder(r.Body).Decode(&device); err != nil {
		t.Fatal(err)
	}
	b.Visit(w.Base + "/device")
	check(b, "/device")
	servertest.Pictures(b, "device")
	b.Fill("#code", "BBBB-BBBB")
	b.Click("main form button")
	b.WaitText("main", "No device waits with this code")
	check(b, "a code that is none")
	b.Fill("#code", device.Code)
	b.Click("main form button")
	b.WaitText("main", "Use a passkey or security key")
	b.Click("form[data-passkey] button")
	b.WaitText("h1", "Let a device in to")
	check(b, "the question about a device")
	servertest.Pictures(b, "device-asked")
	b.Click("button[value=refuse]")
	b.WaitText("h1", "The device was not let in")
	check(b, "a device that was not let in")
	b.Visit(w.Base + "/account/history")
	b.Click(`form:has(input[value="report.not-me"]) button`)
	b.WaitText("h1", "This was not me")
	check(b, "what is done before it is done")
}

// reader reads pages in one language.
type reader struct {
	t *testing.T
	b *testbed.Browser
	// axe is empty where only how texts fit is looked at.
	axe            string
	tag, direction string
}

// german is a browser whose owner chose German in the foot of a page.
func german(t *testing.T, w *servertest.World, b *testbed.Browser) reader {
	t.Helper()
	b.Visit(w.Base + "/sign-in")
	b.Click(`form.languages button[value=de]`)
	b.WaitText("h1", "Anmelden")
	return reader{t, b, axe(t), "de", "ltr"}
}

// look fails where the page that the browser is on cannot be read by everybody, is wider than its
// window, or is in another language.
func (r reader) look(page string) {
	r.t.Helper()
	for _, line := range judge(r.b, r.axe) {
		r.t.Errorf("%s: %s", page, line)
	}
	servertest.Fits(r.t, r.b, page)
	servertest.Pictures(r.b, r.tag+strings.ReplaceAll(page, "/", "-"))
	if got := testbed.Eval[string](r.b, `document.documentElement.lang + " " + document.documentElement.dir`); got != r.tag+" "+r.direction {
		r.t.Errorf("%s is in %s", page, got)
	}
}

// The promise: every page that people have can be read by everybody in German as well, where words
// are longer: a stranger's, those of a set-up, and those of somebody who is signed in.
func TestEveryPageOfPeopleInGerman(t *testing.T) {
	w := servertest.NewWorld(t)
	ada := w.EnrollCodes("ada")
	b := testbed.Chromium(t)
	g := german(t, w, b)
	for _, page := range []string{"/sign-in", "/recovery", "/welcome", "/invited", "/setup", "/sign-in/open"} {
		b.Visit(w.Base + page)
		g.look(page)
	}
	pass, err := w.Setup.Plant(context.Background(), "linus", "")
	if err != nil {
		t.Fatal(err)
	}
	b.Visit(pass.Link)
	g.look("/welcome/of-a-pass")
	b.Click("main form button")
	b.Wait(`form:has(input[value=password])`)
	g.look("/account/set-up")
	for _, kind := range []string{"password", "totp", "recoverycode"} {
		b.Visit(w.Base + "/account")
		b.Click(`form:has(input[value=` + kind + `]) button`)
		b.Wait("#text")
		g.look("/account/set-up-of-" + kind)
	}

	in := b.Stranger()
	g = german(t, w, in)
	in.Fill("#name", "ada")
	in.Fill("#text", servertest.Passphrase)
	in.Click("form:has(#name) button")
	in.Wait("#text-totp")
	g.look("/sign-in/half")
	in.Fill("#text-totp", ada.Code())
	in.Click("form:has(#text-totp) button")
	in.WaitLocation(w.Base + "/account")
	for _, page := range everyPage(t, w) {
		if !strings.HasPrefix(page, "/console") {
			in.Visit(w.Base + page)
			g.look(page)
		}
	}
	var number int64
	if err := w.DB.QueryRow(t.Context(), `select max(id) from credential where account = (select id from account where name = 'ada')`).Scan(&number); err != nil {
		t.Fatal(err)
	}
	in.Visit(fmt.Sprint(w.Base, "/account/rename?number=", number))
	in.WaitText("h1", "Umbenennen")
	g.look("/account/rename-of-one")
	in.Visit(w.Base + "/account/history")
	in.Click(`form:has(input[value="report.not-me"]) button`)
	in.WaitGone(`form:has(input[value="report.not-me"]) button.quiet`)
	g.look("/account/before-it-is-done")
}
