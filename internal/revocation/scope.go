package revocation

import (
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"slices"

	"golang.org/x/crypto/cryptobyte"
	der "golang.org/x/crypto/cryptobyte/asn1"
)

// The extensions of a CRL (RFC 5280 section 5.2).
var (
	crlNumber       = asn1.ObjectIdentifier{2, 5, 29, 20}
	deltaCRL        = asn1.ObjectIdentifier{2, 5, 29, 27}
	issuingPoint    = asn1.ObjectIdentifier{2, 5, 29, 28}
	authorityKeyID  = asn1.ObjectIdentifier{2, 5, 29, 35}
	errDelta        = errors.New("it is a delta CRL, which is not supported")
	errCritical     = errors.New("it has an unknown critical extension")
	errPoint        = errors.New("its issuing distribution point cannot be read")
	errPartial      = errors.New("it is an indirect CRL, or only for attributes or some reasons, which is not supported")
	errRelativeName = errors.New("its distribution point has a relative name, which is not supported")
)

// scope is which certificates a list is about, by its issuing distribution point
// (RFC 5280 section 5.2.5). The zero scope is all of its issuer's.
type scope struct {
	users, authorities bool
	// points are its addresses, when it has any: then it is about certificates
	// that name one of them.
	points []string
}

// covers reports whether a list is about a certificate of its issuer.
func (s scope) covers(c *x509.Certificate) bool {
	if s.users && c.IsCA || s.authorities && !c.IsCA {
		return false
	}
	return len(s.points) == 0 || slices.ContainsFunc(s.points, func(p string) bool { return slices.Contains(c.CRLDistributionPoints, p) })
}

func (s scope) equal(o scope) bool {
	return s.users == o.users && s.authorities == o.authorities && slices.Equal(s.points, o.points)
}

func scopeOf(r *x509.RevocationList) (scope, error) {
	var out scope
	for _, e := range r.Extensions {
		switch {
		case e.Id.Equal(deltaCRL):
			return out, errDelta
		case e.Id.Equal(issuingPoint):
			var err error
			if out, err = readPoint(e.Value); err != nil {
				return out, err
			}
		case e.Id.Equal(crlNumber), e.Id.Equal(authorityKeyID):
		case e.Critical:
			return out, errCritical
		}
	}
	return out, nil
}

// readPoint reads the extension:
//
//	IssuingDistributionPoint ::= SEQUENCE {
//	   distributionPoint          [0] DistributionPointName OPTIONAL,
//	   onlyContainsUserCerts      [1] BOOLEAN DEFAULT FALSE,
//	   onlyContainsCACerts        [2] BOOLEAN DEFAULT FALSE,
//	   onlySomeReasons            [3] ReasonFlags OPTIONAL,
//	   indirectCRL                [4] BOOLEAN DEFAULT FALSE,
//	   onlyContainsAttributeCerts [5] BOOLEAN DEFAULT FALSE }
func readPoint(value []byte) (scope, error) {
	var out scope
	in := cryptobyte.String(value)
	var body cryptobyte.String
	if !in.ReadASN1(&body, der.SEQUENCE) || !in.Empty() {
		return out, errPoint
	}
	for !body.Empty() {
		var one cryptobyte.String
		var tag der.Tag
		if !body.ReadAnyASN1(&one, &tag) {
			return out, errPoint
		}
		switch tag {
		case der.Tag(0).ContextSpecific().Constructed():
			var err error
			if out.points, err = readNames(one); err != nil {
				return out, err
			}
		case der.Tag(1).ContextSpecific():
			out.users = flag(one)
		case der.Tag(2).ContextSpecific():
			out.authorities = flag(one)
		case der.Tag(4).ContextSpecific(), der.Tag(5).ContextSpecific():
			if flag(one) {
				return out, errPartial
			}
		case der.Tag(3).ContextSpecific():
			return out, errPartial
		default:
			return out, errPoint
		}
	}
	if out.users && out.authorities {
		return out, errPoint
	}
	return out, nil
}

// flag reads a BOOLEAN's contents; what is not DER's false is true.
func flag(in cryptobyte.String) bool { return len(in) != 1 || in[0] != 0 }

// readNames reads a DistributionPointName: its full name, of which the addresses
// count. One that has other names only is about nothing that we can tell.
func readNames(in cryptobyte.String) ([]string, error) {
	var full cryptobyte.String
	if !in.ReadASN1(&full, der.Tag(0).ContextSpecific().Constructed()) || !in.Empty() {
		return nil, errRelativeName
	}
	var out []string
	for !full.Empty() {
		var one cryptobyte.String
		var tag der.Tag
		if !full.ReadAnyASN1(&one, &tag) {
			return nil, errPoint
		}
		if tag == der.Tag(6).ContextSpecific() {
			out = append(out, string(one))
		}
	}
	if len(out) == 0 {
		return nil, errPoint
	}
	return out, nil
}
