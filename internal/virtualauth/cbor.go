package virtualauth

import "encoding/binary"

// CBOR in the canonical form of CTAP2, as far as keys write it: the caller
// orders the members of maps.

func head(major byte, n uint64) []byte {
	switch {
	case n < 24:
		return []byte{major<<5 | byte(n)}
	case n < 1<<8:
		return []byte{major<<5 | 24, byte(n)}
	case n < 1<<16:
		return binary.BigEndian.AppendUint16([]byte{major<<5 | 25}, uint16(n))
	}
	return binary.BigEndian.AppendUint32([]byte{major<<5 | 26}, uint32(n))
}

func cborInt(n int) []byte {
	if n < 0 {
		return head(1, uint64(-1-n))
	}
	return head(0, uint64(n))
}

func cborBytes(b []byte) []byte { return append(head(2, uint64(len(b))), b...) }
func cborText(s string) []byte  { return append(head(3, uint64(len(s))), s...) }

func cborArray(items ...[]byte) []byte { return join(head(4, uint64(len(items))), items) }

// cborMap takes keys and values in turn.
func cborMap(items ...[]byte) []byte { return join(head(5, uint64(len(items)/2)), items) }

func join(out []byte, items [][]byte) []byte {
	for _, item := range items {
		out = append(out, item...)
	}
	return out
}
