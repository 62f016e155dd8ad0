package testbed

import (
	"crypto/hmac"
	"crypto/md5"
	"slices"
)

// AnswersRADIUS reports whether a reply answers the request that had this authenticator, by
// both signatures: its Response Authenticator (RFC 2865 section 3), and a
// Message-Authenticator (RFC 3579 section 3.2), which must be its first attribute. It shares
// nothing with the server.
func AnswersRADIUS(reply []byte, secret string, request [16]byte) bool {
	const header, code, size = 20, 80, 18
	if len(reply) < header+size || reply[header] != code || reply[header+1] != size {
		return false
	}
	all := slices.Clone(reply)
	copy(all[4:], request[:])
	sum := md5.Sum(append(slices.Clone(all), secret...))
	clear(all[header+2 : header+size])
	mac := hmac.New(md5.New, []byte(secret))
	mac.Write(all)
	return hmac.Equal(sum[:], reply[4:header]) && hmac.Equal(mac.Sum(nil), reply[header+2:header+size])
}
