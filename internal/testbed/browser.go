package testbed

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// slow bounds every single act in a browser, so that a page that never comes
// fails its test with a picture and does not hang it.
const slow = 20 * time.Second

// Browser is one person's browser: a tab with its own cookies and its own
// authenticators. Its methods fail the test when the page does not do as told,
// with the page's address and text.
type Browser struct {
	t       testing.TB
	ctx     context.Context
	console *console
}

// Chromium starts a browser that ends with the test. Every name under .test is
// this machine, and certificates are not checked, so that sites of several
// domains can be played with https. More options go behind the usual ones.
func Chromium(t testing.TB, more ...chromedp.ExecAllocatorOption) *Browser {
	t.Helper()
	if testing.Short() {
		t.Skip("-short: starts a browser")
	}
	// The browser needs a folder that other users may not be able to read and
	// that must be gone when the test is: chromedp makes and removes one.
	allocator, stop := chromedp.NewExecAllocator(context.Background(), append(append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(Program(t, "chromium", "chromium-browser", "google-chrome")),
		chromedp.NoSandbox, // the sandbox needs privileges that a container does not give
		chromedp.DisableGPU,
		chromedp.Flag("headless", "new"),
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("ignore-certificate-errors", true),
		chromedp.Flag("host-resolver-rules", "MAP *.test 127.0.0.1"),
		chromedp.Flag("lang", "en-US"),
	), more...)...)
	t.Cleanup(stop)
	root, cancel := chromedp.NewContext(allocator)
	t.Cleanup(cancel)
	if err := chromedp.Do(root); err != nil {
		t.Fatalf("Chromium does not start: %v", err)
	}
	t.Cleanup(func() { chromedp.Cancel(root) })
	return tab(t, root)
}

// Stranger returns another person's browser: the same process, and nothing else
// in common.
func (b *Browser) Stranger() *Browser {
	b.t.Helper()
	return tab(b.t, b.ctx)
}

func tab(t testing.TB, parent context.Context) *Browser {
	t.Helper()
	ctx, cancel := chromedp.NewContext(parent, chromedp.WithNewBrowserContext())
	t.Cleanup(cancel)
	b := &Browser{t: t, ctx: ctx}
	if err := chromedp.Do(ctx); err != nil {
		t.Fatal(err)
	}
	b.console = listen(ctx)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the page's console:\n%s", strings.Join(b.Console(), "\n"))
		}
	})
	return b
}

// Context is for what has no helper here: chromedp.Run(b.Context(), ...).
func (b *Browser) Context() context.Context { return b.ctx }

// Do runs chromedp's own actions.
func (b *Browser) Do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, slow)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		b.fail(err)
	}
}

// read runs one action that returns a value.
func read[T any](b *Browser, a chromedp.Action[T]) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, slow)
	defer cancel()
	v, err := chromedp.Run(ctx, a)
	if err != nil {
		b.fail(err)
	}
	return v
}

// fail ends the test and says where the browser was.
func (b *Browser) fail(err error) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, slow)
	defer cancel()
	at, _ := chromedp.Run(ctx, chromedp.Location())
	body, _ := chromedp.Run(ctx, chromedp.Evaluate[string](`document.body ? document.body.innerText : ""`))
	b.t.Fatalf("%v\nthe browser is at %s and shows:\n%s", err, at, body)
}

// Visit goes to an address and waits for the page.
func (b *Browser) Visit(url string) {
	b.t.Helper()
	b.Do(chromedp.Navigate(url))
}

// Status goes to an address and returns the status of the page, after redirects.
func (b *Browser) Status(url string) int {
	b.t.Helper()
	r := read(b, chromedp.NavigateResponse(url))
	if r == nil {
		b.fail(fmt.Errorf("no response from %s", url))
	}
	return int(r.Status)
}

