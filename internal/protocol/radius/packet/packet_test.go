package packet_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"os"
	"strings"
	"testing"

	"countersign/internal/protocol/radius/packet"
)

// vector is one packet of testdata/vectors.txt.
type vector struct {
	name, answers string
	octets        []byte
}

func vectors(tb testing.TB) []vector {
	tb.Helper()
	text, err := os.ReadFile("testdata/vectors.txt")
	if err != nil {
		tb.Fatal(err)
	}
	var out []vector
	for line := range strings.Lines(string(text)) {
		switch line = strings.TrimSpace(line); {
		case line == "" || strings.HasPrefix(line, "#"):
		case strings.HasPrefix(line, "= "):
			name, answers, _ := strings.Cut(line[2:], " -> ")
			out = append(out, vector{name: name, answers: answers})
		default:
			octets, err := hex.DecodeString(strings.ReplaceAll(line, " ", ""))
			if err != nil {
				tb.Fatal(err)
			}
			v := &out[len(out)-1]
			v.octets = append(v.octets, octets...)
		}
	}
	return out
}

func named(tb testing.TB, name string) packet.Packet {
	tb.Helper()
	for _, v := range vectors(tb) {
		if v.name == name {
			return parse(tb, v.octets)
		}
	}
	tb.Fatalf("no vector %q", name)
	return packet.Packet{}
}

func parse(tb testing.TB, octets []byte) packet.Packet {
	tb.Helper()
	p, err := packet.Parse(octets)
	if err != nil {
		tb.Fatalf("Parse(%x): %v", octets, err)
	}
	return p
}

var xyzzy = packet.NewSecret([]byte("xyzzy5461"))

func TestRevealRFCPasswords(t *testing.T) {
	for name, want := range map[string]string{"telnet": "arctangent", "challenged": "challenge", "answered": "99101462"} {
		p := named(t, name)
		hidden, ok := p.Get(packet.UserPassword)
		if !ok {
			t.Fatalf("%s has no User-Password", name)
		}
		got, err := xyzzy.Reveal(nil, hidden, p.Authenticator())
		if err != nil || string(got) != want {
			t.Errorf("%s: password %q, %v; want %q", name, got, err, want)
		}
		again, err := xyzzy.Hide(nil, []byte(want), p.Authenticator())
		if err != nil || !bytes.Equal(again, hidden) {
			t.Errorf("%s: hidden again %x, %v; want %x", name, again, err, hidden)
		}
	}
}

func TestVerifyRFCStatusServer(t *testing.T) {
	if !xyzzy.VerifyRequest(named(t, "status")) {
		t.Error("the Message-Authenticator of RFC 5997 section 6.1 does not verify")
	}
	if xyzzy.VerifyRequest(named(t, "telnet")) {
		t.Error("a request without Message-Authenticator verifies")
	}
}

// reply puts an RFC's reply together again from its parts, without the
// Message-Authenticator that a Draft adds and the RFC's time did not know, to
// check the Response Authenticator.
func TestResponseAuthenticatorRFC(t *testing.T) {
	n := 0
	for _, v := range vectors(t) {
		if v.answers == "" {
			continue
		}
		n++
		request := named(t, v.answers).Authenticator()
		if got, want := packet.ResponseAuthenticator(xyzzy, v.octets, request), [16]byte(v.octets[4:20]); got != want {
			t.Errorf("%s: Response Authenticator %x, want %x", v.name, got, want)
		}
	}
	if n != 5 {
		t.Errorf("%d replies checked, want 5", n)
	}
}

func TestParseAttributesInOrder(t *testing.T) {
	var got []string
	for typ, value := range named(t, "telnet").All() {
		got = append(got, hex.EncodeToString(append([]byte{byte(typ)}, value...)))
	}
	want := "016e656d6f 020dbe708d93d413ce3196e43f782a0aee 04c0a80110 0500000003"
	if s := strings.Join(got, " "); s != want {
		t.Errorf("attributes\n%s, want\n%s", s, want)
	}
}

func header(length int, attributes ...byte) []byte {
	b := make([]byte, packet.HeaderLength, packet.HeaderLength+len(attributes))
	b[0], b[2], b[3] = byte(packet.AccessRequest), byte(length>>8), byte(length)
	return append(b, attributes...)
}

