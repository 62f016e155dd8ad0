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

// BenchmarkReference is what the session of a request costs to find: of one that is bound to its
// device, with its second cookie, and of one that is not.
func BenchmarkReference(b *testing.B) {
	const secret, bound = "NytkHW7YHpgy64oxagGmD7vQLQhUmmR_S5cbR8VSimI", "AAZKxPVYsIABAAAAAX0H1xZdSg4s8l8v0x5o3zqXw3oK7mZ1m2b5rVn0y3kQ"
	q := question{scheme: "https", host: "wiki.example.org"}
	for name, line := range map[string]string{"unbound": "theme=dark; __Host-countersign-app=" + secret, "bound": "theme=dark; __Host-countersign-app=" + secret + "; __Host-countersign-bound-app=" + bound} {
		b.Run(name, func(b *testing.B) {
			r := httptest.NewRequest("GET", "/verify/caddy", nil)
			r.Header.Set("Cookie", line)
			b.ReportAllocs()
			for b.Loop() {
				if q.reference(r) == "" {
					b.Fatal("none")
				}
			}
		})
	}
}
