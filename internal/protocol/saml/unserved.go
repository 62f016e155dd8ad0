package saml

import (
	"net/netip"

	"countersign/internal/protocol"
)

// malformed is the reason of what message could not read.
const malformed = "malformed"

// mends says of each refusal that an administrator can mend what is wrong and what to do.
var mends = map[string]string{
	"unknown-entity":  "A request came by an entity ID that no application has; compare the entity ID of the settings with the application's metadata.",
	"metadata-unread": "A request came of an application whose metadata could not be read from its address, or has expired; Test it now says why.",
	"unsigned":        "A request was not signed; have the application sign its requests, or allow unsigned ones in its settings.",
	"wrong-signature": "A request was signed by a key that is not registered; add the certificate that the application signs with to its settings.",
	"weak-signature":  "A request was signed with SHA-1 or another algorithm that is not believed; have the application sign with RSA and SHA-256.",
	"signature-shape": "A request has a signature that does not cover it whole; somebody may have tampered with it, or the application signs in an unusual way.",
	"destination":     "A request was made for another address; give the application the metadata of this server anew.",
	"late":            "A request was too old or from the future; set the application's clock.",
	"consumer":        "A request asks for its answer at an address that is not registered; add it to the addresses that take responses.",
	"binding":         "A request asks for its answer by another binding than HTTP-POST; have the application ask for that.",
	"no-logout":       "A request to sign out came from an application without a logout address; add its single logout service to the settings.",
	"logout-by-soap":  "The application was not told by SOAP that a session is over, and is told again some minutes later; look whether the address in logout_soap can be reached, and answers with a signature of the registered certificate.",
	malformed:         "A request could not be read as SAML 2.0; look whether the application speaks SAML 2.0, and whether something on the way changes what it sends.",
}

// miss tells administrators what was refused before the engine was asked.
func (d *provider) miss(from *party, cause string, source netip.Addr) {
	mend, known := mends[cause]
	if !known {
		return
	}
	app := ""
	if from != nil {
		app = from.app
	}
	if d.ears.Miss(protocol.Trouble{Protocol: Protocol, Cause: cause, Mend: mend, Application: app, From: source.Unmap()}, d.now()) && d.log != nil {
		d.log.Warn("a SAML request was refused: "+mend, "reason", cause, "application", app, "from", source)
	}
}
