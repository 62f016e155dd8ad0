package signin

import (
	"context"
	"html"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"countersign/internal/servertest"
	"countersign/internal/testbed"
)

// The promise: what a phone's camera reads from the page, in light and in dark,
// at any width, is exactly the key on offer; a device made of it confirms the
// set-up and signs in.
func TestPictureOfTheKey(t *testing.T) {
	for _, kind := range []string{"totp", "hotp"} {
		t.Run(kind, func(t *testing.T) { pictureOfTheKey(t, kind) })
	}
}

func pictureOfTheKey(t *testing.T, kind string) {
	w := servertest.NewWorld(t)
	pass, err := w.Setup.Plant(context.Background(), "ada", "Ada Lovelace")
	if err != nil {
		t.Fatal(err)
	}
	b := testbed.Chromium(t)
	b.Visit(pass.Link)
	servertest.Screenshot(b, "welcome")
	b.Click("main form button")
	b.WaitText("h1", "Set up how you sign in")
	b.Click("form:has(input[value=password]) button")
	b.Fill("#text", servertest.Passphrase)
	b.Fill("#again", servertest.Passphrase)
	servertest.Screenshot(b, "offer-password")
	b.Click("main form button")
	b.WaitText("main", "Added: Password")
	b.Click("form:has(input[value=" + kind + "]) button")
	b.Wait("svg.qr")
	servertest.Screenshot(b, "offer-"+kind)

	shown := testbed.Eval[string](b, `document.querySelector('a[href^="otpauth:"]').getAttribute("href")`)
	for _, width := range []int{390, 1280} {
		for _, dark := range []bool{false, true} {
			picture := filepath.Join(t.TempDir(), "page.png")
			b.Screenshot(picture, width, dark)
			if servertest.Decoded(t, picture) != html.UnescapeString(shown) {
				t.Errorf("%d wide, dark is %t: the picture holds another key than the page", width, dark)
			}
		}
	}
	if u, err := url.Parse(shown); err != nil || u.Host != kind || !strings.HasSuffix(u.Path, ":ada") {
		t.Error("the key is not for ada by this kind of code")
	} else if key := strings.ReplaceAll(b.Text("code.secret"), " ", ""); key != u.Query().Get("secret") {
		t.Error("the key to type is another than that of the picture")
	}

	b.Fill("#text", testbed.OATHTool(t, shown, w.Now(), 0))
	b.Click("main form button")
	b.WaitText("main", "Added: ")
	w.Later(time.Minute)
	stranger, code := b.Stranger(), testbed.OATHTool(t, shown, w.Now(), 1)
	stranger.Visit(w.Base + "/sign-in")
	stranger.Fill("#name", "ada")
	stranger.Fill("#text", servertest.Passphrase)
	stranger.Click("form:has(#name) button")
	stranger.Wait("#text-" + kind)
	servertest.Screenshot(stranger, "code-"+kind)
	stranger.Fill("#text-"+kind, code)
	stranger.Click("form:has(#text-" + kind + ") button")
	stranger.WaitText("main", "This browser")
	servertest.Screenshot(stranger, "home-"+kind)
}
