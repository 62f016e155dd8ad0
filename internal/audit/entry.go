package audit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"time"
)

// Actor is who made a change: a person, "system", or an API key. It is what the log
// records and carries no rights.
type Actor struct {
	// Account is the number of the account, or zero for an actor without one.
	Account int64 `json:"account,omitempty"`
	// Name is the account's name, "system", or "api-key NAME".
	Name string `json:"name"`
	// Via is the interface that was used: "socket", "console", "radius", "browser", ...
	Via string `json:"via,omitempty"`
}

// System is the actor of changes that the server makes by itself.
func System(via string) Actor { return Actor{Name: "system", Via: via} }

// The outcomes an entry may have.
const (
	OK      = "ok"      // done
	Refused = "refused" // not allowed
	Failed  = "failed"  // an error occurred
)

// Self is the application of what is about Countersign itself.
const Self = "countersign"

// AddressText is an address as an entry has it in Source; empty for none. An IPv4 address that
// came as IPv6 is written as IPv4.
func AddressText(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.Unmap().String()
}

// Entry is one entry of the log. Encoding truncates strings to their limits (see the
// constants below) and replaces characters that do not print, so that input of
// strangers can neither fill nor forge the log. An entry never holds a secret.
type Entry struct {
	// Seq is the entry's number, its index in the tree, from 0. It is not part of
	// the body: the MAC and the tree bind it to the body. It is negative for an
	// entry that has no number yet.
	Seq int64 `json:"seq"`
	// At is the time of the event, to the microsecond.
	At    time.Time `json:"time"`
	Actor Actor     `json:"actor"`
	// Event is the type of the event, in dotted lower-case words: "signin.granted",
	// "credential.enrolled". It must not be empty.
	Event string `json:"event"`
	// Outcome is OK, Refused or Failed.
	Outcome string `json:"outcome"`
	// Account and AccountName are the account that it concerns.
	Account     int64  `json:"account,omitempty"`
	AccountName string `json:"account_name,omitempty"`
	// Application is what the person signed in to, and Protocol by which protocol.
	Application string `json:"application,omitempty"`
	Protocol    string `json:"protocol,omitempty"`
	// Source is the network address of the client.
	Source string `json:"source,omitempty"`
	// Action is the requested action with its object, if it was not a sign-in.
	// Reason is a stable word for why it was refused or failed.
	Action string `json:"action,omitempty"`
	Reason string `json:"reason,omitempty"`
	// Attempt is the same in all entries of one sign-in attempt.
	Attempt string `json:"attempt,omitempty"`
	// Versions lists the version of each row after the change, and the objects that it
	// ended: "account/7=13 session/x7f=over:1767000000". The store writes and reads it
	// to detect rows that were put back from an older copy.
	Versions string `json:"versions,omitempty"`
	// Detail holds all other facts, at most MaxDetail pairs. New facts go here, so
	// that an older release can still read the entry.
	Detail map[string]string `json:"detail,omitempty"`
}

// Limits of an entry, in bytes of UTF-8 unless said otherwise.
const (
	MaxEvent    = 64
	MaxText     = 256 // every string of an Entry and Actor without a limit of its own
	MaxKey      = 48  // the key of a detail
	MaxValue    = 512 // the value of a detail
	MaxDetail   = 24  // pairs of detail
	MaxVersions = 4096
	// MaxBody is the limit of an encoded entry: the sum of the others if every
	// byte had to be escaped, rounded up.
	MaxBody = 48 << 10
)

// timeForm writes every moment in the same number of bytes.
const timeForm = "2006-01-02T15:04:05.000000Z"

// Encode returns the entry's body, its leaf in the tree: JSON with the fields in
// a fixed order, details sorted, empty fields left out and no white space. It
// refuses an entry with an unknown outcome, a malformed event, a year outside
// 1..9999, more than MaxDetail details or a malformed name of one: those are
// programming errors. It truncates and cleans everything else.
func (e *Entry) Encode() ([]byte, error) {
	if err := e.Check(); err != nil {
		return nil, err
	}
	return e.Body(), nil
}

