package audit

// Leaf is an entry as it is stored: its number, its body, and the MAC over both.
type Leaf struct {
	Seq  int64
	Body []byte
	MAC  []byte
	// Beside is what a store keeps beside the entry to search it by; nil is not known. An
	// export has none.
	Beside *Columns
}

// Columns are what an entry says of its moment, in microseconds since 1970, and of whom it is
// about. They are copies: what counts is in the entry.
type Columns struct{ At, Account int64 }
