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

// Root is the key that everything hangs from. The zero Root is none and is
// refused. It prints as a placeholder whatever the verb.
type Root struct {
	key  [keySize]byte
	made bool
}

// NewRoot makes a Root at random.
func NewRoot() Root {
	r := Root{made: true}
	rand.Read(r.key[:])
	return r
}

// ErrRootText is a text that is not a root key. It never repeats the text.
var ErrRootText = errors.New("not a root key: one line of base64 that holds 32 bytes, besides lines that begin with #")

// maxRootText bounds a root key's file, in bytes.
const maxRootText = 4096

// ParseRoot reads what [Root.Text] writes. Empty lines and comments (#) are
// ignored; exactly one line remains, in standard base64.
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

// Text writes the key for its file.
func (r Root) Text() string {
	return "# Countersign root key. Whoever has it and the database can read every secret in it.\n" +
		"# Keep a copy elsewhere: without it the database cannot be opened.\n" +
		base64.StdEncoding.EncodeToString(r.key[:]) + "\n"
}

// Equal compares in constant time.
func (r Root) Equal(o Root) bool {
	return r.made == o.made && subtle.ConstantTimeCompare(r.key[:], o.key[:]) == 1
}

func (r Root) String() string { return "[root key]" }

// GoString, LogValue and MarshalText keep the key out of whatever prints values.
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
