package keyring

import (
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"log/slog"
	"strings"
)

// keySize is the size of every key here, in bytes.
const keySize = 32

// Root is the root key, which wraps all data keys. The zero Root is no key and is
// refused. Every fmt verb prints a placeholder.
type Root struct {
	key  [keySize]byte
	made bool
}

// NewRoot returns a random Root.
func NewRoot() Root {
	r := Root{made: true}
	rand.Read(r.key[:])
	return r
}

// ErrRootText is returned for a text that is not a root key. It never holds the text.
var ErrRootText = errors.New("not a root key: one line of base64 that holds 32 bytes, besides lines that begin with #")

// maxRootText is the size in bytes of the largest root key file.
const maxRootText = 4096

// ParseRoot parses what [Root.Text] writes. It ignores empty lines and comments (#);
// exactly one line must remain, in standard base64.
func ParseRoot(text string) (Root, error) {
	if len(text) > maxRootText {
		return Root{}, ErrRootText
	}
	var found string
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		if found != "" {
			return Root{}, ErrRootText
		}
		found = line
	}
	b, err := base64.StdEncoding.Strict().DecodeString(found)
	if err != nil || len(b) != keySize {
		return Root{}, ErrRootText
	}
	r := Root{key: [keySize]byte(b), made: true}
	clear(b)
	if r.key == ([keySize]byte{}) {
		return Root{}, ErrRootText // a file of zeros is no secret
	}
	return r, nil
}

// Text returns the content of the key's file.
func (r Root) Text() string {
	return "# Countersign root key. Whoever has it and the database can read every secret in it.\n" +
		"# Keep a copy elsewhere: without it the database cannot be opened.\n" +
		base64.StdEncoding.EncodeToString(r.key[:]) + "\n"
}

// Equal compares two keys in constant time.
func (r Root) Equal(o Root) bool {
	return r.made == o.made && subtle.ConstantTimeCompare(r.key[:], o.key[:]) == 1
}

func (r Root) String() string { return "[root key]" }

// GoString, LogValue and MarshalText keep the key out of logs and encodings.
func (r Root) GoString() string             { return r.String() }
func (r Root) LogValue() slog.Value         { return slog.StringValue(r.String()) }
func (r Root) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// wrapper returns the cipher that wraps data keys.
func (r Root) wrapper() (cipher.AEAD, error) {
	if !r.made {
		return nil, errors.New("keyring: no root key was given")
	}
	return newAEAD(derive(r.key[:], nil, "countersign root: data keys v1"))
}

// derive is HKDF-SHA256 (RFC 5869): one key a purpose.
func derive(key, salt []byte, info string) []byte {
	out, err := hkdf.Key(sha256.New, key, salt, info, keySize)
	if err != nil {
		panic("keyring: " + err.Error()) // only for a length that HKDF cannot give
	}
	return out
}
