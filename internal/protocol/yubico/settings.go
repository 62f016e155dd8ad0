package yubico

import (
	"encoding/base64"
	"encoding/json"
	"strings"

	"countersign/internal/application"
	"countersign/internal/failure"
)

// Protocol is the word of this room in applications, policy and the audit log.
const Protocol = "yubico"

// Settings are what an application of protocol "yubico" is configured with.
type Settings struct {
	// Clients are the programs that may ask; at least one.
	Clients []Client `json:"clients"`
}

// Client is one program, or one machine, with a key of its own.
type Client struct {
	// Name is what the audit log calls it.
	Name string `json:"name"`
	// ID is the number that it calls itself by, 1 to 2147483647; no two clients of
	// an installation share one.
	ID int `json:"id"`
	// Key signs its requests and our answers: 16 to 64 octets in base64.
	Key string `json:"key"`
}

const (
	minKey = 16
	maxKey = 64
)

// CheckSettings says in one sentence what is wrong with an application's
// settings, as an Invalid failure, before they are saved.
func CheckSettings(raw json.RawMessage) error {
	_, err := parseSettings(raw)
	return err
}

func parseSettings(raw json.RawMessage) (Settings, error) {
	var s Settings
	if err := application.ReadSettings(raw, &s); err != nil {
		return s, err
	}
	return s, s.check()
}

func (s Settings) check() error {
	if len(s.Clients) == 0 {
		return invalid("List at least one client: the programs that may ask.")
	}
	names, ids := map[string]bool{}, map[int]bool{}
	for _, c := range s.Clients {
		if err := c.check(); err != nil {
			return err
		}
		if names[c.Name] || ids[c.ID] {
			return invalid("Two clients have the name %q or the id %d.", c.Name, c.ID)
		}
		names[c.Name], ids[c.ID] = true, true
	}
	return nil
}

func (c Client) check() error {
	if c.Name == "" || len(c.Name) > 64 || strings.ContainsFunc(c.Name, func(r rune) bool { return r < 0x20 || r == 0x7f }) {
		return invalid("Every client needs a name of 1 to 64 printable characters.")
	}
	if c.ID < 1 || c.ID > 1<<31-1 {
		return invalid("The id of the client %q is a number from 1 to 2147483647.", c.Name)
	}
	key, err := c.key()
	if err != nil {
		return invalid("The key of the client %q is not base64.", c.Name)
	}
	if len(key) < minKey || len(key) > maxKey {
		return invalid("The key of the client %q must be %d to %d octets in base64; openssl rand -base64 20 makes one.", c.Name, minKey, maxKey)
	}
	return nil
}

func (c Client) key() ([]byte, error) { return base64.StdEncoding.Strict().DecodeString(c.Key) }

func invalid(format string, args ...any) error {
	return failure.New(failure.Invalid, format, args...)
}
