package push

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"countersign/internal/servertest"
	"countersign/internal/signin"
	"countersign/internal/testbed"
)

// waitsAtDesk signs ada in with her password in a browser of its own, and returns the
// page that waits and its number.
func waitsAtDesk(w *servertest.World, desk *testbed.Browser) (number string) {
	w.T.Helper()
	desk.Visit(w.Base + "/sign-in")
	desk.Fill("#name", "ada")
	desk.Fill("#text", servertest.Passphrase)
	desk.Click("form:has(#name) button")
	desk.Click("form:has(input[value=" + signin.OutOfBand + "]) button")
	return desk.Text(".transfer")
}

// addApp adds a Countersign app in a real browser, and waits out its quarantine.
func addApp(w *servertest.World, phone *testbed.Browser, code string, owner *servertest.Person) {
	w.T.Helper()
	phone.Visit(w.Base + "/app/#bind=" + code)
	phone.Click("#bind")
	phone.WaitText("#owner", "ada")
	owner.Post("/account/setup", "authenticator", "push", "text", phone.Text("#confirmation"))
	owner.Sees("Added: Countersign app")
	phone.Click("#added")
	w.Later(25 * time.Hour)
}

// The promise: the picture beside a number holds a link with the number and
// nothing else. Opened, it fills the number in and goes no further; the person
// presses, reads what it is for, and decides.
func TestNumberAsAPicture(t *testing.T) {
	w := servertest.NewWorld(t)
	ada := w.EnrollCodes("ada")
	own := w.Person()
	own.Get("/sign-in")
	own.SignIn("ada", ada.Code())
	phone := testbed.Chromium(t)
	addApp(w, phone, own.Offered(), own)

	desk := phone.Stranger()
	number := waitsAtDesk(w, desk)
	servertest.Screenshot(desk, "wait")
	link := w.Base + "/app/#number=" + number
	for _, width := range []int{390, 1280} {
		for _, dark := range []bool{false, true} {
			picture := filepath.Join(t.TempDir(), "page.png")
			desk.Screenshot(picture, width, dark)
			if got := servertest.Decoded(t, picture); got != link {
				t.Errorf("%d wide, dark is %t: the picture holds %q", width, dark, got)
			}
		}
	}

	phone.Visit("about:blank")
	phone.Visit(link)
	phone.WaitText("#filled", "came with a link")
	servertest.Screenshot(phone, "app-filled")
	if got := testbed.Eval[string](phone, `document.getElementById("number").value`); got != number {
		t.Errorf("the link filled in %q", got)
	}
	if phone.Location() != w.Base+"/app/" {
		t.Error("the number is left in the address")
	}
	if testbed.Eval[bool](phone, `document.getElementById("found").checkVisibility()`) || w.Events("approval.approved") != 0 {
		t.Error("a link alone shows what waits, or approves it")
	}
	phone.Click("#look button")
	phone.WaitText("#application", "countersign")
	phone.Click("#approve")
	phone.WaitText("#done", "Approved")
	desk.WaitText("main", "Where you are signed in")
}

