package checklist

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"countersign/internal/audit"
	"countersign/internal/directory"
	"countersign/internal/enrollment"
	"countersign/internal/notify"
	"countersign/internal/signin"
	"countersign/internal/store"
)

// The items, by the words that programs and pages know them by.
const (
	SecondKey           = "second-key"
	SecondAdministrator = "second-administrator"
	MailItem            = "test-mail"
	FirstApplication    = "first-application"
	People              = "people"
)

// Item is one thing to do.
type Item struct {
	Item  string `json:"item"`
	Title string `json:"title"`
	Done  bool   `json:"done"`
	// Says is how it is now, and what to do about it.
	Says string `json:"says"`
	// Step is what is to be done next of several steps, a word of [Steps]; empty where it is
	// done, or where there is one step.
	Step string `json:"step,omitempty"`
	// About names what the step is about: an account, an application, a kind of authenticator.
	About string `json:"about,omitempty"`
}

// Steps of items that have several.
const (
	StepPass    = "pass"    // an administrator who cannot sign in yet
	StepConfig  = "config"  // mail in the configuration
	StepAddress = "address" // a mail address of one's own
	StepConnect = "connect" // an application that has not asked yet
)

// facts are what the items are made from.
type facts struct {
	// self is who looks. A service has no keys of its own to lose.
	self    string
	service bool
	spare   bool   // they could administer without any one of their authenticators
	kind    string // the kind of authenticator to add
	able    []string
	waiting []string // administrators who could not administer now
	mail    mailFacts
	// applications are all of them, and heard those that asked.
	applications, heard []string
	others              int64 // people who are no administrators
}

// mailFacts are how the mail server is.
type mailFacts struct {
	server  string // as it is configured; empty is none
	from    string
	address string // of who looks
	fails   string
	taken   string // what the last test was taken by, server and sender; empty is none
}

// items are all items with how each is.
func items(f facts) []Item {
	var out []Item
	if !f.service {
		out = append(out, secondKey(f))
	}
	return append(out, secondAdministrator(f), testMail(f.mail, f.self), firstApplication(f), people(f))
}

func secondKey(f facts) Item {
	i := Item{Item: SecondKey, Title: "A second key of your own", Done: f.spare, About: f.kind,
		Says: "If you lose what you sign in with, only another administrator can let you in again. Add a second passkey or security key, and keep it in another place."}
	if f.spare {
		i.Says = "You could administer without any one of the things that you sign in with."
	}
	return i
}

func secondAdministrator(f facts) Item {
	i := Item{Item: SecondAdministrator, Title: "A second administrator"}
	switch {
	case len(f.able) > 1:
		i.Done, i.Says = true, named(f.able)+" could administer now."
	case len(f.waiting) > 0:
		i.Step, i.About = StepPass, f.waiting[0]
		i.Says = named(f.waiting) + " cannot administer yet: what the policy demands of administrators is not set up, or the account is asleep. Issue a pass, and hand it over yourself: nobody who administers is invited by mail."
	default:
		i.Says = "Nobody else can administer. Who loses what they sign in with is let in again by another administrator: make somebody one."
	}
	return i
}

// testMail is whether the mail server that is configured took a mail.
func testMail(m mailFacts, self string) Item {
	i := Item{Item: MailItem, Title: "A test mail"}
	switch {
	case m.server == "":
		i.Step, i.Says = StepConfig, "Mail is off: notices wait, and nobody gets an invitation or a code by mail. Set mail.server and mail.from in the configuration, and start the server again."
	case m.fails != "":
		i.Says = m.fails
	case m.taken == m.server+" "+m.from:
		i.Done, i.Says = true, m.server+" took a test mail from "+m.from+"."
	case m.address == "":
		i.Step, i.About, i.Says = StepAddress, self, "Your account has no mail address, so that no test mail can be sent to you, and no notice. Set one."
	case m.taken != "":
		i.Says = "The mail server or its sender is another one since the last test. Send yourself a mail, and see what it answers."
	default:
		i.Says = "Send yourself a mail, and see what the mail server answers."
	}
	return i
}

