package otp_test

import (
	"bytes"
	"strings"
	"testing"

	"countersign/internal/authenticator/otp"
	"countersign/internal/authenticator/pin"
)

// stored are keys of all kinds as they are kept, with two numbers.
func stored(t testing.TB) [][]byte {
	t.Helper()
	var all [][]byte
	for _, a := range []otp.Algorithm{otp.SHA1, otp.SHA256, otp.SHA512} {
		for _, p := range []*pin.Kept{nil, {Digits: 4, Salt: make([]byte, 16), Sum: []byte("sum")}, {Digits: 16, Salt: bytes.Repeat([]byte{1}, 16), Sum: make([]byte, 64), First: true}} {
			b, err := otp.Keep(rfcKey(a, 8), []uint64{7, 1<<64 - 1}, p)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, b)
		}
	}
	return all
}

func again(t testing.TB, b []byte) ([]byte, error) {
	t.Helper()
	var n [2]uint64
	k, p, err := otp.Kept(b, n[:])
	if err != nil {
		return nil, err
	}
	back, err := otp.Keep(k, n[:], p)
	if err != nil {
		t.Fatalf("what was read cannot be written: %v", err)
	}
	return back, nil
}

// What is kept is read as it was; of what is cut, longer or of another form nothing is
// read, and the error shows nothing of it.
func TestKept(t *testing.T) {
	for _, b := range stored(t) {
		if back, err := again(t, b); err != nil || !bytes.Equal(back, b) {
			t.Errorf("%x became %x, %v", b, back, err)
		}
		for cut := range b {
			if _, err := again(t, b[:cut]); err == nil || strings.Contains(err.Error(), "1234") {
				t.Errorf("of %d octets %d are read: %v", len(b), cut, err)
			}
		}
		if _, err := again(t, append(bytes.Clone(b), 0)); err == nil {
			t.Error("what stands behind the end is overlooked")
		}
		if _, err := again(t, append([]byte{b[0], 4}, b[2:]...)); err == nil {
			t.Error("a fourth algorithm is read")
		}
		if _, err := again(t, append(bytes.Clone(b[:len(b)-1]), 2)); err == nil {
			t.Error("a last octet of 2 is read: a PIN is given or it is not, or there is none")
		}
		for form := range byte(10) {
			if _, err := again(t, append([]byte{form}, b[1:]...)); (err == nil) != (form == b[0]) {
				t.Errorf("form %d: %v", form, err)
			}
		}
	}
}

// What has no room in the form is an error, and not another key.
func TestKeepIsWhole(t *testing.T) {
	k := rfcKey(otp.SHA1, 6)
	long := make([]byte, 256)
	for name, p := range map[string]*pin.Kept{"salt": {Digits: 4, Salt: long, Sum: []byte{1}}, "sum": {Digits: 4, Salt: []byte{1}, Sum: long}} {
		if _, err := otp.Keep(k, nil, p); err == nil {
			t.Errorf("a %s of 256 octets is kept", name)
		}
	}
	if _, err := otp.Keep(otp.Key{Secret: k.Secret, Algorithm: "MD5", Digits: 6}, nil, nil); err == nil {
		t.Error("another algorithm is kept")
	}
	k.Secret = long
	if _, err := otp.Keep(k, nil, nil); err == nil {
		t.Error("a secret of 256 octets is kept")
	}
}

// FuzzKept: whatever is read is written as the same octets, so that no two spellings
// are one key and nothing is dropped; the rest is an error.
func FuzzKept(f *testing.F) {
	for _, b := range stored(f) {
		f.Add(b)
	}
	f.Add([]byte(`{"v":1}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if back, err := again(t, b); err == nil && !bytes.Equal(back, b) {
			t.Fatalf("%x became %x", b, back)
		}
	})
}
