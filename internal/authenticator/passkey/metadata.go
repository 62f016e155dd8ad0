package passkey

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-webauthn/webauthn/metadata"
)

// The statuses that change what a model is worth (FIDO MDS 3.1.1 section 3.1.4).
const (
	statusRevoked               = string(metadata.Revoked)
	statusRetired               = string(metadata.Retired)
	statusVerificationBypass    = string(metadata.UserVerificationBypass)
	statusAttestationCompromise = string(metadata.AttestationKeyCompromise)
	statusRemoteCompromise      = string(metadata.UserKeyRemoteCompromise)
	statusPhysicalCompromise    = string(metadata.UserKeyPhysicalCompromise)
)

const maxBlob = 64 << 20 // bytes; FIDO's is some 8 MiB

// MetadataSource is who signs the metadata.
type MetadataSource struct {
	// Roots are the pinned roots that the signer's certificate must chain to,
	// each of them and no others. At least one.
	Roots []*x509.Certificate
	// Signer is the DNS name that the signer's certificate must be for. FIDO's
	// is "mds.fidoalliance.org", and under a root that certifies half the web it
	// must be set. Empty suits a root that certifies nothing but metadata.
	Signer string
}

// Metadata is what the FIDO Metadata Service says about models, read from a BLOB
// that somebody brought (FIDO MDS 3.1.1 section 3.1.6). Its methods are safe for
// concurrent use, and [Metadata.Load] replaces all of it at once.
//
// What its statuses do to keys that are already enrolled: REVOKED and
// USER_KEY_REMOTE_COMPROMISE refuse them; USER_VERIFICATION_BYPASS takes away
// UserVerified; USER_KEY_PHYSICAL_COMPROMISE takes away HardwareBound;
// ATTESTATION_KEY_COMPROMISE makes them count as not attested. Any of these, and
// RETIRED, refuses new ones. A report against one batch or firmware counts for
// the whole model, since an assertion does not say which it comes from.
type Metadata struct {
	source  MetadataSource
	loading sync.Mutex
	current atomic.Pointer[catalogue]
}

// Loaded is what a BLOB said about itself.
type Loaded struct {
	// Number is its serial number: keep it, and hand it to the next Load.
	Number int
	// NextUpdate is when FIDO promised the next one. A later BLOB is due then;
	// an overdue one still counts.
	NextUpdate time.Time
	// Models is how many it describes.
	Models int
}

// catalogue is one BLOB, of which only what is used is kept.
type catalogue struct {
	loaded Loaded
	models map[aaguid]model
}

// model is one entry of it.
type model struct {
	description string
	reports     []metadata.StatusReport
	roots       [][]byte // DER, parsed when a key enrolls
	software    bool     // private keys are in software
}

// NewMetadata returns Metadata that knows no model yet.
func NewMetadata(source MetadataSource) (*Metadata, error) {
	if len(source.Roots) == 0 {
		return nil, errors.New("passkey: metadata needs a pinned root certificate to be verified with")
	}
	return &Metadata{source: source}, nil
}

// Load verifies a BLOB and begins to use it. Numbers only rise: one lower than
// last, the highest that the caller has ever seen, or than the one in use is
// refused. After an error everything is as before.
func (m *Metadata) Load(blob []byte, last int, now time.Time) (Loaded, error) {
	payload, err := verifyBlob(blob, m.source, now)
	if err != nil {
		return Loaded{}, fmt.Errorf("passkey: metadata: %w", err)
	}
	next, err := parseCatalogue(payload)
	if err != nil {
		return Loaded{}, fmt.Errorf("passkey: metadata: %w", err)
	}
	m.loading.Lock()
	defer m.loading.Unlock()
	if old := m.current.Load(); old != nil {
		last = max(last, old.loaded.Number)
	}
	if next.loaded.Number < last {
		return Loaded{}, fmt.Errorf("passkey: metadata number %d is older than number %d, which was seen before", next.loaded.Number, last)
	}
	m.current.Store(next)
	return next.loaded, nil
}

// model returns what is known of a model. A nil Metadata knows none.
func (m *Metadata) model(g aaguid) (model, bool) {
	if m == nil || g == (aaguid{}) {
		return model{}, false
	}
	c := m.current.Load()
	if c == nil {
		return model{}, false
	}
	found, ok := c.models[g]
	return found, ok
}

// statuses are those in effect now. All count, not the latest alone: a later
// certificate does not undo a weakness, an end date does.
func (m model) statuses(now time.Time) []string {
	var in []string
	for _, r := range m.reports {
		if r.InEffectAt(now) {
			in = append(in, string(r.Status))
		}
	}
	return in
}

// wirePayload is what is read of the BLOB's payload.
type wirePayload struct {
	Number     int    `json:"no"`
	NextUpdate string `json:"nextUpdate"`
	Entries    []struct {
		AAGUID    string `json:"aaguid"`
		Statement struct {
			Description   string   `json:"description"`
			Roots         []string `json:"attestationRootCertificates"`
			KeyProtection []string `json:"keyProtection"`
		} `json:"metadataStatement"`
		Reports []struct {
			Status string `json:"status"`
			From   string `json:"effectiveDate"`
			Until  string `json:"sunsetDate"`
		} `json:"statusReports"`
	} `json:"entries"`
}

func parseCatalogue(payload []byte) (*catalogue, error) {
	var wire wirePayload
	if err := json.Unmarshal(payload, &wire); err != nil {
		return nil, fmt.Errorf("the payload cannot be read: %w", err)
	}
	next, err := time.Parse(time.DateOnly, wire.NextUpdate)
	if err != nil {
		return nil, fmt.Errorf("nextUpdate %s is not a date", quote(wire.NextUpdate))
	}
	c := &catalogue{models: make(map[aaguid]model, len(wire.Entries))}
	shared := map[string][]byte{}
	for _, e := range wire.Entries {
		if e.AAGUID == "" {
			continue // UAF and U2F models have none
		}
		var g aaguid
		if err := g.UnmarshalText([]byte(e.AAGUID)); err != nil {
			return nil, err
		}
		entry := c.models[g] // a model listed twice keeps every report and root
		entry.description = e.Statement.Description
		entry.software = slices.Contains(e.Statement.KeyProtection, "software")
		for _, text := range e.Statement.Roots {
			entry.addRoot(text, shared)
		}
		for _, r := range e.Reports {
			entry.reports = append(entry.reports, report(r.Status, r.From, r.Until))
		}
		c.models[g] = entry
	}
	c.loaded = Loaded{Number: wire.Number, NextUpdate: next, Models: len(c.models)}
	return c, nil
}

// addRoot keeps a root certificate; models share many. One that cannot be read
// vouches for nothing.
func (m *model) addRoot(text string, shared map[string][]byte) {
	der, seen := shared[text]
	if !seen {
		der, _ = base64.StdEncoding.DecodeString(strings.Join(strings.Fields(text), ""))
		shared[text] = der
	}
	if len(der) > 0 {
		m.roots = append(m.roots, der)
	}
}

// report reads a status. A date that cannot be read is taken as absent, which
// lets the status count.
func report(status, from, until string) metadata.StatusReport {
	r := metadata.StatusReport{Status: metadata.AuthenticatorStatus(status)}
	if t, err := time.Parse(time.DateOnly, from); err == nil {
		r.EffectiveDate = &t
	}
	if t, err := time.Parse(time.DateOnly, until); err == nil {
		r.SunsetDate = &t
	}
	return r
}
