// Package policy is the commands about the policy.
//
// It owns how a document is checked, compared, explained and put in force. What a document
// says is countersign/internal/policy's, which one is in force is signin's. Its one
// invariant: no document is put in force by which nobody could administer, whose own tests
// fail, or that was not built on the one before.
package policy

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"countersign/internal/admin"
	"countersign/internal/admin/survey"
	"countersign/internal/application"
	"countersign/internal/directory"
	"countersign/internal/failure"
	"countersign/internal/policy"
	"countersign/internal/prompt"
	"countersign/internal/protocol"
	"countersign/internal/signin"
	"countersign/internal/store"
	"countersign/internal/text"
)

// Commands are those about the policy, with what each answers and leaves in the log.
func Commands() []admin.Spec {
	return []admin.Spec{
		admin.Looks[Show]("Show the policy in force, or an older version of it.", Document{}),
		admin.Looks[Check]("Check a policy document without saving it, and run its tests.", []policy.TestResult{}),
		admin.Looks[Test]("Run the tests that the policy in force, or a document, holds.", []policy.TestResult{}),
		admin.Looks[Explain]("Say what an account would have to show for something, why, and whether it could.", Explanation{}),
		admin.Looks[Diff]("Say whom a document, or an older version, would let in, keep out, or ask for less or more.", Difference{}),
		admin.Looks[Versions]("List the saved versions of the policy.", []Version{}),
		admin.Changes[Change]("Save a policy document and put it in force.", map[string]int64{}).
			Telling("policy.changed", "{by} changed the policy"),
	}
}

// Parts are what the commands work on.
type Parts struct {
	DB           *store.DB
	Engine       *signin.Engine
	Rules        *signin.Rules
	Applications *application.Catalogue
	Protocols    protocol.List
	Survey       *survey.Survey
	Reach        signin.Reach
	// Known are the names that a policy may mention.
	Known func(ctx context.Context, r store.Reader) (policy.Known, error)
	Now   func() time.Time
}

// Desks are where the commands are done.
func Desks(p Parts) []admin.Desk {
	d := documents{p.DB, p.Rules, p.Known}
	return []admin.Desk{
		admin.At(&d),
		admin.At(&changeDesk{admin.NewBook(p.DB), d, p.Engine}),
		admin.At(&explainDesk{p.Engine, p.Applications, p.Protocols, p.Now}),
		admin.At(&diffDesk{d, p.Survey, p.Reach, p.Protocols, p.Now}),
	}
}

// documents are those that were saved, and those that somebody sends: where they are looked
// at, checked and tried.
type documents struct {
	db    store.Reader
	rules *signin.Rules
	known func(ctx context.Context, r store.Reader) (policy.Known, error)
}

// changeDesk is where a document is put in force.
type changeDesk struct {
	admin.Book
	documents
	engine *signin.Engine
}

// Show shows the policy in force, or an older version.
type Show struct {
	Version int64 `json:"version,omitempty" arg:"" optional:"" help:"An older version; the one in force when left out."`
}

func (c *Show) Action() string { return "policy.show" }
func (c *Show) Object() string { return "" }

