// Package webpush sends one short message to one browser by way of its push
// service (RFC 8030), encrypted so that the service cannot read it (RFC 8291) and
// signed so that nobody else can send to the same browser (RFC 8292).
//
// It owns the encryption, the signature and the guard of the outgoing request.
// It keeps nothing and does not decide whom to wake: signin does, and cmd puts
// the two together. Its one invariant: an address that a browser named is never
// a way into our own network, because the address is the browser's choice and
// the request is ours.
package webpush
