package audit

// Leaf is an entry as it is stored: its number, its body, and the MAC over both.
type Leaf struct {
	Seq  int64
	Body []byte
	MAC  []byte
}
