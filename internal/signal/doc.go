// Package signal tells other systems what happens to people here, and hears what they say happened
// there: shared signals (OpenID SSF 1.0, CAEP 1.0, RISC 1.0).
//
// It owns the tables signal_party (streams, which we send, and sources, which we hear) and
// signal_position (how far a stream has come). What is sent comes from the audit log, which has it
// in the same transaction as what happened: the log is the queue, and a position moves only after
// the receiver took what is before it. It serves nothing by itself: protocol/signals does, and
// admin/signal administers. Its neighbours are secevent, which writes and reads the tokens,
// outside, which says where a connection may go, and session, whose sessions end. Its one
// invariant: a signal that is heard only ever takes away - sessions end, an account is at risk - and
// never gives anything to anybody.
package signal
