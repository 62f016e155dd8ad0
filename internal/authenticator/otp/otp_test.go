package otp_test

import (
	"bufio"
	"encoding/base32"
	"encoding/hex"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"countersign/internal/authenticator/otp"
	"countersign/internal/testbed"
)

// rfcKey is the key of both RFCs' tables.
func rfcKey(a otp.Algorithm, digits int) otp.Key {
	size := map[otp.Algorithm]int{otp.SHA1: 20, otp.SHA256: 32, otp.SHA512: 64}[a]
	return otp.Key{Secret: []byte(strings.Repeat("1234567890", 7)[:size]), Algorithm: a, Digits: digits}
}

// vectors calls f with each line of a file that is not a comment.
func vectors(t *testing.T, name string, f func(line string)) {
	t.Helper()
	file, err := os.Open("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	n := 0
	for s := bufio.NewScanner(file); s.Scan(); {
		if line := s.Text(); !strings.HasPrefix(line, "#") {
			f(line)
			n++
		}
	}
	if n < 10 {
		t.Fatalf("%s has %d vectors", name, n)
	}
}

func TestRFC4226(t *testing.T) {
	vectors(t, "rfc4226-appendix-d.txt", func(line string) {
		var counter uint64
		var want string
		if _, err := fmt.Sscan(line, &counter, &want); err != nil {
			t.Fatal(err)
		}
		if got := rfcKey(otp.SHA1, 6).Code(counter); got != want {
			t.Errorf("code %d is %s, want %s", counter, got, want)
		}
	})
}

func TestRFC6238(t *testing.T) {
	vectors(t, "rfc6238-appendix-b.txt", func(line string) {
		var seconds uint64
		var want string
		var a otp.Algorithm
		if _, err := fmt.Sscan(line, &seconds, &want, &a); err != nil {
			t.Fatal(err)
		}
		if got := rfcKey(a, 8).Code(seconds / 30); got != want {
			t.Errorf("the %s code at %d is %s, want %s", a, seconds, got, want)
		}
	})
}

// TestOathtool holds the codes to a second implementation, OATH Toolkit's.
func TestOathtool(t *testing.T) {
	for _, a := range []otp.Algorithm{otp.SHA1, otp.SHA256, otp.SHA512} {
		for digits := 6; digits <= 8; digits++ {
			k, err := otp.NewKey(a, digits)
			if err != nil {
				t.Fatal(err)
			}
			const at, window = 1_772_366_405, 20
			args := []string{"--totp=" + strings.ToLower(string(a)), "-d", fmt.Sprint(digits), "-w", fmt.Sprint(window), "--now", fmt.Sprintf("@%d", at), hex.EncodeToString(k.Secret)}
			out, err := exec.Command(testbed.Program(t, "oathtool"), args...).Output()
			if err != nil {
				t.Fatalf("oathtool (Debian package oathtool): %v", err)
			}
			codes := strings.Fields(string(out))
			if len(codes) != window+1 {
				t.Fatalf("oathtool gave %d codes", len(codes))
			}
			for i, want := range codes {
				if got := k.Code(at/30 + uint64(i)); got != want {
					t.Errorf("%s with %d digits, step %d: %s, oathtool says %s", a, digits, i, got, want)
				}
			}
		}
	}
}

func TestKeyCheck(t *testing.T) {
	good := rfcKey(otp.SHA1, 6)
	for name, change := range map[string]func(*otp.Key){
		"no algorithm":   func(k *otp.Key) { k.Algorithm = "" },
		"MD5":            func(k *otp.Key) { k.Algorithm = "MD5" },
		"5 digits":       func(k *otp.Key) { k.Digits = 5 },
		"9 digits":       func(k *otp.Key) { k.Digits = 9 },
		"15 bytes":       func(k *otp.Key) { k.Secret = k.Secret[:15] },
		"too many":       func(k *otp.Key) { k.Secret = make([]byte, 129) },
		"nothing at all": func(k *otp.Key) { *k = otp.Key{} },
	} {
		k := good
		change(&k)
		if k.Check() == nil {
			t.Errorf("%s passes", name)
		}
	}
	if err := good.Check(); err != nil {
		t.Error(err)
	}
	if _, err := otp.NewKey("MD5", 6); err == nil {
		t.Error("made a key for MD5")
	}
}

// Find agrees with the definition, written the slow way.
func TestFind(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		k := rfcKey(otp.SHA1, 6)
		from := rapid.Uint64Range(1, 1000).Draw(t, "from")
		n := rapid.IntRange(0, 30).Draw(t, "n")
		at := rapid.Uint64Range(0, 1040).Draw(t, "at")
		two := rapid.Bool().Draw(t, "two")
		digits := k.Code(at)
		if two {
			digits = k.Code(at-1) + digits
		}
		a, ok := otp.Cut(digits, 6)
		if !ok {
			t.Fatal("not cut")
		}
		wantFirst, wantLast := -1, -1
		for i := range n {
			c := from + uint64(i)
			if !two && k.Code(c) == digits || two && k.Code(c-1)+k.Code(c) == digits {
				if wantLast = i; wantFirst < 0 {
					wantFirst = i
				}
			}
		}
		if first, last := k.Find(a, from, n); first != wantFirst || last != wantLast {
			t.Fatalf("found %d and %d, want %d and %d", first, last, wantFirst, wantLast)
		}
	})
}

