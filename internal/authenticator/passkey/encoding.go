package passkey

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// octets are bytes that JSON carries as base64url without padding, in the one
// canonical way: whoever compares texts compares bytes.
type octets []byte

var rawURL = base64.RawURLEncoding.Strict()

func (o octets) MarshalText() ([]byte, error) { return rawURL.AppendEncode(nil, o), nil }

func (o *octets) UnmarshalText(text []byte) error {
	// The decoder skips line breaks, which would give one value many texts.
	if bytes.IndexByte(text, '\n') >= 0 || bytes.IndexByte(text, '\r') >= 0 {
		return errors.New("base64url with a line break")
	}
	decoded, err := rawURL.AppendDecode(nil, text)
	if err == nil {
		*o = decoded
	}
	return err
}

// String is the form that handles and challenges are compared in.
func (o octets) String() string { return rawURL.EncodeToString(o) }

// aaguid names a make and model of authenticator (section 6.5.1). Zero is
// unknown: a U2F key, or a key that will not say.
type aaguid [16]byte

func (g aaguid) String() string {
	h := hex.EncodeToString(g[:])
	return strings.Join([]string{h[:8], h[8:12], h[12:16], h[16:20], h[20:]}, "-")
}

func (g aaguid) MarshalText() ([]byte, error) { return []byte(g.String()), nil }

func (g *aaguid) UnmarshalText(text []byte) error {
	var decoded aaguid
	if len(text) != 36 || text[8] != '-' || text[13] != '-' || text[18] != '-' || text[23] != '-' {
		return fmt.Errorf("%q is not an AAGUID; write it as 2fc0579f-8113-47ea-b116-bb5a8db9202a", text)
	}
	digits := bytes.ReplaceAll(text, []byte("-"), nil)
	if n, err := hex.Decode(decoded[:], digits); err != nil || n != len(decoded) {
		return fmt.Errorf("%q is not an AAGUID; write it as 2fc0579f-8113-47ea-b116-bb5a8db9202a", text)
	}
	*g = decoded
	return nil
}

// parseModels reads a list of AAGUIDs. The zero one stands for no model at all,
// so a list that named it would name every anonymous key.
func parseModels(list []string) (map[aaguid]bool, error) {
	models := make(map[aaguid]bool, len(list))
	for _, text := range list {
		var g aaguid
		if err := g.UnmarshalText([]byte(text)); err != nil {
			return nil, err
		}
		if g == (aaguid{}) {
			return nil, errors.New("the zero AAGUID is no model and cannot be listed")
		}
		models[g] = true
	}
	return models, nil
}
