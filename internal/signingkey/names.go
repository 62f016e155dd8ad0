package signingkey

import (
	"crypto/sha256"
	"encoding/base64"
)

// Subject is what an account is called in everything that is signed here (sub), by its handle: it
// stays when the account's name changes, and no other account is ever called so.
func Subject(handle []byte) string {
	sum := sha256.Sum256(append([]byte("countersign sub\x00"), handle...))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}

// SessionName names a session (sid) without its number.
func SessionName(number string) string {
	sum := sha256.Sum256([]byte("countersign sid\x00" + number))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}
