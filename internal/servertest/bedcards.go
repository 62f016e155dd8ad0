package servertest

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"time"

	"countersign/internal/drill"
	"countersign/internal/drill/web"
	"countersign/internal/testbed"
)

// lasting is longer than a drill moves the clock.
const lasting = 5 * 365 * 24 * time.Hour

// reader is where cards are shown, as a drill meets it.
func (c *CardTable) reader(host string) drill.Component {
	return web.Server(c.Base).Cards(web.CardReader{URL: "https://" + host, Connect: c.Endpoint})
}

// Card issues a card of the guarded stage's authority, and returns how it is put on the
// authority's list.
func (b *Bed) Card(name string) (card *tls.Certificate, revoke func()) {
	key := testbed.NewKey(b.T)
	made := b.cards.Staff.Issue(name, key.Public(), func(x *x509.Certificate) { x.NotAfter = time.Now().Add(lasting) })
	publish := func() {
		if err := os.WriteFile(b.cards.Crl, b.cards.Staff.CRL(lasting), 0o600); err != nil {
			b.T.Fatal(err)
		}
	}
	publish()
	return CardOf(made, key), func() { b.cards.Staff.Revoke(made); publish() }
}
