package provision

import (
	"context"
	"errors"
	"slices"
	"strconv"

	"countersign/internal/application"
	"countersign/internal/assurance"
	"countersign/internal/directory"
	"countersign/internal/failure"
	"countersign/internal/store"
)

// The schemas of what is sent (RFC 7643, sections 4.1, 4.2 and 7644, section 3.5.2).
const (
	userSchema  = "urn:ietf:params:scim:schemas:core:2.0:User"
	groupSchema = "urn:ietf:params:scim:schemas:core:2.0:Group"
	patchSchema = "urn:ietf:params:scim:api:messages:2.0:PatchOp"

	usersAt  = "/Users"
	groupsAt = "/Groups"
)

// userResource is a person as they are sent.
type userResource struct {
	Schemas  []string      `json:"schemas"`
	ID       string        `json:"id,omitempty"`
	External string        `json:"externalId"`
	UserName string        `json:"userName"`
	Name     *nameOf       `json:"name,omitempty"`
	Display  string        `json:"displayName,omitempty"`
	Emails   []mailAddress `json:"emails,omitempty"`
	Active   bool          `json:"active"`
}

type nameOf struct {
	Formatted string `json:"formatted"`
}

type mailAddress struct {
	Value   string `json:"value"`
	Type    string `json:"type"`
	Primary bool   `json:"primary"`
}

// groupResource is a group as it is made there.
type groupResource struct {
	Schemas  []string       `json:"schemas"`
	ID       string         `json:"id,omitempty"`
	External string         `json:"externalId"`
	Display  string         `json:"displayName"`
	Members  []remoteMember `json:"members"`
}

// userOf is how an account is sent: its name, what people call it, its first confirmed address,
// and nothing else.
func userOf(a directory.Account, active bool) userResource {
	u := userResource{Schemas: []string{userSchema}, External: strconv.FormatInt(int64(a.ID), 10), UserName: a.Name, Display: a.Display, Active: active}
	if a.Display != "" {
		u.Name = &nameOf{a.Display}
	}
	if a.Mail != "" {
		u.Emails = []mailAddress{{a.Mail, "work", true}}
	}
	return u
}

// patched are the operations that make a person what is sent. A value that is empty is removed.
func (u userResource) patched() any {
	type op struct {
		Op    string `json:"op"`
		Path  string `json:"path"`
		Value any    `json:"value,omitempty"`
	}
	ops := []op{{"replace", "userName", u.UserName}, {"replace", "externalId", u.External}, {"replace", "active", u.Active}}
	if u.Display != "" {
		ops = append(ops, op{"replace", "displayName", u.Display}, op{"replace", "name.formatted", u.Display})
	} else {
		ops = append(ops, op{Op: "remove", Path: "displayName"})
	}
	if len(u.Emails) > 0 {
		ops = append(ops, op{"replace", "emails", u.Emails})
	} else {
		ops = append(ops, op{Op: "remove", Path: "emails"})
	}
	return map[string]any{"schemas": []string{patchSchema}, "Operations": ops}
}

// differs says what of a person is not there as it is to be; empty for nothing.
func (u userResource) differs(there resource) string {
	switch {
	case there.UserName != u.UserName:
		return "the name"
	case there.Active != nil && bool(*there.Active) != u.Active:
		return "whether they are active"
	case there.Display != "" && there.Display != u.Display:
		return "the display name"
	case len(u.Emails) > 0 && there.mail() != u.Emails[0].Value:
		return "the mail address"
	case there.External != "" && there.External != u.External:
		return "the identifier"
	}
	return ""
}

// wish is what is to be of a person in an application.
type wish int

const (
	// absent: they are not to be there, and are not made; away: their account is gone; barred: they
	// may not use the application any more; asleep: they may, and are suspended here; present.
	absent wish = iota
	away
	barred
	asleep
	present
)

// wanted is what is to be of an account in an application.
func (p *people) wanted(ctx context.Context, id int64, mayUse func(directory.Account) bool) (directory.Account, wish, error) {
	a, err := p.accounts.Get(ctx, p.view, assurance.AccountID(id))
	if failure.ClassOf(err) == failure.NotFound {
		return a, away, nil
	}
	if err != nil {
		return a, absent, err
	}
	return a, p.wishOf(a, mayUse), nil
}

func (p *people) wishOf(a directory.Account, mayUse func(directory.Account) bool) wish {
	switch {
	case a.Kind != directory.Person:
		return absent
	case !mayUse(a):
		return barred
	case a.Out(p.now()) != nil:
		return asleep
	}
	return present
}

// application returns the application of a target. One that was removed, or another one of its
// name, is none.
func (p *people) application(ctx context.Context, t Target) (application.Application, bool, error) {
	app, err := p.applications.Get(ctx, t.Application)
	if failure.ClassOf(err) == failure.NotFound {
		return app, false, nil
	}
	return app, err == nil && app.ID == t.ID, err
}

// group returns a group of a target's settings by its number; false where it is none of them, or
// is gone.
func (p *people) group(ctx context.Context, t Target, id int64) (directory.Group, bool, error) {
	g, err := p.groups.Get(ctx, p.view, id)
	if failure.ClassOf(err) == failure.NotFound {
		return g, false, nil
	}
	return g, err == nil && slices.Contains(t.Groups, g.Name), err
}

// called is what a group is called there.
func called(g directory.Group) string {
	if g.Display != "" {
		return g.Display
	}
	return g.Name
}

func accountID(n int64) assurance.AccountID { return assurance.AccountID(n) }

func isNone(err error) bool { return errors.Is(err, store.ErrNotFound) }
