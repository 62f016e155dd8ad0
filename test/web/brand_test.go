package web

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"countersign/internal/config"
	"countersign/internal/server"
	"countersign/internal/servertest"
	"countersign/internal/testbed"
)

// aLogo is a file with a picture, and hostile markup behind it.
func aLogo(t *testing.T) string {
	t.Helper()
	p := image.NewNRGBA(image.Rect(0, 0, 240, 64))
	for i := range p.Pix {
		p.Pix[i] = 255
	}
	for x := range 240 {
		p.Set(x, x*64/240, color.NRGBA{0, 51, 102, 255})
	}
	var b bytes.Buffer
	if err := png.Encode(&b, p); err != nil {
		t.Fatal(err)
	}
	b.WriteString("<script>alert(1)</script>")
	path := filepath.Join(t.TempDir(), "logo.png")
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// branded are the settings of an installation with a brand, as its file has them.
func branded(t *testing.T, b config.Brand) (server.Settings, error) {
	t.Helper()
	file := config.Default()
	file.Data, file.Organisation, file.Brand = t.TempDir(), "Example & Sons", b
	return server.SettingsOf(file, slog.New(slog.DiscardHandler))
}

var logoAt = regexp.MustCompile(`<img class="logo" src="(/assets/logo-[0-9a-f]{16}\.png)" width="240" height="64" alt="Example &amp; Sons">`)

// The promise: people's pages have the organisation's logo and colour, as pixels and as a style
// sheet that browsers take from us alone; administrators' pages stay as they are.
func TestThePagesWearTheBrand(t *testing.T) {
	of, err := branded(t, config.Brand{Logo: aLogo(t), Colour: "#ffcc00"})
	if err != nil {
		t.Fatal(err)
	}
	w := servertest.NewWorldFrom(t, server.Settings{Organisation: of.Organisation, Brand: of.Brand}, "http://localhost", nil)
	secret := w.Administrator("root").Secret
	root := w.Person()
	root.Get("/sign-in")
	logo := logoAt.FindStringSubmatch(root.Page)
	if logo == nil {
		t.Fatalf("the sign-in page has no logo:\n%s", root.Page)
	}
	sheet := regexp.MustCompile(`href="(/assets/brand-[0-9a-f]{16}\.css)"`).FindStringSubmatch(root.Page)
	if sheet == nil {
		t.Fatal("the sign-in page has no colour")
	}
	root.Comes("root", secret)
	for path, wears := range map[string]bool{"/account": true, "/account/history": true, "/account/approve": true, "/app/": true, "/nowhere": true, "/console": false, "/console/accounts": false, "/console/accounts/nobody": false} {
		root.Get(path)
		if got := strings.Contains(root.Page, logo[1]) && strings.Contains(root.Page, sheet[1]); got != wears || !wears && strings.Contains(root.Page, "brand-") {
			t.Errorf("%s wears the brand: %t", path, got)
		}
	}
	for path, kind := range map[string]string{logo[1]: "image/png", sheet[1]: "text/css; charset=utf-8"} {
		r, err := http.Get(w.Base + path)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		var b bytes.Buffer
		b.ReadFrom(r.Body) //nolint:errcheck // then it has no contents
		if r.StatusCode != http.StatusOK || r.Header.Get("Content-Type") != kind || r.Header.Get("X-Content-Type-Options") != "nosniff" || !strings.Contains(r.Header.Get("Content-Security-Policy"), "default-src 'none'") {
			t.Errorf("%s is served %d %v", path, r.StatusCode, r.Header)
		}
		if b.Len() == 0 || bytes.Contains(b.Bytes(), []byte("script")) {
			t.Errorf("%s has more than it should", path)
		}
	}
	b := testbed.Chromium(t)
	b.Visit(w.Base + "/sign-in")
	b.Wait("img.logo")
	if got := testbed.Eval[int](b, `document.querySelector("img.logo").naturalWidth`); got != 240 {
		t.Errorf("the logo is %d wide", got)
	}
	if got := testbed.Eval[string](b, `getComputedStyle(document.querySelector("main a, main button.second") ?? document.querySelector("a.skip")).color`); got == "rgb(12, 89, 72)" {
		t.Error("links have our own colour")
	}
	servertest.Pictures(b, "brand")
	servertest.Fits(t, b, "brand")
}

// What is no logo keeps a server from starting, with the setting's name: a hostile picture, a
// pipe that never ends, a folder, what is not there.
func TestHostileBrands(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	svg := `<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"><script>alert(1)</script><foreignObject><iframe src="//evil.test"/></foreignObject></svg>`
	pipe := filepath.Join(dir, "pipe.png")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string]config.Brand{
		"an SVG":           {Logo: write("logo.svg", svg)},
		"an SVG as PNG":    {Logo: write("logo.png", svg)},
		"a hostile dark":   {Logo: aLogo(t), LogoDark: write("dark.png", svg)},
		"nothing in it":    {Logo: write("empty.png", "")},
		"a pipe":           {Logo: pipe},
		"a device":         {Logo: "/dev/zero"},
		"a folder":         {Logo: dir},
		"not there":        {Logo: filepath.Join(dir, "none.png")},
		"a style sheet":    {Colour: "#0c5948; } body { display: none"},
		"a colour by name": {Colour: "red"},
	} {
		if _, err := branded(t, b); err == nil || !strings.Contains(err.Error(), "brand") {
			t.Errorf("%s: %v", name, err)
		}
	}
	file := config.Default()
	file.Brand.Logo = aLogo(t)
	if err := file.Check(); err == nil || !strings.Contains(err.Error(), "organisation") {
		t.Errorf("a logo without a text: %v", err)
	}
}
