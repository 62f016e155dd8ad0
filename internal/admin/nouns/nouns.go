// Package nouns puts together every command that administrators have.
//
// It owns the one list, in the order in which people read it, and gives each noun the
// handles that its commands work on. What a command does is its noun's, a folder of
// countersign/internal/admin; what all have in common is admin's. Its one invariant: each
// command of the list is done at exactly one desk.
package nouns

import (
	"slices"
	"strings"

	"countersign/internal/admin"
	"countersign/internal/admin/application"
	"countersign/internal/admin/audit"
	"countersign/internal/admin/certificate"
	"countersign/internal/admin/group"
	"countersign/internal/admin/key"
	"countersign/internal/admin/offline"
	"countersign/internal/admin/prompts"
	"countersign/internal/admin/quiet"
	"countersign/internal/admin/recovery"
	"countersign/internal/signin"
)

// Commands lists every command.
func Commands() admin.List {
	all := slices.Concat(admin.Here(), application.Commands(), audit.Commands(), certificate.Commands(), group.Commands(), key.Commands(),
		offline.Commands(), prompts.Commands(), quiet.Commands(), recovery.Commands())
	order := []string{"overview", "account", "pass", "recovery", "key", "session", "authenticator", "prompts", "quiet", "certificate", "token", "offline", "group", "application", "policy", "coverage", "drill", "audit"}
	place := func(s admin.Spec) int {
		noun, _, _ := strings.Cut(s.Action, ".")
		return slices.Index(order, noun)
	}
	slices.SortStableFunc(all, func(a, b admin.Spec) int { return place(a) - place(b) })
	return all
}

// Parts are what all commands work on.
type Parts = admin.Parts

// New makes what does them.
func New(p Parts) *admin.Admin {
	p.List, p.Desks = Commands(), desks(p)
	return admin.New(p)
}

func desks(p Parts) []admin.Desk {
	var pushes *signin.Pushes
	var approvals *signin.Approvals
	var strangers *signin.Strangers
	if p.Engine != nil { // there is none where only the list is of use
		pushes, approvals, strangers = p.Engine.Pushes, p.Engine.Approvals, p.Engine.Strangers
	}
	return []admin.Desk{
		recovery.Desk(recovery.Parts{DB: p.DB, Accounts: p.Accounts, Groups: p.Groups, Engine: p.Engine, Notices: p.Enrolled.Notices, Recoveries: p.Recoveries, Dormant: p.Dormant, Now: p.Now}),
		key.Desk(key.Parts{DB: p.DB, Accounts: p.Accounts, Keys: p.Enrolled.Keys, Commands: Commands, Now: p.Now}),
		prompts.Desk(prompts.Parts{DB: p.DB, Accounts: p.Accounts, Approvals: approvals, Now: p.Now}),
		quiet.Desk(quiet.Parts{DB: p.DB, Accounts: p.Accounts, Pushes: pushes, Notices: p.Enrolled.Notices}),
		certificate.Desk(certificate.Parts{DB: p.DB, Accounts: p.Accounts, Credentials: p.Credentials, Engine: p.Engine, Enrollments: p.Enrolled.Enrollments, Listing: p.Enrolled.Listing, Dormant: p.Dormant, Now: p.Now}),
		offline.Desk(offline.Parts{DB: p.DB, Offline: p.Offline}),
		group.Desk(group.Parts{DB: p.DB, Accounts: p.Accounts, Groups: p.Groups, Engine: p.Engine, Applications: p.Applications, Protocols: p.Protocols}),
		application.Desk(application.Parts{DB: p.DB, Groups: p.Groups, Engine: p.Engine, Applications: p.Applications, Protocols: p.Protocols, PublicURL: p.PublicURL}),
		audit.Desk(audit.Parts{DB: p.DB, Accounts: p.Accounts, Strangers: strangers}),
	}
}
