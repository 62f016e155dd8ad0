package ticket

import (
	"encoding/base64"
	"encoding/binary"
	"strings"
	"testing"
	"time"

	"countersign/internal/audit"
	"countersign/internal/failure"
	"countersign/internal/keyring"
)

// A sealed ticket costs no row, opens for its kind until its time, and says nothing to
// who carries it.
func TestSealed(t *testing.T) {
	r := setUp(t)
	code, ok := r.Sealed(Spec{Kind: "errand", Payload: []byte("payload"), Lifetime: time.Minute})
	if !ok || strings.Contains(code, base64.RawURLEncoding.EncodeToString([]byte("payload"))) {
		t.Fatalf("%q, %v", code, ok)
	}
	for range 2 {
		if got, err := r.OpenSealed("errand", code); err != nil || string(got) != "payload" {
			t.Fatalf("%q, %v", got, err)
		}
	}
	if r.rows(t) != 0 {
		t.Error("it has a row")
	}
	r.now = r.now.Add(time.Minute - time.Microsecond)
	if _, err := r.OpenSealed("errand", code); err != nil {
		t.Error(err)
	}
	r.now = r.now.Add(time.Microsecond)
	if _, err := r.OpenSealed("errand", code); failure.ReasonOf(err) != "unknown-ticket" {
		t.Errorf("late: %v", err)
	}
}

func TestWrongSealedTickets(t *testing.T) {
	r := setUp(t)
	code, _ := r.Sealed(Spec{Kind: "errand", Payload: []byte("payload"), Lifetime: time.Minute})
	raw, _ := base64.RawURLEncoding.DecodeString(code)
	row := r.issue(t, Spec{Kind: "errand", Lifetime: time.Minute})
	foreign, _ := setUp(t).Sealed(Spec{Kind: "errand", Payload: []byte("payload"), Lifetime: time.Minute})
	empty := r.keys.Seal(keyring.Ticket, sealedAAD("errand"), nil)
	endless := r.keys.Seal(keyring.Ticket, sealedAAD("errand"), []byte{0x80})
	moved := r.keys.Seal(keyring.Ticket, keyring.AAD{Table: "ticket", Column: "payload", Key: "errand"}, binary.AppendVarint(nil, 1<<60))
	wrong := map[string]string{
		"nothing": "", "cut": code[:len(code)-2], "longer": code + "AA", "padded": code + "=", "a line break": code[:9] + "\n" + code[9:], "a carriage return": code + "\r",
		"of a row": row, "another installation's": foreign, "without a time": base64.RawURLEncoding.EncodeToString(empty), "half a time": base64.RawURLEncoding.EncodeToString(endless),
		"from a row's column": base64.RawURLEncoding.EncodeToString(moved), "too long": strings.Repeat("A", SealedMost+1),
	}
	for name, code := range wrong {
		if got, err := r.OpenSealed("errand", code); failure.ReasonOf(err) != "unknown-ticket" {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	if _, err := r.OpenSealed("handover", code); failure.ReasonOf(err) != "unknown-ticket" {
		t.Errorf("another kind: %v", err)
	}
	if _, err := r.Take(t.Context(), "errand", code); failure.ReasonOf(err) != "unknown-ticket" {
		t.Errorf("as a row's: %v", err)
	}
	for i := range raw {
		bad := append([]byte(nil), raw...)
		bad[i] ^= 4
		if got, err := r.OpenSealed("errand", base64.RawURLEncoding.EncodeToString(bad)); err == nil {
			t.Errorf("with a bit of octet %d flipped: %q", i, got)
		}
	}
}

// What fits no cookie, has no end or is of no kind is not made.
func TestSealedSpecs(t *testing.T) {
	r := setUp(t)
	fits := 0
	for n := range SealedMost { // the longest that fits opens
		code, ok := r.Sealed(Spec{Kind: "errand", Payload: make([]byte, n), Lifetime: time.Minute})
		if ok != (len(code) <= SealedMost) {
			t.Fatalf("%d octets: %v", n, ok)
		}
		if !ok {
			break
		}
		if fits = n; len(code) == SealedMost {
			if _, err := r.OpenSealed("errand", code); err != nil {
				t.Error(err)
			}
		}
	}
	if fits < 2000 {
		t.Errorf("only %d octets fit", fits)
	}
	for name, s := range map[string]Spec{"no lifetime": {Kind: "errand"}, "a past one": {Kind: "errand", Lifetime: -time.Second}, "no kind": {Lifetime: time.Minute}} {
		if _, ok := r.Sealed(s); ok {
			t.Errorf("%s was made", name)
		}
	}
}

// A database that is put back gets new keys, and what was sealed before opens no more.
func TestSealedBeforeTheKeysWereChanged(t *testing.T) {
	r := setUp(t)
	code, _ := r.Sealed(Spec{Kind: "errand", Lifetime: time.Minute})
	if err := r.keys.RotateDataKey(t.Context(), audit.System("test"), keyring.Ticket); err != nil {
		t.Fatal(err)
	}
	if _, err := r.OpenSealed("errand", code); failure.ReasonOf(err) != "unknown-ticket" {
		t.Errorf("%v", err)
	}
}
