package docs

import (
	"bufio"
	"bytes"
	"cmp"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"countersign/internal/servertest"
	"countersign/internal/store/storetest"
	"countersign/internal/testbed"
)

// picturesIn is where the pictures of the documentation are written, if it is set:
//
//	COUNTERSIGN_PICTURES=docs/pictures go test ./test/docs -run TestPictures
const picturesIn = "COUNTERSIGN_PICTURES"

// mostPicture is the greatest picture in bytes.
const mostPicture = 150_000

// demonstration starts "serve --demo" and returns its first page and where its own pages are.
func demonstration(t *testing.T) (first, own string) {
	t.Helper()
	cmd := (&servertest.Shell{W: &servertest.World{T: t}, Home: t.TempDir()}).Command("serve", "--demo", "--listen", testbed.Addr(t))
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Signal(os.Interrupt); cmd.Wait() }) //nolint:errcheck // it is over
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if m := regexp.MustCompile(`(Open this|The console) +(http://\S+)`).FindStringSubmatch(lines.Text()); m != nil && m[1] == "Open this" {
			first = m[2]
		} else if m != nil {
			own = strings.TrimSuffix(m[2], "/console")
		}
		if strings.HasPrefix(lines.Text(), "All of it is gone") {
			break
		}
	}
	if first == "" || own == "" {
		t.Fatal("the demonstration did not begin")
	}
	go io.Copy(io.Discard, out) //nolint:errcheck // until it ends
	return first, own
}

// code is a person's code of this moment, as the first page shows it.
func code(t *testing.T, first, name string) string {
	t.Helper()
	r, err := http.Get(first)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	page, err := io.ReadAll(r.Body)
	m := regexp.MustCompile(`data-code="` + name + `">(\d{6})<`).FindSubmatch(page)
	if err != nil || m == nil {
		t.Fatalf("the first page has no code of %s", name)
	}
	return string(m[1])
}

// password is a person's, as the first page shows it.
func password(t *testing.T, first, name string) string {
	t.Helper()
	r, err := http.Get(first)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	page, err := io.ReadAll(r.Body)
	m := regexp.MustCompile(`<code>` + name + `</code></dd><dt>Password</dt><dd><code>([^<]+)</code>`).FindSubmatch(page)
	if err != nil || m == nil {
		t.Fatalf("the first page has no password of %s", name)
	}
	return string(m[1])
}

// shot is a picture of a page: what of it, from the top, in CSS pixels.
type shot struct {
	name, page, sees string
	width, high      int
	from             string // the element that it begins with; empty is the page
}

// take looks at a page in both lights, and writes the pictures where that is asked for.
func take(t *testing.T, b *testbed.Browser, s shot) {
	t.Helper()
	if s.page != "" {
		b.Visit(s.page)
	}
	b.WaitText("body", s.sees)
	servertest.Fits(t, b, s.name)
	for ending, dark := range map[string]bool{"": false, "-dark": true} {
		path := filepath.Join(t.TempDir(), "page.png")
		testbed.Eval[bool](b, `window.scrollTo(0, 0), document.activeElement.blur(), true`)
		b.Screenshot(path, s.width, dark)
		top := 0
		if s.from != "" {
			top = max(0, testbed.Eval[int](b, `Math.floor(document.querySelector("`+s.from+`").getBoundingClientRect().top + window.scrollY)`)-16)
		}
		picture := small(t, path, image.Rect(0, top, s.width, top+s.high))
		if len(picture) > mostPicture {
			t.Errorf("%s%s has %d bytes", s.name, ending, len(picture))
		}
		if dir := os.Getenv(picturesIn); dir != "" {
			if err := os.WriteFile(filepath.Join("../..", dir, s.name+ending+".png"), picture, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// small is a part of a picture in its 256 most frequent colours.
func small(t *testing.T, path string, part image.Rectangle) []byte {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	whole, err := png.Decode(f)
	if err != nil {
		t.Fatal(err)
	}
	part = part.Intersect(whole.Bounds())
	counts := map[color.RGBA]int{}
	at := func(x, y int) color.RGBA { return color.RGBAModel.Convert(whole.At(x, y)).(color.RGBA) }
	for y := part.Min.Y; y < part.Max.Y; y++ {
		for x := part.Min.X; x < part.Max.X; x++ {
			counts[at(x, y)]++
		}
	}
	var palette color.Palette
	for c := range counts {
		palette = append(palette, c)
	}
	slices.SortFunc(palette, func(x, y color.Color) int {
		a, b := x.(color.RGBA), y.(color.RGBA)
		return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a.R, b.R), cmp.Compare(a.G, b.G), cmp.Compare(a.B, b.B))
	})
	out := image.NewPaletted(image.Rect(0, 0, part.Dx(), part.Dy()), palette[:min(256, len(palette))])
	draw.Draw(out, out.Bounds(), whole, part.Min, draw.Src)
	var b bytes.Buffer
	if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&b, out); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// The promise: the pages that the documentation shows are there in the demonstration, fit a phone,
// and make pictures that are not too great. COUNTERSIGN_PICTURES writes them.
func TestPictures(t *testing.T) {
	storetest.Long(t, "starts a demonstration and a browser")
	first, own := demonstration(t)
	b := testbed.Chromium(t)
	take(t, b, shot{name: "demo-first", page: first, sees: "Try these five things", width: 960, high: 900})
	take(t, b, shot{name: "sign-in", page: own + "/sign-in", sees: "Sign in", width: 760, high: 760})
	enter := func(b *testbed.Browser, name, then string) {
		b.Visit(own + "/sign-in")
		b.Fill("#name", name)
		b.Fill("#text", password(t, first, name))
		b.Click("form:has(#name) button")
		b.WaitGone("#name")
		b.Fill("#text-totp", code(t, first, name))
		b.Click("form:has(#text-totp) button")
		b.WaitText("main", then)
	}
	enter(b, "ada", "Where you are signed in")
	for _, s := range []shot{
		{name: "console-overview", page: own + "/console", sees: "Sign-ins by day", width: 1180, high: 1500},
		{name: "checklist", page: own + "/console/checklist", sees: "A second administrator", width: 1180, high: 1050},
		{name: "application", page: own + "/console/applications/intranet?for=nginx", sees: "Test it now", width: 1180, high: 1100, from: "#test"},
	} {
		take(t, b, s)
	}
	grace := b.Stranger()
	enter(grace, "grace", "Where you are signed in")
	take(t, grace, shot{name: "account", page: own + "/account", sees: "Ways to sign in", width: 1180, high: 1000})

	w := servertest.NewWorld(t)
	w.EnrollCodes("linus")
	root := w.Administrator("root")
	w.Later(time.Minute)
	c := testbed.Chromium(t)
	c.Visit(w.Base + "/sign-in")
	c.Fill("#name", "root")
	c.Fill("#text", servertest.Passphrase)
	c.Click("form:has(#name) button")
	c.WaitGone("#name")
	c.Fill("#text-totp", root.Code())
	c.Click("form:has(#text-totp) button")
	c.WaitText("main", "Where you are signed in")
	w.Later(6 * time.Minute)
	c.Visit(w.Base + "/console/accounts/linus")
	c.Click(`details:has(form[action$="/suspend"]) summary`)
	c.Fill("#suspend-reason", "left on Friday")
	c.Click(`form[action$="/suspend"] button`)
	take(t, c, shot{name: "approve", sees: "left on Friday", width: 760, high: 980})
}
