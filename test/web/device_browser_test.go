package web

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"countersign/internal/servertest"
	"countersign/internal/testbed"
)

// trusted is a certificate of an authority that a browser can trust, also as files.
func trusted(t testing.TB) (a *testbed.Authority, cert tls.Certificate, certFile, keyFile string) {
	t.Helper()
	a = testbed.NewAuthority(t, "Served", nil)
	key := testbed.NewKey(t)
	leaf := a.Issue("login.example.test", key.Public(), func(c *x509.Certificate) {
		c.DNSNames = []string{"*.example.test", "*.other.test", "*.third.test"}
		c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	})
	dir := t.TempDir()
	return a, tls.Certificate{Certificate: [][]byte{leaf.Raw}, PrivateKey: key}, testbed.PEM(t, filepath.Join(dir, "cert.pem"), leaf), testbed.KeyPEM(t, filepath.Join(dir, "key.pem"), key)
}

const ownBound, siteBound = "__Host-countersign-bound", "__Host-countersign-bound-app"

// jar are the cookies of a browser.
func jar(t testing.TB, b *testbed.Browser) []*network.Cookie {
	t.Helper()
	var out []*network.Cookie
	b.Do(chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		got, err := cdp.Call(ctx, target, network.GetCookies, network.GetCookiesParams{URLs: []string{"https://login.example.test/", "https://wiki.other.test/"}})
		if err == nil {
			out = got.Cookies
		}
		return err
	}))
	return out
}

// has reports whether a browser has a cookie of this name.
func has(t testing.TB, b *testbed.Browser, name string) bool {
	t.Helper()
	for _, c := range jar(t, b) {
		if c.Name == name {
			return true
		}
	}
	return false
}

// fiveMinutes pass: on the server's clock, and for the browser, whose own does not move, in that
// it drops the bound cookies as it would by then.
func fiveMinutes(t testing.TB, d *domains, b *testbed.Browser) {
	t.Helper()
	d.Later(5*time.Minute + time.Second)
	for name, at := range map[string]string{ownBound: d.Base + "/", siteBound: d.wiki + "/"} {
		b.Do(chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
			_, err := cdp.Call(ctx, target, network.DeleteCookies, network.DeleteCookiesParams{Name: name, URL: at})
			return err
		}))
	}
}

// The promise: Chromium binds the sessions of the portal and of a page behind nginx, and goes on
// after the bound cookies' five minutes. A copy of its whole jar in another browser is dead by
// then; the owner is told, and stays in.
func TestChromiumBindsItsSessions(t *testing.T) {
	authority, cert, certFile, keyFile := trusted(t)
	d := newDomainsWith(t, cert, certFile, keyFile)
	post := d.PostOffice()
	d.Address("ada", "ada@example.test")
	b := testbed.ChromiumWithKeys(t, authority)
	b.Visit(d.Base + "/sign-in")
	signsIn(d, b)
	b.WaitText("main", "Where you are signed in")
	d.Until("the portal's session is bound", func() bool { return has(t, b, ownBound) })
	b.Visit(d.wiki + "/notes")
	b.WaitLocation(d.wiki + "/notes")
	d.Until("the site's session is bound", func() bool { return has(t, b, siteBound) })

	copies := jar(t, b)
	thief := testbed.Chromium(t)
	thief.Do(chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		var all []*network.CookieParam
		for _, c := range copies {
			all = append(all, &network.CookieParam{Name: c.Name, Value: c.Value, URL: "https://" + c.Domain + "/", Path: "/", Secure: true, HTTPOnly: true})
		}
		_, err := cdp.Call(ctx, target, network.SetCookies, network.SetCookiesParams{Cookies: all})
		return err
	}))
	thief.Visit(d.wiki + "/notes")
	thief.WaitLocation(d.wiki + "/notes") // within the five minutes, as docs say

	for range 2 {
		fiveMinutes(t, d, b)
		b.Visit(d.wiki + "/notes")
		b.WaitLocation(d.wiki + "/notes")
		b.Visit(d.Base + "/account")
		b.WaitText("main", "Where you are signed in")
	}
	if !has(t, b, ownBound) || !has(t, b, siteBound) {
		t.Error("the browser did not refresh its cookies")
	}
	for _, at := range []string{d.wiki + "/notes", d.Base + "/account"} {
		thief.Visit(at)
		thief.WaitLocation(d.Base + "/sign-in")
	}
	if n := d.Events("alarm.session-copied"); n == 0 {
		t.Error("nothing is recorded of the copies")
	}
	if mails := post.Collect(); !slices.ContainsFunc(mails, func(m string) bool { return strings.Contains(m, "copy of your browser") }) {
		t.Errorf("the owner was told %q", mails)
	}
	b.Visit(d.wiki + "/notes")
	b.WaitLocation(d.wiki + "/notes")
}

// signsIn has somebody sign in with password and code, where a page asks.
func signsIn(d *domains, b *testbed.Browser) {
	d.T.Helper()
	b.Fill("#name", "ada")
	b.Fill("#text", servertest.Passphrase)
	b.Click(`form:has(#name) button`)
	b.Fill("#text-totp", d.ada.Code())
	b.Click(`form:has(#text-totp) button`)
}

