package admin

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"countersign/internal/directory"
	"countersign/internal/enrollment"
	"countersign/internal/failure"
	"countersign/internal/signin"
	"countersign/internal/store"
)

// keyDesk is where automation keys are issued.
type keyDesk struct {
	Book
	directory   *directory.Directory
	enrollments *enrollment.Enrollments
	list        List
	now         func() time.Time
}

// KeyIssue issues an automation key to a service account. What it may do is in
// the approved text, word for word.
type KeyIssue struct {
	Account  string   `json:"account" arg:"" help:"The service account."`
	Actions  []string `json:"actions" required:"" name:"action" help:"What it may do, such as account.list; give it again for each."`
	Networks []string `json:"networks" required:"" name:"network" help:"Where it may be used from, such as 10.0.0.0/8; give it again for each."`
	Days     int      `json:"days,omitempty" help:"How many days it lives: 90 when left out, 365 at most."`
	Note     string   `json:"note,omitempty" help:"What it is for."`
	Told     `embed:""`
}

// Key is an issued key. Key is shown once and kept nowhere.
type Key struct {
	Account string    `json:"account"`
	Key     string    `json:"key"`
	Number  int64     `json:"number"`
	Expires time.Time `json:"expires"`
}

const (
	keyDays     = 90
	longestDays = 365
)

func (c *KeyIssue) Action() string { return "key.issue" }

func (c *KeyIssue) About() *string { return &c.Account }
func (c *KeyIssue) Object() string {
	return WithReason(fmt.Sprintf("key for %s, %d days, from %s, for %s", c.Of(c.Account), c.days(), Listed(c.Networks), Listed(c.Actions)), c.Note)
}

func (c *KeyIssue) days() int {
	if c.Days == 0 {
		return keyDays
	}
	return c.Days
}

// personal are the actions that no key can be for: a key that issues keys would never
// end, and a second person is a person.
var personal = []string{"key.issue", "recovery.open", "recovery.confirm"}

// check reads the networks and refuses what a key may not have: a key that
// issues keys would never end.
func (c *KeyIssue) check(known List) ([]netip.Prefix, error) {
	if d := c.days(); d < 1 || d > longestDays {
		return nil, failure.New(failure.Invalid, "A key lives 1 to %d days.", longestDays)
	}
	if len(c.Actions) == 0 || len(c.Networks) == 0 {
		return nil, failure.New(failure.Invalid, "A key needs the actions it may do and the networks it may be used from.")
	}
	for _, action := range c.Actions {
		if _, ok := known.Find(action); !ok {
			return nil, failure.New(failure.Invalid, "There is no action %q.", action)
		}
		if slices.Contains(personal, action) {
			return nil, failure.New(failure.Invalid, "A key cannot be issued for %s: a person must do that.", action)
		}
	}
	var networks []netip.Prefix
	for _, text := range c.Networks {
		p, err := netip.ParsePrefix(text)
		if err != nil || p.Bits() == 0 {
			return nil, failure.New(failure.Invalid, "%q is not a network such as 10.0.0.0/8 or 192.0.2.7/32.", text)
		}
		networks = append(networks, p.Masked())
	}
	return networks, nil
}

func (c *KeyIssue) Do(ctx context.Context, a *keyDesk, g signin.Grant) (any, error) {
	networks, err := c.check(a.list)
	if err != nil {
		return nil, err
	}
	var d directory.Account
	out := Key{Expires: a.now().Add(time.Duration(c.days()) * 24 * time.Hour).Truncate(time.Second)}
	err = a.Change(ctx, g, "key.issued", map[string]string{"actions": strings.Join(c.Actions, " "), "networks": strings.Join(c.Networks, " ")}, &d, func(tx *store.Tx) error {
		var err error
		if d, err = a.directory.Find(ctx, tx, c.Account); err != nil {
			return err
		}
		if d.Kind != directory.Service || d.State != directory.Active {
			return failure.New(failure.Invalid, "Keys are for active service accounts; %s is not one.", d.Name)
		}
		out.Account = d.Name
		out.Key, out.Number, err = a.enrollments.KeyIn(ctx, tx, d, enrollment.KeyTerms{Actions: c.Actions, Networks: networks, Expires: out.Expires, Label: c.Note})
		return err
	})
	return out, err
}
