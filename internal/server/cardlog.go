package server

import (
	"log"
	"log/slog"
	"net/netip"
	"strings"
	"time"

	"countersign/internal/protocol"
)

// cardTroubles are the failures of a handshake that an administrator can mend: a part of
// the error that crypto/tls reports, the cause, and what to do. The first that fits counts.
var cardTroubles = []struct{ part, cause, mend string }{
	{"unsupported versions", "card-tls-version", "The browser does not offer the version of TLS that the address for smart cards speaks; update the browser, or switch TLS 1.3 on there (TLS 1.2 where certificates.tls_version says so)."},
	{"invalid signature", "card-signature", "The card's signature is not right; update the card's middleware, or use another card."},
	{"signature algorithm", "card-signature", "The card or its middleware cannot sign as TLS 1.3 demands (RSA-PSS or ECDSA); update the middleware, use another card, or set certificates.tls_version to 1.2."},
	{"parse client certificate", "card-certificate", "The card's certificate is malformed; ask the authority that issued it for another one."},
	{"remote error: tls: handshake failure", "card-signature", "The browser or the card gave up; look whether its middleware can sign as TLS 1.3 demands (RSA-PSS or ECDSA), and set certificates.tls_version to 1.2 where it cannot."},
	{"remote error: tls: unknown certificate", "card-server-certificate", "The browser does not trust the certificate of the address for smart cards; set one that browsers trust in certificates.tls."},
	{"remote error: tls: bad certificate", "card-server-certificate", "The browser does not take the certificate of the address for smart cards; set one that browsers trust in certificates.tls."},
	{"remote error: tls: expired certificate", "card-server-certificate", "The certificate of the address for smart cards has expired; renew it."},
}

// cardFailures is what the server for cards writes its errors to. Handshakes that failed
// for a known cause are warnings, once a minute each; everything else, such as scans, is
// for developers.
type cardFailures struct {
	log  *slog.Logger
	ears *protocol.Ears
	now  func() time.Time
}

func (c cardFailures) logger() *log.Logger { return log.New(c, "", 0) }

// Write takes one line of net/http. It never fails.
func (c cardFailures) Write(line []byte) (int, error) {
	says := strings.TrimSpace(string(line))
	from, why, _ := strings.Cut(strings.TrimPrefix(says, "http: TLS handshake error from "), ": ")
	address, err := netip.ParseAddrPort(from)
	if err == nil {
		for _, t := range cardTroubles {
			if strings.Contains(why, t.part) {
				c.tell(protocol.Trouble{Protocol: "certificate", Cause: t.cause, Mend: t.mend, From: address.Addr().Unmap()}, why)
				return len(line), nil
			}
		}
	}
	c.log.Debug(says)
	return len(line), nil
}

func (c cardFailures) tell(t protocol.Trouble, why string) {
	if c.ears.Miss(t, c.now()) {
		c.log.Warn("a smart card could not be shown: "+t.Mend, "reason", t.Cause, "from", t.From, "error", why)
	}
}
