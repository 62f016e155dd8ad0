package keyring

import "encoding/binary"

// Fields is a list of values to authenticate, encoded so that different lists are
// different bytes: each value has its type in front, and its length if that
// varies. Make it with [NewFields] or [LongFields]; the order matters.
type Fields struct{ b []byte }

// NewFields returns an empty list.
func NewFields() *Fields { return &Fields{b: make([]byte, 0, 128)} }

// LongFields is NewFields with room for hundreds of bytes, for lists that every sign-in
// makes.
func LongFields() *Fields { return &Fields{b: make([]byte, 0, 384)} }

// Int appends a number.
func (f *Fields) Int(n int64) *Fields { f.b = appendInt(f.b, n); return f }

// String appends a text.
func (f *Fields) String(s string) *Fields { f.b = appendString(f.b, s); return f }

// Bytes appends bytes. They differ from a text of the same bytes. Nil equals an empty
// slice.
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

// AAD is the place of a sealed value in the database, the additional authenticated
// data. The value opens only there, so values that somebody swaps do not open.
type AAD struct {
	// Table and Column are required.
	Table, Column string
	// Row is the row's number, and Key its name if it has no number. Both are
	// empty if the row is not known when the value is sealed.
	Row int64
	Key string
	// Account is the account that it belongs to, or 0.
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
