package signin

import (
	"slices"
	"time"

	"countersign/internal/application"
	"countersign/internal/assurance"
	"countersign/internal/authenticator"
	"countersign/internal/directory"
	"countersign/internal/language"
	"countersign/internal/policy"
	"countersign/internal/prompt"
	"countersign/internal/text"
	"countersign/internal/throttle"
)

// matter is everything that a decision rests on, as plain values. [judge.gather]
// reads them; decide reads nothing else, not even the time.
type matter struct {
	*setting
	// Request is what is asked for, by whom, from where and by what medium. Its
	// session and its opening answers are nothing to a decision.
	Request
	now         time.Time
	application application.Application
	// account is whose matter it is, zero while nobody has shown anything.
	// somebody says that there was one, whether it is still there or not.
	account  directory.Account
	somebody bool
	// credentials are all of the account's, in whatever state.
	credentials []directory.Credential
	// held is what the session holds, shown what this attempt has shown.
	held, shown []assurance.Evidence
	// delegated says that an automation key came with the request and serves it.
	delegated bool
	// mandate is what was delegated to a partner's person.
	mandate Mandate
	// bound says that the session is bound to the device that it is used from, or will be asked
	// for again when it had its chance to be.
	bound  bool
	policy *policy.Policy
}

// setting is what an installation is set to. It does not change while it runs.
type setting struct {
	// kinds of authenticators in the order in which they are offered.
	kinds  []kind
	limits throttle.Limits
	// reading are the actions in Countersign itself that only look, helping those
	// that the help desk may do as well.
	// lending are those that can be delegated to people of partners.
	reading, helping, lending []string
	// comprising are those that do what others do.
	comprising map[string][]string
}

// kind is what a decision knows of a kind of authenticator. A remote one is
// answered on the device that it lives on, and nowhere else.
type kind struct {
	authenticator.Description
	remote bool
}

// answersBy reports whether a medium can carry an answer of this kind. What is
// answered on the device that it lives on, and what comes with its request, is an
// answer by none.
func (k kind) answersBy(m prompt.Medium) bool { return !k.remote && k.Media&m&^prompt.API != 0 }

// decision is what decide found. Its zero value denies.
type decision struct {
	state   State
	account directory.Account
	reason  string
	public  language.Sentence
	fresh   bool // the account cannot show two factors yet
	mandate Mandate

	requirement assurance.Requirement
	evidence    []assurance.Evidence // all that counted
	rules       []string
	ruled       bool // a rule of the document denies, in its own words

	// kinds to ask for, best first, and what each is asked about.
	kinds       []string
	credentials map[string][]directory.Credential
	partial     string

	// wants is what is missing where nothing is left to ask for, and usable what could count.
	wants  assurance.Trait
	usable []directory.Credential
}

// told is what whoever is denied reads.
func (d decision) told() language.Sentence {
	if d.public.IsZero() {
		return language.Say(bland)
	}
	return d.public
}

// decide is the one road to yes. Every verb ends here: who it is, what policy
// demands of them for this, what counts of what was shown, and what is still
// missing that this medium can play. The same matter gives the same decision.
func decide(m *matter) decision {
	if !m.somebody {
		return m.firstQuestions()
	}
	if m.account.ID == 0 {
		return decision{reason: "no-account"}
	}
	d := decision{account: m.account, mandate: m.mandate}
	if d.reason = m.barred(); d.reason != "" {
		return d
	}
	if d.reason = beyond(m); d.reason != "" {
		d.public = saysBeyond(m, d.reason)
		return d
	}
	if !m.mayAdminister() {
		d.reason = "not-administrator"
		return d
	}
	if d.public = m.unshowable(); !d.public.IsZero() {
		d.reason = "not-shown-whole"
		return d
	}
	refused := m.demand(&d)
	if why, no := d.requirement.Denied(); no {
		d.reason, d.public = "policy: "+why, m.whyDenied(why, d.ruled)
		if why == NeedsSecond {
			d.reason, d.public = NeedsSecond, language.Say("This needs a recovery that a second person confirms. Call your help desk.")
		}
		return d
	}
	if m.application.Bound && !m.bound {
		d.reason = Unbound
		if isKnown(m) {
			d.public = language.Say("You are known, but this takes a browser that binds its sign-in to your device, such as Chrome on Windows, and yours did not. Sign in with such a browser.")
		}
		return d
	}
	usable := m.usable(refused)
	d.evidence = m.counting(usable, refused)
	missing := d.requirement.Missing(d.evidence, m.now)
	for _, way := range missing {
		if way.Met() {
			d.state = Granted
			return d
		}
	}
	m.choose(missing, usable, &d)
	return d
}

