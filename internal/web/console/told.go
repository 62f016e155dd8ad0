package console

import (
	"cmp"
	"maps"
	"regexp"
	"slices"
	"strings"

	"countersign/internal/admin/nouns"
	"countersign/internal/audit"
	"countersign/internal/web/look"
)

// told is an entry of the audit log in plain words, with everything else folded
// behind it.
type told struct {
	audit.Entry
	Words string
	Class string // bad, warn, good or empty
	Facts []pair
}

type pair struct{ Name, Value string }

func tellAll(l *look.Look, entries []audit.Entry) []told {
	out := make([]told, len(entries))
	for i, e := range entries {
		out[i] = told{Entry: e, Words: tell(e, l.Kinds), Class: classOf(e), Facts: facts(e)}
	}
	return out
}

func classOf(e audit.Entry) string {
	switch {
	case strings.HasPrefix(e.Event, "alarm.") || e.Event == "audit.forged" || e.Event == "audit.unreadable" || e.Outcome == audit.Failed:
		return "bad"
	case e.Outcome == audit.Refused && !asked(e):
		return "warn"
	}
	return ""
}

// asked reports whether an entry is the first half of an approval and no
// refusal: somebody wanted to do something and was asked to prove themselves.
func asked(e audit.Entry) bool { return e.Event == "action.refused" && e.Reason == "step-up" }

// reasons are the stable words of refusals in plain ones.
var reasons = map[string]string{
	"": "no reason given", "last-administrator": "nobody could administer after that", "a-person-must": "an automation key cannot do that", "privileged": "only an administrator may",
	"own-pass": "it was for themselves", "own-authenticator": "it was for themselves", "wrong": "it was wrong", "replayed": "it was used before", "stale": "it was of another time", "ahead": "the token was too far ahead",
	"malformed": "it was no code", "disabled": "switched off after too many wrong answers", "delayed": "too soon after wrong answers", "account-budget": "too many wrong answers",
	"not-administrator": "only administrators may", "nothing-enrolled": "nothing is set up that is enough there", "suspended": "the account is suspended", "ended": "the account has ended",
	"dormant": "the account is dormant", "unknown-name": "there is no such account", "step-up": "it must be proved again", "not-enough": "not enough was shown",
	"signed-in-since": "they signed in as usual meanwhile", "set-up-since": "they have set up a way to sign in meanwhile",
	"no-certificate": "the browser showed no card", "unknown-certificate": "nobody added that card", "unknown-authority": "the card is of no authority that is trusted here", "expired": "it has expired, or begins later",
	"revoked": "it was revoked", "wrong-usage": "the card is not made for signing in", "weak-key": "the card's key is too weak", "no-name": "the card has not exactly one name", "other-key": "the card has another key than the one that was added",
	"other-name": "the card names somebody else", "wrong-challenge": "it was shown for another sign-in", "unhandled-extension": "the card or its authority has a critical extension that is not handled here",
	"revocation-unreachable": "whether it was revoked cannot be asked", "revocation-stale": "what says which are revoked has expired", "revocation-missing": "nothing says which of its authority are revoked",
	"opener-no-longer-may": "whoever vouched is not at the help desk any more", "too-many-passes": "three passes were taken",
}

