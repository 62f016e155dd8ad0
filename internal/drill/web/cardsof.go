package web

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"time"

	"countersign/internal/drill"
)

// others gives somebody a card of a trusted authority, and shows cards that are almost that
// one, and then that one, when it was revoked.
func (s cards) others(ctx context.Context, p *drill.Play, _ *drill.Canary) ([]drill.Try, error) {
	if p.Bed == nil || p.Down || p.Unguarded {
		return nil, nil
	}
	owner, err := p.Person(ctx)
	if err != nil {
		return nil, err
	}
	card, revoke := p.Bed.Card(owner.Name)
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: card.Certificate[0]})
	if err := p.Admin.Do(ctx, "certificate.assign", map[string]string{"account": owner.Name, "certificate": string(text), "note": "a drill"}, nil); err != nil {
		return nil, err
	}
	if b, in, err := s.presents(ctx, p, card); err != nil || !in {
		return nil, errors.Join(errors.New("the owner of a card is not let in with it, so that no other card shows anything: "+b.answer), err)
	}
	copied, err := likeness(card)
	if err != nil {
		return nil, err
	}
	unknown, _ := p.Bed.Card(owner.Name)
	var tries []drill.Try
	for _, c := range []struct {
		name string
		card *tls.Certificate
		do   func()
	}{
		{name: "a card of another authority with the same name, and the number of the owner's card", card: copied},
		{name: "the owner's certificate with another key", card: &tls.Certificate{Certificate: card.Certificate, PrivateKey: copied.PrivateKey}},
		{name: "a card in the owner's name that nobody added", card: unknown},
		{name: "the owner's card, which was revoked", card: card, do: revoke},
	} {
		if c.do != nil {
			c.do()
		}
		b, in, err := s.presents(ctx, p, c.card)
		tries = append(tries, b.tried(p, c.name, in, err))
	}
	return tries, nil
}

// presents signs in with a card and nothing else, and reports whether that lets anybody in.
func (s cards) presents(ctx context.Context, p *drill.Play, card *tls.Certificate) (*browser, bool, error) {
	b := attacker(p, s.server)
	err := b.get(ctx, s.server+"/sign-in")
	to := ""
	if err == nil {
		to, err = s.show(ctx, p, s.asked(b), card)
	}
	if err == nil && to != "" {
		err = b.get(ctx, to)
	}
	in, err := b.enters(ctx, err)
	return b, in, err
}

// likeness is a card with the subject and the number of another, of an authority of one's own
// that has the name of that card's.
func likeness(of *tls.Certificate) (*tls.Certificate, error) {
	leaf, err := x509.ParseCertificate(of.Certificate[0])
	if err != nil {
		return nil, err
	}
	own, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	above := &x509.Certificate{SerialNumber: big.NewInt(1), RawSubject: leaf.RawIssuer, NotBefore: time.Now().Add(-time.Hour), NotAfter: leaf.NotAfter, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	below := &x509.Certificate{SerialNumber: leaf.SerialNumber, RawSubject: leaf.RawSubject, Subject: pkix.Name{}, NotBefore: leaf.NotBefore, NotAfter: leaf.NotAfter, KeyUsage: leaf.KeyUsage, ExtKeyUsage: leaf.ExtKeyUsage}
	raw, err := x509.CreateCertificate(rand.Reader, below, above, key.Public(), own)
	return &tls.Certificate{Certificate: [][]byte{raw}, PrivateKey: key}, err
}