func firstApplication(f facts) Item {
	i := Item{Item: FirstApplication, Title: "A first application"}
	switch {
	case len(f.heard) > 0:
		i.Done, i.Says = true, named(f.heard)+" came to Countersign."
	case len(f.applications) > 0:
		i.Step, i.About = StepConnect, f.applications[0]
		i.Says = "Nothing was heard yet from " + named(f.applications) + ". Take the configuration from the application’s page, put it where it says, and test it there."
	default:
		i.Says = "Nothing is behind Countersign yet. Say what people sign in to."
	}
	return i
}

func people(f facts) Item {
	i := Item{Item: People, Title: "People", Done: f.others > 0, Says: "Only administrators have accounts. Import people from a table, or add the first by hand, and invite them."}
	switch {
	case f.others == 1:
		i.Says = "One account is of somebody who is no administrator."
	case f.others > 1:
		i.Says = fmt.Sprintf("%d accounts are of people who are no administrators.", f.others)
	}
	return i
}

// mostNamed bounds how many names a sentence has.
const mostNamed = 3

// named are names for a sentence.
func named(all []string) string {
	if n := len(all) - mostNamed; n > 0 {
		return strings.Join(all[:mostNamed], ", ") + fmt.Sprintf(" and %d more", n)
	}
	if n := len(all); n > 1 {
		return strings.Join(all[:n-1], ", ") + " and " + all[n-1]
	}
	return strings.Join(all, "")
}

// facts reads how everything is, for whoever looks.
func (a *desk) facts(ctx context.Context, g signin.Grant) (facts, error) {
	self, err := a.people.Get(ctx, a.db, g.Account())
	if err != nil {
		return facts{}, err
	}
	f := facts{self: self.Name, service: self.Kind != directory.Person, kind: resistant(a.listing.Kinds())}
	if f.spare, err = a.prospects.Spare(ctx, self.ID); err != nil {
		return f, err
	}
	if f.able, f.waiting, err = a.whoCan.Both(ctx); err != nil {
		return f, err
	}
	if f.mail, err = a.mailFacts(ctx, self); err != nil {
		return f, err
	}
	if f.applications, f.heard, err = a.doors(ctx); err != nil {
		return f, err
	}
	all, err := a.survey.People(ctx, a.db)
	f.others = max(0, all-int64(len(f.able)+len(f.waiting)))
	return f, err
}

// resistant is the kind to add: one that cannot be phished and that anybody can set up.
func resistant(kinds []enrollment.Kind) string {
	i := slices.IndexFunc(kinds, func(k enrollment.Kind) bool { return k.Resistant && !k.Issued && !k.Restricted && !k.Single })
	if i < 0 {
		return ""
	}
	return kinds[i].Kind
}

func (a *desk) mailFacts(ctx context.Context, self directory.Account) (mailFacts, error) {
	m, err := a.mailer()
	if err != nil {
		return mailFacts{server: m.Server, from: m.From, fails: notify.Why(err)}, nil
	}
	out := mailFacts{server: m.Server, from: m.From, fails: a.mailFails()}
	mails, err := a.people.Mails(ctx, a.db, self.ID)
	if err != nil {
		return out, err
	}
	if len(mails) > 0 {
		out.address = mails[0]
	}
	out.taken, _, err = a.row(ctx, mailRow)
	return out, err
}

// latest is how far back sign-ins to applications are looked for, in entries of the log.
const latest = 2000

// doors are the applications, and those that came to us: as this server heard since it
// started, or as the newest sign-ins of the log say.
func (a *desk) doors(ctx context.Context) (all, heard []string, err error) {
	apps, err := a.applications.All(ctx)
	if err != nil {
		return nil, nil, err
	}
	for _, app := range apps {
		all = append(all, app.Name)
		if at, _ := a.ears.Of(app.Name); !at.IsZero() {
			heard = append(heard, app.Name)
		}
	}
	if len(all) == 0 || len(heard) > 0 {
		return all, heard, nil
	}
	var end int64
	if err := a.db.QueryRow(ctx, `select coalesce(max(seq), -1) + 1 from audit_entry`).Scan(&end); err != nil {
		return nil, nil, err
	}
	entries, err := a.db.AuditLog().Entries(ctx, store.Filter{From: max(0, end-latest), Event: "signin.granted", Outcome: audit.OK, Limit: latest, Newest: true})
	for _, e := range entries {
		if slices.Contains(all, e.Application) && !slices.Contains(heard, e.Application) {
			heard = append(heard, e.Application)
		}
	}
	return all, heard, err
}
