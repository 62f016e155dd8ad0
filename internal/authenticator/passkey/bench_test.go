package passkey

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"testing"
	"time"

	"countersign/internal/authenticator"
	"countersign/internal/prompt"
	"countersign/internal/virtualauth"
)

// BenchmarkCheck measures a whole check against the bare verification of the
// same signature, turn by turn in the same run, and reports their ratio. The
// budget for ES256 is 1.6.
func BenchmarkCheck(b *testing.B) {
	for name, algorithm := range map[string]virtualauth.Algorithm{"ES256": virtualauth.ES256, "EdDSA": virtualauth.EdDSA, "RS256": virtualauth.RS256} {
		b.Run(name, func(b *testing.B) { benchmarkCheck(b, algorithm) })
	}
}

func benchmarkCheck(b *testing.B, algorithm virtualauth.Algorithm) {
	a, err := New(Options{RPID: "example.org", Origins: []string{"https://login.example.org"}})
	if err != nil {
		b.Fatal(err)
	}
	k := &virtualauth.Key{Algorithm: algorithm}
	kept := enrollWith(b, a, k)
	encoded, err := kept.encode()
	if err != nil {
		b.Fatal(err)
	}
	c := []authenticator.Credential{{ID: 1, Account: 1, State: encoded, Handle: kept.ID.String()}}
	question, sealed, err := a.Ask(c, vectorTime)
	if err != nil {
		b.Fatal(err)
	}
	data, err := k.Get("https://login.example.org", question.Data)
	if err != nil {
		b.Fatal(err)
	}
	bare := bareVerification(b, kept, data)
	var whole, alone time.Duration
	b.ReportAllocs()
	for b.Loop() {
		start := time.Now()
		if got, err := a.Check(b.Context(), c, sealed, prompt.Answer{Data: data}, vectorTime); err != nil || !got.OK {
			b.Fatal(got, err)
		}
		middle := time.Now()
		bare()
		whole, alone = whole+middle.Sub(start), alone+time.Since(middle)
	}
	b.ReportMetric(float64(whole.Nanoseconds())/float64(b.N), "check-ns/op")
	b.ReportMetric(float64(alone.Nanoseconds())/float64(b.N), "bare-ns/op")
	b.ReportMetric(float64(whole)/float64(alone), "ratio")
}

// bareVerification is the one thing that cannot be saved, with everything
// prepared.
func bareVerification(b *testing.B, kept state, data []byte) func() {
	r, err := parseReply(data)
	if err != nil {
		b.Fatal(err)
	}
	hash := sha256.Sum256(r.Response.ClientData)
	message := append(append([]byte{}, r.Response.AuthData...), hash[:]...)
	digest := sha256.Sum256(message)
	key, err := parseKey(kept.Key)
	if err != nil {
		b.Fatal(err)
	}
	if k, ok := key.(*ecdsa.PublicKey); ok {
		return func() {
			if !ecdsa.VerifyASN1(k, digest[:], r.Response.Signature) {
				b.Fatal("wrong")
			}
		}
	}
	return func() {
		if !verify(key, message, r.Response.Signature) {
			b.Fatal("wrong")
		}
	}
}