// Fill empties a field and types into it, key by key. A page that comes while it does takes the
// field away under its hands; then it fills that of the new page.
func (b *Browser) Fill(css, text string) {
	b.t.Helper()
	for deadline := time.Now().Add(slow); ; {
		ctx, cancel := context.WithTimeout(b.ctx, slow)
		err := chromedp.Do(ctx, chromedp.WaitVisible(chromedp.CSS(css)), chromedp.Clear(chromedp.CSS(css)), chromedp.SendKeys(chromedp.CSS(css), text))
		cancel()
		if err == nil {
			return
		}
		if !strings.Contains(err.Error(), "node with given id") || time.Now().After(deadline) {
			b.fail(err)
		}
	}
}

// Click clicks on an element as soon as it can be seen and pressed: a button that needs
// the page's script is switched off until that has run, and a press on it does nothing.
func (b *Browser) Click(css string) {
	b.t.Helper()
	b.until(`((e) => e?.checkVisibility() && !e.disabled)(document.querySelector(%q))`, css)
	b.Do(chromedp.Click(chromedp.CSS(css), chromedp.NodeVisible))
}

// Wait waits until an element can be seen.
func (b *Browser) Wait(css string) {
	b.t.Helper()
	b.Do(chromedp.WaitVisible(chromedp.CSS(css)))
}

// WaitGone waits until no element matches.
func (b *Browser) WaitGone(css string) {
	b.t.Helper()
	b.Do(chromedp.WaitNotPresent(chromedp.CSS(css)))
}

// WaitText waits until an element that can be seen shows a text: what is hidden
// has its text too.
func (b *Browser) WaitText(css, text string) {
	b.t.Helper()
	b.until(`((e) => e?.checkVisibility() && e.innerText.includes(%[2]q))(document.querySelector(%[1]q))`, css, text)
}

// WaitLocation waits until the address begins so.
func (b *Browser) WaitLocation(prefix string) {
	b.t.Helper()
	b.until(`document.readyState === "complete" && location.href.startsWith(%q)`, prefix)
}

// until asks the page again and again. Polling from outside survives the
// navigations that a poll inside the page does not.
func (b *Browser) until(js string, args ...any) {
	b.t.Helper()
	js = fmt.Sprintf(js, args...)
	for deadline := time.Now().Add(slow); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		ctx, cancel := context.WithTimeout(b.ctx, slow)
		ok, err := chromedp.Run(ctx, chromedp.Evaluate[bool](js))
		cancel()
		if err == nil && ok {
			return
		}
	}
	b.fail(fmt.Errorf("never came true: %s", js))
}

// Text returns what an element shows, as soon as it can be seen.
func (b *Browser) Text(css string) string {
	b.t.Helper()
	return read(b, chromedp.Text(chromedp.CSS(css), chromedp.NodeVisible))
}

// Has reports whether an element is on the page now, seen or not.
func (b *Browser) Has(css string) bool {
	b.t.Helper()
	return Eval[bool](b, fmt.Sprintf(`document.querySelector(%q) !== null`, css))
}

// Location is the address.
func (b *Browser) Location() string {
	b.t.Helper()
	return read(b, chromedp.Location())
}

// Eval runs an expression in the page and waits if it is a promise.
func Eval[T any](b *Browser, js string) T {
	b.t.Helper()
	return read(b, chromedp.Evaluate[T](js, chromedp.EvalAwaitPromise))
}

// Screenshot writes a picture of the whole page, as it is at this width in CSS
// pixels, in dark or in light colours. The folder is made.
func (b *Browser) Screenshot(path string, width int, dark bool) {
	b.t.Helper()
	b.Window(width, dark)
	picture := read(b, chromedp.FullScreenshot(100))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(path, picture, 0o644); err != nil {
		b.t.Fatal(err)
	}
}

// Window makes the window so wide, in CSS pixels, and asks pages for dark or for light colours.
func (b *Browser) Window(width int, dark bool) {
	b.t.Helper()
	scheme := "light"
	if dark {
		scheme = "dark"
	}
	b.Do(chromedp.EmulateViewport(int64(width), 900), chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
		})
		return err
	}))
}
