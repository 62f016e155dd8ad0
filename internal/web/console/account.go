package console

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"countersign/internal/admin"
	"countersign/internal/admin/account"
	"countersign/internal/admin/audit"
	"countersign/internal/admin/authenticator"
	"countersign/internal/admin/connection"
	"countersign/internal/admin/group"
	"countersign/internal/admin/key"
	"countersign/internal/admin/nouns"
	"countersign/internal/admin/pass"
	"countersign/internal/admin/quiet"
	sessions "countersign/internal/admin/session"
	"countersign/internal/protocol"
	"countersign/internal/session"
	"countersign/internal/web/look"
)

type accountView struct {
	kinds func(list string) string
	account.Detail
	Path    string
	Tags    []tag
	Forms   map[string]*form
	Joins   []choice // groups that the account is not in
	History []told
	// Connected are the applications that the account is signed in to.
	Connected []protocol.Connected
	Own       bool
}

// Form is one of the page's forms: the one that was sent, or an empty one.
func (a accountView) Form(name string) *form {
	if f := a.Forms[name]; f != nil {
		return f.as(name)
	}
	return typed(nil).as(name)
}

// Begin is Form, with what a field holds before anybody typed in it.
func (a accountView) Begin(name, field, value string) *form {
	if a.Sent(name) {
		return a.Form(name)
	}
	return a.Form(name).Or(field, value)
}

// Lifetimes are how long a pass can live.
func (accountView) Lifetimes() []choice {
	return choices("3600", "1 hour", "900", "15 minutes", "14400", "4 hours", "28800", "8 hours")
}

// CanHavePass reports whether the account can be given a pass.
func (a accountView) CanHavePass() bool {
	return a.State == "active" && !a.Dormant && !a.Ended && a.Kind != "service"
}

// account shows one account; which is the form that was sent, if one was.
func (p *accountPages) show(v *visit, which string, f *form) error {
	name := v.r.PathValue("name")
	d, err := read[account.Detail](v, &account.Show{Name: name})
	if err != nil {
		return err
	}
	log, err := read[audit.Page](v, &audit.Search{Account: d.Name, Limit: 12})
	if err != nil {
		return err
	}
	groups, err := read[[]group.Group](v, &group.List{})
	if err != nil {
		return err
	}
	view := accountView{Detail: d, Path: under(accountsPath, d.Name), Tags: tagsOf(v.desk.look, d.Account), History: tellAll(v.desk.look, log.Entries), Own: d.Name == v.g.Name(), Forms: map[string]*form{}, kinds: v.desk.look.Nouns}
	if view.Connected, err = read[[]protocol.Connected](v, &connection.List{Account: d.Name}); err != nil {
		return err
	}
	view.Joins = []choice{{"", "Choose a group"}}
	for _, g := range groups {
		if !slices.Contains(d.Groups, g.Name) {
			view.Joins = append(view.Joins, choice{g.Name, called(g)})
		}
	}
	problem := ""
	if f != nil {
		view.Forms[which], problem = f, f.problem("reason", "note", "lifetime", "group", "actions", "networks", "days", "ends", "to", "display", "mail")
	}
	return v.show(sheet{template: "account", title: "Account", here: accountsPath, problem: problem, data: view})
}

func called(g group.Group) string {
	if g.Display == "" {
		return g.Name
	}
	return g.Display + " (" + g.Name + ")"
}

// on is a form on an account's own page.
func (p *accountPages) on(which, action string, read func(name string, f *form) admin.Command, done func(v *visit, f *form, answer any) error) change {
	return change{path: accountsPath + "/{name}/" + which, action: action,
		read:  func(v *visit, f *form) admin.Command { return read(v.r.PathValue("name"), f) },
		page:  func(v *visit) string { return under(accountsPath, v.r.PathValue("name")) },
		again: func(v *visit, f *form) error { return p.show(v, which, f) },
		done:  done}
}

// back goes on to the account's page and says what was done.
func backToAccount(note string) func(v *visit, f *form, answer any) error {
	return func(v *visit, f *form, _ any) error {
		return v.done(under(accountsPath, v.r.PathValue("name")), note)
	}
}