// sentences are what happened, by event. [tell] fills in what is in braces: {who} is the
// account, {by} who did it, {where} the application, and {detail.x} a detail. Those of what
// commands leave stand beside each command, see [admin.Spec].
var sentences = with(nouns.Commands().Sentences(), map[string]string{
	"signin.granted":                    "{who} was let in to {where} with {detail.shown}",
	"signin.refused":                    "{who} was refused at {where}: {reason}",
	"answer.refused":                    "{who} was not accepted at {where} with {detail.authenticator}: {reason}",
	"action.refused":                    "{who} was refused {action}: {reason}",
	"action.asked":                      "{who} was asked for a fresh proof, for {action}",
	"alarm.factor-missing":              "The password of {who} was right and the second factor never came, at {where}",
	"alarm.guessing":                    "Somebody is guessing at {where}: {reason}",
	"alarm.app-cloned":                  "The app of {who} was switched off: its key is used on two devices",
	"alarm.push-flood":                  "So many sign-ins of {who} were left unanswered that nothing is pushed to their app any more",
	"alarm.spray":                       "Wrong passwords for {detail.names} names within an hour, from {detail.subject}",
	"alarm.stuffing":                    "Right passwords of {detail.names} people within an hour, each without the second factor, from {detail.subject}",
	"alarm.not-me":                      "{who} says that an entry was not them",
	"alarm.local-recovery":              "{who} was recovered on the machine itself: {reason}",
	"evidence.accepted":                 "{who} showed {detail.authenticator} for {where}",
	"evidence.half":                     "{who} showed one of two codes in a row for {where}",
	"session.started":                   "{who} began a session",
	"session.raised":                    "{who} proved more in a session",
	"session.ended":                     "A session of {who} ended",
	"session.handed-over":               "{who} opened {detail.host}",
	"credential.enrolled":               "{who} added {detail.label}",
	"credential.removed":                "{who} removed {detail.label}",
	"credential.renamed":                "{who} renamed {detail.label}",
	"credential.refused":                "{who} could not add {detail.authenticator}: {reason}",
	"credential.disabled":               "{detail.authenticator} of {who} was switched off after too many wrong answers",
	"credential.closed":                 "{detail.authenticator} of {who} is closed for {detail.to} after too many wrong answers",
	"credential.opened":                 "What wrong answers had closed of {who} is open again",
	"browser.known":                     "{who} made a browser known with the link of a mail",
	"credential.pin-set":                "{who} set the PIN of {detail.label}",
	"code.sent":                         "A code was sent to {who} for {where}",
	"code.not-sent":                     "No code was sent to {who}: {reason}",
	"code.undelivered":                  "Nothing took a code to {who}: {detail.answer}",
	"carrier.failing":                   "The {detail.carrier} takes nothing: {detail.answer}",
	"carrier.works":                     "The {detail.carrier} takes messages again",
	"destination.begun":                 "The audit log is sent to {detail.destination}, from entry {detail.from} on",
	"destination.failing":               "The destination {detail.destination} of the audit log takes nothing: {detail.answer}",
	"destination.works":                 "The destination {detail.destination} of the audit log takes entries again",
	"destination.rejected":              "The destination {detail.destination} threw away {detail.rejected} of the entries {detail.first} to {detail.last}",
	"destination.test":                  "A test entry for the destination {detail.destination}, which is in no log",
	"alarm.destination-behind":          "The destination {detail.destination} of the audit log has had nothing for a quarter of an hour: {detail.answer}",
	"request.unserved":                  "A request for {where} was not served: {detail.mend}",
	"invitation.opened":                 "{who} opened the invitation of {detail.by}",
	"notice.undelivered":                "A mail to {who} could not be delivered: {detail.answer}",
	"alarm.recovery-not-mine":           "{who} says that a recovery of their account is not theirs",
	"recovery.refused":                  "The recovery of {who} was stopped: {reason}",
	"recovery.collected":                "{who} took a pass to get back in, and {detail.revoked} authenticators were revoked",
	"alarm.administrator-going-dormant": "{who}, who can administer, goes dormant at {detail.dormant} unless they sign in",
	"alarm.administrator-ending":        "The account of {who}, who can administer, ends at {detail.ends}",
	"alarm.set-up-row-missing":          "The row is gone that says that this installation was set up",
	"installation.administered":         "{who} could administer, so that set-up is over for good",
	"installation.set-up-closed":        "Set-up was closed for good",
	"push.quiet-hours":                  "{who} set quiet hours: {detail.hours}",
	"admin.refused":                     "{by} tried {detail.wanted} with an approval for {detail.granted}",
	"command.refused":                   "{by} was refused {action} on {who}: {reason}",
	"installation.demonstration":        "A demonstration began here: everybody and everything of it is invented",
	"installation.made":                 "Countersign was installed",
	"installation.administrator":        "{who} became the first administrator",
	"keyring.made":                      "The keys were made",
	"keyring.root-rotated":              "The root key was rotated",
	"keyring.data-key-rotated":          "The data key was rotated",
	"audit.forged":                      "An entry of the log was forged: {reason}",
	"audit.accepted":                    "{by} accepted that the log is not as it was left: {detail.because}",
	"database.tampered":                 "A row was changed in the database from outside: {detail.table} {detail.row} is {reason}",
	"app.address":                       "The app of {who} said where it can be woken",
	"app.refused":                       "The app of {who} was refused: {reason}",
	"approval.approved":                 "{who} approved {detail.request}",
	"approval.refused":                  "{who} refused {detail.request}",
	"approval.wrong-number":             "{who} typed a number under which nothing waits",
	"binding.refused":                   "An app was not bound: {reason}",
	"database.versions":                 "The versions of rows were taken down",
	"installation.bound":                "Rows of an earlier release were bound",
	"installation.restored":             "An older copy of the database was put back, and what was under way ended",
	"installation.rewinding":            "An older copy of the database is being put right",
	"key.push-made":                     "The key was made that apps know this server by",
	"push.failed":                       "The app of {who} could not be woken: {detail.answer} ({reason})",
	"push.sent":                         "The app of {who} was woken",
	"audit.unreadable":                  "An entry of the log cannot be read: {reason}",
})

