package admin

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"countersign/internal/directory"
	"countersign/internal/failure"
	"countersign/internal/policy"
	"countersign/internal/signin"
	"countersign/internal/store"
	"countersign/internal/text"
)

// PolicyShow shows the policy in force, or an older version.
type PolicyShow struct {
	Version int64 `json:"version,omitempty" arg:"" optional:"" help:"An older version; the one in force when left out."`
}

func (c *PolicyShow) Action() string { return "policy.show" }
func (c *PolicyShow) Object() string { return "" }

func (c *PolicyShow) Do(ctx context.Context, a *Admin, _ signin.Grant) (any, error) {
	var d signin.Document
	var err error
	if c.Version == 0 {
		d, err = a.rules.Latest(ctx, a.db)
	} else {
		d, err = a.rules.Version(ctx, a.db, c.Version)
	}
	if err != nil {
		return nil, err
	}
	out := PolicyDocument{Version: d.Version, Author: d.Author, Created: store.Time(d.Created), Body: d.Body}
	if c.Version == 0 {
		out.Lacks = a.missingRules(ctx)
		if p, err := a.rules.Current(ctx); err == nil {
			out.Gone = p.Gone()
		}
	}
	return out, nil
}

// missingRules are the rules of a new installation of which the policy in force has none
// of that name: those that came after it was saved, or that somebody took out.
func (a *Admin) missingRules(ctx context.Context) []PolicyRule {
	p, err := a.rules.Current(ctx)
	if err != nil {
		return nil // it says so by itself, everywhere else
	}
	var out []PolicyRule
	for _, r := range policy.DefaultRules() {
		if !slices.Contains(p.Rules(), r.Name) {
			out = append(out, PolicyRule{r.Name, r.Text})
		}
	}
	return out
}

// PolicyRule is one rule, as it is written.
type PolicyRule struct {
	Name string `json:"name"`
	Text string `json:"text"`
}

// PolicyDocument is one saved version of the policy.
type PolicyDocument struct {
	Version int64     `json:"version"`
	Author  string    `json:"author"`
	Created time.Time `json:"created"`
	Body    string    `json:"body"`
	// Lacks are the rules of a new installation that the document in force has not.
	Lacks []PolicyRule `json:"lacks,omitempty"`
	// Gone is what the document in force mentions that is not there any more.
	Gone []string `json:"mentions_what_is_gone,omitempty"`
}

// PolicyTestResult is how one test of a document came out.
type PolicyTestResult = policy.TestResult

// PolicyProblems is what keeps a document from compiling, by line: the cause of
// the error that every command gives for such a document.
type PolicyProblems = policy.Problems

// PolicyCheck compiles a document and runs its tests, and saves nothing.
type PolicyCheck struct {
	Body string `json:"body" arg:"" type:"text-file" name:"file" help:"The document; - reads standard input."`
}

func (c *PolicyCheck) Action() string { return "policy.check" }
func (c *PolicyCheck) Object() string { return "" }

func (c *PolicyCheck) Do(ctx context.Context, a *Admin, _ signin.Grant) (any, error) {
	p, err := a.compile(ctx, a.db, c.Body)
	if err != nil {
		return nil, err
	}
	return p.Test(), nil
}

func (a *Admin) compile(ctx context.Context, r store.Reader, body string) (*policy.Policy, error) {
	known, err := a.known(ctx, r)
	if err != nil {
		return nil, err
	}
	p, err := policy.Compile([]byte(body), known)
	if err != nil {
		return nil, &failure.Error{Class: failure.Invalid, Public: err.Error(), Reason: "policy", Field: "body", Cause: err}
	}
	return p, nil
}

// PolicyChange saves a document and puts it in force. One whose own tests fail
// is refused.
type PolicyChange struct {
	Body string `json:"body" arg:"" type:"text-file" name:"file" help:"The document; - reads standard input."`
	// Base is the version that the document was made from. Another that came since is
	// never overwritten unseen.
	Base int64 `json:"base" help:"The version that it was built on; the one that policy show printed last when left out."`
}

func (c *PolicyChange) Action() string { return "policy.change" }
func (c *PolicyChange) Object() string {
	sum := sha256.Sum256([]byte(c.Body))
	return fmt.Sprintf("policy document %s of %d lines, built on version %d", hex.EncodeToString(sum[:16]), strings.Count(strings.TrimRight(c.Body, "\n"), "\n")+1, c.Base)
}

// builtOn refuses a document that was not built on the version that is in force.
func (c *PolicyChange) builtOn(ctx context.Context, a *Admin, r store.Reader) error {
	now, err := a.rules.Latest(ctx, r)
	switch {
	case errors.Is(err, signin.ErrNoPolicy) || errors.Is(err, directory.ErrTampered):
		return nil // there is nothing to overwrite that anybody believes
	case err != nil:
		return err
	case c.Base == 0:
		return failure.At("base", failure.New(failure.Conflict, "Say which version of the policy your document was built on; version %d is in force.", now.Version))
	case c.Base != now.Version:
		return failure.At("base", failure.New(failure.Conflict, "The policy was changed meanwhile: version %d, by %s, is in force, and your document was built on version %d. Look at what changed, and build on that.", now.Version, text.Name(now.Author), c.Base))
	}
	return nil
}

// sound says what keeps a document from being saved.
func (c *PolicyChange) Sound(ctx context.Context, a *Admin) error {
	p, err := a.compile(ctx, a.db, c.Body)
	if err != nil {
		return err
	}
	for _, r := range p.Test() {
		if !r.OK {
			return failure.At("body", failure.New(failure.Invalid, "The document's own test %q (line %d) does not hold: it wants %s and gets %s.", r.Name, r.Line, r.Want, r.Got))
		}
	}
	if err := c.builtOn(ctx, a, a.db); err != nil {
		return err
	}
	return failure.At("body", a.engine.SpareAdministrationBy(ctx, a.db, p))
}

func (c *PolicyChange) Do(ctx context.Context, a *Admin, g signin.Grant) (any, error) {
	if err := c.Sound(ctx, a); err != nil {
		return nil, err
	}
	var d signin.Document
	err := a.Change(ctx, g, "policy.changed", nil, nil, func(tx *store.Tx) error {
		if err := c.builtOn(ctx, a, tx); err != nil {
			return err
		}
		p, err := a.compile(ctx, tx, c.Body)
		if err != nil {
			return err
		}
		if err := a.engine.SpareAdministrationBy(ctx, tx, p); err != nil {
			return failure.At("body", err)
		}
		d, err = a.rules.Save(ctx, tx, c.Body, g.Name())
		return err
	})
	return map[string]int64{"version": d.Version}, err
}

func moment(micros int64) time.Time { return store.Time(micros) }

// missingVersion says in words that there is no such version.
func missingVersion(err error, version int64) error {
	if errors.Is(err, signin.ErrNoPolicy) {
		return failure.New(failure.NotFound, "There is no version %d of the policy.", version)
	}
	return err
}
