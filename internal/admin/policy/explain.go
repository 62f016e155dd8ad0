package policy

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"countersign/internal/application"
	"countersign/internal/directory"
	"countersign/internal/failure"
	"countersign/internal/policy"
	"countersign/internal/prompt"
	"countersign/internal/protocol"
	"countersign/internal/signin"
)

// explainDesk is where a decision is explained.
type explainDesk struct {
	engine       *signin.Engine
	applications *application.Catalogue
	protocols    protocol.List
	now          func() time.Time
}

// Explain says what an account would have to show for something, which
// rules say so, and whether it could.
type Explain struct {
	Account     string `json:"account" arg:"" help:"The account."`
	Application string `json:"application,omitempty" arg:"" optional:"" help:"What it signs in to; Countersign itself when left out."`
	Source      string `json:"source,omitempty" name:"from" help:"The address it comes from; unknown when left out."`
	Protocol    string `json:"protocol,omitempty" help:"How it comes; the application's own protocol when left out."`
	ForAction   string `json:"action,omitempty" name:"action" help:"What it wants to do; sign-in when left out."`
	Method      string `json:"method,omitempty" help:"The HTTP request's method, such as GET."`
	Path        string `json:"path,omitempty" help:"The HTTP request's path, such as /admin."`
	Time        string `json:"time,omitempty" name:"at" help:"When, as in 2026-12-01T09:00:00Z; now when left out."`
}

// Explanation is what policy.explain answers.
type Explanation struct {
	// Answer is the whole of it in one sentence.
	Answer      string    `json:"answer"`
	Account     string    `json:"account"`
	Application string    `json:"application"`
	Protocol    string    `json:"protocol"`
	ForAction   string    `json:"action"`
	Source      string    `json:"source,omitempty"`
	Time        time.Time `json:"time"`
	// Possible says whether what the account holds would be enough, and Reason,
	// the audit log's word, why it would not.
	Possible bool   `json:"possible"`
	Reason   string `json:"reason,omitempty"`
	// Requirement is all that must be shown, in words.
	Requirement string `json:"requirement"`
	// Rules are those that matched or failed, in the document's order.
	Rules []ExplainedRule `json:"rules"`
	// Shows are the account's authenticators.
	Shows []ExplainedAbility `json:"could_show"`
	// Others are the rules that did not match.
	Others []string `json:"other_rules"`
}

// ExplainedRule is one rule's part in it.
type ExplainedRule struct {
	Rule    string `json:"rule"`
	Line    int    `json:"line"`
	Outcome string `json:"outcome"`
	Effect  string `json:"effect"`
	When    string `json:"when,omitempty"`
	Error   string `json:"error,omitempty"`
}

// ExplainedAbility is one authenticator, and why it would not count.
type ExplainedAbility struct {
	Kind   string `json:"kind"`
	Label  string `json:"label,omitempty"`
	Traits string `json:"traits"`
	Counts bool   `json:"counts"`
	// Elsewhere: on another device, by a number.
	OutOfBand bool   `json:"elsewhere,omitempty"`
	Why       string `json:"why,omitempty"`
}

func (c *Explain) Action() string { return "policy.explain" }

// Object is empty: nothing is changed.
func (c *Explain) Object() string { return "" }

func (c *Explain) Do(ctx context.Context, a *explainDesk, _ signin.Grant) (any, error) {
	if a.engine == nil {
		return nil, failure.New(failure.Unavailable, "This server has no engine to ask.")
	}
	r, now, err := c.request(ctx, a)
	if err != nil {
		return nil, err
	}
	x, err := a.engine.Explain(ctx, r, now)
	if err != nil {
		return nil, err
	}
	out := Explanation{Account: x.Facts.Account.Name, Application: r.Application, Protocol: r.Protocol, ForAction: x.Facts.Action,
		Source: c.Source, Time: now, Possible: x.Possible, Reason: x.Reason, Requirement: x.Requirement.String(),
		Rules: []ExplainedRule{}, Shows: []ExplainedAbility{}, Others: []string{}}
	for _, l := range x.Policy.Rules {
		if l.Outcome == policy.Not {
			out.Others = append(out.Others, l.Rule)
			continue
		}
		out.Rules = append(out.Rules, ExplainedRule{Rule: l.Rule, Line: l.Number, Outcome: string(l.Outcome), Effect: l.Effect, When: l.When, Error: l.Error})
	}
	for _, ab := range x.Abilities {
		out.Shows = append(out.Shows, ExplainedAbility{Kind: ab.Kind, Label: ab.Label, Traits: ab.Traits.String(), Counts: ab.Not == "", OutOfBand: ab.OutOfBand, Why: ab.Not})
	}
	out.Answer = out.sentence()
	return out, nil
}

