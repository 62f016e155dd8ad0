package web

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"countersign/internal/servertest"
	"countersign/internal/session"
)

// envoy asks as Envoy does, byte for byte: there is no Envoy to be had here. Its
// HTTP client of ext_authz (source/extensions/filters/common/ext_authz/
// ext_authz_http_impl.cc, RawHttpClientImpl::check) sends the method, path and
// host of the request itself, the path behind path_prefix; "content-length: 0"
// and no body; of the other headers those of allowed_headers. Its asynchronous
// client (source/common/http/async_client_impl.cc, AsyncStreamImpl::sendHeaders)
// adds x-envoy-internal and appends its own address to x-forwarded-for, which
// use_remote_address has put the browser's at the end of. Names are in small
// letters, lists have no space after the comma (appendXff).
func envoy(w *servertest.World, method, host, target string, headers ...string) *http.Response {
	w.T.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(w.Base, "http://"))
	if err != nil {
		w.T.Fatal(err)
	}
	w.T.Cleanup(func() { c.Close() })
	fmt.Fprintf(c, "%s /verify/envoy%s HTTP/1.1\r\nhost: %s\r\ncontent-length: 0\r\n", method, target, host)
	for _, h := range append([]string{"x-forwarded-proto: http", "x-forwarded-for: 203.0.113.9,127.0.0.1", "x-envoy-internal: true"}, headers...) {
		fmt.Fprintf(c, "%s\r\n", h)
	}
	fmt.Fprint(c, "\r\n")
	r, err := http.ReadResponse(bufio.NewReader(c), &http.Request{Method: method})
	if err != nil {
		w.T.Fatalf("%s %s: %v", method, target, err)
	}
	w.T.Cleanup(func() { r.Body.Close() })
	return r
}

// The promise: to Envoy, Countersign says yes with the four headers that Envoy
// then sets, no with what the browser is to get, and never yes to a target that
// a multiplexer would have tidied.
func TestEnvoy(t *testing.T) {
	t.Parallel()
	w, ada := servertest.WithVPN(t)
	ctx := context.Background()
	secret := w.SignedIn(ada)
	wiki := session.Handover{Host: "http://wiki.test", Browser: "hers"}
	code, err := w.Handovers.Derive(ctx, secret, wiki)
	if err != nil {
		t.Fatal(err)
	}
	child, err := w.Handovers.Accept(ctx, code, wiki, session.Visit{Application: "wiki"})
	if err != nil {
		t.Fatal(err)
	}
	cookie, page := "cookie: countersign-app="+child, "accept: text/html"

	r := envoy(w, "GET", "wiki.test", "/notes?page=1", page)
	if to := "http://wiki.test/.countersign/begin?to=" + url.QueryEscape("/notes?page=1"); r.StatusCode != http.StatusFound || r.Header.Get("Location") != to {
		t.Errorf("a page without a session: %d %s", r.StatusCode, r.Header.Get("Location"))
	}
	for _, method := range []string{"GET", "POST", "OPTIONS", "PROPFIND"} {
		if r := envoy(w, method, "wiki.test", "/api", "accept: application/json"); r.StatusCode != http.StatusUnauthorized || r.Header.Get("Www-Authenticate") == "" {
			t.Errorf("%s without a session: %d", method, r.StatusCode)
		}
	}
	for _, method := range []string{"GET", "HEAD", "POST", "DELETE", "OPTIONS", "PROPFIND"} {
		r := envoy(w, method, "WIKI.test:80", "/notes?page=1", cookie)
		if r.StatusCode != http.StatusOK || r.Header.Get("Remote-User") != "ada" {
			t.Errorf("%s with a session: %d %v", method, r.StatusCode, r.Header)
		}
		for _, name := range []string{"Remote-Name", "Remote-Email", "Remote-Groups"} {
			if _, there := r.Header[name]; !there {
				t.Errorf("%s is not in the answer, so Envoy would leave what the browser sent", name)
			}
		}
	}
	// Nothing reads the path of this application, so that an escaped slash is one of its own.
	if r := envoy(w, "GET", "wiki.test", "/a%2fnotes", cookie); r.StatusCode != http.StatusOK {
		t.Errorf("an escaped slash where nothing reads the path: %d", r.StatusCode)
	}
	for _, bad := range []struct{ method, host, target string }{
		{"GET", "wiki.test", ""}, {"GET", "wiki.test", "//notes"}, {"GET", "wiki.test", "/a/../notes"}, {"GET", "wiki.test", "/a/%2e%2e/notes"}, {"GET", "wiki.test", "/a%2f..%2fnotes"},
		{"GET", "wiki.test", "?x"}, {"GET", "other.test", "/notes"}, {"GET", "wiki.test:81", "/notes"}, {"TRACE", "wiki.test", "/notes"}, {"GET", "wiki.test", "/../caddy"}, {"GET", "wiki.test", "/.."},
	} {
		if r := envoy(w, bad.method, bad.host, bad.target, cookie); r.StatusCode != http.StatusForbidden {
			t.Errorf("%s %s%s: %d %s", bad.method, bad.host, bad.target, r.StatusCode, r.Header.Get("Location"))
		}
	}
	for why, header := range map[string]string{"two schemes": "x-forwarded-proto: http", "an unreadable address": "x-forwarded-for: nonsense"} {
		if r := envoy(w, "GET", "wiki.test", "/notes", header, cookie); r.StatusCode == http.StatusOK {
			t.Errorf("%s is answered %d", why, r.StatusCode)
		}
	}
	if r := envoy(w, "GET", "wiki.test", "/notes", cookie, cookie); r.StatusCode == http.StatusOK {
		t.Error("a cookie that came twice opened the page")
	}
}