func (c *Show) Do(ctx context.Context, a *documents, _ signin.Grant) (any, error) {
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
	out := Document{Version: d.Version, Author: d.Author, Created: store.Time(d.Created), Body: d.Body}
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
func (a *documents) missingRules(ctx context.Context) []Rule {
	p, err := a.rules.Current(ctx)
	if err != nil {
		return nil // it says so by itself, everywhere else
	}
	var out []Rule
	for _, r := range policy.DefaultRules() {
		if !slices.Contains(p.Rules(), r.Name) {
			out = append(out, Rule{r.Name, r.Text})
		}
	}
	return out
}

// Rule is one rule, as it is written.
type Rule struct {
	Name string `json:"name"`
	Text string `json:"text"`
}

// Document is one saved version of the policy.
type Document struct {
	Version int64     `json:"version"`
	Author  string    `json:"author"`
	Created time.Time `json:"created"`
	Body    string    `json:"body"`
	// Lacks are the rules of a new installation that the document in force has not.
	Lacks []Rule `json:"lacks,omitempty"`
	// Gone is what the document in force mentions that is not there any more.
	Gone []string `json:"mentions_what_is_gone,omitempty"`
}

// TestResult is how one test of a document came out.
type TestResult = policy.TestResult

// Problems is what keeps a document from compiling, by line: the cause of
// the error that every command gives for such a document.
type Problems = policy.Problems

// Check compiles a document and runs its tests, and saves nothing.
type Check struct {
	Body string `json:"body" arg:"" type:"text-file" name:"file" help:"The document; - reads standard input."`
}

func (c *Check) Action() string { return "policy.check" }
func (c *Check) Object() string { return "" }

func (c *Check) Do(ctx context.Context, a *documents, _ signin.Grant) (any, error) {
	p, err := a.compile(ctx, a.db, c.Body)
	if err != nil {
		return nil, err
	}
	return p.Test(), nil
}

func (a *documents) compile(ctx context.Context, r store.Reader, body string) (*policy.Policy, error) {
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

// Change saves a document and puts it in force. One whose own tests fail
// is refused.
type Change struct {
	Body string `json:"body" arg:"" type:"text-file" name:"file" help:"The document; - reads standard input."`
	// Base is the version that the document was made from. Another that came since is
	// never overwritten unseen.
	Base int64 `json:"base" help:"The version that it was built on; the one that policy show printed last when left out."`
}

func (c *Change) Action() string { return "policy.change" }
func (c *Change) Object() string {
	sum := sha256.Sum256([]byte(c.Body))
	return fmt.Sprintf("policy document %s of %d lines, built on version %d", hex.EncodeToString(sum[:16]), c.lines(), c.Base)
}

// Said is the text without the digest.
func (c *Change) Said() string {
	return fmt.Sprintf("policy document of %d lines, built on version %d", c.lines(), c.Base)
}

func (c *Change) lines() int { return strings.Count(strings.TrimRight(c.Body, "\n"), "\n") + 1 }

// Tell compares the document with the one that is in force, line by line.
func (c *Change) Tell(ctx context.Context, a *changeDesk, s *admin.Sheet) error {
	now, err := a.rules.Latest(ctx, a.db)
	if err != nil && !errors.Is(err, signin.ErrNoPolicy) && !errors.Is(err, directory.ErrTampered) {
		return err
	}
	s.Rows("body", admin.Lines(now.Body, c.Body)...)
	s.Rows("base", prompt.Field{Name: "Version", Before: strconv.FormatInt(now.Version, 10), After: strconv.FormatInt(now.Version+1, 10)})
	return nil
}

// builtOn refuses a document that was not built on the version that is in force.
func (c *Change) builtOn(ctx context.Context, a *changeDesk, r store.Reader) error {
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

// Preflight says what keeps a document from being saved.
func (c *Change) Preflight(ctx context.Context, a *changeDesk) error {
	if err := a.sound(ctx, a.db, c.Body); err != nil {
		return err
	}
	return c.builtOn(ctx, a, a.db)
}

// sound refuses a document that does not compile, whose own tests do not hold, or by which
// nobody could administer.
func (a *changeDesk) sound(ctx context.Context, r store.Reader, body string) error {
	p, err := a.compile(ctx, r, body)
	if err != nil {
		return err
	}
	for _, r := range p.Test() {
		if !r.OK {
			return failure.At("body", failure.New(failure.Invalid, "The document's own test %q (line %d) does not hold: it wants %s and gets %s.", r.Name, r.Line, r.Want, r.Got))
		}
	}
	return failure.At("body", a.engine.SpareAdministrationBy(ctx, r, p))
}

func (c *Change) Do(ctx context.Context, a *changeDesk, g signin.Grant) (any, error) {
	if err := c.Preflight(ctx, a); err != nil {
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
