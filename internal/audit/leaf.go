package audit

// Leaf is an entry as it is stored: its number, its body, and the MAC over both.
type Leaf struct {
	Seq  int64
	Body []byte
	MAC  []byte
	// Columns are those that a store keeps for searching; nil means unknown. An export has
	// none.
	Columns *Columns
}

// Columns are an entry's time, in microseconds since 1970, and account. They are copies:
// the entry itself is authoritative.
type Columns struct{ At, Account int64 }
