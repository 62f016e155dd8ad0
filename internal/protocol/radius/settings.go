package radius

import (
	"encoding/json"
	"time"

	"countersign/internal/application"
	"countersign/internal/failure"
)

// Protocol is the word of this room in applications, policy and the audit log.
const Protocol = "radius"

// Mode is how a sign-in is played.
type Mode string

const (
	// Challenge takes the password first, or nothing, and asks for the rest by
	// Access-Challenge.
	Challenge Mode = "challenge"
	// Appended takes password and code in one line.
	Appended Mode = "appended"
	// CodeOnly takes the code; whatever asks has checked the password itself.
	CodeOnly Mode = "code-only"
	// Wait takes the password and waits while the person acts elsewhere.
	Wait Mode = "wait"
)

// Settings are what an application of protocol "radius" is configured with.
type Settings struct {
	// Clients are the equipment that may ask; at least one.
	Clients []Client `json:"clients"`
	// Mode is challenge unless set.
	Mode Mode `json:"mode,omitempty"`
	// Separator stands between password and code in mode appended: one
	// character, split at the last. Without it the code is the last CodeDigits
	// characters.
	Separator string `json:"separator,omitempty"`
	// CodeDigits is 6 unless set, 4 to 10.
	CodeDigits int `json:"code_digits,omitempty"`
	// Timeout is for how many seconds the equipment waits for a reply, all its
	// retransmissions together: 5 unless set, 60 in mode wait; 2 to 120.
	Timeout int `json:"timeout,omitempty"`
	// Replies are what an Access-Accept carries: of the first entry that fits
	// the person's groups.
	Replies []Reply `json:"replies,omitempty"`
	// SourceAttribute names where the equipment puts the person's address:
	// Calling-Station-Id or Tunnel-Client-Endpoint. Without it the address is
	// unknown.
	SourceAttribute string `json:"source_attribute,omitempty"`
	// Bind says what a person must come back by within one sign-in: "nas", the
	// same client and NAS-Identifier or NAS address (unless set), or "client".
	Bind string `json:"bind,omitempty"`
	// Ports are the ports of ours that this application answers on; every one
	// unless set.
	Ports []int `json:"ports,omitempty"`
}

// Client is equipment, or a network of it, with one shared secret.
type Client struct {
	// Name is what the audit log calls it.
	Name string `json:"name"`
	// Networks are where it sends from: "10.0.0.5" or "10.0.0.0/24".
	Networks []string `json:"networks"`
	// Secret is the shared secret, 16 characters at least.
	Secret string `json:"secret"`
	// NASIdentifiers, when set, confine the entry to requests with one of these
	// in NAS-Identifier, so that a network can serve several applications.
	NASIdentifiers []string `json:"nas_identifiers,omitempty"`
	// Exception lets requests without Message-Authenticator in for a while: from this
	// machine, or from equipment that is listed address by address. Without it every
	// request must have one.
	Exception *Exception `json:"message_authenticator_exception,omitempty"`
}

// Exception is for a client that cannot send a Message-Authenticator.
type Exception struct {
	// Reason is why, for whoever reads the list of exceptions.
	Reason string `json:"reason"`
	// Expires is when it ends, 90 days from now at most.
	Expires time.Time `json:"expires"`
	// ProxyStates is how many Proxy-States such a request may bring: 0, unless a proxy is
	// between, to 3. Each has 16 octets at most, which is what proxies send: all together
	// are less than the one block of MD5 (64 octets) that a forged reply needs room for at
	// the very least (CVE-2024-3596 needs more than 400).
	ProxyStates int `json:"proxy_states,omitempty"`
}

// Reply is what the Access-Accept for people of some groups carries.
type Reply struct {
	// Groups: one of them fits; none at all fits everybody.
	Groups     []string    `json:"groups,omitempty"`
	Attributes []Attribute `json:"attributes"`
}

