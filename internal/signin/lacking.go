package signin

import (
	"math"
	"slices"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/directory"
	"countersign/internal/language"
	"countersign/internal/prompt"
)

// These are the sentences for whoever has shown something and is refused because the rest is
// missing: which factor, why, and how to get it. Nobody reads them who has shown nothing.
const (
	lacksForRecovery = "This also needs a code by mail, and no address is set up for it, or it is too new. Call your help desk."
	lacksHere        = "You are known, but this also needs %s."
	lacksNew         = "Yours is new (your %s), and counts for this only after %s."
	lacksOff         = "Yours is switched off: your %s."
	lacksRefused     = "The rules do not accept what you have of it: your %s."
	lacksMedium      = "Yours cannot be used this way: your %s."
	mendByAdding     = "Add one under “Ways to sign in” on your account page."
	mendByPass       = "Ask an administrator for a temporary access pass, with which you set one up."
	mendByHelp       = "Ask an administrator to help you to set one up."
	mendByKey        = "An administrator issues it."
	mendByWaiting    = "Until then use another way, or ask an administrator."
	mendElsewhere    = "Sign in on a page instead, or add another way there."
)

// lacking says what is missing to somebody of whom nothing more can be asked here; it is empty
// where that is not why they are refused. It is no part of what is decided.
func lacking(m *matter, d decision) language.Sentence {
	switch {
	case d.reason != nothingEnrolled:
		return language.Sentence{}
	case m.Action == Recover:
		return language.Say(lacksForRecovery)
	}
	why, mends := whyLacking(m, d.wants, d.usable)
	return language.Together(language.Say(lacksHere, nounOf(d.wants, m.account.Kind)), why, language.Say(mends))
}

// nothingEnrolled is the reason of whoever is refused because nothing of theirs is left to ask
// for.
const nothingEnrolled = "nothing-enrolled"

// least is what the nearest way wants that nothing of theirs could show: of two that are
// as near the one that takes no device which checks its owner, since that is easier to say.
func least(missing []assurance.Missing, could assurance.Trait) assurance.Trait {
	var out assurance.Trait
	best := math.MaxInt
	for _, way := range missing {
		lacks := (way.Absent | way.Stale) &^ could
		far := 2 * lacks.Count()
		if lacks.Has(assurance.UserVerified) {
			far++
		}
		if far < best {
			out, best = lacks, far
		}
	}
	return out
}

// nounOf is what shows such traits, within a sentence.
func nounOf(t assurance.Trait, accountKind string) language.Word {
	switch {
	case t.Has(assurance.Delegated) || accountKind == directory.Service:
		return "an automation key"
	case t.Has(assurance.AppPassword):
		return "an app password"
	case t.Has(assurance.Vouched):
		return "a temporary access pass, which another person gives you"
	case t.Has(assurance.HardwareBound):
		return "a security key or smart card whose key cannot leave it"
	case t.Has(assurance.PhishingResistant):
		return "a passkey or security key"
	case t.Has(assurance.Held | assurance.Known):
		return "a password and something that you hold, or a passkey"
	case t.Has(assurance.Held):
		return "something that you hold, such as a passkey, an authenticator app or a code token"
	case t.Has(assurance.Known):
		return "a password"
	case t.Has(assurance.UserVerified):
		return "a passkey that checks you by PIN, fingerprint or face"
	}
	return "another way to sign in"
}

// whyLacking says why what they have does not show these traits, if they have something that
// would, and how they get what does.
func whyLacking(m *matter, lacks assurance.Trait, usable []directory.Credential) (why language.Sentence, mends string) {
	if m.account.Kind == directory.Service {
		return why, mendByKey
	}
	counts := func(c directory.Credential) bool {
		return slices.ContainsFunc(usable, func(u directory.Credential) bool { return u.ID == c.ID })
	}
	var off, refused, elsewhere string
	var ripe time.Time
	var fresh string
	for _, c := range m.credentials {
		k, known := m.kind(c.Kind)
		switch {
		case !known || c.Traits&lacks == 0 || c.Traits.Has(assurance.Vouched):
		case c.Status == directory.CredentialDisabled:
			off = k.Noun
		case c.Status != directory.CredentialActive:
		case m.now.Before(c.Quarantine) && (!counts(c) || k.remote):
			if fresh == "" || c.Quarantine.Before(ripe) {
				fresh, ripe = k.Noun, c.Quarantine
			}
		case !counts(c):
			refused = k.Noun
		case !k.answersBy(m.Medium):
			elsewhere = k.Noun
		}
	}
	switch {
	case fresh != "":
		return language.Say(lacksNew, language.Word(fresh), language.At(ripe.In(m.now.Location()))), mendByWaiting
	case off != "":
		return language.Say(lacksOff, language.Word(off)), mend(m)
	case refused != "":
		return language.Say(lacksRefused, language.Word(refused)), mend(m)
	case elsewhere != "":
		return language.Say(lacksMedium, language.Word(elsewhere)), mendElsewhere
	}
	return why, mend(m)
}

// mend is how whoever is refused gets what is missing: by themselves, if what they have is
// enough to add something, and otherwise by somebody's help.
func mend(m *matter) string {
	switch {
	case couldAdd(m):
		return mendByAdding
	case directory.LacksTwoFactors(m.credentials, m.now):
		return mendByPass
	}
	return mendByHelp
}

// couldAdd reports whether the account could sign in to its pages and add an authenticator with
// what it has.
func couldAdd(m *matter) bool {
	own := *m
	own.Application, own.application, own.Medium, own.Protocol, own.Raise = Self, ourselves(), prompt.Browser, "browser", nil
	own.Method, own.Path = "", ""
	own.held, own.shown, own.delegated = nil, nil, false
	for _, action := range []string{SignIn, "authenticator.enroll"} {
		own.Action, own.Object = action, ""
		if !letsIn(&own) {
			return false
		}
	}
	return true
}
