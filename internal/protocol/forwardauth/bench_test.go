package forwardauth

import (
	"countersign/internal/clientaddr"
	"countersign/internal/protocol"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"
)

// BenchmarkQuestion is what a check costs before the engine is asked, with the
// headers of an ordinary browser.
func BenchmarkQuestion(b *testing.B) {
	now := time.Now()
	d := New(protocol.Parts{Applications: &list{settings: `{"hosts":["wiki.example.org"],"rules":[{"path":"/admin","action":"wiki.admin"},{"path":"/m","methods":["DELETE"],"action":"wiki.delete"}]}`},
		Clients: clientaddr.NewReader(proxies, time.Now, nil), PublicURL: &url.URL{Scheme: "https", Host: "auth.example.org"}, Now: func() time.Time { return now }})
	r := httptest.NewRequest("GET", "/verify/caddy", nil)
	r.RemoteAddr = "192.0.2.1:4711"
	for name, value := range map[string]string{"X-Forwarded-Proto": "https", "X-Forwarded-Host": "wiki.example.org", "X-Forwarded-Uri": "/notes?page=1&q=two", "X-Forwarded-Method": "GET", "X-Forwarded-For": "203.0.113.9",
		"Accept": "text/html", "Accept-Language": "en", "Accept-Encoding": "gzip", "User-Agent": "Mozilla/5.0", "Cookie": "__Host-countersign-app=x", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Site": "none", "Sec-Fetch-Dest": "document",
		"Referer": "https://wiki.example.org/", "Upgrade-Insecure-Requests": "1", "Cache-Control": "max-age=0"} {
		r.Header.Set(name, value)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := d.read(r, forwarded(r)); err != nil {
			b.Fatal(err)
		}
	}
}