// The promise: where policy demands a bound session, a browser that binds waits a moment and is let
// in, and one that does not reads why it is refused.
func TestPolicyDemandsABoundSession(t *testing.T) {
	authority, cert, certFile, keyFile := trusted(t)
	d := newDomainsWith(t, cert, certFile, keyFile)
	d.SetPolicy(`rules:
  - {name: everybody, require: two-factors}
  - name: the wiki takes bound sessions
    when: application.name == "wiki" && !session.bound
    deny: this takes a browser that binds its sign-in to your device
`)
	b := testbed.ChromiumWithKeys(t, authority)
	b.Visit(d.wiki + "/notes")
	signsIn(d, b)
	b.WaitLocation(d.wiki + "/notes")

	d.Later(time.Minute) // for the next code
	plain := testbed.Chromium(t)
	plain.Visit(d.wiki + "/notes")
	signsIn(d, plain)
	plain.WaitText("main", "One moment")
	d.Later(time.Minute)
	plain.WaitText("main", "this takes a browser that binds its sign-in to your device")
	plain.Visit(d.code + "/")
	plain.WaitLocation(d.code + "/")
	if plain.Status(d.wiki+"/notes") != http.StatusForbidden {
		t.Error("the refused browser reads the page")
	}
}

// The promise: an application whose settings take bound sessions alone lets a browser in that binds,
// without a rule of the policy, and tells any other one why it does not; what takes every session
// lets both in. A client by OpenID Connect that is sent a browser while it binds gets its code.
func TestAnApplicationDemandsABoundSession(t *testing.T) {
	authority, cert, certFile, keyFile := trusted(t)
	d := newDomainsWith(t, cert, certFile, keyFile)
	d.Protect("wiki", map[string]any{"hosts": []string{strings.TrimPrefix(d.wiki, "https://")}, "sessions": "bound"})
	b := testbed.ChromiumWithKeys(t, authority)
	b.Visit(d.wiki + "/notes")
	signsIn(d, b)
	b.WaitLocation(d.wiki + "/notes")

	d.Later(time.Minute) // for the next code
	plain := testbed.Chromium(t)
	plain.Visit(d.wiki + "/notes")
	signsIn(d, plain)
	plain.WaitText("main", "One moment")
	d.Later(time.Minute)
	plain.WaitText("main", "this takes a browser that binds its sign-in to your device")
	plain.Visit(d.code + "/")
	plain.WaitLocation(d.code + "/")
	if plain.Status(d.wiki+"/notes") != http.StatusForbidden {
		t.Error("the refused browser reads the page")
	}
	b.Visit(d.wiki + "/notes")
	b.WaitLocation(d.wiki + "/notes")
}

// What browsers send by themselves is taken from nobody else: neither a page of another site, nor
// whoever has the cookie, can bind a session or go on with it.
func TestDeviceDoors(t *testing.T) {
	cert, certFile, keyFile := certificate(t)
	d := newDomainsWith(t, cert, certFile, keyFile)
	p := d.signedInPerson()
	p.Get(d.wiki + "/notes")
	for _, at := range []string{d.Base + "/session/", d.wiki + "/.countersign/"} {
		for what, c := range map[string]struct {
			path   string
			header map[string]string
			status int
		}{
			"a form of another site":  {"refresh", map[string]string{"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}, 400},
			"no identifier":           {"refresh", nil, 400},
			"another's identifier":    {"refresh", map[string]string{"Sec-Secure-Session-Id": `"AAAAAAAAAAAA"`}, 401},
			"two identifiers":         {"refresh", map[string]string{"Sec-Secure-Session-Id": `"AAAAAAAAAAAA", "AAAAAAAAAAAA"`}, 400},
			"a huge proof":            {"bind", map[string]string{"Secure-Session-Response": `"` + strings.Repeat("A", 20<<10) + `"`}, 400},
			"no proof":                {"bind", nil, 400},
			"a proof by no algorithm": {"bind", map[string]string{"Secure-Session-Response": `"eyJhbGciOiJub25lIiwidHlwIjoiZGJzYytqd3QifQ.eyJqdGkiOiJjIn0."`}, 400},
		} {
			r, err := http.NewRequest(http.MethodPost, at+c.path, nil)
			if err != nil {
				t.Fatal(err)
			}
			for k, v := range c.header {
				r.Header.Set(k, v)
			}
			answer, err := p.Client.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			answer.Body.Close()
			if answer.StatusCode != c.status || answer.Header.Get("Access-Control-Allow-Origin") != "" || strings.Contains(strings.Join(answer.Header.Values("Set-Cookie"), ""), "bound") {
				t.Errorf("%s at %s: %d, %v", what, at, answer.StatusCode, answer.Header)
			}
		}
	}
	if n := d.Events("session.bound"); n != 0 {
		t.Errorf("%d sessions were bound", n)
	}
}
