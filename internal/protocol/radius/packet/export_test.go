package packet

import "crypto/subtle"

// ResponseAuthenticator lets the tests check replies of RFC 2865, which are
// older than the Message-Authenticator that VerifyReply demands.
func ResponseAuthenticator(s *Secret, raw []byte, request [16]byte) [16]byte {
	return s.response(raw, request)
}

// VerifyReply reports whether a reply answers the request with this
// authenticator: its Response Authenticator is right, and its
// Message-Authenticator too, which must be there.
func (s *Secret) VerifyReply(p Packet, request [16]byte) bool {
	if !s.usable() || p.mac == 0 {
		return false
	}
	want, got := s.response(p.raw, request), p.Authenticator()
	return subtle.ConstantTimeCompare(want[:], got[:]) == 1 && s.verifyMAC(p, request)
}