func TestCut(t *testing.T) {
	for _, digits := range []string{"", "12345", "1234567", "12345678901", "1234567890123", "123456789012345678"} {
		if _, ok := otp.Cut(digits, 6); ok {
			t.Errorf("%q is cut", digits)
		}
	}
	if a, ok := otp.Cut("123456654321", 6); !ok || a.First != "123456" || a.Second != "654321" {
		t.Error("two codes are not cut in two")
	}
}

func TestURI(t *testing.T) {
	p := otp.Provision{Type: "totp", Issuer: "ACME Co", Account: "john.doe@email.com", Key: rfcKey(otp.SHA1, 6), Period: 30}
	const want = "otpauth://totp/ACME%20Co:john.doe%40email.com?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=ACME%20Co&algorithm=SHA1&digits=6&period=30"
	if got := p.URI(); got != want {
		t.Errorf("the URI is\n%s, want\n%s", got, want)
	}
	h := otp.Provision{Type: "hotp", Account: "ada", Key: rfcKey(otp.SHA1, 8), Counter: 7}
	if got := h.URI(); got != "otpauth://hotp/ada?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&algorithm=SHA1&digits=8&counter=7" {
		t.Errorf("the URI is %s", got)
	}
}

// FuzzURI: whatever the names are, a reader of the format gets them back and
// nothing in them becomes another part.
func FuzzURI(f *testing.F) {
	f.Add("Countersign", "ada@example.org")
	f.Add("A:B", "c&secret=AAAA#d")
	f.Add("", "?/%20+ \x00")
	f.Add("例え", "\xff")
	f.Fuzz(func(t *testing.T, issuer, account string) {
		k := rfcKey(otp.SHA256, 8)
		u, err := url.Parse(otp.Provision{Type: "totp", Issuer: issuer, Account: account, Key: k, Period: 60}.URI())
		if err != nil {
			t.Fatal(err)
		}
		label, err := url.PathUnescape(strings.TrimPrefix(u.EscapedPath(), "/"))
		if err != nil {
			t.Fatal(err)
		}
		wantLabel := account
		if issuer != "" {
			wantLabel = issuer + ":" + account
		}
		q := u.Query()
		secret, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(q.Get("secret"))
		if label != wantLabel || q.Get("issuer") != issuer || err != nil || string(secret) != string(k.Secret) || u.Host != "totp" || u.Fragment != "" {
			t.Fatalf("%s is read as label %q, issuer %q (%v)", u, label, q.Get("issuer"), err)
		}
		if len(q) > 5 || q.Get("digits") != "8" || q.Get("period") != "60" || q.Get("algorithm") != "SHA256" {
			t.Fatalf("the parts are %v", len(q))
		}
	})
}

func BenchmarkFind(b *testing.B) {
	k := rfcKey(otp.SHA1, 6)
	a := otp.Answer{First: "000000"}
	b.ReportAllocs()
	for b.Loop() {
		k.Find(a, 50_000_000, 2)
	}
}
