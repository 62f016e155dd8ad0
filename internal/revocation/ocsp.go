package revocation

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"net/http"
	"slices"
	"time"

	"golang.org/x/crypto/cryptobyte"
	der "golang.org/x/crypto/cryptobyte/asn1"
	"golang.org/x/crypto/ocsp"
)

// nonceID is id-pkix-ocsp-nonce (RFC 6960 section 4.4.1, RFC 9654).
var nonceID = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 2}

const nonceSize = 32

// ask asks the responder about one certificate.
func (c *Checker) ask(ctx context.Context, s Source, cert, issuer *x509.Certificate) error {
	nonce := make([]byte, nonceSize)
	rand.Read(nonce)
	body, err := question(cert, issuer, nonce)
	if err != nil {
		return refuse(Malformed, "no question can be made of it: %v", err)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.OCSP, bytes.NewReader(body))
	if err != nil {
		return refuse(Unreachable, "the responder's address is not one")
	}
	r.Header.Set("Content-Type", "application/ocsp-request")
	r.Header.Set("Accept", "application/ocsp-response")
	answer, err := c.get(r, largestAnswer, "application/ocsp-response")
	if err != nil {
		return err
	}
	return judge(answer, cert, issuer, nonce, s.AnyNonce, c.now())
}

// question is an OCSPRequest with a nonce, which the library's has not: its bytes
// are kept and the extension is added (RFC 6960 section 4.1.1).
func question(cert, issuer *x509.Certificate, nonce []byte) ([]byte, error) {
	bare, err := ocsp.CreateRequest(cert, issuer, nil)
	if err != nil {
		return nil, err
	}
	in := cryptobyte.String(bare)
	var outer, tbs cryptobyte.String
	if !in.ReadASN1(&outer, der.SEQUENCE) || !outer.ReadASN1(&tbs, der.SEQUENCE) {
		return nil, errors.New("the library's question cannot be read")
	}
	value, err := asn1.Marshal(nonce)
	if err != nil {
		return nil, err
	}
	extensions, err := asn1.Marshal([]pkix.Extension{{Id: nonceID, Value: value}})
	if err != nil {
		return nil, err
	}
	var b cryptobyte.Builder
	b.AddASN1(der.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(der.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddBytes(tbs)
			b.AddASN1(der.Tag(2).ContextSpecific().Constructed(), func(b *cryptobyte.Builder) { b.AddBytes(extensions) })
		})
	})
	return b.Bytes()
}

// judge reads a responder's answer (RFC 6960 section 3.2).
func judge(answer []byte, cert, issuer *x509.Certificate, nonce []byte, anyNonce bool, now time.Time) error {
	r, err := ocsp.ParseResponseForCert(answer, cert, issuer)
	var status ocsp.ResponseError
	var parse ocsp.ParseError
	switch {
	case errors.As(err, &status):
		return refuse(Unreachable, "the responder says: %v", status.Status)
	case errors.As(err, &parse) && bytes.Contains([]byte(parse), []byte("signature")):
		return refuse(Forged, "the answer's signature is wrong")
	case err != nil:
		return refuse(Malformed, "the answer cannot be read: %v", err)
	}
	if err := responder(r, cert, issuer, now); err != nil {
		return err
	}
	switch got, err := nonceOf(r.TBSResponseData); {
	case err != nil:
		return refuse(Malformed, "the answer's extensions cannot be read")
	case got == nil && anyNonce:
	case got == nil:
		return refuse(Stale, "the answer has no nonce, so it may be an old one; see ocsp_nonce")
	case !bytes.Equal(got, nonce):
		return refuse(Stale, "the answer is to another question")
	}
	switch {
	case r.ThisUpdate.After(now.Add(skew)):
		return refuse(Stale, "the answer is from the future, %s", r.ThisUpdate.UTC().Format(time.RFC3339))
	case r.NextUpdate.IsZero() && now.Sub(r.ThisUpdate) > skew, !r.NextUpdate.IsZero() && !now.Before(r.NextUpdate):
		return refuse(Stale, "the answer is of %s", r.ThisUpdate.UTC().Format(time.RFC3339))
	}
	switch r.Status {
	case ocsp.Good:
		return nil
	case ocsp.Revoked:
		return refuse(Revoked, "since %s, says OCSP", r.RevokedAt.UTC().Format(time.RFC3339))
	}
	return refuse(Unknown, "the responder does not know the certificate")
}

// responder checks who signed: the issuer, or one to whom the issuer gave just that
// (RFC 6960 section 4.2.2.2). The library checks that the issuer signed the
// signer's certificate, which any person's certificate is, and no more.
func responder(r *ocsp.Response, cert, issuer *x509.Certificate, now time.Time) error {
	signer := r.Certificate
	switch {
	case signer == nil || signer.Equal(issuer):
		return nil
	case signer.Equal(cert) || !slices.Contains(signer.ExtKeyUsage, x509.ExtKeyUsageOCSPSigning):
		return refuse(Forged, "it is signed by %q, who may not", signer.Subject)
	case !bytes.Equal(signer.RawIssuer, issuer.RawSubject):
		return refuse(Forged, "its signer is of another authority")
	case now.Before(signer.NotBefore) || now.After(signer.NotAfter):
		return refuse(Forged, "its signer's certificate is not valid now")
	}
	return nil
}

// nonceOf returns the nonce of an answer, which the library skips; nil for none.
//
//	ResponseData ::= SEQUENCE {
//	   version            [0] EXPLICIT Version DEFAULT v1,
//	   responderID            ResponderID,
//	   producedAt             GeneralizedTime,
//	   responses              SEQUENCE OF SingleResponse,
//	   responseExtensions [1] EXPLICIT Extensions OPTIONAL }
func nonceOf(data []byte) ([]byte, error) {
	bad := errors.New("revocation: the answer cannot be read")
	in := cryptobyte.String(data)
	var body, responder, extensions cryptobyte.String
	var tag der.Tag
	if !in.ReadASN1(&body, der.SEQUENCE) || !in.Empty() || !body.SkipOptionalASN1(der.Tag(0).ContextSpecific().Constructed()) {
		return nil, bad
	}
	// The responder's identity is [1] or [2]; the version before it is the default.
	if !body.ReadAnyASN1(&responder, &tag) || !body.SkipASN1(der.GeneralizedTime) || !body.SkipASN1(der.SEQUENCE) {
		return nil, bad
	}
	if body.Empty() {
		return nil, nil
	}
	if !body.ReadASN1(&extensions, der.Tag(1).ContextSpecific().Constructed()) || !body.Empty() {
		return nil, bad
	}
	var all []pkix.Extension
	if rest, err := asn1.Unmarshal(extensions, &all); err != nil || len(rest) > 0 {
		return nil, bad
	}
	var nonce []byte
	for _, e := range all {
		switch {
		case e.Id.Equal(nonceID) && nonce == nil:
			if rest, err := asn1.Unmarshal(e.Value, &nonce); err != nil || len(rest) > 0 || len(nonce) == 0 {
				return nil, bad
			}
		case e.Id.Equal(nonceID), e.Critical:
			return nil, bad
		}
	}
	return nonce, nil
}
