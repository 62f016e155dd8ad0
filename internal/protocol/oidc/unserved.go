package oidc

import (
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"countersign/internal/protocol"
)

// mends says of each refusal that an administrator can mend what is wrong and what to do.
var mends = map[string]string{
	"no-such-application": "A request names a client ID that no application has; compare it with the application's settings.",
	"no-such-address":     "A request names a redirect URI that is not among the application's; add it exactly as the client writes it, with its path and its port.",
	"no-proof":            "A client did not prove who it is; compare its secret, its key or its certificate and how it authenticates with the application's settings. A certificate arrives only where mutual_tls of the configuration says.",
	"no-certificate":      "A client did not show the certificate that its tokens are to be bound to: it must ask at the addresses of mtls_endpoint_aliases, and mutual_tls in the configuration says where these are.",
	"no-device":           "A client asked to have a device wait, which its settings do not let it (device).",
	"bad-grant":           "A client brought a code or a refresh token that is not good: used, expired, of another client, or without the right code verifier.",
	"bad-proof":           "A client did not show the key of its tokens (DPoP): its proof is missing, is not for our address, is older than a minute or was used before; compare its clock and the address by which it asks.",
	"no-app-passwords":    "A resource server asked about an app password for a service that its settings do not name; add it to app_passwords, or close it there for passwords.",
	"bad-request-object":  "A request is not signed as it must be: by a key of the application's settings, from the client for our address, good for ten minutes at most, and not used before.",
}

// untold is what to do when a client is not told that a session is over.
const untold = "The application was not told at its address for back-channel logout that a session is over: "

// notes are what administrators hear of requests.
type notes struct {
	ears *protocol.Ears
	log  *slog.Logger
	now  func() time.Time
}

// hear notes that an application sent a request of its own.
func (n *notes) hear(c client) { n.ears.Hear(c.app, n.now()) }

// miss tells administrators what was refused before the engine was asked. Nothing of the request
// is told.
func (n *notes) miss(cause, app string, source netip.Addr) {
	mend := mends[cause]
	worth := n.ears.Miss(protocol.Trouble{Protocol: Protocol, Cause: cause, Mend: mend, Application: app, From: source.Unmap()}, n.now())
	if worth && n.log != nil {
		n.log.Warn("an OpenID request was refused: "+mend, "reason", cause, "application", app, "from", source)
	}
}

// untold tells administrators that a client was not told that a session is over. It is tried again.
func (n *notes) untold(c client, why string) {
	mend := untold + why + " Compare the address with the application's manual, and list it under \"inside\" if it is in your network."
	if n.ears.Miss(protocol.Trouble{Protocol: Protocol, Cause: "logout-untold", Mend: mend, Application: c.app}, n.now()) && n.log != nil {
		n.log.Warn("an OpenID client was not told that a session is over", "application", c.app, "why", why)
	}
}

// fails notes a breakdown of ours.
func (n *notes) fails(err error) {
	if n.log != nil {
		n.log.Error("an OpenID request could not be answered", "error", err)
	}
}

// broken answers a client that something is wrong with us.
func (n *notes) broken(w http.ResponseWriter, err error) {
	n.fails(err)
	answerFault(w, http.StatusServiceUnavailable, errUnavailable)
}
