package console

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"countersign/internal/audit"
	"countersign/internal/rooms"
	"countersign/internal/signin"
	"countersign/internal/web/look"
)

// kinds stands for the words of authenticators.
func kinds(list string) string {
	words := map[string]string{"password, totp": "password and authenticator app", "totp": "authenticator app"}
	if w, ok := words[list]; ok {
		return w
	}
	return list
}

func TestTell(t *testing.T) {
	for want, e := range map[string]audit.Entry{
		"ada was let in to vpn with password and authenticator app":                                       {Event: "signin.granted", Outcome: audit.OK, AccountName: "ada", Application: "vpn", Detail: map[string]string{"shown": "password, totp"}},
		"root suspended eve: left":                                                                        {Event: "account.suspended", Outcome: audit.OK, Actor: audit.Actor{Name: "root"}, AccountName: "eve", Detail: map[string]string{"reason": "left"}},
		"root suspended eve":                                                                              {Event: "account.suspended", Outcome: audit.OK, Actor: audit.Actor{Name: "root"}, AccountName: "eve"},
		"root changed the application wiki":                                                               {Event: "application.set", Outcome: audit.OK, Actor: audit.Actor{Name: "root"}, Application: "countersign", Detail: map[string]string{"application": "wiki"}},
		"ada was not accepted at wiki with authenticator app: it was wrong":                               {Event: "answer.refused", Outcome: audit.Refused, Reason: "wrong", AccountName: "ada", Application: "wiki", Detail: map[string]string{"authenticator": "totp/7"}},
		"something new happened (root)":                                                                   {Event: "something.new-happened", Outcome: audit.OK, Actor: audit.Actor{Name: "root"}},
		"root was asked for a fresh proof, for group.create":                                              {Event: "action.refused", Reason: "step-up", Outcome: audit.Refused, AccountName: "root", Action: "group.create"},
		"A stranger was not accepted at Countersign with password: it was wrong, 7 times":                 {Event: "answer.refused", Outcome: audit.Refused, Reason: "wrong", Application: "countersign", Detail: map[string]string{"authenticator": "password", "count": "7", "first": "2026-11-29T12:00:00Z", "last": "2026-11-29T12:00:09Z"}},
		"An unknown name was refused at Countersign: there is no such account":                            {Event: "signin.refused", Outcome: audit.Refused, Reason: "unknown-name", Application: "countersign"},
		"A row was changed in the database from outside: group 7 is older than it should be":              {Event: "database.tampered", Outcome: audit.Failed, Actor: audit.System("watch"), Reason: "older", Detail: map[string]string{"table": "team", "row": "7"}},
		"root suspended eve (approved with authenticator app)":                                            {Event: "account.suspended", Outcome: audit.OK, Actor: audit.Actor{Name: "root"}, AccountName: "eve", Detail: map[string]string{"approved-with": "totp"}},
		"root suspended eve (not asked again: password and authenticator app was shown 3 minutes before)": {At: time.Unix(1767225780, 0), Event: "account.suspended", Outcome: audit.OK, Actor: audit.Actor{Name: "root"}, AccountName: "eve", Detail: map[string]string{"approved-with": "password, totp", "approved-by-session": "2026-01-01T00:00:00Z"}},
		"{detail.reason} was refused at Countersign: there is no such account":                            {Event: "signin.refused", Outcome: audit.Refused, AccountName: "{detail.reason}", Reason: "unknown-name"},
	} {
		if got := tell(e, kinds); got != want {
			t.Errorf("%s: got %q, want %q", e.Event, got, want)
		}
	}
	if classOf(audit.Entry{Event: "action.refused", Reason: "step-up", Outcome: audit.Refused}) != "" || classOf(audit.Entry{Event: "alarm.not-me", Outcome: audit.OK}) != "bad" {
		t.Error("an approval is marked, or an alarm is not")
	}
}

// An alarm about guesses is by nobody whose name was guessed: it is by the address they came from,
// or by strangers from everywhere. People's own acts have words here as on their own pages.
func TestWhoGuesses(t *testing.T) {
	by := audit.Actor{Name: "strangers", Via: "radius"}
	for want, e := range map[string]audit.Entry{
		"192.0.2.7": {Event: "alarm.spray", Reason: "source", Actor: by, Source: "192.0.2.7"},
		"strangers": {Event: "alarm.spray", Reason: "installation", Actor: by, Source: "192.0.2.7"},
	} {
		if got := doer(e); got != want {
			t.Errorf("it is by %q, and should be by %q", got, want)
		}
	}
	for _, action := range []string{"report.not-me", "authenticator.enroll", "authenticator.remove", "authenticator.rename", "authenticator.pin", signin.Approve, signin.SetQuiet, signin.Recover, signin.CommandLine} {
		e := audit.Entry{Event: "signin.granted", Outcome: audit.OK, AccountName: "ada", Application: audit.Self, Action: action, Detail: map[string]string{"shown": "totp"}}
		if got := tell(e, kinds); look.Doing(action) == "" || strings.Contains(got, action) || !strings.Contains(got, look.Doing(action)) {
			t.Errorf("%s is told as %q", action, got)
		}
		e.Event, e.Outcome, e.Reason = "action.refused", audit.Refused, "wrong"
		if got := tell(e, kinds); strings.Contains(got, action) {
			t.Errorf("%s is told as %q", action, got)
		}
	}
}

