package signal

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/failure"
	"countersign/internal/outside"
	"countersign/internal/secevent"
	"countersign/internal/signingkey"
	"countersign/internal/store"
	"countersign/internal/text"
)

// StreamSettings are what an administrator, or the receiver itself, sets of a stream.
type StreamSettings struct {
	// Audience is what its tokens are for (aud): 1 to 4 texts.
	Audience []string `json:"audience"`
	Delivery string   `json:"delivery"`
	// Endpoint is where tokens are pushed to: https, or http on this machine.
	Endpoint string `json:"endpoint,omitempty"`
	// Authorization is the value of that header in each push: a secret.
	Authorization string `json:"authorization,omitempty"`
	// Events are the types that are sent, and Requested those that the receiver asked for: of these,
	// what cannot be sent is left out of Events. Empty is the same.
	Events    []string `json:"events"`
	Requested []string `json:"requested,omitempty"`
	// Format is that of subjects: iss_sub, account, email or opaque.
	Format string `json:"format"`
	// Subjects is [Everybody], or [Chosen] for those who were added.
	Subjects    string `json:"subjects"`
	Algorithm   string `json:"algorithm"`
	Description string `json:"description,omitempty"`
}

// Stream is a stream to a receiver, with what became of it.
type Stream struct {
	StreamSettings
	Name string `json:"-"`
	// ID names it to its receiver, and is of no use to anybody else.
	ID string `json:"id"`
	// Receiver is the service account whose keys may manage and poll it; 0 is none.
	Receiver assurance.AccountID `json:"receiver,omitempty"`
	Status   string              `json:"status"`
	Reason   string              `json:"reason,omitempty"`
	// Changes counts the changes of its status that we made; its receiver is told of each.
	Changes int64 `json:"changes,omitempty"`
	// Added are those whom a chosen stream tells of, and Removed those of whom one of everybody is
	// silent.
	Added   []assurance.AccountID `json:"added,omitempty"`
	Removed []assurance.AccountID `json:"removed,omitempty"`
	// Begun is the entry of the log that it began with.
	Begun   int64     `json:"begun"`
	Created time.Time `json:"created"`
	// Asked is when a verification was asked for last.
	Asked time.Time `json:"asked,omitzero"`

	party party
}

// Streams are the streams that we send. It is safe for concurrent use.
type Streams struct {
	parties *parties
	inside  outside.Listed
}

func (p party) stream() (Stream, bool) {
	s := Stream{Name: p.name, party: p}
	return s, p.kind == streamKind && json.Unmarshal(p.payload, &s) == nil
}

// All are the streams, by name.
func (s *Streams) All(ctx context.Context) ([]Stream, error) {
	all, err := s.parties.all(ctx)
	return streamsOf(all), err
}

// AllIn are the streams as a change sees them.
func (s *Streams) AllIn(ctx context.Context, r store.Reader) ([]Stream, error) {
	all, err := s.parties.read(ctx, r)
	return streamsOf(all), err
}

func streamsOf(all []party) []Stream {
	var out []Stream
	for _, p := range all {
		if one, ok := p.stream(); ok {
			out = append(out, one)
		}
	}
	return out
}

// ByID returns the stream that its receiver knows by this name, or NotFound.
func (s *Streams) ByID(ctx context.Context, id string) (Stream, error) {
	all, err := s.All(ctx)
	if err != nil {
		return Stream{}, err
	}
	if i := slices.IndexFunc(all, func(one Stream) bool { return one.ID == id }); i >= 0 && id != "" {
		return all[i], nil
	}
	return Stream{}, failure.New(failure.NotFound, "There is no such stream.")
}

// Find returns a stream inside a change.
func (s *Streams) Find(ctx context.Context, tx *store.Tx, name string) (Stream, error) {
	p, err := s.parties.find(ctx, tx, streamKind, name)
	if err != nil {
		return Stream{}, err
	}
	one, ok := p.stream()
	if !ok {
		return one, failure.New(failure.Internal, "the stream %s cannot be read", name)
	}
	return one, nil
}

// Create makes a stream, inside another room's change. It begins with what happens from then on.
func (s *Streams) Create(ctx context.Context, tx *store.Tx, one Stream) (Stream, error) {
	if err := s.Check(one.StreamSettings); err != nil {
		return one, err
	}
	one.ID, one.Status, one.Created = rand.Text(), Enabled, tx.Now().UTC().Truncate(time.Second)
	var err error
	if one.Begun, err = end(ctx, tx); err != nil {
		return one, err
	}
	one.party, err = s.parties.insert(ctx, tx, streamKind, one.Name, one)
	return one, err
}

// Update writes a stream anew.
func (s *Streams) Update(ctx context.Context, tx *store.Tx, one Stream) error {
	if err := s.Check(one.StreamSettings); err != nil {
		return err
	}
	return s.parties.update(ctx, tx, one.party, one)
}

// Status is a change of the state of a stream.
type Status struct {
	To, Reason string
	// Ours says that it was not its receiver who did it: then the receiver is told.
	Ours bool
}

// Set changes the state of a stream that is about to be updated. One that was disabled begins anew,
// with what happens from now on.
func (s *Streams) Set(ctx context.Context, tx *store.Tx, one *Stream, c Status) (err error) {
	switch {
	case c.To != Enabled && c.To != Paused && c.To != Disabled:
		return failure.At("status", failure.New(failure.Invalid, "A stream is %s, %s or %s.", Enabled, Paused, Disabled))
	case len(c.Reason) > longestText || !text.Clean(c.Reason):
		return failure.At("reason", failure.New(failure.Invalid, "The reason has %d bytes at most, on one line.", longestText))
	}
	if one.Status == Disabled && c.To != Disabled {
		if one.Begun, err = end(ctx, tx); err != nil {
			return err
		}
	}
	if c.Ours && one.Status != c.To {
		one.Changes++
	}
	one.Status, one.Reason = c.To, c.Reason
	return nil
}

