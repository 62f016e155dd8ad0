// Package provisioning is the commands about applications in which we make, change and end people
// by SCIM.
//
// It owns what of such settings is shown, and what an approval names; the targets and the queue are
// countersign/internal/provision's. Its one invariant: a token is never shown, and a hidden one stays
// with the address that it was given for.
package provisioning

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	"countersign/internal/admin"
	"countersign/internal/application"
	"countersign/internal/directory"
	"countersign/internal/failure"
	"countersign/internal/provision"
	"countersign/internal/signin"
	"countersign/internal/store"
	"countersign/internal/text"
)

// Commands are those about provisioning, with what each answers and leaves in the log.
func Commands() []admin.Spec {
	return []admin.Spec{
		admin.Looks[List]("List the applications in which people are made and ended by SCIM.", []Line{}),
		admin.Looks[Show]("Show how an application is provisioned, what waits, and what fails.", Shown{}),
		admin.Looks[Compare]("Ask an application who is there, and say how that differs from who is to be.", provision.Drift{}).
			Telling("provisioning.compared", "{by} compared who is in {application} with who is to be"),
		admin.Changes[Set]("Have people and groups made, changed and ended in an application by SCIM.", Shown{}).
			Telling("provisioning.set", "{by} changed how {application} is provisioned"),
		admin.Changes[Mend]("Compare an application with who is to be there, and have every difference mended.", provision.Drift{}).
			Telling("provisioning.mended", "{by} had {detail.differences} differences in {application} mended"),
		admin.Changes[Release]("Let as many people be ended in an application as are held.", Shown{}).
			Telling("provisioning.released", "{by} approved that {detail.people} people are ended in {application}"),
		admin.Changes[Remove]("Provision an application no more; who is there stays there.", map[string]string{}).
			Telling("provisioning.removed", "{by} ended the provisioning of {application}"),
	}
}

// Parts are what the commands work on.
type Parts struct {
	DB           *store.DB
	Applications *application.Catalogue
	Groups       *directory.Groups
	Targets      *provision.Targets
	Queue        *provision.Queue
	Worker       *provision.Worker
	Now          func() time.Time
}

// Desk is where the commands are done.
func Desk(p Parts) admin.Desk {
	return admin.At(&desk{admin.NewBook(p.DB), p.DB, p.Applications, p.Groups, p.Targets, p.Queue, p.Worker, p.Now})
}

type desk struct {
	admin.Book
	db           store.Reader
	applications *application.Catalogue
	groups       *directory.Groups
	targets      *provision.Targets
	queue        *provision.Queue
	worker       *provision.Worker
	now          func() time.Time
}

// Line is an application that is provisioned.
type Line struct {
	Application string `json:"application"`
	Address     string `json:"address"`
	// There, Waiting, Failing and Held count people and groups.
	There   int `json:"there"`
	Waiting int `json:"waiting"`
	Failing int `json:"failing"`
	Held    int `json:"held"`
	// Problem says why the application takes nothing now, or is empty.
	Problem string `json:"problem,omitempty"`
}

// Shown is an application that is provisioned, with what fails.
type Shown struct {
	Line
	Settings json.RawMessage `json:"settings"`
	// Troubled are people and groups that fail or are held, 50 at most.
	Troubled []Trouble `json:"troubled,omitempty"`
}

// Trouble is somebody, or a group, of whom something could not be done.
type Trouble struct {
	Kind  string `json:"kind"`
	ID    int64  `json:"id"`
	Name  string `json:"name,omitempty"`
	State string `json:"state"`
	Says  string `json:"says,omitempty"`
}

// mostTroubled is how many are shown.
const mostTroubled = 50

func (a *desk) line(ctx context.Context, t provision.Target) (Line, error) {
	c, err := a.queue.Count(ctx, a.db, t.Application)
	s := c.States
	return Line{Application: t.Application, Address: t.Address, There: s[provision.StateThere], Waiting: s[provision.StateWaiting], Failing: s[provision.StateFailing], Held: s[provision.StateHeld], Problem: a.worker.Says(t.Application)}, err
}

