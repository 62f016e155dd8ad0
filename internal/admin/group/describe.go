package group

import (
	"context"

	"countersign/internal/admin"
	"countersign/internal/directory"
	"countersign/internal/failure"
	"countersign/internal/signin"
	"countersign/internal/store"
	"countersign/internal/text"
)

// SetDisplay changes what a group is called. Its name stays: policy and applications know it by
// that.
type SetDisplay struct {
	Group   string `json:"group" arg:"" help:"The group."`
	Display string `json:"display" arg:"" help:"What it is called; an empty text takes that away."`
}

func (c *SetDisplay) Action() string { return "group.set-display" }
func (c *SetDisplay) Object() string {
	if c.Display == "" {
		return "group " + text.Name(c.Group) + ", without a display name"
	}
	return admin.Called("group "+text.Name(c.Group), c.Display)
}

// Tell says what the group is called now.
func (c *SetDisplay) Tell(ctx context.Context, a *desk, s *admin.Sheet) error {
	g, err := a.groups.Find(ctx, a.db, c.Group)
	s.Was("display", g.Display)
	return err
}

func (c *SetDisplay) Do(ctx context.Context, a *desk, g signin.Grant) (any, error) {
	var now directory.Group
	detail := map[string]string{}
	err := a.Change(ctx, g, "group.display-set", detail, nil, func(tx *store.Tx) error {
		before, err := a.groups.Find(ctx, tx, c.Group)
		if err != nil {
			return failure.At("group", err)
		}
		if err := a.PersonMust(ctx, tx, g.Account(), before.Privileged); err != nil {
			return err
		}
		if now, err = a.groups.Describe(ctx, tx, before, c.Display); err != nil {
			return err
		}
		detail["group"], detail["before"], detail["after"] = now.Name, orNone(before.Display), orNone(now.Display)
		return nil
	})
	return shown(now), err
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

func shown(g directory.Group) Group {
	return Group{Name: g.Name, Display: g.Display, Privileged: g.Privileged}
}

// SetExternal says by which identifier the service account that does it knows a group. It
// changes nothing of the group, and decides nothing.
type SetExternal struct {
	Group    string `json:"group" arg:"" help:"The group."`
	External string `json:"external" arg:"" help:"The identifier, 128 characters at most; an empty text takes it away."`
}

func (c *SetExternal) Action() string { return "group.set-external" }
func (c *SetExternal) Object() string {
	if c.External == "" {
		return "group " + text.Name(c.Group) + ", known to the client by no identifier"
	}
	return "group " + text.Name(c.Group) + ", known to the client by " + text.Quote(c.External)
}

func (c *SetExternal) Do(ctx context.Context, a *desk, g signin.Grant) (any, error) {
	var about directory.Group
	detail := map[string]string{"external": c.External}
	err := a.Change(ctx, g, "group.external-set", detail, nil, func(tx *store.Tx) error {
		var err error
		if about, err = a.groups.Find(ctx, tx, c.Group); err != nil {
			return failure.At("group", err)
		}
		detail["group"] = about.Name
		return a.known(ctx, tx, g, about, c.External)
	})
	return shown(about), err
}

// known has the grant's account, which is a service, know a group by an identifier.
func (a *desk) known(ctx context.Context, tx *store.Tx, g signin.Grant, about directory.Group, value string) error {
	client, err := a.people.Get(ctx, tx, g.Account())
	if err != nil {
		return err
	}
	if client.Kind != directory.Service {
		return failure.At("external", failure.New(failure.Refused, "Only a service account knows others by identifiers of its own; its automation key does that."))
	}
	changed, err := a.externals.Set(ctx, tx, directory.External{Client: client.ID, Kind: directory.ExternalGroup, Subject: about.ID}, value)
	if err == nil && changed { // and so the resource, as its client sees it
		err = a.groups.Touch(ctx, tx, about)
	}
	return err
}
