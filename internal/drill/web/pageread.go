package web

import (
	"context"
	"crypto/rand"
	"net/http"

	"countersign/internal/drill"
)

// read tries to read what is behind forward-auth.
func (s page) read(ctx context.Context, p *drill.Play, c *drill.Canary) ([]drill.Try, error) {
	asks := func(name string, b *browser, address string) drill.Try {
		return s.asks(ctx, p, s.name()+" "+name, b, address, nil)
	}
	tries := []drill.Try{asks("without anything", s.attacker(p), s.URL)}
	forged := s.attacker(p)
	forged.headers = http.Header{"Remote-User": {c.Name}, "X-Forwarded-User": {c.Name}, "X-Forwarded-For": {"127.0.0.1"},
		"X-Forwarded-Uri": {"/healthz"}, "X-Original-Url": {"/healthz"}, "X-Forwarded-Host": {"elsewhere.example"}}
	tries = append(tries, asks("with forged headers", forged, s.URL))
	made := s.attacker(p)
	made.headers = http.Header{"Cookie": {"countersign=" + rand.Text() + "; __Host-countersign=" + rand.Text()}}
	tries = append(tries, asks("with a made-up cookie", made, s.URL))
	for _, path := range []string{"//", "/%2e%2e/", "/.countersign/accept?code=x&to=/", "/;/", "/%00"} {
		tries = append(tries, asks("by the path "+path, s.attacker(p), s.origin()+path))
	}
	return append(tries,
		s.signsIn(ctx, p, s.name()+" with the password alone", c.Name, c.Password, ""),
		s.signsIn(ctx, p, s.name()+" with the password and a guessed code", c.Name, c.Password, "000000")), nil
}
