package packet_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"countersign/internal/protocol/radius/packet"
)

func TestReplyVerifies(t *testing.T) {
	request := [16]byte{1, 2, 3}
	for _, code := range []packet.Code{packet.AccessAccept, packet.AccessReject, packet.AccessChallenge} {
		d := packet.Start(nil, code, 7)
		d.AddText(packet.ReplyMessage, "Hello")
		d.AddInteger(packet.SessionTimeout, 3600)
		octets, err := d.Reply(xyzzy, request)
		if err != nil {
			t.Fatal(err)
		}
		p := parse(t, octets)
		if p.Code() != code || p.Identifier() != 7 {
			t.Errorf("%v %d", p.Code(), p.Identifier())
		}
		if octets[packet.HeaderLength] != byte(packet.MessageAuthenticator) {
			t.Errorf("%v: Message-Authenticator is not first: %x", code, octets)
		}
		if !xyzzy.VerifyReply(p, request) {
			t.Errorf("%v does not verify", code)
		}
		everyBitMatters(t, octets, func(p packet.Packet) bool { return xyzzy.VerifyReply(p, request) })
	}
}

func TestRequestVerifies(t *testing.T) {
	authenticator := [16]byte{7, 7}
	d := packet.Start(nil, packet.AccessRequest, 1)
	d.Add(packet.UserName, []byte("ada"))
	d.Hide(xyzzy, []byte("pass"), authenticator)
	octets, err := d.Request(xyzzy, authenticator)
	if err != nil {
		t.Fatal(err)
	}
	if !xyzzy.VerifyRequest(parse(t, octets)) {
		t.Fatal("does not verify")
	}
	if packet.NewSecret([]byte("xyzzy5462")).VerifyRequest(parse(t, octets)) {
		t.Error("verifies under another secret")
	}
	everyBitMatters(t, octets, xyzzy.VerifyRequest)
}

// everyBitMatters flips each bit of octets in turn.
func everyBitMatters(t *testing.T, octets []byte, verify func(packet.Packet) bool) {
	t.Helper()
	for i := range len(octets) * 8 {
		changed := bytes.Clone(octets)
		changed[i/8] ^= 1 << (i % 8)
		if p, err := packet.Parse(changed); err == nil && verify(p) {
			t.Errorf("verifies with bit %d of octet %d turned", i%8, i/8)
		}
	}
}

func TestReplyWithoutMessageAuthenticatorIsRefused(t *testing.T) {
	p := named(t, "telnet-accept")
	if xyzzy.VerifyReply(p, named(t, "telnet").Authenticator()) {
		t.Error("a reply without Message-Authenticator verifies")
	}
}

func TestProxyStateIsCopiedInOrder(t *testing.T) {
	in := packet.Start(nil, packet.AccessRequest, 1)
	in.Add(packet.ProxyState, []byte("first"))
	in.Add(packet.UserName, []byte("ada"))
	in.Add(packet.ProxyState, nil)
	in.Add(packet.ProxyState, []byte("third"))
	octets, err := in.Request(xyzzy, [16]byte{1})
	if err != nil {
		t.Fatal(err)
	}
	out := packet.Start(nil, packet.AccessReject, 1)
	out.AddAll(parse(t, octets), packet.ProxyState)
	octets, err = out.Reply(xyzzy, [16]byte{1})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for typ, value := range parse(t, octets).All() {
		if typ == packet.ProxyState {
			got = append(got, string(value))
		}
	}
	if s := strings.Join(got, ","); s != "first,,third" {
		t.Errorf("Proxy-State %q", s)
	}
}

func TestDraftRefusesWhatIsTooLong(t *testing.T) {
	d := packet.Start(nil, packet.AccessAccept, 1)
	d.Add(packet.Class, make([]byte, 254))
	if _, err := d.Reply(xyzzy, [16]byte{}); !errors.Is(err, packet.ErrTooLong) {
		t.Errorf("a value of 254: %v", err)
	}
	d = packet.Start(nil, packet.AccessAccept, 1)
	for range 17 {
		d.Add(packet.Class, make([]byte, 253))
	}
	if _, err := d.Reply(xyzzy, [16]byte{}); !errors.Is(err, packet.ErrTooLong) {
		t.Errorf("a packet beyond 4096: %v", err)
	}
	d = packet.Start(nil, packet.AccessAccept, 1)
	d.AddText(packet.ReplyMessage, strings.Repeat("x", 4096))
	if _, err := d.Reply(xyzzy, [16]byte{}); !errors.Is(err, packet.ErrTooLong) {
		t.Errorf("a text beyond 4096: %v", err)
	}
	d = packet.Start(nil, packet.AccessAccept, 1)
	d.AddEncoded(make([]byte, 4090))
	if _, err := d.Reply(xyzzy, [16]byte{}); !errors.Is(err, packet.ErrTooLong) {
		t.Errorf("attributes beyond 4096: %v", err)
	}
}

func TestAddTextCutsBetweenCharacters(t *testing.T) {
	for _, text := range []string{"", "short", strings.Repeat("é", 400), "a" + strings.Repeat("日", 300), strings.Repeat("\x80", 600)} {
		d := packet.Start(nil, packet.AccessChallenge, 1)
		d.AddText(packet.ReplyMessage, text)
		octets, err := d.Reply(xyzzy, [16]byte{})
		if err != nil {
			t.Fatal(err)
		}
		var whole string
		for typ, value := range parse(t, octets).All() {
			if typ != packet.ReplyMessage {
				continue
			}
			if utf8.ValidString(text) && !utf8.Valid(value) {
				t.Errorf("a character was cut: %q", value)
			}
			whole += string(value)
		}
		if whole != text {
			t.Errorf("%q became %q", text, whole)
		}
	}
}
