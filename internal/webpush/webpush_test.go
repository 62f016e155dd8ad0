package webpush

import (
	"context"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"countersign/internal/failure"
)

func b64(t testing.TB, s string) []byte {
	t.Helper()
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// open is the browser's side (RFC 8291 section 3.4).
func open(ua *ecdh.PrivateKey, secret, body []byte) ([]byte, error) {
	if len(body) < headerSize {
		return nil, fmt.Errorf("%d bytes", len(body))
	}
	salt, us := body[:saltSize], body[saltSize+5:headerSize]
	public, err := ecdh.P256().NewPublicKey(us)
	if err != nil {
		return nil, err
	}
	shared, err := ua.ECDH(public)
	if err != nil {
		return nil, err
	}
	aead, nonce, err := derive(shared, secret, salt, ua.PublicKey().Bytes(), us)
	if err != nil {
		return nil, err
	}
	plain, err := aead.Open(nil, nonce, body[headerSize:], nil)
	if err != nil {
		return nil, err
	}
	return plain[:len(plain)-1], nil
}

// RFC 8291 appendix A, byte for byte.
func TestEncryptionOfTheRFC(t *testing.T) {
	ours, err := ecdh.P256().NewPrivateKey(b64(t, "yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw"))
	if err != nil {
		t.Fatal(err)
	}
	to := Recipient{Public: b64(t, "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"), Secret: b64(t, "BTBZMqHH6r4Tts7J_aSIgg")}
	got, err := seal(to, []byte("When I grow up, I want to be a watermelon"), ours, b64(t, "DGv6ra1nlYgDCS1FRnbzlw"))
	if err != nil {
		t.Fatal(err)
	}
	want := "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
	if s := base64.RawURLEncoding.EncodeToString(got); s != want {
		t.Errorf("%s\nwant %s", s, want)
	}
	ua, err := ecdh.P256().NewPrivateKey(b64(t, "q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94"))
	if err != nil {
		t.Fatal(err)
	}
	if plain, err := open(ua, to.Secret, got); err != nil || string(plain) != "When I grow up, I want to be a watermelon" {
		t.Errorf("%q %v", plain, err)
	}
}

// verified checks a header field as a push service does, and returns its claims.
func verified(t testing.TB, header string) (claims map[string]any, key string) {
	t.Helper()
	token, key, ok := strings.Cut(strings.TrimPrefix(header, "vapid t="), ", k=")
	part := strings.Split(token, ".")
	if !ok || len(part) != 3 {
		t.Fatal("not a header field of RFC 8292")
	}
	public, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), b64(t, key))
	if err != nil {
		t.Fatal(err)
	}
	signature, sum := b64(t, part[2]), sha256.Sum256([]byte(part[0]+"."+part[1]))
	if len(signature) != 64 || !ecdsa.Verify(public, sum[:], new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])) {
		t.Fatal("the signature is wrong")
	}
	if err := json.Unmarshal(b64(t, part[1]), &claims); err != nil {
		t.Fatal(err)
	}
	return claims, key
}

// RFC 8292 section 2.4: our reader agrees with the RFC, and then reads ours.
func TestSignature(t *testing.T) {
	claims, _ := verified(t, "vapid t=eyJ0eXAiOiJKV1QiLCJhbGciOiJFUzI1NiJ9.eyJhdWQiOiJodHRwczovL3B1c2guZXhhbXBsZS5uZXQiLCJleHAiOjE0NTM1MjM3NjgsInN1YiI6Im1haWx0bzpwdXNoQGV4YW1wbGUuY29tIn0.i3CYb7t4xfxCDquptFOepC9GAu_HLGkMlMuCGSK2rpiUfnK9ojFwDXb1JrErtmysazNjjvW2L9OkSSHzvoD1oA, "+
		"k=BA1Hxzyi1RUM1b5wjxsn7nGxAszw2u61m164i3MrAIxHF6YK5h4SDYic-dRuU_RCPCfA5aq9ojSwk5Y2EmClBPs")
	if claims["aud"] != "https://push.example.net" || claims["sub"] != "mailto:push@example.com" {
		t.Error(claims)
	}
	k, err := NewKey()
	if err != nil {
		t.Fatal(err)
	}
	scalar, err := k.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	again, err := ParseKey(scalar)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Unix(1_800_000_000, 0)
	header, err := again.authorization(&url.URL{Scheme: "https", Host: "push.example.net:8443", Path: "/p/x"}, "https://login.example.org", now)
	if err != nil {
		t.Fatal(err)
	}
	claims, key := verified(t, header)
	public, err := k.Public()
	if err != nil || key != public || claims["aud"] != "https://push.example.net:8443" || claims["exp"].(float64) != float64(now.Unix()+3600) {
		t.Error(claims, err)
	}
	for _, bad := range [][]byte{nil, make([]byte, 32), make([]byte, 31), []byte(strings.Repeat("\xff", 32))} {
		if _, err := ParseKey(bad); err == nil {
			t.Errorf("%x is a key", bad)
		}
	}
	if s := fmt.Sprintf("%v %+v %#v", k, k, k); strings.Contains(s, fmt.Sprint(new(big.Int).SetBytes(scalar))) || !strings.HasPrefix(s, "[web push key]") {
		t.Error("the key shows when it is printed")
	}
}

