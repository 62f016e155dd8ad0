package signal

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/failure"
	"countersign/internal/outside"
	"countersign/internal/secevent"
	"countersign/internal/store"
	"countersign/internal/text"
)

// SourceSettings are what an administrator sets of a source.
type SourceSettings struct {
	// Issuer is the transmitter (iss), and Audience what its tokens for us are for (aud).
	Issuer   string `json:"issuer"`
	Audience string `json:"audience"`
	// JWKS is where its keys are; empty is where its metadata says.
	JWKS string `json:"jwks,omitempty"`
	// Algorithms are those by which it may sign.
	Algorithms []string `json:"algorithms"`
	// Delivery is push, to an address here, or poll, by us at Endpoint with Authorization.
	Delivery      string `json:"delivery"`
	Endpoint      string `json:"endpoint,omitempty"`
	Authorization string `json:"authorization,omitempty"`
	// Events are the types that may come to something here.
	Events []string `json:"events"`
	// Domains are those of mail addresses and acct URIs by which it may speak of our people; Names
	// are those whose local part is the name of an account here.
	Domains []string `json:"domains,omitempty"`
	// Externals is the service account whose identifiers of our people are the transmitter's
	// subjects; 0 is none.
	Externals assurance.AccountID `json:"externals,omitempty"`
	// Tenant is the tenant that a subject may name; empty is none.
	Tenant string `json:"tenant,omitempty"`
	// Most is for how many signals an hour it is obeyed: 1 to 500.
	Most int `json:"most"`
}

// act is a signal that was obeyed.
type act struct {
	At int64  `json:"at"`
	ID string `json:"id"` // of its token
}

// Source is another transmitter, with what it did.
type Source struct {
	SourceSettings
	Name string `json:"-"`
	// Secret is what it comes with when it pushes.
	Secret string `json:"secret,omitempty"`
	Status string `json:"status"`
	Reason string `json:"reason,omitempty"`
	// Acts are the signals of the last hour that were obeyed.
	Acts    []act     `json:"acts,omitempty"`
	Created time.Time `json:"created"`

	party party
}

// Sources are those whom we hear. It is safe for concurrent use.
type Sources struct {
	parties *parties
	inside  outside.Listed
}

func (p party) source() (Source, bool) {
	s := Source{Name: p.name, party: p}
	return s, p.kind == sourceKind && json.Unmarshal(p.payload, &s) == nil
}

// All are the sources, by name.
func (s *Sources) All(ctx context.Context) ([]Source, error) {
	all, err := s.parties.all(ctx)
	return sourcesOf(all), err
}

// AllIn are the sources as a change sees them.
func (s *Sources) AllIn(ctx context.Context, r store.Reader) ([]Source, error) {
	all, err := s.parties.read(ctx, r)
	return sourcesOf(all), err
}

func sourcesOf(all []party) []Source {
	var out []Source
	for _, p := range all {
		if one, ok := p.source(); ok {
			out = append(out, one)
		}
	}
	return out
}

// Named returns a source, or NotFound.
func (s *Sources) Named(ctx context.Context, name string) (Source, error) {
	all, err := s.All(ctx)
	if err != nil {
		return Source{}, err
	}
	if i := slices.IndexFunc(all, func(one Source) bool { return one.Name == name }); i >= 0 {
		return all[i], nil
	}
	return Source{}, failure.New(failure.NotFound, "There is no source named %q.", name)
}

// Find returns a source inside a change.
func (s *Sources) Find(ctx context.Context, tx *store.Tx, name string) (Source, error) {
	p, err := s.parties.find(ctx, tx, sourceKind, name)
	if err != nil {
		return Source{}, err
	}
	one, ok := p.source()
	if !ok {
		return one, failure.New(failure.Internal, "the source %s cannot be read", name)
	}
	return one, nil
}

// Create makes a source. One that pushes gets a secret, which is never shown again.
func (s *Sources) Create(ctx context.Context, tx *store.Tx, one Source) (Source, error) {
	if err := s.Check(one.SourceSettings); err != nil {
		return one, err
	}
	one.Status, one.Created = Enabled, tx.Now().UTC().Truncate(time.Second)
	if one.Delivery == Push {
		one.Secret = NewSecret()
	}
	var err error
	one.party, err = s.parties.insert(ctx, tx, sourceKind, one.Name, one)
	return one, err
}

