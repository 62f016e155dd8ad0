package yubico

import (
	"net/http"

	"countersign/internal/protocol"
)

// mends says of each request that was not judged what is wrong and what to do. What the
// engine refused is in the audit log by itself.
var mends = map[string]string{
	"unreadable":           "A request cannot be read: a parameter came twice, or a POST has a query or is no form; look at the program that asks.",
	"missing-parameter":    "A request lacks its id, its otp or its nonce (16 to 40 letters and digits); programs of version 1 of the protocol, which have no nonce, ask at " + OldPath + ".",
	"no-signature":         "A request is not signed; type the client's key at the program, which then signs what it asks.",
	"no-such-client":       "No application has the client number that a program calls itself by; type the number of its client at the program.",
	"bad-signature":        "The signature of a request is wrong, so the client's key differs; type the same key at the program and here.",
	"no-one-time-password": "What was sent is nothing that a YubiKey types; look whether the program sends all of it and nothing else, and whether the touched slot has a Yubico one-time password.",
	"breakdown":            "This server failed to decide; the error is in its log.",
}

// miss tells administrators of a request that was not judged. Nothing that it holds is told:
// it can be what a person typed.
func (d *Service) miss(r *http.Request, v verdict) {
	mend, known := mends[v.cause]
	if !known {
		return
	}
	from := d.clients.Source(r).Unmap()
	if !d.ears.Miss(protocol.Trouble{Protocol: Protocol, Cause: v.cause, Mend: mend, Application: v.client.application, Client: v.client.name, From: from}, d.now()) || d.log == nil {
		return
	}
	if v.err != nil {
		d.log.Error("a request by Yubico's protocol was not served: "+mend, "reason", v.cause, "from", from, "application", v.client.application, "client", v.client.name, "error", v.err)
		return
	}
	d.log.Warn("a request by Yubico's protocol was not served: "+mend, "reason", v.cause, "from", from, "application", v.client.application, "client", v.client.name)
}