// endings are those of the events that are put together when they are written.
var endings = map[string][]string{"alarm.": {"guessing", "spray", "stuffing"}, "approval.": {"approved", "refused"}}

// begins reports whether a word is the beginning of such an event.
func begins(e string) bool { return strings.HasSuffix(e, ".") || strings.HasSuffix(e, "-") }

// Every event that the sources record has a sentence, and every sentence an event.
func TestEveryEventIsTold(t *testing.T) {
	events, err := rooms.Events("../../..")
	if err != nil || len(events) < 90 {
		t.Fatalf("only %d events were found: %v", len(events), err)
	}
	for _, e := range events {
		if begins(e) && endings[e] == nil {
			t.Errorf("the sources record events that begin with %q: say how they can end", e)
		}
		for _, ending := range endings[e] {
			events = append(events, e+ending)
		}
	}
	for _, e := range events {
		if sentences[e] == "" && !begins(e) {
			t.Errorf("%s has no sentence: write one beside the command that leaves it, or in told.go", e)
		}
	}
	for e := range sentences {
		if !slices.Contains(events, e) && e != "action.asked" { // which is how action.refused is told where it asked for more
			t.Errorf("%s has a sentence, and nothing records it", e)
		}
	}
}

// Every reason that the sources write has words, and so has every name of a detail and every
// table of the database: nobody reads a word of the program's.
func TestEveryWordOfTheLogIsTold(t *testing.T) {
	words, err := rooms.Reasons("../../..")
	if err != nil || len(words) < 140 {
		t.Fatalf("only %d reasons were found: %v", len(words), err)
	}
	for _, reason := range words {
		if reasons[reason] == "" {
			t.Errorf("the reason %q has no words: write them in reasons.go", reason)
		}
	}
	names, err := rooms.Details("../../..")
	if err != nil || len(names) < 75 {
		t.Fatalf("only %d details were found: %v", len(names), err)
	}
	for _, name := range names {
		if details[name] == "" {
			t.Errorf("the detail %q has no name: write it in reasons.go", name)
		}
	}
	page, err := os.ReadFile("../../../ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rows, _ := strings.Cut(string(page), "| table | room |\n")
	seen := 0
	for row := range strings.Lines(rows) {
		cells := strings.Split(row, "|")
		if len(cells) < 4 {
			break
		}
		for _, m := range regexp.MustCompile("`([a-z_]+)`").FindAllStringSubmatch(cells[1], -1) {
			if seen++; tables[m[1]] == "" {
				t.Errorf("the table %q has no words: write them in reasons.go", m[1])
			}
		}
	}
	if seen < 30 {
		t.Errorf("only %d tables were found", seen)
	}
}

// Each entry says who did it, by what, and to whom.
func TestWhoDidItByWhatAndToWhom(t *testing.T) {
	for want, e := range map[string]audit.Entry{
		"root | in a browser | eve":                                    {Actor: audit.Actor{Account: 1, Name: "root", Via: "browser"}, Account: 2, AccountName: "eve"},
		"Countersign | by housekeeping | eve":                          {Actor: audit.System("housekeeping"), AccountName: "eve"},
		"ada | in a browser | ada":                                     {Actor: audit.Actor{Account: 7, Name: "session 4711", Via: "browser"}, Account: 7, AccountName: "ada"},
		"a stranger | by RADIUS | vpn":                                 {Actor: audit.Actor{Name: "somebody", Via: "radius"}, Application: "vpn"},
		"the automation key hr | by the command line or the API | eve": {Actor: audit.Actor{Name: "api-key hr", Via: "api"}, AccountName: "eve"},
		"root | on the server itself | wiki":                           {Actor: audit.Actor{Name: "root", Via: "socket"}, Application: "countersign", Detail: map[string]string{"application": "wiki"}},
		"a stranger |  | ":                                             {},
	} {
		if got := doer(e) + " | " + means(e) + " | " + about(e); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// Whatever an entry holds can be told, in one line of bounded length.
func FuzzTell(f *testing.F) {
	f.Add("signin.granted", "ada", "wrong", "shown", "password")
	f.Add("{who}", "{by}{detail.x}", "{", "x", "{who}")
	f.Fuzz(func(t *testing.T, event, name, reason, key, value string) {
		e := audit.Entry{At: time.Unix(0, 0), Event: event, AccountName: name, Actor: audit.Actor{Name: name}, Reason: reason, Action: value, Detail: map[string]string{key: value}}
		if s := tell(e, kinds); len(s) > 400+2*(len(event)+len(name)+len(reason)+3*len(value)) {
			t.Errorf("%d bytes", len(s))
		}
		facts(e, kinds)
	})
}
