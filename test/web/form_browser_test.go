package web

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"countersign/internal/servertest"
	"countersign/internal/testbed"
)

// The promise: in a real browser, behind nginx and Caddy, a form that is sent after the session has
// ended is not lost: the page says so, and once there is a session again, reloading sends it as it
// was filled in.
func TestFormIsNotLost(t *testing.T) {
	for _, f := range named[:2] {
		t.Run(f.Name, func(t *testing.T) {
			w := servertest.NewWorld(t)
			got := make(chan string, 10)
			wiki := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				rw.Header().Set("Content-Type", "text/html")
				if r.Method == http.MethodPost {
					body, err := io.ReadAll(r.Body)
					if err == nil {
						got <- r.Header.Get("Remote-User") + " " + string(body)
					}
					io.WriteString(rw, "<h1>Saved</h1>")
					return
				}
				io.WriteString(rw, `<h1>Edit</h1><form method="post" action="/notes/save"><input name="text" id="text"><button>Save</button></form>`)
			}))
			t.Cleanup(wiki.Close)
			addr := testbed.Addr(t)
			f.Start(t, addr, strings.Replace(strings.TrimPrefix(w.Base, "http://"), "localhost", "127.0.0.1", 1), strings.TrimPrefix(wiki.URL, "http://"))
			site := local(addr)
			w.Protect("wiki", map[string]any{"hosts": []string{site}})
			secret := w.SignedIn(w.EnrollCodes("ada"))
			b := testbed.Chromium(t)
			signedIn := func() {
				value := strings.TrimPrefix(servertest.Handed(w, secret, site), "Cookie: countersign-app=")
				yes := true
				if _, err := chromedp.Call(b.Context(), network.SetCookie, network.SetCookieParams{Name: "countersign-app", Value: value, URL: "http://" + site + "/", HTTPOnly: &yes, SameSite: "Lax"}); err != nil {
					t.Fatal(err)
				}
			}
			signedIn()
			b.Visit("http://" + site + "/notes/edit")
			b.Fill("#text", "a long text")
			if _, err := chromedp.Call(b.Context(), network.ClearBrowserCookies, cdp.Empty{}); err != nil {
				t.Fatal(err)
			}
			b.Click("button")
			b.WaitText("main, body", "What you sent was not passed on")
			if len(got) > 0 {
				t.Fatalf("the form was passed on without a session: %s", <-got)
			}
			if to := testbed.Eval[string](b, `document.querySelector("a").getAttribute("href")`); to != "/.countersign/begin?to=%2F" {
				t.Errorf("the page leads to %s", to)
			}
			signedIn() // as in another tab
			b.Do(chromedp.Reload())
			b.WaitText("h1", "Saved")
			if sent := <-got; sent != "ada text=a+long+text" {
				t.Errorf("the form arrived as %q", sent)
			}
		})
	}
}