// NewSecret makes a secret of 256 bits.
func NewSecret() string { return "cssig_" + rand.Text() + rand.Text() }

// Update writes a source anew.
func (s *Sources) Update(ctx context.Context, tx *store.Tx, one Source) error {
	if err := s.Check(one.SourceSettings); err != nil {
		return err
	}
	if one.Delivery == Push && one.Secret == "" {
		one.Secret = NewSecret()
	}
	return s.parties.update(ctx, tx, one.party, one)
}

// Remove removes a source: nothing that it says is heard any more.
func (s *Sources) Remove(ctx context.Context, tx *store.Tx, one Source) error {
	return s.parties.remove(ctx, tx, one.party)
}

// MostHourly is the greatest budget of a source.
const MostHourly = 500

// Check says what is wrong with settings.
func (s *Sources) Check(of SourceSettings) error {
	if err := checkURL("issuer", of.Issuer, s.inside); err != nil {
		return err
	}
	if err := checkText("audience", of.Audience); err != nil {
		return err
	}
	if of.JWKS != "" {
		if err := checkURL("jwks", of.JWKS, s.inside); err != nil {
			return err
		}
	}
	for _, a := range of.Algorithms {
		if !slices.Contains(secevent.Allowed(), a) {
			return failure.At("algorithms", failure.New(failure.Invalid, "A signature is by one of %s; %s is none.", strings.Join(secevent.Allowed(), ", "), text.Quote(a)))
		}
	}
	for _, uri := range of.Events {
		if !slices.Contains(secevent.Heeded(), uri) {
			return failure.At("events", failure.New(failure.Invalid, "%s is no event that comes to something here.", text.Quote(uri)))
		}
	}
	switch {
	case len(of.Algorithms) == 0:
		return failure.At("algorithms", failure.New(failure.Invalid, "Name the algorithms by which it signs."))
	case len(of.Events) == 0:
		return failure.At("events", failure.New(failure.Invalid, "Name the events that it is heard for."))
	case of.Most < 1 || of.Most > MostHourly:
		return failure.At("most", failure.New(failure.Invalid, "It is obeyed for 1 to %d signals an hour.", MostHourly))
	}
	if err := s.checkSubjects(of); err != nil {
		return err
	}
	return s.checkDelivery(of)
}

func (s *Sources) checkSubjects(of SourceSettings) error {
	if len(of.Domains) == 0 && of.Externals == 0 {
		return failure.At("domains", failure.New(failure.Invalid, "Say of whom it may speak: the domains of their addresses, or the service account whose identifiers it uses."))
	}
	if len(of.Domains) > 20 {
		return failure.At("domains", failure.New(failure.Invalid, "A source has 20 domains at most."))
	}
	for _, d := range of.Domains {
		if err := checkText("domains", d); err != nil {
			return err
		}
		if d != strings.ToLower(d) || strings.ContainsAny(d, "@/:*") {
			return failure.At("domains", failure.New(failure.Invalid, "A domain is written in lower case, such as example.org, and stands for itself alone."))
		}
	}
	if of.Tenant != "" {
		return checkText("tenant", of.Tenant)
	}
	return nil
}

func (s *Sources) checkDelivery(of SourceSettings) error {
	switch {
	case of.Delivery != Push && of.Delivery != Poll:
		return failure.At("delivery", failure.New(failure.Invalid, "Tokens come by %s or %s.", Push, Poll))
	case of.Delivery == Push && (of.Endpoint != "" || of.Authorization != ""):
		return failure.At("endpoint", failure.New(failure.Invalid, "A source that pushes has no endpoint: it comes here, with the secret that it is given."))
	case of.Delivery == Push:
		return nil
	}
	if err := checkHeader(of.Authorization); err != nil {
		return err
	}
	return checkURL("endpoint", of.Endpoint, s.inside)
}