func (p *accountPages) forms() []change {
	why := func(f *form) string { return f.must("reason", "Say why; whoever reads the log will want to know.") }
	return []change{
		{path: "/console/new-account", action: "account.create",
			page:  func(*visit) string { return "/console/new-account" },
			again: p.blank,
			read: func(_ *visit, f *form) admin.Command {
				return &account.Create{Name: f.must("name", "Every account needs a name."), Display: f.text("display"), Mail: f.text("mail"), Kind: f.text("kind"), Ends: f.text("ends"), Groups: f.values["groups"]}
			},
			done: func(v *visit, _ *form, answer any) error {
				made := answer.(account.Account)
				return v.done(under(accountsPath, made.Name), "The account was made. It can do nothing yet: issue a pass, so that its owner can set up how they sign in.")
			}},
		p.on("suspend", "account.suspend", func(name string, f *form) admin.Command { return &account.Suspend{Name: name, Reason: why(f)} },
			backToAccount("The account is suspended, and its sessions have ended.")),
		p.on("resume", "account.resume", func(name string, f *form) admin.Command { return &account.Resume{Name: name, Reason: why(f)} },
			backToAccount("The account is awake again.")),
		p.on("set-end", "account.set-end", func(name string, f *form) admin.Command {
			return &account.SetEnd{Name: name, Ends: f.must("ends", "Say when the account ends; never takes its end away."), Reason: why(f)}
		}, backToAccount("When the account ends was changed.")),
		p.on("rename", "account.rename", func(name string, f *form) admin.Command {
			return &account.Rename{Name: name, To: f.must("to", "Write the new name."), Reason: why(f)}
		}, func(v *visit, _ *form, answer any) error {
			return v.done(under(accountsPath, answer.(account.Account).Name), "The account has another name, and its owner is told. The old name still leads to it.")
		}),
		p.on("set-display", "account.set-display", func(name string, f *form) admin.Command {
			return &account.SetDisplay{Name: name, Display: f.text("display"), Reason: f.text("reason")}
		}, backToAccount("What people call the account was changed, and its owner is told.")),
		p.on("set-mail", "account.set-mail", func(name string, f *form) admin.Command {
			return &account.SetMail{Name: name, Mail: f.text("mail"), Reason: f.must("reason", "Say how you made sure that the address is theirs.")}
		}, backToAccount("The mail address was changed. The old address and the new one are told.")),
		p.on("pass", "pass.issue", func(name string, f *form) admin.Command {
			seconds, err := strconv.Atoi(f.text("lifetime"))
			if err != nil {
				f.wrong("lifetime", "Choose how long the pass is good.")
			}
			return &pass.Issue{Account: name, Lifetime: seconds, Note: f.must("note", "Say how you made sure who it is: met, called back, an identity card.")}
		}, func(v *visit, _ *form, answer any) error { return p.pass(v, answer.(pass.Pass)) }),
		p.on("invite", "pass.invite", func(name string, f *form) admin.Command {
			return &pass.Invite{Whom: pass.Whom{Account: name}, Note: f.text("note")}
		}, backToAccount("The invitation is on its way. It is good for a day.")),
		p.on("letter", "pass.letter", func(name string, f *form) admin.Command {
			return &pass.Letter{Whom: pass.Whom{Account: name}, Note: f.text("note")}
		}, func(v *visit, _ *form, answer any) error { return p.letters(v, answer.(pass.Letters)) }),
		p.on("uninvite", "pass.uninvite", func(name string, f *form) admin.Command {
			return &pass.Uninvite{Whom: pass.Whom{Account: name}, Reason: f.text("reason")}
		}, backToAccount("The invitation is over, and so is the pass that came of it.")),
		p.on("key", "key.issue", func(name string, f *form) admin.Command {
			days, err := strconv.Atoi(f.text("days"))
			if err != nil {
				f.wrong("days", "Write a number of days.")
			}
			return &key.Issue{Account: name, Actions: append(slices.Clone(f.values["actions"]), f.lines("at")...), Networks: f.lines("networks"), Days: days, Note: f.must("note", "Say what the key is for.")}
		}, func(v *visit, _ *form, answer any) error { return p.key(v, answer.(key.Key)) }),
		p.on("end-session", "session.end", func(name string, f *form) admin.Command {
			return &sessions.End{Account: name, Number: f.must("number", "Choose a session."), Reason: f.text("reason")}
		}, backToAccount("That session has ended.")),
		p.on("end-sessions", "session.end", func(name string, f *form) admin.Command {
			return &sessions.End{Account: name, Reason: f.text("reason")}
		}, backToAccount("All sessions of the account have ended.")),
		p.on("disconnect", "connection.end", func(name string, f *form) admin.Command {
			return &connection.End{Account: name, Application: f.must("application", "Choose an application."), Reason: f.text("reason")}
		}, backToAccount("What the application had been given was ended, and it is told.")),
		p.on("revoke", "authenticator.revoke", func(name string, f *form) admin.Command {
			id, err := strconv.ParseInt(f.text("id"), 10, 64)
			if err != nil {
				f.wrong("id", "Choose what to revoke.")
			}
			return &authenticator.Revoke{Account: name, ID: id, Reason: why(f)}
		}, backToAccount("It was revoked, and its owner is told.")),
		p.on("clear-risk", "account.clear-risk", func(name string, f *form) admin.Command { return &account.ClearRisk{Name: name, Reason: why(f)} },
			backToAccount("The account is at risk no more.")),
		p.on("open", "account.open", func(name string, f *form) admin.Command { return &account.Open{Name: name, Reason: why(f)} },
			backToAccount("Wrong answers were forgotten; all that was closed is open again.")),
		p.on("quiet", "quiet.clear", func(name string, f *form) admin.Command { return &quiet.Clear{Account: name, Reason: why(f)} },
			backToAccount("Their quiet hours were taken away, and they are told.")),
		p.on("remove", "account.remove", func(name string, _ *form) admin.Command { return &account.Remove{Name: name} },
			func(v *visit, _ *form, _ any) error { return v.done(accountsPath, "The account was removed for good.") }),
		p.on("join", "group.member.add", func(name string, f *form) admin.Command {
			return &group.MemberAdd{Group: f.must("group", "Choose a group."), Account: name}
		}, backToAccount("The account was added to the group.")),
		p.on("leave", "group.member.remove", func(name string, f *form) admin.Command {
			return &group.MemberRemove{Group: f.must("group", "Choose a group."), Account: name}
		}, backToAccount("The account was taken out of the group.")),
	}
}