// with is one map of two.
func with(some, more map[string]string) map[string]string {
	maps.Copy(some, more)
	return some
}

// blanks are what a sentence leaves to be filled in.
var blanks = regexp.MustCompile(`\{[a-z.]+\}`)

// tell says an entry in plain words; kinds are the words for authenticators.
func tell(e audit.Entry, kinds func(list string) string) string {
	event := e.Event
	if asked(e) {
		event = "action.asked"
	}
	s, ok := sentences[event]
	if !ok {
		s = strings.NewReplacer(".", " ", "-", " ").Replace(e.Event) + " ({by})"
	}
	where := cmp.Or(e.Application, "Countersign")
	if where == audit.Self {
		where = "Countersign"
	}
	if e.Action != "" && strings.HasPrefix(e.Event, "signin.") {
		where += ", to " + e.Action
	}
	words := map[string]string{"who": cmp.Or(e.AccountName, "somebody"), "by": cmp.Or(e.Actor.Name, "somebody"), "where": where,
		"reason": cmp.Or(reasons[e.Reason], e.Reason), "action": cmp.Or(e.Action, "something"), "application": cmp.Or(e.Detail["application"], e.Application)}
	for k, v := range e.Detail {
		switch k {
		case "shown":
			v = kinds(v)
		case "authenticator":
			v, _, _ = strings.Cut(v, "/")
			v = kinds(v)
		}
		words["detail."+k] = v
	}
	// What an entry does not say leaves no trace.
	s = blanks.ReplaceAllStringFunc(s, func(b string) string { return words[strings.Trim(b, "{}")] })
	s = strings.TrimRight(strings.TrimSpace(s), ":")
	if n := e.Detail["count"]; n != "" && e.Detail["last"] != "" { // summed up
		s += ", " + n + " times"
	}
	return s
}

// facts is everything that an entry says, in the order in which people ask.
func facts(e audit.Entry) []pair {
	all := []pair{{"Event", e.Event}, {"Outcome", e.Outcome}, {"Reason", e.Reason}, {"Account", e.AccountName}, {"Done by", e.Actor.Name}, {"Way in", e.Actor.Via},
		{"Application", e.Application}, {"Protocol", e.Protocol}, {"From", e.Source}, {"Action", e.Action}, {"Attempt", e.Attempt}}
	for _, k := range sortedKeys(e.Detail) {
		all = append(all, pair{k, e.Detail[k]})
	}
	return slices.DeleteFunc(all, func(p pair) bool { return p.Value == "" })
}

func sortedKeys(m map[string]string) []string {
	var out []string
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}
