package radius

import "sync/atomic"

// Stats counts what the server did since it started. Every field may be read at
// any time. Each datagram ends in exactly one of the groups below Received.
type Stats struct {
	// Received counts datagrams.
	Received atomic.Uint64

	// Dropped in silence, because nobody who shares a secret with us sent them:
	// not RADIUS at all, from an address that no application lists, without or
	// with a wrong Message-Authenticator, or with Proxy-State and no
	// Message-Authenticator.
	Malformed, UnknownClient, Unauthenticated, Forged, ProxyState atomic.Uint64
	// OtherCode counts packets that this server does not answer: accounting,
	// and what a server sends.
	OtherCode atomic.Uint64
	// StatusServer counts Status-Server packets answered.
	StatusServer atomic.Uint64

	// Repeated counts retransmissions that got the remembered reply, InFlight
	// those whose first copy was still being decided, and Clashed requests
	// that reused an authenticator with other contents.
	Repeated, InFlight, Clashed atomic.Uint64
	// Overloaded counts requests dropped because the queue, the cache of
	// replies or the waiting room was full, and Late those that were dropped
	// because their client had given up before their turn came.
	Overloaded, Late atomic.Uint64

	// Accepted, Rejected and Challenged count replies decided by the engine.
	Accepted, Rejected, Challenged atomic.Uint64
	// Unsupported counts rejected requests for EAP, CHAP or MS-CHAP, and
	// StrayState those whose State was not ours, or not for this person.
	Unsupported, StrayState atomic.Uint64
	// Silent counts requests that got no reply because of a breakdown.
	Silent atomic.Uint64
	// SendFailed counts replies that the system would not send. They are
	// counted above too.
	SendFailed atomic.Uint64

	// Waiting is how many people are being waited for now, and Queued how many
	// requests wait for a worker.
	Waiting, Queued atomic.Int64
}