type passView struct {
	pass.Pass
	Path, Good string
}

// pass shows an issued pass, this once.
func (p *accountPages) pass(v *visit, made pass.Pass) error {
	return v.show(sheet{template: "pass", title: "A temporary access pass", here: accountsPath,
		data: passView{made, under(accountsPath, made.Account), good(made.Expires, v.desk.look.Now())}})
}

// letters shows letters to be printed, this once.
func (p *accountPages) letters(v *visit, made pass.Letters) error {
	return v.show(sheet{template: "letters", title: "Letters", here: accountsPath, data: made})
}

// InvitationTag says how far the account's invitation is.
func (a accountView) InvitationTag() []tag { return []tag{invitationTags[a.Invitation.State]} }

// CanBeInvited reports whether the account can be invited to set up how it signs in.
func (a accountView) CanBeInvited() bool {
	return a.CanHavePass() && !a.Own && !a.Privileged && !a.TwoFactors
}

type keyView struct {
	key.Key
	Path string
}

// key shows an issued key, this once.
func (p *accountPages) key(v *visit, k key.Key) error {
	return v.show(sheet{template: "key", title: "An automation key", here: accountsPath, data: keyView{k, under(accountsPath, k.Account)}})
}

// good says until when something can be used.
func good(until, now time.Time) string {
	return "once, until " + look.Moment(until.In(now.Location())) + " (" + look.Until(until, now) + ")"
}

// Shown pairs each session with what was shown in it, in words.
func (a accountView) Shown() []sessionView {
	out := make([]sessionView, len(a.Sessions))
	for i, s := range a.Sessions {
		kinds := make([]string, len(s.Evidence))
		for i, e := range s.Evidence {
			kinds[i] = e.Kind
		}
		out[i] = sessionView{s, a.kinds(strings.Join(kinds, ", "))}
	}
	return out
}

type sessionView struct {
	session.Session
	Shown string
}

// Sent reports whether this is the form that was sent and came back.
func (a accountView) Sent(name string) bool { return a.Forms[name] != nil }

// Commands are what a key can be issued for.
func (accountView) Commands() []admin.Spec {
	return slices.DeleteFunc(nouns.Commands(), func(s admin.Spec) bool { return s.Action == "key.issue" })
}

// Group is the address of a group's page.
func (accountView) Group(name string) string { return under("/console/groups", name) }
