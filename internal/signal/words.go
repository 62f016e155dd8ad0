package signal

// The ways of delivery.
const (
	Push = "push" // RFC 8935
	Poll = "poll" // RFC 8936
)

// The states of a stream (SSF 1.0); a source is enabled or paused.
const (
	Enabled  = "enabled"
	Paused   = "paused"
	Disabled = "disabled"
)

// Whom a stream tells of.
const (
	Everybody = "everybody"
	Chosen    = "chosen"
)