// Remove removes a stream, and what waits on it.
func (s *Streams) Remove(ctx context.Context, tx *store.Tx, one Stream) error {
	if _, err := tx.Exec(ctx, `delete from signal_position where stream = $1`, one.party.id); err != nil {
		return err
	}
	return s.parties.remove(ctx, tx, one.party)
}

// Formats are those of subjects.
func Formats() []string {
	return []string{secevent.IssSub, secevent.Account, secevent.Email, secevent.Opaque}
}

// Check says what is wrong with settings.
func (s *Streams) Check(of StreamSettings) error {
	if n := len(of.Audience); n == 0 || n > 4 {
		return failure.At("audience", failure.New(failure.Invalid, "A stream has 1 to 4 audiences."))
	}
	for _, a := range of.Audience {
		if err := checkText("audience", a); err != nil {
			return err
		}
	}
	for _, uri := range of.Events {
		if !slices.Contains(secevent.Sent(), uri) {
			return failure.At("events", failure.New(failure.Invalid, "%s is no event that can be sent.", text.Quote(uri)))
		}
	}
	switch {
	case len(of.Events) == 0:
		return failure.At("events", failure.New(failure.Invalid, "Name the events that are sent, of %s.", shortSent()))
	case len(of.Requested) > 50 || slices.ContainsFunc(of.Requested, func(uri string) bool { return checkText("requested", uri) != nil }):
		return failure.At("requested", failure.New(failure.Invalid, "A receiver asks for 50 events at most, by their URIs."))
	case !slices.Contains(Formats(), of.Format):
		return failure.At("format", failure.New(failure.Invalid, "The format of subjects is one of %s.", strings.Join(Formats(), ", ")))
	case of.Subjects != Everybody && of.Subjects != Chosen:
		return failure.At("subjects", failure.New(failure.Invalid, "A stream tells of %s or of those %s.", Everybody, Chosen))
	case !slices.Contains(signingkey.Algorithms(), of.Algorithm):
		return failure.At("algorithm", failure.New(failure.Invalid, "The algorithm is one of %s.", strings.Join(signingkey.Algorithms(), ", ")))
	case len(of.Description) > longestText || !text.Clean(of.Description):
		return failure.At("description", failure.New(failure.Invalid, "The description has %d bytes at most, on one line.", longestText))
	}
	return s.checkDelivery(of)
}

func shortSent() string {
	var out []string
	for _, uri := range secevent.Sent() {
		out = append(out, secevent.Short(uri))
	}
	return strings.Join(out, ", ")
}

func (s *Streams) checkDelivery(of StreamSettings) error {
	switch {
	case of.Delivery != Push && of.Delivery != Poll:
		return failure.At("delivery", failure.New(failure.Invalid, "Tokens are delivered by %s or %s.", Push, Poll))
	case of.Delivery == Poll && (of.Endpoint != "" || of.Authorization != ""):
		return failure.At("endpoint", failure.New(failure.Invalid, "A stream that is polled has no endpoint: its receiver comes here, with an automation key."))
	case of.Delivery == Poll:
		return nil
	}
	if err := checkHeader(of.Authorization); err != nil {
		return err
	}
	return checkURL("endpoint", of.Endpoint, s.inside)
}

// longestText is the longest of what people write, in bytes.
const longestText = 255

func checkText(field, s string) error {
	if s == "" || len(s) > longestText || !text.Clean(s) || strings.ContainsAny(s, " \t") {
		return failure.At(field, failure.New(failure.Invalid, "The %s has 1 to %d visible characters and no space.", field, longestText))
	}
	return nil
}

// checkHeader checks the value of an Authorization header. An error does not repeat it.
func checkHeader(value string) error {
	if len(value) > 1024 || strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r > '~' }) || value != strings.TrimSpace(value) {
		return failure.At("authorization", failure.New(failure.Invalid, "The authorization is one line of at most 1024 printable ASCII characters, such as Bearer and a secret."))
	}
	return nil
}

// checkURL refuses an address that could never be asked. One that a name leads to is checked when
// it is asked, each time.
func checkURL(field, address string, inside outside.Listed) error {
	u, err := url.Parse(address)
	if err != nil || len(address) > 1024 || u.Host == "" || u.Hostname() == "" || u.User != nil || u.Fragment != "" || u.Opaque != "" || !plainURL(u) {
		return failure.At(field, failure.New(failure.Invalid, "The %s is the whole https:// address, without a user and without #.", field))
	}
	if a, err := netip.ParseAddr(u.Hostname()); err == nil && !inside.Allows(u.Hostname(), a) {
		return failure.At(field, failure.New(failure.Refused, "The address of the %s is inside the network; only signals.inside of the configuration file allows one.", field))
	}
	return nil
}

// plainURL reports whether an address is https, or http on this machine.
func plainURL(u *url.URL) bool {
	if u.Scheme == "https" {
		return true
	}
	a, err := netip.ParseAddr(u.Hostname())
	return u.Scheme == "http" && (u.Hostname() == "localhost" || err == nil && a.IsLoopback())
}