// film is a camera that sees one picture: a raw YUV4MPEG2 file of one grey frame.
func film(t *testing.T, picture string) (path string) {
	t.Helper()
	b, err := os.ReadFile(picture)
	if err != nil {
		t.Fatal(err)
	}
	shot, err := png.Decode(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	wide, high := shot.Bounds().Dx()&^1, shot.Bounds().Dy()&^1
	frame := fmt.Appendf(nil, "YUV4MPEG2 W%d H%d F10:1 Ip A1:1 C420jpeg\nFRAME\n", wide, high)
	for i := range wide * high {
		frame = append(frame, color.GrayModel.Convert(shot.At(i%wide, i/wide)).(color.Gray).Y)
	}
	frame = append(frame, bytes.Repeat([]byte{128}, wide*high/2)...)
	path = filepath.Join(t.TempDir(), "film.y4m")
	if err := os.WriteFile(path, frame, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// detector stands in for a BarcodeDetector, which browsers on Linux lack: it hands
// the camera's frame out and reports what the test read from it.
const detector = `(window.BarcodeDetector = class {
	static async getSupportedFormats() { return ["qr_code"]; }
	async detect(view) {
		const c = document.createElement("canvas");
		[c.width, c.height] = [view.videoWidth, view.videoHeight];
		c.getContext("2d").drawImage(view, 0, 0);
		if (c.width > 2) window.frame = c.toDataURL("image/png"); // a camera that starts gives a speck first
		return window.code ? [{ rawValue: window.code }] : [];
	}
}, document.getElementById("scan").hidden = false, window.code = "", true)`

// seen is what ZBar reads from what the camera shows.
func seen(t *testing.T, phone *testbed.Browser) string {
	t.Helper()
	shown := testbed.Eval[string](phone, `new Promise((done) => { window.frame = ""; const wait = setInterval(() => { if (window.frame) { clearInterval(wait); done(window.frame); } }, 20); })`)
	b, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(shown, "data:image/png;base64,"))
	if err != nil {
		t.Fatal(err)
	}
	picture := filepath.Join(t.TempDir(), "frame.png")
	if err := os.WriteFile(picture, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return servertest.Decoded(t, picture)
}

// The promise: where the browser can, the app reads the number with the camera in
// place of typing, and then shows what it is for; a picture of another site is
// refused, and where the browser cannot, typing stays and no button is shown.
func TestScanInTheApp(t *testing.T) {
	w := servertest.NewWorld(t)
	ada := w.EnrollCodes("ada")
	own := w.Person()
	own.Get("/sign-in")
	own.SignIn("ada", ada.Code())
	desk := testbed.Chromium(t)
	shot := filepath.Join(t.TempDir(), "page.png")

	device := desk.Stranger()
	addApp(w, device, own.Offered(), own)
	if testbed.Eval[bool](device, `document.getElementById("scan").checkVisibility()`) {
		t.Error("a browser that cannot scan offers to")
	}
	number := waitsAtDesk(w, desk)
	desk.Screenshot(shot, 640, false)
	own.Get("/sign-in")
	own.SignIn("ada", ada.Code())

	phone := testbed.Chromium(t, chromedp.Flag("use-fake-ui-for-media-stream", true), chromedp.Flag("use-fake-device-for-media-stream", true),
		chromedp.Flag("use-file-for-fake-video-capture", film(t, shot)))
	addApp(w, phone, own.Offered(), own)
	testbed.Eval[bool](phone, detector)
	phone.Click("#scan")
	phone.Wait("#view")
	read := seen(t, phone)
	if read != w.Base+"/app/#number="+number {
		t.Fatalf("the camera sees %q", read)
	}
	servertest.Screenshot(phone, "app-scan")
	for _, strange := range []string{"https://login.example.net/app/#number=" + number, w.Base + "/app/#bind=" + number, w.Base + "/app/#number=" + number + "1", number} {
		testbed.Eval[bool](phone, fmt.Sprintf(`(window.code = %q, true)`, strange))
		phone.WaitText("#problem", "not of this Countersign")
		testbed.Eval[bool](phone, `(window.code = "", true)`)
		phone.Click("#scan")
	}
	fresh := waitsAtDesk(w, desk)
	testbed.Eval[bool](phone, fmt.Sprintf(`(window.code = %q, true)`, w.Base+"/app/#number="+fresh))
	phone.WaitText("#application", "countersign")
	if w.Events("approval.approved") != 0 {
		t.Error("scanned, and approved")
	}
	if testbed.Eval[bool](phone, `document.getElementById("view").srcObject.active`) {
		t.Error("the camera is left on")
	}
	phone.Click("#approve")
	phone.WaitText("#done", "Approved")
	desk.WaitText("main", "Where you are signed in")
}
