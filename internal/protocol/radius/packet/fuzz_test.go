package packet_test

import (
	"bytes"
	"testing"

	"countersign/internal/protocol/radius/packet"
)

// FuzzParse: no octets make Parse or a reader of its Packet panic, and what
// Parse accepts is again the same when its attributes are written one by one.
func FuzzParse(f *testing.F) {
	for _, v := range vectors(f) {
		f.Add(v.octets)
		f.Add(append(bytes.Clone(v.octets), 0, 0, 0))
	}
	f.Add(header(4096))
	f.Add(header(22, 80, 18))
	f.Add(header(32, 26, 12, 0, 0, 1, 55, 1, 6, 9, 9, 9, 9))
	f.Fuzz(func(t *testing.T, datagram []byte) {
		before := bytes.Clone(datagram)
		p, err := packet.Parse(datagram)
		if err != nil {
			return
		}
		rebuilt := bytes.Clone(p.Bytes()[:packet.HeaderLength])
		for typ, value := range p.All() {
			rebuilt = append(rebuilt, byte(typ), byte(2+len(value)))
			rebuilt = append(rebuilt, value...)
		}
		if !bytes.Equal(rebuilt, p.Bytes()) {
			t.Errorf("attributes %x, packet %x", rebuilt, p.Bytes())
		}
		xyzzy.VerifyRequest(p)
		xyzzy.VerifyReply(p, p.Authenticator())
		p.Vendor(311, 1)
		if hidden, ok := p.Get(packet.UserPassword); ok {
			_, _ = xyzzy.Reveal(nil, hidden, p.Authenticator())
		}
		if !bytes.Equal(before, datagram) {
			t.Error("reading changed the datagram")
		}
	})
}

// FuzzRoundTrip: what a Draft writes, Parse reads.
func FuzzRoundTrip(f *testing.F) {
	f.Add(byte(1), "ada", []byte("password"), []byte("state"), "Code from your app")
	f.Add(byte(0), "a\x00b", []byte{0}, []byte{}, "é")
	f.Fuzz(func(t *testing.T, id byte, name string, password, state []byte, text string) {
		authenticator := [16]byte{id, 2, 3}
		d := packet.Start(nil, packet.AccessRequest, id)
		d.Add(packet.UserName, []byte(name))
		d.Hide(xyzzy, password, authenticator)
		d.Add(packet.State, state)
		d.AddText(packet.ReplyMessage, text)
		octets, err := d.Request(xyzzy, authenticator)
		if err != nil {
			return
		}
		p := parse(t, octets)
		if !xyzzy.VerifyRequest(p) {
			t.Fatal("does not verify")
		}
		if got, _ := p.Get(packet.UserName); string(got) != name {
			t.Errorf("User-Name %q, want %q", got, name)
		}
		if got, _ := p.Get(packet.State); !bytes.Equal(got, state) {
			t.Errorf("State %q, want %q", got, state)
		}
		hidden, _ := p.Get(packet.UserPassword)
		got, err := xyzzy.Reveal(nil, hidden, authenticator)
		if err != nil || !bytes.Equal(got, bytes.TrimRight(password, "\x00")) {
			t.Errorf("password %q, %v; want %q", got, err, password)
		}
	})
}
