// Package events sends the audit log to other systems: syslog, OTLP, a signed webhook, and
// lines of JSON in a file.
//
// It owns the table destination, with how far each destination has come, the forms in which
// an entry leaves, and the receivers. It reads the log and never writes into the path of a
// sign-in: a destination that hangs holds up nothing but itself. Its neighbours are server,
// which makes the receivers from the configuration, and outside, which says what a webhook
// must not reach. Its one invariant: the position of a destination moves past an entry only
// after the receiver took it, so that an entry is sent again rather than lost.
package events