func TestGuardKnowsTheInside(t *testing.T) {
	for _, inside := range []string{"127.0.0.1", "127.8.8.8", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "0.1.2.3", "255.255.255.255", "224.0.0.1",
		"240.0.0.1", "198.18.0.1", "192.0.2.7", "::1", "::", "fe80::1", "fc00::1", "fd12::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "ff02::1", "2001:db8::1", "2001::1", "fe80::1%lo"} {
		if (Options{}).control("tcp", netip.AddrPortFrom(netip.MustParseAddr(inside), 443).String(), nil) == nil {
			t.Errorf("%s is taken for the public internet", inside)
		}
	}
	for _, outside := range []string{"8.8.8.8", "142.250.1.188", "2a00:1450:4001::bc", "2606:4700::1111"} {
		if (Options{}).control("tcp", netip.AddrPortFrom(netip.MustParseAddr(outside), 443).String(), nil) != nil {
			t.Errorf("%s is refused", outside)
		}
	}
	if (Options{}).control("tcp", "8.8.8.8:25", nil) == nil {
		t.Error("a port that is no push service's")
	}
	for _, bad := range []string{"", "http://push.example.net/x", "https:///x", "https://u:p@push.example.net/", "https:push", "file:///etc/passwd", "https://push.example.net/#x", "https://a b/", "https://h/" + strings.Repeat("x", 1024), "gopher://h/"} {
		if _, err := CheckEndpoint(bad); err == nil {
			t.Errorf("%.40q is an address", bad)
		}
	}
}

func FuzzCheckEndpoint(f *testing.F) {
	f.Add("https://push.example.net/p/x")
	f.Add("https://[::1]:443/")
	f.Fuzz(func(t *testing.T, s string) {
		if u, err := CheckEndpoint(s); err == nil && (u.Scheme != "https" || u.Hostname() == "" || u.User != nil) {
			t.Errorf("%q", s)
		}
	})
}

// service is a push service on loopback.
func service(t *testing.T, answer http.HandlerFunc) (endpoint string, roots *x509.CertPool) {
	s := httptest.NewTLSServer(answer)
	t.Cleanup(s.Close)
	roots = x509.NewCertPool()
	roots.AddCert(s.Certificate())
	return s.URL + "/p/a-secret", roots
}

func TestSend(t *testing.T) {
	ua, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	to := Recipient{Public: ua.PublicKey().Bytes(), Secret: make([]byte, 16)}
	key, err := NewKey()
	if err != nil {
		t.Fatal(err)
	}
	status, inner, said := http.StatusCreated, 0, ""
	var got []byte
	hidden := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { inner++ }))
	t.Cleanup(hidden.Close)
	endpoint, roots := service(t, func(w http.ResponseWriter, r *http.Request) {
		got, _ = io.ReadAll(r.Body)
		claims, _ := verified(t, r.Header.Get("Authorization"))
		if claims["aud"] != "https://"+r.Host || claims["sub"] != "https://login.example.org" || r.Header.Get("TTL") != "180" || r.Header.Get("Content-Encoding") != "aes128gcm" || r.Method != "POST" {
			t.Error(r.Header, claims)
		}
		if status/100 == 3 {
			w.Header().Set("Location", hidden.URL)
		}
		w.WriteHeader(status)
		io.WriteString(w, said)
	})
	loopback := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	s := NewSender(key, "https://login.example.org", Options{Inside: loopback, Roots: roots}, time.Now)
	send := func(s *Sender, to Recipient) error {
		return s.Send(context.Background(), endpoint, to, Message{Text: []byte("wake"), Keep: 3 * time.Minute})
	}
	if err := send(s, to); err != nil {
		t.Fatal(err)
	}
	if plain, err := open(ua, to.Secret, got); err != nil || string(plain) != "wake" {
		t.Errorf("%q %v", plain, err)
	}
	for code, want := range map[int]failure.Class{404: failure.NotFound, 410: failure.NotFound, 302: failure.Unavailable, 307: failure.Unavailable, 429: failure.Unavailable, 500: failure.Unavailable} {
		if status = code; failure.ClassOf(send(s, to)) != want {
			t.Errorf("status %d is not %v", code, want)
		}
	}
	if inner != 0 {
		t.Error("a redirect was followed")
	}
	status, said = http.StatusForbidden, "{\"reason\": \"BadJwtToken\",\n \"at\": \""+endpoint+" /p/a-secret\"}\x1b[2J"
	if err := send(s, to); !strings.Contains(failure.Public(err), `answered 403: {"reason": "BadJwtToken", "at": "*** ***"}\u{1B}[2J`) || strings.Contains(err.Error(), "a-secret") {
		t.Errorf("what the service answered: %v", err)
	}
	got = nil
	guarded := NewSender(key, "https://login.example.org", Options{Roots: roots}, time.Now)
	if err := send(guarded, to); failure.ClassOf(err) != failure.Unavailable || got != nil {
		t.Errorf("a push service on loopback was reached: %v", err)
	}
	for _, bad := range []Recipient{{}, {Public: to.Public}, {Public: make([]byte, 65), Secret: to.Secret}, {Public: to.Public[:33], Secret: to.Secret}} {
		if failure.ClassOf(send(s, bad)) != failure.Invalid {
			t.Error("sent to somebody without a key")
		}
	}
}