// Attribute is one attribute of an Access-Accept: one that has a name here, or any of a vendor
// by Vendor and Type.
type Attribute struct {
	// Name is an RFC's or a vendor's, in any case: Framed-Pool, Mikrotik-Group.
	Name string `json:"name,omitempty"`
	// Tag binds attributes of a tunnel or a VLAN together (RFC 2868 section 3): 1 to 31.
	Tag int `json:"tag,omitempty"`
	// Vendor is the vendor's enterprise number, Type its own for the attribute,
	// and Format what Value is: text (unless set), integer, address (IPv4), address6,
	// prefix6, interface-id or hex.
	Vendor uint32 `json:"vendor,omitempty"`
	Type   int    `json:"type,omitempty"`
	Format string `json:"format,omitempty"`
	// Value is in that format. A number may be in hexadecimal after 0x, and those of
	// Service-Type, Framed-Protocol, Termination-Action, Tunnel-Type and Tunnel-Medium-Type
	// have names.
	Value string `json:"value"`
}

const (
	maxExceptionAge = 90 * 24 * time.Hour
	maxProxyStates  = 3
	maxProxyState   = 16 // octets of one that an exception lets in
	minSecret       = 16
	maxSecret       = 256
	// maxReply leaves room for the Proxy-States of a request in its reply.
	maxReply = 2048
)

// CheckSettings says in one sentence what is wrong with an application's
// settings, as an Invalid failure, before they are saved.
func CheckSettings(raw json.RawMessage) error {
	s, err := parseSettings(raw)
	if err != nil {
		return err
	}
	return s.checkExceptions(time.Now())
}

// parseSettings reads strictly and fills in what is not set.
func parseSettings(raw json.RawMessage) (Settings, error) {
	var s Settings
	if err := application.ReadSettings(raw, &s); err != nil {
		return s, err
	}
	s.fillIn()
	return s, s.check()
}

func (s *Settings) fillIn() {
	if s.Mode == "" {
		s.Mode = Challenge
	}
	if s.CodeDigits == 0 {
		s.CodeDigits = 6
	}
	if s.Timeout == 0 && s.Mode == Wait {
		s.Timeout = 60
	}
	if s.Timeout == 0 {
		s.Timeout = 5
	}
	if s.Bind == "" {
		s.Bind = "nas"
	}
}

func (s *Settings) check() error {
	switch {
	case s.Mode != Challenge && s.Mode != Appended && s.Mode != CodeOnly && s.Mode != Wait:
		return invalid("Unknown mode %q; use challenge, appended, code-only or wait.", s.Mode)
	case s.Separator != "" && s.Mode != Appended:
		return invalid("A separator is for the mode appended only.")
	case len([]rune(s.Separator)) > 1:
		return invalid("The separator is one character, such as a comma.")
	case s.CodeDigits < 4 || s.CodeDigits > 10:
		return invalid("code_digits is 4 to 10.")
	case s.Timeout < 2 || s.Timeout > 120:
		return invalid("timeout is 2 to 120 seconds: as long as the equipment waits for a reply.")
	case s.Bind != "nas" && s.Bind != "client":
		return invalid("Unknown bind %q; use nas or client.", s.Bind)
	case s.SourceAttribute != "" && sourceAttributes[s.SourceAttribute] == 0:
		return invalid("source_attribute is Calling-Station-Id or Tunnel-Client-Endpoint.")
	case len(s.Clients) == 0:
		return invalid("List at least one client: the equipment that may ask.")
	}
	for _, port := range s.Ports {
		if port < 1 || port > 65535 {
			return invalid("%d is not a port.", port)
		}
	}
	if err := checkClients(s.Clients); err != nil {
		return err
	}
	for _, r := range s.Replies {
		if _, err := encode(r.Attributes); err != nil {
			return err
		}
	}
	return nil
}

func invalid(format string, args ...any) error {
	return failure.New(failure.Invalid, format, args...)
}
