package keyring

import "encoding/binary"

// Fields is a list of values to authenticate, written so that no two lists are
// the same bytes: each value has its type before it, and its length where that
// varies. Make it with [NewFields] or [LongFields]; the order matters.
type Fields struct{ b []byte }

// NewFields returns an empty list.
func NewFields() *Fields { return &Fields{b: make([]byte, 0, 128)} }

// LongFields is NewFields for a list of hundreds of bytes that every sign-in makes: it
// does not grow in steps.
func LongFields() *Fields { return &Fields{b: make([]byte, 0, 384)} }

// Int adds a number.
func (f *Fields) Int(n int64) *Fields { f.b = appendInt(f.b, n); return f }

// String adds a text.
func (f *Fields) String(s string) *Fields { f.b = appendString(f.b, s); return f }

// Bytes adds bytes. They are not the same as a text of the same bytes, and nil is
// the same as none.
func (f *Fields) Bytes(p []byte) *Fields {
	f.b = append(f.b, 'b')
	f.b = binary.BigEndian.AppendUint64(f.b, uint64(len(p)))
	f.b = append(f.b, p...)
	return f
}

func appendInt(b []byte, n int64) []byte {
	return binary.BigEndian.AppendUint64(append(b, 'i'), uint64(n))
}

func appendString(b []byte, s string) []byte {
	b = binary.BigEndian.AppendUint64(append(b, 's'), uint64(len(s)))
	return append(b, s...)
}

// AAD says where a sealed value lives. It opens there and nowhere else, so rows
// and columns that somebody swaps in the database do not open.
type AAD struct {
	// Table and Column are required.
	Table, Column string
	// Row is the row's number, and Key its name where it has no number; both
	// empty where the row is not known when it is sealed.
	Row int64
	Key string
	// Account is whose it is, 0 for nobody's.
	Account int64
}

func (a AAD) append(b []byte) []byte {
	if a.Table == "" || a.Column == "" {
		panic("keyring: an AAD without table or column binds nothing")
	}
	b = appendString(b, a.Table)
	b = appendString(b, a.Column)
	b = appendInt(b, a.Row)
	b = appendString(b, a.Key)
	return appendInt(b, a.Account)
}
