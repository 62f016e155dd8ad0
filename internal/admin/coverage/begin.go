package coverage

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"countersign/internal/admin"
	"countersign/internal/admin/survey"
	"countersign/internal/assurance"
	"countersign/internal/attack"
	"countersign/internal/directory"
	"countersign/internal/policy"
	"countersign/internal/signin"
	"countersign/internal/store"
)

// DrillBegin begins a drill: it says what there is to attack, as it is at this moment, and
// leaves in the log that the alarms to come are a drill's.
type DrillBegin struct {
	Note string `json:"note,omitempty" help:"What it is for, in the log."`
}

func (c *DrillBegin) Action() string { return "drill.begin" }

// Object is the whole installation, and what the drill is for.
func (c *DrillBegin) Object() string { return admin.WithReason("every application", c.Note) }

// Targets is what drill.begin answers. It holds no secret.
type Targets struct {
	// URL is where people reach Countersign, and Log the name of its log, which no other
	// installation has: the report must be signed with its key.
	URL string `json:"url"`
	Log string `json:"log"`
	// Cards is where smart cards are shown; empty for nowhere.
	Cards string `json:"cards,omitempty"`
	// Policy is the version of the policy that is in force.
	Policy       int64    `json:"policy"`
	Applications []Target `json:"applications"`
}

// Target is one application that can be attacked. Countersign itself is the first.
type Target struct {
	Name     string `json:"name"`
	Title    string `json:"title"`
	Protocol string `json:"protocol"`
	// Doors are its entrances, as coverage calls them, and Drill is what a drill attacks
	// them as: "page", "radius", "validation", "openid" or "mail"; empty where it cannot yet.
	Doors []string `json:"doors,omitempty"`
	Drill string   `json:"drill,omitempty"`
	// Group is one that policy lets in where it does not let everybody in; empty for
	// none. Shut says that it lets nobody in whom a drill can make.
	Group string `json:"group,omitempty"`
	Shut  bool   `json:"shut,omitempty"`
	// Depends are the versions of what a drill's outcome depends on.
	Depends map[string]string `json:"depends"`
}

// beginDesk is where drills are begun.
type beginDesk struct {
	admin.Book
	kept   *Kept
	db     store.Reader
	rules  *signin.Rules
	survey *survey.Survey
	groups *directory.Groups
	cards  *url.URL
	here   here
}

func (c *DrillBegin) Do(ctx context.Context, a *beginDesk, g signin.Grant) (any, error) {
	out, err := a.targets(ctx)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, t := range out.Applications {
		names = append(names, t.Name)
	}
	detail := map[string]string{"applications": strings.Join(names, ", "), "policy": strconv.FormatInt(out.Policy, 10)}
	if c.Note != "" {
		detail["note"] = c.Note
	}
	return out, a.Change(ctx, g, "drill.begun", detail, nil, func(*store.Tx) error { return nil })
}

func (a *beginDesk) targets(ctx context.Context) (Targets, error) {
	out := Targets{Log: a.kept.keys.AuditKeys().Origin}
	if a.here.publicURL != nil {
		out.URL = (&url.URL{Scheme: a.here.publicURL.Scheme, Host: a.here.publicURL.Host}).String()
	}
	if a.cards != nil {
		out.Cards = a.cards.String()
	}
	p, err := a.rules.Current(ctx)
	if err != nil {
		return out, err
	}
	v, err := versionsOf(ctx, a.db, a.rules, a.survey, a.here.loosened())
	if err != nil {
		return out, err
	}
	out.Policy = v.policy
	places, err := a.survey.Places(ctx)
	if err != nil {
		return out, err
	}
	joins, err := a.joins(ctx, p)
	if err != nil {
		return out, err
	}
	for _, pl := range places {
		t := Target{Name: pl.Name, Title: pl.Title, Protocol: pl.Protocol, Doors: pl.Openings.Entrances, Drill: pl.Openings.Drill, Depends: v.of(pl)}
		t.Group, t.Shut = a.group(p, pl, joins)
		out.Applications = append(out.Applications, t)
	}
	return out, nil
}

// joins are the groups that a rule names and a canary may be in: those that give it no
// rights over others.
func (a *beginDesk) joins(ctx context.Context, p *policy.Policy) ([]string, error) {
	all, err := a.groups.All(ctx, a.db)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, g := range all {
		if !g.Privileged && slices.Contains(p.Mentions().Groups, g.Name) {
			out = append(out, g.Name)
		}
	}
	return out, nil
}

// group is the one that lets an ordinary person in, where being one is not enough. It
// reports whether nothing does.
func (a *beginDesk) group(p *policy.Policy, pl survey.Place, joins []string) (group string, shut bool) {
	if a.lets(p, pl, nil) {
		return "", false
	}
	for _, g := range joins {
		if a.lets(p, pl, []string{g}) {
			return g, false
		}
	}
	return "", true
}

// lets reports whether policy lets an ordinary person with two factors in.
func (a *beginDesk) lets(p *policy.Policy, pl survey.Place, groups []string) bool {
	now := a.here.now()
	person := directory.Surveyed{
		Account: directory.Account{Name: "canary", Kind: directory.Person, State: directory.Active, Created: now, Used: now, Groups: groups},
		Credentials: []directory.Credential{
			{Kind: "canary", Status: directory.CredentialActive, Traits: assurance.Known, Created: now.Add(-time.Hour)},
			{Kind: "canary", Status: directory.CredentialActive, Traits: assurance.Held, Created: now.Add(-time.Hour)},
		},
	}
	facts, view := a.survey.Asks(&survey.Class{One: person}, pl, signin.SignIn, pl.Channels[0])
	if view.Refuses != "" {
		return false
	}
	return slices.ContainsFunc(p.Weakest(facts).Ways, func(w policy.Way) bool {
		_, denied := w.Decision.Requirement.Denied()
		return !denied
	})
}

// versions are those of what the outcome of a drill depends on.
type versions struct {
	policy     int64
	rules      string // a digest: a document that is saved again as it was changes nothing
	protocols  string
	exceptions []attack.Exception // beside the applications' own
}

func versionsOf(ctx context.Context, db store.Reader, rules *signin.Rules, s *survey.Survey, loosened []attack.Exception) (versions, error) {
	d, err := rules.Latest(ctx, db)
	return versions{policy: d.Version, rules: digest([]string{d.Body}), protocols: strings.Join(s.Protocols(), " "), exceptions: loosened}, err
}

// of are the versions for one application, each by the word with which coverage says that it
// was changed.
func (v versions) of(p survey.Place) map[string]string {
	out := map[string]string{"policy": v.rules, "protocols": v.protocols, "exceptions": digest(v.at(p))}
	if p.Version != "" {
		out["settings"] = p.Version
	}
	return out
}

// at are the exceptions at one application, in words.
func (v versions) at(p survey.Place) []string {
	var out []string
	for _, e := range slices.Concat(v.exceptions, p.Openings.Exceptions) {
		if (e.Application == "" || e.Application == p.Name) && (e.Protocol == "" || e.Protocol == p.Protocol) {
			out = append(out, fmt.Sprint(e.What, e.FailOpen, e.Expires.Unix()))
		}
	}
	return out
}

// digest names a list by 64 bits of its SHA-256; it is empty for an empty one.
func digest(all []string) string {
	if len(all) == 0 {
		return ""
	}
	slices.Sort(all)
	sum := sha256.Sum256([]byte(strings.Join(all, "\x00")))
	return hex.EncodeToString(sum[:8])
}