// Body is Encode for an entry that [Entry.Check] has accepted.
func (e *Entry) Body() []byte {
	b := make([]byte, 0, 512)
	b = append(b, `{"at":"`...)
	b = e.At.UTC().AppendFormat(b, timeForm)
	b = append(b, `","actor":`...)
	b = appendActor(b, e.Actor)
	b = appendField(b, "event", e.Event, MaxEvent)
	b = appendField(b, "outcome", e.Outcome, MaxText)
	b = appendNumber(b, "account", e.Account)
	b = appendField(b, "account_name", e.AccountName, MaxText)
	b = appendField(b, "application", e.Application, MaxText)
	b = appendField(b, "protocol", e.Protocol, MaxText)
	b = appendField(b, "source", e.Source, MaxText)
	b = appendField(b, "action", e.Action, MaxText)
	b = appendField(b, "reason", e.Reason, MaxText)
	b = appendField(b, "attempt", e.Attempt, MaxText)
	b = appendField(b, "versions", e.Versions, MaxVersions)
	b = appendDetail(b, e.Detail)
	return append(b, '}')
}

// Check returns why an entry cannot be encoded, or nil.
func (e *Entry) Check() error {
	switch e.Outcome {
	case OK, Refused, Failed:
	default:
		return fmt.Errorf("audit: outcome %q of event %q; use %s, %s or %s", e.Outcome, e.Event, OK, Refused, Failed)
	}
	if !validEvent(e.Event) {
		return fmt.Errorf("audit: event %q; use lower-case words with dots, at most %d bytes", e.Event, MaxEvent)
	}
	if y := e.At.UTC().Year(); y < 1 || y > 9999 || e.At.IsZero() {
		return errors.New("audit: an entry without a valid time")
	}
	if len(e.Detail) > MaxDetail {
		return fmt.Errorf("audit: %d details in event %q, more than %d", len(e.Detail), e.Event, MaxDetail)
	}
	for k := range e.Detail {
		if !validKey(k) {
			return fmt.Errorf("audit: a detail named %q in event %q; use plain ASCII, at most %d bytes", k, e.Event, MaxKey)
		}
	}
	return nil
}

func validEvent(s string) bool {
	if s == "" || len(s) > MaxEvent {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '.' && c != '-' {
			return false
		}
	}
	return true
}

// wire is an entry as encoding/json reads it back.
type wire struct {
	At          string            `json:"at"`
	Actor       Actor             `json:"actor"`
	Event       string            `json:"event"`
	Outcome     string            `json:"outcome"`
	Account     int64             `json:"account"`
	AccountName string            `json:"account_name"`
	Application string            `json:"application"`
	Protocol    string            `json:"protocol"`
	Source      string            `json:"source"`
	Action      string            `json:"action"`
	Reason      string            `json:"reason"`
	Attempt     string            `json:"attempt"`
	Versions    string            `json:"versions"`
	Detail      map[string]string `json:"detail"`
}

// ErrMalformed is returned for a body that Encode did not write.
var ErrMalformed = errors.New("audit: malformed entry")

// Decode parses a body. It accepts exactly what Encode writes: any other encoding
// of the same entry is ErrMalformed. Seq is left zero.
func Decode(body []byte) (Entry, error) {
	if len(body) > MaxBody {
		return Entry{}, fmt.Errorf("%w: %d bytes", ErrMalformed, len(body))
	}
	var w wire
	if err := json.Unmarshal(body, &w); err != nil {
		return Entry{}, fmt.Errorf("%w: %v", ErrMalformed, err)
	}
	at, err := time.Parse(timeForm, w.At)
	if err != nil {
		return Entry{}, fmt.Errorf("%w: its time", ErrMalformed)
	}
	e := Entry{At: at, Actor: w.Actor, Event: w.Event, Outcome: w.Outcome, Account: w.Account,
		AccountName: w.AccountName, Application: w.Application, Protocol: w.Protocol, Source: w.Source,
		Action: w.Action, Reason: w.Reason, Attempt: w.Attempt, Versions: w.Versions, Detail: w.Detail}
	again, err := e.Encode()
	if err != nil || !bytes.Equal(again, body) {
		return Entry{}, fmt.Errorf("%w: not in canonical form", ErrMalformed)
	}
	return e, nil
}
