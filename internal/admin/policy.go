package admin

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"time"

	"countersign/internal/audit"
	"countersign/internal/failure"
	"countersign/internal/policy"
	"countersign/internal/signin"
	"countersign/internal/store"
)

// PolicyShow shows the policy in force, or an older version.
type PolicyShow struct {
	Version int64 `json:"version,omitempty" arg:"" optional:"" help:"An older version; the one in force when left out."`
}

func (c *PolicyShow) Action() string { return "policy.show" }
func (c *PolicyShow) Object() string { return "" }

func (c *PolicyShow) do(ctx context.Context, a *Admin, _ signin.Grant) (any, error) {
	var d signin.Document
	var err error
	if c.Version == 0 {
		d, err = a.Rules.Latest(ctx, a.DB)
	} else {
		d, err = a.Rules.Version(ctx, a.DB, c.Version)
	}
	return PolicyDocument{Version: d.Version, Author: d.Author, Created: store.Time(d.Created), Body: d.Body}, err
}

// PolicyDocument is one saved version of the policy.
type PolicyDocument struct {
	Version int64     `json:"version"`
	Author  string    `json:"author"`
	Created time.Time `json:"created"`
	Body    string    `json:"body"`
}

// PolicyCheck compiles a document and runs its tests, and saves nothing.
type PolicyCheck struct {
	Body string `json:"body" arg:"" type:"text-file" name:"file" help:"The document; - reads standard input."`
}

func (c *PolicyCheck) Action() string { return "policy.check" }
func (c *PolicyCheck) Object() string { return "" }

func (c *PolicyCheck) do(ctx context.Context, a *Admin, _ signin.Grant) (any, error) {
	p, err := a.compile(ctx, c.Body)
	if err != nil {
		return nil, err
	}
	return p.Test(), nil
}

func (a *Admin) compile(ctx context.Context, body string) (*policy.Policy, error) {
	known, err := a.Known(ctx)
	if err != nil {
		return nil, err
	}
	p, err := policy.Compile([]byte(body), known)
	if err != nil {
		return nil, &failure.Error{Class: failure.Invalid, Public: err.Error(), Reason: "policy"}
	}
	return p, nil
}

// PolicyChange saves a document and puts it in force. One whose own tests fail
// is refused.
type PolicyChange struct {
	Body string `json:"body" arg:"" type:"text-file" name:"file" help:"The document; - reads standard input."`
}

func (c *PolicyChange) Action() string { return "policy.change" }
func (c *PolicyChange) Object() string {
	sum := sha256.Sum256([]byte(c.Body))
	return "policy document " + hex.EncodeToString(sum[:16])
}

func (c *PolicyChange) do(ctx context.Context, a *Admin, g signin.Grant) (any, error) {
	p, err := a.compile(ctx, c.Body)
	if err != nil {
		return nil, err
	}
	for _, r := range p.Test() {
		if !r.OK {
			return nil, failure.New(failure.Invalid, "The document's own test %q (line %d) does not hold: it wants %s and gets %s.", r.Name, r.Line, r.Want, r.Got)
		}
	}
	var d signin.Document
	err = a.change(ctx, g, "policy.changed", nil, nil, func(tx *store.Tx) error {
		var err error
		d, err = a.Rules.Save(ctx, tx, c.Body, g.Name())
		return err
	})
	return map[string]int64{"version": d.Version}, err
}

// AuditSearch searches the log, newest first.
type AuditSearch struct {
	Account     string `json:"account,omitempty" help:"Only about this account."`
	Application string `json:"application,omitempty" help:"Only about this application."`
	Event       string `json:"event,omitempty" help:"Only this event, such as signin.refused."`
	Outcome     string `json:"outcome,omitempty" help:"Only this outcome: ok, refused, error."`
	Text        string `json:"text,omitempty" arg:"" optional:"" help:"Only entries that contain this."`
	Before      int64  `json:"before,omitempty" help:"Only entries before this number."`
	Limit       int    `json:"limit,omitempty" help:"How many: 50 when left out, 500 at most."`
}

// AuditPage is one page of the log.
type AuditPage struct {
	Entries []audit.Entry `json:"entries"`
	Next    int64         `json:"next,omitempty"`
}

func (c *AuditSearch) Action() string { return "audit.search" }
func (c *AuditSearch) Object() string { return "" }

func (c *AuditSearch) do(ctx context.Context, a *Admin, _ signin.Grant) (any, error) {
	f := store.Filter{Application: c.Application, Event: c.Event, Outcome: c.Outcome, Text: c.Text, Before: c.Before, Limit: c.Limit, Newest: true}
	if f.Limit <= 0 || f.Limit > 500 {
		f.Limit = 50
	}
	if c.Account != "" {
		d, err := a.Directory.Find(ctx, a.DB, c.Account)
		if err != nil {
			return nil, err
		}
		f.Account = int64(d.ID)
	}
	entries, err := a.DB.Entries(ctx, f)
	page := AuditPage{Entries: entries}
	if n := len(entries); n == f.Limit {
		page.Next = entries[n-1].Seq
	}
	return page, err
}

// AuditCheckpoint signs a checkpoint of the log, to be kept elsewhere.
type AuditCheckpoint struct{}

func (c *AuditCheckpoint) Action() string { return "audit.checkpoint" }
func (c *AuditCheckpoint) Object() string { return "" }

func (c *AuditCheckpoint) do(ctx context.Context, a *Admin, _ signin.Grant) (any, error) {
	note, err := a.DB.Checkpoint(ctx)
	return map[string]string{"checkpoint": note}, err
}

func moment(micros int64) time.Time { return store.Time(micros) }

// missingVersion says in words that there is no such version.
func missingVersion(err error, version int64) error {
	if errors.Is(err, signin.ErrNoPolicy) {
		return failure.New(failure.NotFound, "There is no version %d of the policy.", version)
	}
	return err
}
