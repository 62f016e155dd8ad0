package packet

// ResponseAuthenticator lets the tests check replies of RFC 2865, which are
// older than the Message-Authenticator that VerifyReply demands.
func ResponseAuthenticator(s *Secret, raw []byte, request [16]byte) [16]byte {
	return s.response(raw, request)
}