func TestParseRefuses(t *testing.T) {
	mac := append([]byte{80, 18}, make([]byte, 16)...)
	long := make([]byte, packet.MaxLength+1)
	copy(long, header(packet.MaxLength+1))
	for name, c := range map[string]struct {
		octets []byte
		want   error
	}{
		"nothing":                         {nil, packet.ErrShort},
		"19 octets":                       {header(19)[:19], packet.ErrShort},
		"Length 19":                       {header(19), packet.ErrLength},
		"Length 0":                        {header(0), packet.ErrLength},
		"Length 4097":                     {long, packet.ErrLength},
		"Length beyond the datagram":      {header(23, 1, 2), packet.ErrShort},
		"one octet of an attribute":       {header(21, 1), packet.ErrAttribute},
		"attribute length 0":              {header(22, 1, 0), packet.ErrAttribute},
		"attribute length 1":              {header(22, 1, 1), packet.ErrAttribute},
		"attribute beyond Length":         {header(23, 1, 4, 'a', 'b'), packet.ErrAttribute},
		"attribute type 0":                {header(22, 0, 2), packet.ErrType},
		"Message-Authenticator too short": {header(22, 80, 2), packet.ErrAuthenticator},
		"Message-Authenticator twice":     {header(56, append(mac, mac...)...), packet.ErrAuthenticator},
	} {
		if _, err := packet.Parse(c.octets); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

func TestParseAccepts(t *testing.T) {
	for name, octets := range map[string][]byte{
		"no attributes":           header(20),
		"padding":                 header(23, 1, 3, 'a', 0xff, 0xff),
		"padding that looks good": header(20, 1, 3, 'a'),
		"an empty value":          header(22, 1, 2),
		"MaxLength":               append(header(packet.MaxLength), bytes.Repeat([]byte{33, 2}, (packet.MaxLength-20)/2)...),
	} {
		p := parse(t, octets)
		if len(p.Bytes()) != int(octets[2])<<8|int(octets[3]) {
			t.Errorf("%s: %d octets kept", name, len(p.Bytes()))
		}
	}
	if _, ok := parse(t, header(20, 1, 3, 'a')).Get(packet.UserName); ok {
		t.Error("an attribute in the padding was read")
	}
}

func TestVendor(t *testing.T) {
	value := packet.Vendor(nil, 9, 1, []byte("shell:priv-lvl=15"))
	d := packet.Start(nil, packet.AccessRequest, 1)
	d.Add(packet.VendorSpecific, []byte{0, 0, 0})
	d.Add(packet.VendorSpecific, []byte{0, 0, 0, 9, 1, 0, 1, 1})
	d.Add(packet.VendorSpecific, value)
	octets, err := d.Request(xyzzy, [16]byte{1})
	if err != nil {
		t.Fatal(err)
	}
	p := parse(t, octets)
	if got, ok := p.Vendor(9, 1); !ok || string(got) != "shell:priv-lvl=15" {
		t.Errorf("Vendor(9, 1) = %q, %v", got, ok)
	}
	if _, ok := p.Vendor(9, 2); ok {
		t.Error("Vendor(9, 2) found something")
	}
	if _, ok := p.Vendor(311, 1); ok {
		t.Error("Vendor(311, 1) found something")
	}
}

func TestSecretsHide(t *testing.T) {
	if s := xyzzy.String() + xyzzy.GoString(); strings.Contains(s, "xyzzy") {
		t.Errorf("a secret prints as %q", s)
	}
	var none packet.Secret
	if none.VerifyRequest(named(t, "status")) {
		t.Error("the zero Secret verifies")
	}
	if packet.NewSecret(nil).VerifyRequest(named(t, "status")) {
		t.Error("the empty key verifies")
	}
	if _, err := none.Reveal(nil, make([]byte, 16), [16]byte{}); err == nil {
		t.Error("the zero Secret reveals")
	}
	d := packet.Start(nil, packet.AccessAccept, 1)
	if _, err := d.Reply(&none, [16]byte{}); err == nil {
		t.Error("the zero Secret signs")
	}
}

func TestPasswordLengths(t *testing.T) {
	for _, n := range []int{0, 1, 15, 16, 17, 32, 127, 128} {
		password := bytes.Repeat([]byte("p"), n)
		hidden, err := xyzzy.Hide(nil, password, [16]byte{9})
		if err != nil || len(hidden) == 0 || len(hidden)%16 != 0 {
			t.Fatalf("Hide of %d octets: %d octets, %v", n, len(hidden), err)
		}
		got, err := xyzzy.Reveal([]byte("x"), hidden, [16]byte{9})
		if err != nil || string(got) != "x"+string(password) {
			t.Errorf("Reveal of %d octets: %q, %v", n, got, err)
		}
	}
	if _, err := xyzzy.Hide(nil, make([]byte, 129), [16]byte{}); !errors.Is(err, packet.ErrPassword) {
		t.Errorf("Hide of 129 octets: %v", err)
	}
	for _, n := range []int{0, 1, 15, 17, 144} {
		if _, err := xyzzy.Reveal(nil, make([]byte, n), [16]byte{}); !errors.Is(err, packet.ErrPassword) {
			t.Errorf("Reveal of %d octets: %v", n, err)
		}
	}
}

func TestPasswordKeepsInnerNUL(t *testing.T) {
	hidden, err := xyzzy.Hide(nil, []byte("a\x00b\x00"), [16]byte{})
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := xyzzy.Reveal(nil, hidden, [16]byte{}); string(got) != "a\x00b" {
		t.Errorf("revealed %q", got)
	}
}
