package portal

import (
	"net/http"
	"slices"
	"strings"

	logs "countersign/internal/admin/audit"
	"countersign/internal/audit"
	"countersign/internal/recovery"
	"countersign/internal/signin"
)

type line struct {
	Entry audit.Entry
	Words string
	// Doubt says that it could have been somebody else.
	Doubt bool
}

// doubtful are the events that somebody who got in leaves behind, beside every
// refusal and alarm.
var doubtful = []string{"signin.granted", "credential.enrolled", "credential.removed", "approval.approved", "credential.pin-set", "push.quiet-hours", "token.pin-given", "token.pin-cleared", "certificate.assigned", "recovery.opened", "recovery.collected"}

// historyMost is how many entries people see of their own. The log has entries about them
// that have no words here, and strangers who know a name can have many written: pages
// behind them are read until there are so many with words, up to historyPages.
const (
	historyMost  = 100
	historyPages = 50
)

// history is what happened in a person's name.
type history struct {
	frame *frame
	log   *logs.Log
}

// show tells the person's own entries in plain words.
func (h *history) show(w http.ResponseWriter, r *http.Request) error {
	g, ok, err := h.frame.inside(w, r)
	if !ok {
		return err
	}
	lines, err := h.lines(r, g)
	if err != nil {
		return err
	}
	return h.frame.render(w, r, g, "history", "History", lines)
}

// lines are the newest entries that have words.
func (h *history) lines(r *http.Request, g signin.Grant) ([]line, error) {
	var lines []line
	before := int64(0)
	for range historyPages {
		entries, err := h.log.History(r.Context(), g, before, historyMost)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			words := h.tell(e)
			if words == "" {
				continue
			}
			lines = append(lines, line{Entry: e, Words: words, Doubt: strings.HasPrefix(e.Event, "alarm.") || e.Outcome == "refused" || slices.Contains(doubtful, e.Event)})
			if len(lines) == historyMost {
				return lines, nil
			}
		}
		if len(entries) < historyMost || entries[len(entries)-1].Seq == 0 {
			break
		}
		before = entries[len(entries)-1].Seq
	}
	return lines, nil
}

// doing are a person's own acts, as what they were proved for.
var doing = map[string]string{
	"authenticator.enroll": "set up a way to sign in", "authenticator.remove": "remove a way to sign in",
	"authenticator.rename": "rename a way to sign in", "authenticator.pin": "set a PIN", "push.quiet-hours": "set quiet hours", "account.recover": "get back in by codes", "report.not-me": "report an entry",
}

// why are the reasons of refusals that a person can make something of.
var why = map[string]string{
	"wrong": "what was typed was wrong", "replayed": "the code was used before", "stale": "the code was of another time", "ahead": "the token was too far ahead",
	"malformed": "what was typed was no code", "no-pin": "the token needs a PIN first", "disabled": "too many wrong answers", "delayed": "too soon after wrong answers", "account-budget": "too many wrong answers",
	"not-administrator": "only for administrators", "nothing-enrolled": "no way to sign in that is enough there", "suspended": "the account is suspended", "ended": "the account has ended", "dormant": "the account was long unused",
}

func (h *history) tell(e audit.Entry) string {
	what := e.Application
	if what == audit.Self {
		what = "Countersign"
	}
	to, at := "Let in to "+what, what
	if d := doing[e.Action]; d != "" {
		to, at = "Proved to "+d, what+", to "+d
	} else if e.Action != "" && e.Action != "sign-in" {
		to, at = "Proved for “"+e.Action+"” in "+what, what+", for “"+e.Action+"”"
	}
	switch e.Event {
	case "signin.granted":
		return to + " with " + h.frame.look.Kinds(e.Detail["shown"])
	case "signin.refused", "answer.refused":
		reason := why[e.Reason]
		if reason == "" {
			reason = e.Reason
		}
		if n := e.Detail["count"]; n != "" { // summed up
			reason += ", " + n + " times"
		}
		return "Refused at " + at + ": " + reason
	case "alarm.factor-missing":
		return "The password was right and the second factor never came, at " + what
	case "credential.enrolled":
		return "Added: " + e.Detail["label"]
	case "credential.renamed":
		return "Renamed: " + e.Detail["label"]
	case "push.quiet-hours":
		return "Quiet hours set: " + e.Detail["hours"]
	case "credential.pin-set":
		return "PIN set: " + e.Detail["label"]
	case "certificate.assigned":
		return "Assigned by " + e.Actor.Name + ": " + e.Detail["label"]
	case "token.pin-given":
		return "The PIN of token " + e.Detail["serial"] + " was replaced by " + e.Actor.Name
	case "token.pin-cleared":
		return "The PIN of token " + e.Detail["serial"] + " was taken away by " + e.Actor.Name
	case "credential.removed", "credential.revoked":
		return "Removed: " + e.Detail["label"]
	case "credential.closed":
		return "Closed for " + e.Detail["to"] + " after too many wrong answers: " + h.kindOf(e.Detail["authenticator"])
	case "credential.opened":
		return "Open again, because you signed in: what wrong answers had closed"
	case "account.opened":
		return "Wrong answers were forgotten by " + e.Actor.Name
	case "browser.known":
		return "A browser was made yours with the link of a mail"
	case "credential.disabled":
		return "Switched off after too many wrong answers: " + h.kindOf(e.Detail["authenticator"])
	case "recovery.opened":
		if e.Detail["check"] == recovery.Codes {
			return "A recovery was opened with your codes"
		}
		return "A recovery was opened by " + e.Actor.Name
	case "recovery.confirmed":
		return "The recovery was confirmed by " + e.Actor.Name
	case "recovery.stopped", "recovery.refused", "alarm.recovery-not-mine":
		return "The recovery was stopped"
	case "recovery.collected":
		return "A pass was taken by the browser of the recovery, and what you held was switched off"
	case "account.risk-cleared":
		return "Your account is at risk no more, says " + e.Actor.Name
	case "push.quiet-cleared":
		return "Your quiet hours were taken away by " + e.Actor.Name
	case "pass.issued":
		return "A temporary access pass was issued by " + e.Actor.Name
	case "session.ended":
		return "A session ended"
	case "session.handed-over":
		return "Opened " + e.Detail["host"]
	case "alarm.app-cloned":
		return "Your Countersign app was switched off: its key was used on two devices"
	case "alarm.not-me":
		return "You reported an entry as not yours"
	}
	return ""
}

// kindOf is what people call an authenticator that the log has as "totp/3".
func (h *history) kindOf(named string) string {
	kind, _, _ := strings.Cut(named, "/")
	return h.frame.look.Kinds(kind)
}
