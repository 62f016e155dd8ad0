package packet_test

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"layeh.com/radius"

	"countersign/internal/protocol/radius/packet"
)

// The other implementation reads what we write and writes what we read. It
// knows no Message-Authenticator, so that only the attribute's place is
// compared.

func TestOtherParserReadsOurs(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	key := []byte("a shared secret of ours")
	ours := packet.NewSecret(key)
	for range 2000 {
		authenticator := [16]byte(octets(random, 16))
		d := packet.Start(nil, packet.AccessRequest, byte(random.Uint32()))
		// The other parser ends a password at its first NUL; ours keeps it.
		password := bytes.ReplaceAll(octets(random, random.IntN(129)), []byte{0}, []byte{1})
		d.Hide(ours, password, authenticator)
		for range random.IntN(6) {
			d.Add(packet.Type(1+random.IntN(60)), octets(random, random.IntN(100)))
		}
		raw, err := d.Request(ours, authenticator)
		if err != nil {
			t.Fatal(err)
		}
		theirs, err := radius.Parse(raw, key)
		if err != nil {
			t.Fatalf("the other parser: %v", err)
		}
		compare(t, parse(t, raw), theirs)
		hidden := theirs.Get(radius.Type(packet.UserPassword))
		got, err := radius.UserPassword(hidden, key, authenticator[:])
		if err != nil || !bytes.Equal(got, password) {
			t.Fatalf("the other parser reveals %x, %v; want %x", got, err, password)
		}
		if !radius.IsAuthenticResponse(reply(t, ours, raw), raw, key) {
			t.Fatal("the other parser refuses our Response Authenticator")
		}
	}
}

func reply(t *testing.T, s *packet.Secret, request []byte) []byte {
	t.Helper()
	p := parse(t, request)
	d := packet.Start(nil, packet.AccessReject, p.Identifier())
	d.AddText(packet.ReplyMessage, "No")
	raw, err := d.Reply(s, p.Authenticator())
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestBothParsersAgreeOnNoise(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	accepted := 0
	for range 200000 {
		raw := header(0, octets(random, random.IntN(12))...)
		for i := packet.HeaderLength; i < len(raw); i++ {
			raw[i] &= 0x07 // so that lengths are small and often fit
		}
		raw[3] = byte(len(raw) - random.IntN(3))
		p, err := packet.Parse(raw)
		if err == nil {
			theirs, theirErr := radius.Parse(raw, []byte("secret"))
			if theirErr != nil {
				t.Fatalf("we read %x, the other parser does not: %v", raw, theirErr)
			}
			compare(t, p, theirs)
			accepted++
		}
	}
	if accepted < 1000 {
		t.Errorf("only %d packets were compared", accepted)
	}
}

func compare(t *testing.T, p packet.Packet, theirs *radius.Packet) {
	t.Helper()
	if byte(p.Code()) != byte(theirs.Code) || p.Identifier() != theirs.Identifier || p.Authenticator() != theirs.Authenticator {
		t.Fatalf("headers differ: %v and %v", p.Bytes(), theirs)
	}
	i := 0
	for typ, value := range p.All() {
		if i >= len(theirs.Attributes) || int(typ) != int(theirs.Attributes[i].Type) || !bytes.Equal(value, theirs.Attributes[i].Attribute) {
			t.Fatalf("attribute %d of %x differs", i, p.Bytes())
		}
		i++
	}
	if i != len(theirs.Attributes) {
		t.Fatalf("%d attributes, the other parser has %d", i, len(theirs.Attributes))
	}
}

func octets(random *rand.Rand, n int) []byte {
	out := make([]byte, n)
	for i := range out {
		out[i] = byte(random.Uint32())
	}
	return out
}
