package scim

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/directory"
	"countersign/internal/failure"
	"countersign/internal/store"
)

// rows reads what resources are made of.
type rows struct {
	view      store.View
	entries   *store.AuditLog
	accounts  *directory.Accounts
	groups    *directory.Groups
	roll      *directory.Roll
	externals *directory.Externals
	base      string
}

func (r rows) at(k kind, id int64) string {
	return r.base + k.endpoint + "/" + strconv.FormatInt(id, 10)
}

// person returns the account of an id. A service is nobody here.
func (r rows) person(ctx context.Context, from store.Reader, id string) (directory.Account, error) {
	n, ok := number(id)
	if !ok {
		return directory.Account{}, notFound
	}
	a, err := r.accounts.Get(ctx, from, assurance.AccountID(n))
	if failure.ClassOf(err) == failure.NotFound || err == nil && a.Kind != directory.Person {
		return directory.Account{}, notFound
	}
	return a, err
}

// team returns the group of an id.
func (r rows) team(ctx context.Context, from store.Reader, id string) (directory.Group, error) {
	n, ok := number(id)
	if !ok {
		return directory.Group{}, notFound
	}
	g, err := r.groups.Get(ctx, from, n)
	if failure.ClassOf(err) == failure.NotFound {
		return directory.Group{}, notFound
	}
	return g, err
}

// userOf is a person as a client sees them.
type userOf struct {
	account  directory.Account
	external string
	version  string
}

// user reads what a client sees of a person.
func (r rows) user(ctx context.Context, from store.Reader, client assurance.AccountID, a directory.Account) (userOf, error) {
	value, n, err := r.externals.Of(ctx, from, directory.External{Client: client, Kind: directory.ExternalUser, Subject: int64(a.ID)})
	return userOf{a, value, fmt.Sprintf(`W/"%d.%d"`, a.Version(), n)}, err
}

// active reports whether the account gets anything at all.
func (u userOf) active(now time.Time) bool { return u.account.Out(now) == nil }

// resource is a person as RFC 7643, section 4.1, writes one.
func (r rows) userResource(u userOf, now time.Time) map[string]any {
	a := u.account
	out := map[string]any{
		"schemas": []string{userSchema}, "id": strconv.FormatInt(int64(a.ID), 10), "userName": a.Name, "active": u.active(now),
		"meta": map[string]any{"resourceType": "User", "created": a.Created.UTC().Format(moment), "lastModified": later(a.Created, a.Changed).UTC().Format(moment), "location": r.at(userKind, int64(a.ID)), "version": u.version},
	}
	if a.Display != "" {
		out["displayName"], out["name"] = a.Display, map[string]any{"formatted": a.Display}
	}
	if u.external != "" {
		out["externalId"] = u.external
	}
	var mails []map[string]any
	for i, address := range a.MailAddresses() {
		mails = append(mails, map[string]any{"value": address, "type": "work", "primary": i == 0})
	}
	if mails != nil {
		out["emails"] = mails
	}
	var groups []map[string]any
	for _, g := range a.Joined() {
		groups = append(groups, map[string]any{"value": strconv.FormatInt(g.ID, 10), "$ref": r.at(groupKind, g.ID), "display": g.Name, "type": "direct"})
	}
	if groups != nil {
		out["groups"] = groups
	}
	return out
}

// moment is how times are written: with what the database has of a second, so that a change within
// the same second is seen.
const moment = "2006-01-02T15:04:05.999999Z07:00"

// later is the last of some moments.
func later(all ...time.Time) time.Time { return slices.MaxFunc(all, time.Time.Compare) }

// groupOf is a group as a client sees it.
type groupOf struct {
	group    directory.Group
	external string
	version  string
	members  int
	changed  time.Time
}

func (g groupOf) display() string {
	if g.group.Display != "" {
		return g.group.Display
	}
	return g.group.Name
}

// teamOf reads what a client sees of a group.
func (r rows) teamOf(ctx context.Context, from store.Reader, client assurance.AccountID, g directory.Group) (groupOf, error) {
	value, n, err := r.externals.Of(ctx, from, directory.External{Client: client, Kind: directory.ExternalGroup, Subject: g.ID})
	if err != nil {
		return groupOf{}, err
	}
	count, newest, err := r.groups.Membership(ctx, from, g)
	return groupOf{g, value, fmt.Sprintf(`W/"%d.%d.%d.%d"`, g.Version(), n, count, newest), count, later(g.Created, g.Changed, store.Time(newest))}, err
}

// mostMembers is how many members an answer shows at most.
const mostMembers = 20_000

// groupResource is a group as RFC 7643, section 4.2, writes one.
func (r rows) groupResource(ctx context.Context, from store.Reader, g groupOf, members bool) (map[string]any, error) {
	out := map[string]any{
		"schemas": []string{groupSchema}, "id": strconv.FormatInt(g.group.ID, 10), "displayName": g.display(),
		"meta": map[string]any{"resourceType": "Group", "created": g.group.Created.UTC().Format(moment), "lastModified": g.changed.UTC().Format(moment), "location": r.at(groupKind, g.group.ID), "version": g.version},
	}
	if g.external != "" {
		out["externalId"] = g.external
	}
	if !members || g.members == 0 {
		return out, nil
	}
	if g.members > mostMembers {
		return nil, bad("tooMany", `The group has more than %d members. Ask with excludedAttributes=members, and for its members page by page: /Users?filter=groups.value eq "%d".`, mostMembers, g.group.ID)
	}
	all := make([]map[string]any, 0, g.members)
	err := r.eachMember(ctx, from, g.group, func(a directory.Account) {
		all = append(all, map[string]any{"value": strconv.FormatInt(int64(a.ID), 10), "$ref": r.at(userKind, int64(a.ID)), "display": a.Name, "type": "User"})
	})
	out["members"] = all
	return out, err
}

// eachMember goes through the people of a group, page by page.
func (r rows) eachMember(ctx context.Context, from store.Reader, g directory.Group, fn func(directory.Account)) error {
	for after := assurance.AccountID(0); ; {
		all, last, read, err := r.groups.MembersAfter(ctx, from, g, after, pageRows)
		if err != nil {
			return err
		}
		for _, a := range all {
			if a.Kind == directory.Person {
				fn(a)
			}
		}
		if after = last; read < pageRows {
			return nil
		}
	}
}

// pageRows is how many rows are read at once.
const pageRows = 500

// fresh says whether a request may go on with a resource of this version (RFC 7644, section 3.14).
func (r *request) fresh(version string) error {
	if r.ifMatch != "" && !names(r.ifMatch, version) {
		return &fault{status: http.StatusPreconditionFailed, detail: "The resource was changed meanwhile; read it again."}
	}
	return nil
}

// unchanged reports whether the client has this version already.
func (r *request) unchanged(version string) bool { return r.ifNone != "" && names(r.ifNone, version) }

// names reports whether a list of ETags has a version. They are compared weakly, as all of ours are
// weak (RFC 9110, section 8.8.3.2).
func names(list, version string) bool {
	if strings.TrimSpace(list) == "*" {
		return true
	}
	for tag := range strings.SplitSeq(list, ",") {
		if strings.TrimPrefix(strings.TrimSpace(tag), "W/") == strings.TrimPrefix(version, "W/") {
			return true
		}
	}
	return false
}