func (a *desk) shown(ctx context.Context, app string) (Shown, error) {
	t, err := a.targets.Get(ctx, a.db, app)
	if err != nil {
		return Shown{}, err
	}
	var out Shown
	if out.Line, err = a.line(ctx, t); err != nil {
		return out, err
	}
	hidden := t.Settings
	hidden.Token = admin.Hidden
	if out.Settings, err = json.Marshal(hidden); err != nil {
		return out, err
	}
	all, err := a.queue.Troubled(ctx, app, mostTroubled)
	for _, e := range all {
		out.Troubled = append(out.Troubled, Trouble{e.Kind, e.Subject, e.Name, e.State, e.Problem})
	}
	return out, err
}

// List lists the applications that are provisioned.
type List struct{}

func (c *List) Action() string { return "provisioning.list" }
func (c *List) Object() string { return "" }
func (c *List) Do(ctx context.Context, a *desk, _ signin.Grant) (any, error) {
	all, err := a.targets.All(ctx, a.db)
	out := []Line{}
	for _, t := range all {
		one, err := a.line(ctx, t)
		if err != nil {
			return nil, err
		}
		out = append(out, one)
	}
	return out, err
}

// Show shows how an application is provisioned; the token is hidden.
type Show struct {
	Application string `json:"application" arg:"" help:"The application."`
}

func (c *Show) Action() string { return "provisioning.show" }
func (c *Show) Object() string { return "" }
func (c *Show) Do(ctx context.Context, a *desk, _ signin.Grant) (any, error) {
	return a.shown(ctx, c.Application)
}

// Compare says how an application differs from what is to be there.
type Compare struct {
	Application string `json:"application" arg:"" help:"The application."`
}

func (c *Compare) Action() string { return "provisioning.compare" }
func (c *Compare) Object() string { return "" }
func (c *Compare) Do(ctx context.Context, a *desk, g signin.Grant) (any, error) {
	t, err := a.targets.Get(ctx, a.db, c.Application)
	if err != nil {
		return nil, err
	}
	if err := a.Change(ctx, g, "provisioning.compared", map[string]string{"application": t.Application}, nil, func(*store.Tx) error { return nil }); err != nil {
		return nil, err
	}
	return a.worker.Compare(ctx, t)
}

// Set says how an application is provisioned.
type Set struct {
	Application string          `json:"application" arg:"" help:"The application."`
	Settings    json.RawMessage `json:"settings" required:"" type:"json-file" placeholder:"FILE" help:"address, token, groups, leavers, share and inside, JSON; - reads standard input."`
}

func (c *Set) Action() string { return "provisioning.set" }

// Object holds a digest of the settings, so that an approval of some settings serves no others and
// shows no token.
func (c *Set) Object() string {
	sum := sha256.Sum256(c.Settings)
	return c.Said() + ", settings " + hex.EncodeToString(sum[:16])
}

// Said is the text without the digest.
func (c *Set) Said() string {
	var s provision.Settings
	_ = json.Unmarshal(c.Settings, &s) // what cannot be read is refused when it is done
	return "application " + text.Name(c.Application) + ", provisioned at " + text.Quote(s.Address)
}

// Tell compares the settings with those that are there. Of the token it says only that it changes.
func (c *Set) Tell(ctx context.Context, a *desk, s *admin.Sheet) error {
	var old json.RawMessage
	if t, err := a.targets.Get(ctx, a.db, c.Application); err == nil {
		if old, err = json.Marshal(t.Settings); err != nil {
			return err
		}
	} else if failure.ClassOf(err) != failure.NotFound {
		return err
	}
	rows, err := admin.Values(old, c.Settings, Secret)
	if err != nil {
		return nil //nolint:nilerr // what cannot be read is refused when it is done
	}
	s.Rows("settings", rows...)
	return nil
}

// Secret reports whether a setting is a secret, by its name.
func Secret(setting string) bool { return setting == "token" }

// target is what is to be kept. A hidden token stays with the address that it was given for.
func (c *Set) target(ctx context.Context, a *desk, r store.Reader) (provision.Target, error) {
	t := provision.Target{Application: c.Application}
	if err := application.ReadSettings(c.Settings, &t.Settings); err != nil {
		return t, failure.At("settings", err)
	}
	apps, err := a.applications.AllIn(ctx, r)
	if err != nil {
		return t, err
	}
	i := slices.IndexFunc(apps, func(o application.Application) bool { return o.Name == c.Application })
	if i < 0 {
		return t, failure.At("application", failure.New(failure.NotFound, "There is no application %q.", c.Application))
	}
	t.ID = apps[i].ID
	if t.Token == admin.Hidden {
		old, err := a.targets.Get(ctx, r, c.Application)
		if failure.ClassOf(err) == failure.NotFound || err == nil && old.Address != t.Address {
			return t, failure.At("settings", failure.New(failure.Invalid, "There is no token for that address to keep; write it."))
		}
		if err != nil {
			return t, err
		}
		t.Token = old.Token
	}
	for _, name := range t.Groups {
		if _, err := a.groups.Find(ctx, r, name); err != nil {
			return t, failure.At("settings", err)
		}
	}
	return t, failure.At("settings", t.Check())
}

