package testbed_test

import (
	"fmt"
	"image/png"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"countersign/internal/testbed"
)

const form = `<!doctype html><title>Form</title>
<style>body{background:#fff} @media(prefers-color-scheme:dark){body{background:#000}}</style>
<form method=post><input name=q value=old><button disabled>Go</button></form>
<script>setTimeout(() => { document.querySelector("button").disabled = false }, 500)</script>`

func site(t *testing.T) *httptest.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, form) })
	mux.HandleFunc("POST /", func(w http.ResponseWriter, r *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "__Host-seen", Value: r.PostFormValue("q"), Path: "/", Secure: true})
		http.Redirect(w, r, "/seen", http.StatusSeeOther)
	})
	mux.HandleFunc("GET /seen", func(w http.ResponseWriter, r *http.Request) {
		c, err := r.Cookie("__Host-seen")
		if err != nil {
			http.Error(w, "nothing seen", http.StatusForbidden)
			return
		}
		fmt.Fprintf(w, "<p>%s</p><script>console.error('hello')</script>", c.Value)
	})
	s := httptest.NewTLSServer(mux)
	t.Cleanup(s.Close)
	return s
}

// TestBrowser plays a form on a site of its own name, with cookies that only
// https may set, and shows that another person has none of them. Its button waits for a
// script that is late.
func TestBrowser(t *testing.T) {
	s := site(t)
	url := strings.Replace(s.URL, "127.0.0.1", "app.example.test", 1)
	b := testbed.Chromium(t)
	b.Visit(url)
	b.Fill("input", "new")
	b.Click("button")
	b.WaitLocation(url + "/seen")
	if got := b.Text("p"); got != "new" {
		t.Errorf("the page shows %q", got)
	}
	if got := b.Stranger().Status(url + "/seen"); got != http.StatusForbidden {
		t.Errorf("a stranger gets %d", got)
	}
	b.WaitText("p", "new")
	if got := b.Console(); len(got) != 1 || !strings.Contains(got[0], "hello") {
		t.Errorf("the console says %q", got)
	}
}

func TestScreenshot(t *testing.T) {
	b := testbed.Chromium(t)
	b.Visit(site(t).URL)
	for name, dark := range map[string]bool{"dark.png": true, "light.png": false} {
		path := filepath.Join(t.TempDir(), "pictures", name)
		b.Screenshot(path, 390, dark)
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		picture, err := png.Decode(f)
		if err != nil {
			t.Fatal(err)
		}
		if w := picture.Bounds().Dx(); w != 390 {
			t.Errorf("%s is %d wide", name, w)
		}
		if r, _, _, _ := picture.At(5, picture.Bounds().Dy()-5).RGBA(); (r == 0) != dark {
			t.Errorf("%s has a background of red %d", name, r)
		}
	}
}

const create = `navigator.credentials.create({publicKey: {
	challenge: new Uint8Array(32), rp: {name: "x"}, user: {id: new Uint8Array(8), name: "ada", displayName: "Ada"},
	pubKeyCredParams: [{type: "public-key", alg: -7}, {type: "public-key", alg: -257}],
	authenticatorSelection: {residentKey: "required", userVerification: "required"},
}}).then(c => c.toJSON().id, e => "refused: " + e.name)`

const get = `navigator.credentials.get({publicKey: {challenge: new Uint8Array(32), userVerification: "required", timeout: 2000}})
	.then(c => c.toJSON().id, e => "refused: " + e.name)`

// TestPasskey makes a key on a virtual authenticator, uses it, clones it into a
// stranger's, and sees it refused when nobody can be verified.
func TestPasskey(t *testing.T) {
	s := site(t)
	url := strings.Replace(s.URL, "127.0.0.1", "app.example.test", 1)
	b := testbed.Chromium(t)
	key := b.Passkey()
	b.Visit(url)
	id := testbed.Eval[string](b, create)
	if strings.HasPrefix(id, "refused") || len(key.Credentials()) != 1 {
		t.Fatalf("create: %s, %d keys", id, len(key.Credentials()))
	}
	if got := testbed.Eval[string](b, get); got != id {
		t.Errorf("get: %s", got)
	}
	thief := b.Stranger()
	clone := thief.Passkey()
	clone.Add(key.Credentials()[0])
	thief.Visit(url)
	if got := testbed.Eval[string](thief, get); got != id {
		t.Errorf("the clone: %s", got)
	}
	key.Verifies(false)
	if got := testbed.Eval[string](b, get); !strings.HasPrefix(got, "refused") {
		t.Errorf("without verification: %s", got)
	}
}
