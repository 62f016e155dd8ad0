package bench

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"countersign/internal/servertest"
	"countersign/internal/session"
)

// get drives a handler over keep-alive connections.
func drive(b *testing.B, h http.Handler, headers map[string]string) {
	server := httptest.NewServer(h)
	defer server.Close()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			r, _ := http.NewRequest("GET", server.URL+"/verify/caddy", nil)
			for name, value := range headers {
				r.Header.Set(name, value)
			}
			res, err := client.Do(r)
			if err != nil {
				b.Fatal(err)
			}
			io.Copy(io.Discard, res.Body)
			res.Body.Close()
			if res.StatusCode != http.StatusOK {
				b.Fatal(res.Status)
			}
		}
	})
}

// BenchmarkForwardAuth compares a check with a live session with a handler that
// reads a cookie and answers 200, by the same client in the same run.
func BenchmarkForwardAuth(b *testing.B) {
	w := servertest.NewWorld(b)
	ada := w.EnrollCodes("ada")
	if err := w.PlantApplications(b.Context(), "wiki.test", "a-secret-of-the-equipment"); err != nil {
		b.Fatal(err)
	}
	secret := w.SignedIn(ada)
	code, err := w.Handovers.Derive(b.Context(), secret, session.Handover{Host: "http://wiki.test", Browser: "ada's"})
	if err != nil {
		b.Fatal(err)
	}
	child, err := w.Handovers.Accept(b.Context(), code, session.Handover{Host: "http://wiki.test", Browser: "ada's"}, session.Visit{})
	if err != nil {
		b.Fatal(err)
	}
	headers := map[string]string{"X-Forwarded-Proto": "http", "X-Forwarded-Host": "wiki.test", "X-Forwarded-Uri": "/notes", "X-Forwarded-Method": "GET", "X-Forwarded-For": "203.0.113.9",
		"Cookie": "countersign-app=" + child}
	b.Run("bare", func(b *testing.B) {
		drive(b, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if _, err := r.Cookie("countersign-app"); err != nil {
				w.WriteHeader(http.StatusUnauthorized)
			}
		}), headers)
	})
	b.Run("check", func(b *testing.B) { drive(b, w.Handler, headers) })
}
