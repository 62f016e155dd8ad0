package message

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"strings"
	"testing"
	"time"

	"countersign/internal/failure"
)

// Who may sign metadata is said by certificates or their SHA-256, four at most, and by nothing that
// only looks like one.
func TestPins(t *testing.T) {
	own := pairs().own.cert
	sum := sha256.Sum256(own.Raw)
	digits := hex.EncodeToString(sum[:])
	var colons []string
	for i := 0; i < len(digits); i += 2 {
		colons = append(colons, strings.ToUpper(digits[i:i+2]))
	}
	text := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: own.Raw}))
	for what, lines := range map[string][]string{
		"a SHA-256": {digits}, "with colons": {strings.Join(colons, ":")}, "a certificate": {base64.StdEncoding.EncodeToString(own.Raw)},
		"in PEM": strings.Split(text, "\n"), "two": {digits, strings.Repeat("ab", 32)},
	} {
		if _, err := ReadPins(lines); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	for what, lines := range map[string][]string{
		"none": nil, "an empty line": {""}, "a SHA-1": {digits[:40]}, "half": {digits[:62]}, "words": {"the usual one"}, "five": {digits, digits, digits, digits, digits},
		"a private key": strings.Split(strings.ReplaceAll(text, "CERTIFICATE", "PRIVATE KEY"), "\n"), "PEM and more": {text, "x"}, "no certificate": {base64.StdEncoding.EncodeToString([]byte("nothing of the kind"))},
	} {
		if _, err := ReadPins(lines); failure.ClassOf(err) != failure.Invalid {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// How long it holds is what it says itself, the shortest first.
func TestHowLongMetadataHolds(t *testing.T) {
	own := pairs().own
	pins, err := ReadPins([]string{base64.StdEncoding.EncodeToString(own.cert.Raw)})
	if err != nil {
		t.Fatal(err)
	}
	signed := func(root, role string) []byte {
		el := tree(t, strings.Replace(strings.Replace(party(consumers+key(` use="signing"`)), "<md:EntityDescriptor ", `<md:EntityDescriptor ID="_m" `+root+" ", 1), "<md:SPSSODescriptor ", "<md:SPSSODescriptor "+role+" ", 1))
		if err := sign(el, own.credential()); err != nil {
			t.Fatal(err)
		}
		b, err := write(el)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	for _, c := range []struct {
		root, role string
		until      time.Time
		keep       time.Duration
	}{
		{"", "", time.Time{}, 0},
		{`validUntil="2026-12-24T00:00:00Z" cacheDuration="P1DT2H3M4.5S"`, "", time.Date(2026, 12, 24, 0, 0, 0, 0, time.UTC), 26*time.Hour + 3*time.Minute + 4*time.Second},
		{`validUntil="2026-12-24T00:00:00Z" cacheDuration="P1Y"`, `validUntil="2026-12-06T00:00:00Z" cacheDuration="P1M"`, time.Date(2026, 12, 6, 0, 0, 0, 0, time.UTC), 30 * 24 * time.Hour},
	} {
		d, err := ReadSigned(signed(c.root, c.role), pins, began)
		if err != nil || !d.Until.Equal(c.until) || d.Keep != c.keep || d.Entity != spEntity || len(d.Keys) != 1 {
			t.Errorf("%s %s: %+v, %v", c.root, c.role, d, err)
		}
		if _, err := ReadParty(d.Covered); err != nil {
			t.Errorf("what is covered cannot be read: %v", err)
		}
	}
	one, _ := ReadSigned(signed(`validUntil="2026-12-24T00:00:00Z"`, ""), pins, began)
	two, _ := ReadSigned(signed(`validUntil="2026-12-25T00:00:00Z"`, ""), pins, began)
	if one.Meaning == "" || one.Meaning != two.Meaning {
		t.Error("the same for another day means something else")
	}
	for _, c := range []struct{ root, role string }{{`validUntil="2026-11-30T12:00:00Z"`, ""}, {"", `validUntil="2026-11-30T11:00:00Z"`}, {`validUntil="never"`, ""}, {`cacheDuration="P"`, ""}, {`cacheDuration="-P1D"`, ""}, {`cacheDuration="PT0S"`, ""}} {
		if _, err := ReadSigned(signed(c.root, c.role), pins, began); err == nil {
			t.Errorf("%s %s is taken", c.root, c.role)
		}
	}
}

// Whatever stands at an address, nothing breaks, and what is not signed is not read.
func FuzzReadSigned(f *testing.F) {
	f.Add(party(""))
	f.Add("<a/>")
	pins, err := ReadPins([]string{strings.Repeat("ab", 32)})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, document string) {
		if d, err := ReadSigned([]byte(document), pins, began); err == nil {
			t.Fatalf("%+v", d)
		}
		_, _ = ReadIdentity([]byte(document))
	})
}
