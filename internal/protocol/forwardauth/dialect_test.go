package forwardauth

import (
	"net/http/httptest"
	"testing"
)

func TestSplitURL(t *testing.T) {
	for u, want := range map[string][3]string{
		"https://a.example/b?c": {"https", "a.example", "/b?c"}, "http://a": {"http", "a", ""}, "": {"", "", ""}, "a/b": {"a/b", "", ""},
		"https://u:p@a/b": {"https", "u:p@a", "/b"}, "https://a?b": {"https", "a", "?b"}, "https:///b": {"https", "", "/b"}, "https://a\\@b/": {"https", "a\\@b", "/"},
	} {
		if scheme, host, target := splitURL(u); [3]string{scheme, host, target} != want {
			t.Errorf("%q is %q %q %q", u, scheme, host, target)
		}
	}
}

func TestPage(t *testing.T) {
	for _, c := range []struct {
		method  string
		headers []string
		want    bool
	}{
		{"GET", []string{"Accept", "text/html,*/*"}, true},
		{"HEAD", []string{"Accept", "text/html"}, true},
		{"POST", []string{"Accept", "text/html"}, false},
		{"OPTIONS", []string{"Accept", "text/html"}, false},
		{"GET", []string{"Accept", "*/*"}, false},
		{"GET", nil, false},
		{"GET", []string{"Accept", "text/html", "Sec-Fetch-Mode", "navigate"}, true},
		{"GET", []string{"Accept", "text/html", "Sec-Fetch-Mode", "cors"}, false},
		{"GET", []string{"Accept", "text/html", "Sec-Fetch-Mode", "websocket"}, false},
		{"GET", []string{"Accept", "text/html", "Upgrade", "websocket"}, false},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		for i := 0; i < len(c.headers); i += 2 {
			r.Header.Set(c.headers[i], c.headers[i+1])
		}
		if page(r, c.method) != c.want {
			t.Errorf("%s %v: %v", c.method, c.headers, !c.want)
		}
	}
}