// request reads what was given, and fills in what was not.
func (c *Explain) request(ctx context.Context, a *explainDesk) (signin.Request, time.Time, error) {
	r := signin.Request{Name: c.Account, Application: c.Application, Action: c.ForAction, Protocol: c.Protocol, Method: strings.ToUpper(c.Method), Path: c.Path}
	now := a.now()
	var err error
	if c.Time != "" {
		if now, err = time.Parse(time.RFC3339, c.Time); err != nil {
			return r, now, failure.New(failure.Invalid, "Write the time as in 2026-12-01T09:00:00Z.")
		}
	}
	if c.Source != "" {
		if r.Source, err = netip.ParseAddr(c.Source); err != nil {
			return r, now, failure.New(failure.Invalid, "%q is not an address; write one as in 203.0.113.9.", c.Source)
		}
	}
	app := signin.Own()
	if r.Application == "" {
		r.Application = app.Name
	}
	if r.Application != signin.Self {
		if app, err = a.applications.Get(ctx, r.Application); err != nil {
			return r, now, err
		}
	}
	if r.Protocol == "" {
		r.Protocol = app.Protocol
	}
	r.Medium, err = a.plays(app, r.Protocol)
	return r, now, err
}

// plays is what an application can play by a protocol: what its settings say, or
// the protocol at its best.
func (a *explainDesk) plays(app application.Application, protocol string) (prompt.Medium, error) {
	if protocol == app.Protocol && app.Name != signin.Self {
		o, err := a.protocols.Exposure(app)
		if err != nil || o.Medium != 0 {
			return o.Medium, err
		}
	}
	return a.protocols.Plays(protocol), nil
}

func (x Explanation) sentence() string {
	deed := "sign in to " + x.Application
	if x.ForAction != signin.SignIn {
		deed = "do " + x.ForAction + " in " + x.Application
	}
	if x.Possible {
		return fmt.Sprintf("%s can %s by %s, with %s.", x.Account, deed, x.Protocol, x.Requirement)
	}
	return fmt.Sprintf("%s cannot %s by %s: %s.", x.Account, deed, x.Protocol, because(x.Reason, x.Requirement))
}

// because puts the audit log's word into a sentence.
func because(reason, requirement string) string {
	why, ok := strings.CutPrefix(reason, "policy: ")
	switch {
	case ok:
		return "the policy denies it (" + why + ")"
	case reason == "nothing-enrolled", reason == "not-enough", reason == "cannot-ask-here":
		return "it takes " + requirement + ", and the account has nothing more to show there"
	case reason == "not-administrator":
		return "only administrators may"
	case reason == "ended":
		return "the account has ended"
	}
	return "the account is refused (" + reason + ")"
}

// Versions lists the saved versions of the policy, newest first.
type Versions struct {
	Before int64 `json:"before,omitempty" help:"Only versions before this one."`
	Limit  int   `json:"limit,omitempty" help:"How many: 50 when left out, 500 at most."`
}

// Version is one saved version without its text.
type Version struct {
	Version int64     `json:"version"`
	Author  string    `json:"author"`
	Created time.Time `json:"created"`
	// Bytes is how long the document is.
	Bytes   int  `json:"bytes"`
	InForce bool `json:"in_force"`
}

func (c *Versions) Action() string { return "policy.versions" }

// Object is empty: nothing is changed.
func (c *Versions) Object() string { return "" }

func (c *Versions) Do(ctx context.Context, a *documents, _ signin.Grant) (any, error) {
	limit := c.Limit
	if limit <= 0 || limit > 500 {
		limit = 50
	}
	inForce, err := a.rules.Latest(ctx, a.db)
	if err != nil && !errors.Is(err, directory.ErrTampered) { // the history is shown all the same
		return nil, err
	}
	rows, err := a.rules.Versions(ctx, a.db, c.Before, limit)
	out := []Version{}
	for _, d := range rows {
		out = append(out, Version{Version: d.Version, Author: d.Author, Created: moment(d.Created), Bytes: len(d.Body), InForce: d.Version == inForce.Version})
	}
	return out, err
}

// Test runs the tests that a document holds.
type Test struct {
	Body    string `json:"body,omitempty" arg:"" optional:"" type:"text-file" name:"file" help:"The document; the policy in force when left out."`
	Version int64  `json:"version,omitempty" help:"A saved version instead."`
}

func (c *Test) Action() string { return "policy.test" }

// Object is empty: nothing is changed.
func (c *Test) Object() string { return "" }

func (c *Test) Do(ctx context.Context, a *documents, _ signin.Grant) (any, error) {
	p, _, err := a.document(ctx, c.Body, c.Version)
	if err != nil {
		return nil, err
	}
	out := p.Test()
	if out == nil {
		out = []policy.TestResult{}
	}
	return out, nil
}

// document returns the given text, or a saved version, or what is in force,
// compiled, and what to call it.
func (a *documents) document(ctx context.Context, body string, version int64) (*policy.Policy, string, error) {
	switch {
	case body != "" && version != 0:
		return nil, "", failure.New(failure.Invalid, "Give a document or a version, not both.")
	case body != "":
		p, err := a.compile(ctx, a.db, body)
		return p, "the document", err
	case version != 0:
		d, err := a.rules.Version(ctx, a.db, version)
		if err != nil {
			return nil, "", missingVersion(err, version)
		}
		p, err := a.compile(ctx, a.db, d.Body)
		return p, fmt.Sprintf("version %d", version), err
	}
	p, err := a.rules.Current(ctx)
	return p, "the policy in force", err
}