// whyDenied is what a person reads whom policy denies: the words of the rule, or that no
// rule lets them in. It is empty for whoever has not proved who they are, who learns
// nothing. In a browser the right password is enough, because a wrong one is asked for
// again there and the denial itself has told the two apart already.
func (m *matter) whyDenied(why string, ruled bool) language.Sentence {
	switch {
	case !isKnown(m):
		return language.Sentence{}
	case ruled:
		return language.Say("You are known, but the rules refuse this: %s. Signing in again does not change that; ask your administrator.", why)
	}
	return language.Say("You are known, but no rule lets you do this. Signing in again does not change that; ask your administrator.")
}

// isKnown reports whether whoever asks has shown enough to read why they are denied.
func isKnown(m *matter) bool {
	shown := append(slices.Clone(m.held), m.shown...)
	return m.browser() && assurance.Need(assurance.Known).Met(shown, m.now) || assurance.TwoFactors().Met(shown, m.now)
}

// Unbound is the reason why somebody is denied whose session is bound to no device, at an application
// that takes no other one.
const Unbound = "session-not-bound"

// barred says why the account gets nothing, whatever it shows and whatever policy
// says; empty when it may.
func (m *matter) barred() string { return m.bars(m.account, m.now) }

func (s *setting) bars(a directory.Account, now time.Time) string {
	switch {
	case a.State != directory.Active:
		return "suspended"
	case a.Ended(now):
		return hasEnded
	case a.Idle(now) > s.limits.Dormant:
		return "dormant"
	}
	return ""
}

// hasEnded is the reason why an account gets nothing whose end has come.
const hasEnded = "ended"

// own are the actions that people may do to their own account. Every other
// action in Countersign itself is administration.
var own = []string{SignIn, CommandLine, Approve, Recover, "authenticator.enroll", "authenticator.remove", "authenticator.rename", "authenticator.pin", "report.not-me", SetQuiet}

// OwnActions lists what people may do to their own account.
func OwnActions() []string { return slices.Clone(own) }

// SettingUp is the object of an enrollment that a pass begins: the session in which
// all the rest is set up comes of it.
const SettingUp = "first authenticators"

// act is what is shown for a request is bound to: one act in Countersign itself that
// changes something. Signing in is none, neither at a terminal nor to look nor with a
// pass to set up the rest.
func (r Request) act(reading []string) string {
	switch {
	case r.Application != Self, r.Action == SignIn, r.Action == CommandLine, slices.Contains(reading, r.Action):
		return ""
	case r.Action == "authenticator.enroll" && r.Object == SettingUp:
		return ""
	}
	return r.Action + " " + r.Object
}

func (m *matter) act() string { return m.Request.act(m.reading) }

func administers(action string) bool { return !slices.Contains(own, action) }

// mayAdminister reports whether the account may ask for this at all: anybody
// for what is their own, the help desk for helping people back in, people of partners for
// what was delegated to them, administrators and their keys for the rest.
func (m *matter) mayAdminister() bool {
	return m.application.Name != Self || !administers(m.Action) || m.delegated || m.account.Administers() ||
		m.account.Helps() && slices.Contains(m.helping, m.Action) || m.account.Partner != "" && lends(m, m.Action)
}

// unshowable says why nobody can be asked for this: its text is not what a person
// would read. Empty is a text on one line, whole, with nothing in it that is not seen.
func (m *matter) unshowable() language.Sentence {
	switch {
	case len(m.Object) > text.Longest:
		return language.Say("This is too long to be shown completely for approval: %d characters, %d at most. Do it in parts.", len(m.Object), text.Longest)
	case !text.Clean(m.Object):
		return language.Say("This contains characters that are invisible or change the direction of text; write it without them.")
	}
	return language.Sentence{}
}

// kind returns what is known of a kind of authenticator.
func (s *setting) kind(name string) (kind, bool) {
	i := slices.IndexFunc(s.kinds, func(k kind) bool { return k.Kind == name })
	if i < 0 {
		return kind{}, false
	}
	return s.kinds[i], true
}

// browser reports whether it is played on pages.
func (m *matter) browser() bool { return m.Medium.Can(prompt.Browser) }

// active are the credentials that could show anything.
func active(credentials []directory.Credential) []directory.Credential {
	out := make([]directory.Credential, 0, len(credentials))
	for _, c := range credentials {
		if c.Status == directory.CredentialActive {
			out = append(out, c)
		}
	}
	return out
}
