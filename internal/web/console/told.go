package console

import (
	"cmp"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"countersign/internal/admin/nouns"
	"countersign/internal/audit"
	"countersign/internal/signin"
	"countersign/internal/web/look"
)

// told is an entry of the audit log in plain words, with everything else folded
// behind it.
type told struct {
	audit.Entry
	Words string
	Class string // bad, warn, good or empty
	// By is who did it, With by what way, and About to whom or to what.
	By, With, About string
	Facts           []pair
}

type pair struct{ Name, Value string }

func tellAll(l *look.Look, entries []audit.Entry) []told {
	out := make([]told, len(entries))
	for i, e := range entries {
		out[i] = told{Entry: e, Words: tell(e, l.Nouns), Class: classOf(e), By: doer(e), With: means(e), About: about(e), Facts: facts(e, l.Nouns)}
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
	"alarm.spray":                       "Wrong passwords for {detail.names} names within an hour",
	"alarm.stuffing":                    "Right passwords of {detail.names} people within an hour, each without the second factor",
	"alarm.not-me":                      "{who} says that an entry was not them",
	"alarm.local-recovery":              "{who} was recovered on the machine itself: {reason}",
	"evidence.accepted":                 "{who} showed {detail.authenticator} for {where}",
	"evidence.half":                     "{who} showed one of two codes in a row for {where}",
	"session.started":                   "{who} began a session",
	"session.bound":                     "{who} bound a session to their device",
	"alarm.session-copied":              "The cookie of a session of {who} came from another device, at {where}: somebody has copied it",
	"session.raised":                    "{who} proved more in a session",
	"session.ended":                     "A session of {who} ended",
	"session.handed-over":               "{who} opened {detail.host}",
	"credential.enrolled":               "{who} added {detail.label}",
	"credential.removed":                "{who} removed {detail.label}",
	"credential.new-place":              "The app password {detail.label} of {who} was used at {where} from a new address",
	"owner.told":                        "{who} was told who came to {where} as them: {reason}",
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
	"provisioning.created":              "{who} was made in {application}",
	"provisioning.changed":              "{who} was changed in {application}",
	"provisioning.activated":            "{who} was made active again in {application}",
	"provisioning.deactivated":          "{who} was made inactive in {application}",
	"provisioning.deleted":              "{who} was deleted in {application}",
	"provisioning.failing":              "{application} takes nothing by SCIM: {detail.answer}",
	"provisioning.works":                "{application} takes changes by SCIM again",
	"alarm.provisioning-held":           "More than {detail.most} people were to be ended in {application} within a day; the others wait for an approval",
	"destination.test":                  "A test entry for the destination {detail.destination}, which is in no log",
	"alarm.destination-behind":          "The destination {detail.destination} of the audit log has had nothing for a quarter of an hour: {detail.answer}",
	"stream.farewell":                   "The receivers of signals are told that {who} is gone",
	"stream.failing":                    "The receiver of the stream {detail.name} takes no signals: {detail.answer}",
	"stream.works":                      "The receiver of the stream {detail.name} takes signals again",
	"stream.rejected":                   "The receiver of the stream {detail.name} threw a signal away: {detail.answer}",
	"alarm.stream-behind":               "The receiver of the stream {detail.name} has taken no signals for a quarter of an hour: {detail.answer}",
	"alarm.stream-paused":               "The stream {detail.name} was paused, because its receiver took no signals for a day: {detail.answer}",
	"signal.heeded":                     "The sessions of {who} were ended, because {detail.source} sent the signal {detail.event}",
	"alarm.source-paused":               "The source of signals {detail.source} said more in an hour than it is obeyed for ({detail.most}), and is not heard any more",
	"source.verified":                   "The source of signals {detail.source} sent a verification",
	"source.stream-updated":             "The source of signals {detail.source} says that its stream is {detail.status}",
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
	"account.language-set":              "{who} chose a language: {detail.language}",
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
	"key.cert-made":                     "The first key was made that signs for {detail.purpose}",
	"application.opened":                "{who} opened {where}",
	"account.linked-by-rule":            "{who} was linked to {detail.identifier} at {application}, because {detail.client} knows them by it",
	"factor.told":                       "{application} was told of the second factor of {who}: {detail.amr}",
	"factor.refused":                    "{application} was told of no second factor: {reason}",
	"client.authorized":                 "{who} signed in to {application}",
	"client.device-approved":            "{who} let a device in to {application}, which asked from {detail.device}",
	"client.device-refused":             "{who} did not let a device in to {application}, which asked from {detail.device}",
	"client.tokens":                     "{application} got tokens for {who}",
	"client.refreshed":                  "{application} got new tokens for {who}",
	"client.token-refused":              "An access token of {who} opened nothing at {application}: {reason}",
	"client.ended":                      "What {application} had been given for {who} ended: {reason}",
	"client.logout-undelivered":         "{application} could not be told that a session of {who} is over: {answer}",
	"alarm.token-misused":               "What {application} had been given for {who} was used twice, or by another client; all that came of it was ended",
	"partner.delegation-over":           "What was delegated to {who} of the partner {detail.of-partner} is over",
	"upstream.first-sight":              "{who} came by the identity provider {detail.upstream} for the first time, and has to confirm it",
	"upstream.confirmed":                "{who} confirmed that they come by the identity provider {detail.upstream}",
	"metadata.read":                     "The metadata of {detail.party} was read from its address",
	"metadata.changed":                  "The metadata of {detail.party} says something else than before",
	"metadata.unreachable":              "The metadata of {detail.party} cannot be read from its address: {detail.says}",
	"alarm.metadata-refused":            "What stands at the address of the metadata of {detail.party} is not believed: {detail.says}",
	"alarm.metadata-key":                "The metadata of {detail.party} names a key that it did not name before",
	"upstream.key-learned":              "The first key of the identity provider {detail.upstream} was learned",
	"alarm.upstream-key":                "The identity provider {detail.upstream} signs with a key that it has not signed with before",
	"key.signing-made":                  "A key was made by which others verify what is said of people",
	"key.signing-removed":               "A key by which others verified what was said of people is over",
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
	action := cmp.Or(look.Doing(e.Action), e.Action)
	if e.Action != "" && e.Action != signin.SignIn && e.Action != signin.AppPassword && strings.HasPrefix(e.Event, "signin.") {
		where += ", to " + action
	}
	words := map[string]string{"who": cmp.Or(e.AccountName, nobody(e)), "by": doer(e), "where": where,
		"reason": reasonWords(e.Reason), "action": cmp.Or(action, "something"), "application": cmp.Or(e.Detail["application"], e.Application)}
	for k, v := range e.Detail {
		switch k {
		case "shown":
			v = kinds(v)
		case "authenticator":
			v, _, _ = strings.Cut(v, "/")
			v = kinds(v)
		case "table":
			v = cmp.Or(tables[v], v)
		}
		words["detail."+k] = v
	}
	// What an entry does not say leaves no trace.
	s = blanks.ReplaceAllStringFunc(s, func(b string) string { return words[strings.Trim(b, "{}")] })
	s = strings.TrimRight(strings.TrimSpace(s), ":")
	if strings.HasPrefix(s, stranger) || strings.HasPrefix(s, unknownName) { // which is nobody's name
		s = "A" + s[1:]
	}
	if n := e.Detail["count"]; n != "" && e.Detail["last"] != "" { // summed up
		s += ", " + n + " times"
	}
	return s + approval(e, kinds)
}

// approval says what a change was approved with, and truthfully where nothing was asked for
// it because its doer had signed in just before.
func approval(e audit.Entry, kinds func(list string) string) string {
	with := e.Detail["approved-with"]
	if with == "" {
		return ""
	}
	shown, err := time.Parse(time.RFC3339, e.Detail["approved-by-session"])
	if err != nil {
		return " (approved with " + kinds(with) + ")"
	}
	before := "just before"
	if d := e.At.Sub(shown); d >= time.Minute {
		before = strings.TrimSuffix(look.Ago(shown, e.At), " ago") + " before"
	}
	return " (not asked again: " + kinds(with) + " was shown " + before + ")"
}

// stranger is who is not known.
const stranger = "a stranger"

// unknownName is who typed a name that nobody has.
const unknownName = "an unknown name"

// nobody is what an account is called that no entry names.
func nobody(e audit.Entry) string {
	if e.Reason == "unknown-name" {
		return unknownName
	}
	return stranger
}

// doer is who did it: a person, a key, or Countersign by itself.
func doer(e audit.Entry) string {
	name := e.Actor.Name
	switch {
	case name == "system":
		return "Countersign"
	case name == "strangers" && e.Reason == "installation": // from everywhere
		return name
	case name == "strangers": // of whom the log knows no more than where they came from
		return cmp.Or(e.Source, name)
	case name == "", name == "somebody", strings.HasPrefix(name, "session "):
		if e.AccountName != "" && (e.Actor.Account == 0 || e.Actor.Account == e.Account) {
			return e.AccountName
		}
		return stranger
	}
	if key, ok := strings.CutPrefix(name, "api-key "); ok {
		return "the automation key " + key
	}
	return name
}

// ways are by what something was done, in words.
var ways = map[string]string{"browser": "in a browser", "api": "by the command line or the API", "app": "in the app", "radius": "by RADIUS", "forward-auth": "by forward-auth",
	"socket": "on the server itself", "command line": "on the server itself", "mail": "by a mail", "notice": "by a mail", "push": "by a push", "sms": "by SMS", "yubico": "by Yubico's protocol", "certificate": "with a card",
	"oidc": "by OpenID Connect", "start": "at its start", "upstream": "by another organisation", "sweep": "by housekeeping", "housekeeping": "by housekeeping", "watch": "by its watch over the database", "sequencer": "by the log", "carrier": "as a message went out", "protocol": "as equipment asked", "demo": "as the demonstration", "countersign": "by itself"}

// means is by what something was done.
func means(e audit.Entry) string {
	via := cmp.Or(e.Actor.Via, e.Protocol)
	return cmp.Or(ways[via], via)
}

// about is to whom or to what something was done; empty where it is to nobody.
func about(e audit.Entry) string {
	for _, one := range []string{e.AccountName, e.Detail["application"], e.Detail["group"], e.Detail["serial"], e.Detail["host"]} {
		if one != "" {
			return one
		}
	}
	if e.Application != "" && e.Application != audit.Self {
		return e.Application
	}
	return ""
}

// facts is everything that an entry says, in the order in which people ask.
func facts(e audit.Entry, kinds func(list string) string) []pair {
	all := []pair{{"Event", e.Event}, {"Outcome", outcomes[e.Outcome]}, {"Reason", ""}, {"Account", e.AccountName}, {"Done by", doer(e)}, {"Way in", means(e)},
		{"Application", e.Application}, {"Protocol", e.Protocol}, {"From", e.Source}, {"Action", e.Action}, {"Attempt", e.Attempt}}
	if e.Reason != "" {
		all[2].Value = reasonWords(e.Reason)
	}
	for _, k := range sortedKeys(e.Detail) {
		v := e.Detail[k]
		switch k {
		case "shown", "approved-with":
			v = kinds(v)
		case "table":
			v = cmp.Or(tables[v], v)
		}
		all = append(all, pair{detailName(k), v})
	}
	return slices.DeleteFunc(all, func(p pair) bool { return p.Value == "" })
}

var outcomes = map[string]string{audit.OK: "done", audit.Refused: "refused", audit.Failed: "failed"}

func sortedKeys(m map[string]string) []string {
	var out []string
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}
