// Package secevent is the words of shared signals: Security Event Tokens (RFC 8417), the subjects
// that they are about (RFC 9493 and the complex subjects of the OpenID Shared Signals Framework
// 1.0), and the events of CAEP 1.0 and RISC 1.0.
//
// It owns how a token is written and what one must be to be believed. It has no clock, no network
// and no database, and it knows nobody: what a token comes to is for signal to say. Its one
// invariant: nothing of a token is returned before its signature was verified by a key of its
// issuer, with an algorithm that was allowed beforehand.
package secevent
