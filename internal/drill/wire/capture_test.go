package wire

import (
	"bytes"
	"encoding/binary"
	"os"
	"slices"
	"testing"
)

// frame is an Ethernet frame with a UDP datagram.
func frame(kind uint16, header []byte, payload string) []byte {
	b := binary.BigEndian.AppendUint16(make([]byte, 12), kind)
	b = append(b, header...)
	b = append(b, 0, 1, 0, 2)
	b = binary.BigEndian.AppendUint16(b, uint16(8+len(payload)))
	return append(append(b, 0, 0), payload...)
}

// A capture file is read as tcpdump writes it, in either order of octets, up to where it
// breaks off.
func TestReadCapture(t *testing.T) {
	v4 := frame(0x0800, append([]byte{0x46}, make([]byte, 23)...), "four") // with an option
	v6 := frame(0x86dd, make([]byte, 40), "six")
	arp := frame(0x0806, make([]byte, 28), "none")
	for _, order := range []binary.AppendByteOrder{binary.LittleEndian, binary.BigEndian} {
		file := append(order.AppendUint32(nil, 0xa1b2c3d4), make([]byte, 20)...)
		for _, f := range [][]byte{v4, arp, v6, v4[:30]} {
			file = append(file, make([]byte, 8)...)
			file = order.AppendUint32(order.AppendUint32(file, uint32(len(f))), uint32(len(f)))
			file = append(file, f...)
		}
		l := &listener{}
		l.read(bytes.NewReader(append(file, 1, 2, 3)))
		if len(l.all) != 2 || string(l.all[0]) != "four" || string(l.all[1]) != "six" {
			t.Errorf("%v: %q", order, l.all)
		}
	}
}

// What tcpdump captures is what was sent. Where it cannot, the tap has the same.
func TestListen(t *testing.T) {
	s := answering(t, "shared")
	p := play(s)
	s.tap = &tap{}
	ear := s.listen(t.Context())
	if _, err := s.ask(t.Context(), p, ask{name: "canary", password: "secret"}, false); err != nil {
		t.Fatal(err)
	}
	got, err := ear.heard(s.tap.all)
	if err != nil || len(got) != 1 || !slices.EqualFunc(got, s.tap.all, bytes.Equal) {
		t.Errorf("%s: %d of %d datagrams, %v", ear.how, len(got), len(s.tap.all), err)
	}
	t.Log(ear.how, "as user", os.Getuid())
}