// Preflight says what is wrong with the settings before anybody approves them.
func (c *Set) Preflight(ctx context.Context, a *desk) error {
	_, err := c.target(ctx, a, a.db)
	return err
}

func (c *Set) Do(ctx context.Context, a *desk, g signin.Grant) (any, error) {
	detail := map[string]string{"application": c.Application}
	err := a.Change(ctx, g, "provisioning.set", detail, nil, func(tx *store.Tx) error {
		t, err := c.target(ctx, a, tx)
		if err != nil {
			return err
		}
		detail["address"] = t.Address
		return a.targets.SetTx(ctx, tx, t)
	})
	if err != nil {
		return nil, err
	}
	return a.shown(ctx, c.Application)
}

// Mend has every difference mended that a comparison finds.
type Mend struct {
	Application string `json:"application" arg:"" help:"The application."`
}

func (c *Mend) Action() string { return "provisioning.mend" }
func (c *Mend) Object() string {
	return "application " + text.Name(c.Application) + ", made as it is to be by SCIM"
}
func (c *Mend) Do(ctx context.Context, a *desk, g signin.Grant) (any, error) {
	t, err := a.targets.Get(ctx, a.db, c.Application)
	if err != nil {
		return nil, err
	}
	drift, err := a.worker.Compare(ctx, t)
	if err != nil {
		return nil, err
	}
	detail := map[string]string{"application": t.Application, "differences": strconv.Itoa(len(drift.Subjects()))}
	return drift, a.Change(ctx, g, "provisioning.mended", detail, nil, func(tx *store.Tx) error { return a.queue.MendTx(ctx, tx, t.Application, drift.Subjects()) })
}

// Release approves that as many are ended as are held.
type Release struct {
	Application string `json:"application" arg:"" help:"The application."`
	People      int    `json:"people" required:"" help:"How many, as provisioning show says under held."`
}

func (c *Release) Action() string { return "provisioning.release" }
func (c *Release) Object() string {
	return fmt.Sprintf("application %s, %d people ended there", text.Name(c.Application), c.People)
}
func (c *Release) Do(ctx context.Context, a *desk, g signin.Grant) (any, error) {
	detail := map[string]string{"application": c.Application, "people": strconv.Itoa(c.People)}
	err := a.Change(ctx, g, "provisioning.released", detail, nil, func(tx *store.Tx) error {
		t, err := a.targets.Get(ctx, tx, c.Application)
		if err != nil {
			return err
		}
		counts, err := a.queue.Count(ctx, tx, c.Application)
		if err != nil {
			return err
		}
		if held := counts.States[provision.StateHeld]; held == 0 || held != c.People {
			return failure.At("people", failure.New(failure.Conflict, "%d are held and not %d. Look at who they are, and approve that number.", held, c.People))
		}
		t.Approve(c.People, tx.Now())
		if err := a.targets.SetTx(ctx, tx, t); err != nil {
			return err
		}
		return a.queue.ReleaseTx(ctx, tx, c.Application)
	})
	if err != nil {
		return nil, err
	}
	a.worker.Wake(c.Application)
	return a.shown(ctx, c.Application)
}

// Remove provisions an application no more.
type Remove struct {
	Application string `json:"application" arg:"" help:"The application."`
}

func (c *Remove) Action() string { return "provisioning.remove" }
func (c *Remove) Object() string {
	return "application " + text.Name(c.Application) + ", provisioned no more"
}
func (c *Remove) Do(ctx context.Context, a *desk, g signin.Grant) (any, error) {
	err := a.Change(ctx, g, "provisioning.removed", map[string]string{"application": c.Application}, nil, func(tx *store.Tx) error {
		if _, err := a.targets.Get(ctx, tx, c.Application); err != nil {
			return err
		}
		return a.targets.RemoveTx(ctx, tx, c.Application)
	})
	return map[string]string{"removed": c.Application}, err
}
