// Package webpush sends one short message to one browser by way of its push
// service (RFC 8030), encrypted so that the service cannot read it (RFC 8291) and
// signed so that nobody else can send to the same browser (RFC 8292).
//
// It encrypts, signs and sends, and guards the outgoing request against server-side
// request forgery. It stores nothing; signin decides whom to wake. Invariant: the
// address that a browser named never leads into the server's own network, unless the
// configuration allows that network.
package webpush
