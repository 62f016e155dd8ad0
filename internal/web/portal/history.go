package portal

import (
	"net/http"
	"slices"
	"strings"

	logs "countersign/internal/admin/audit"
	"countersign/internal/audit"
	"countersign/internal/language"
	"countersign/internal/recovery"
	"countersign/internal/signin"
	"countersign/internal/web/look"
)

type line struct {
	Entry audit.Entry
	Words language.Sentence
	// Doubt says that it could have been somebody else.
	Doubt bool
}

// doubtful are the events that somebody who got in leaves behind, beside every
// refusal and alarm.
var doubtful = []string{"signin.granted", "credential.enrolled", "credential.removed", "approval.approved", "credential.pin-set", "credential.new-place", "owner.told", "push.quiet-hours", "token.pin-given", "token.pin-cleared", "certificate.assigned", "recovery.opened", "recovery.collected", "factor.told", "account.linked", "account.linked-by-rule"}

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
			if words.IsZero() {
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

// why are the reasons of refusals that a person can make something of.
var why = map[string]string{
	"wrong": "what was typed was wrong", "replayed": "the code was used before", "stale": "the code was of another time", "ahead": "the token was too far ahead",
	"malformed": "what was typed was no code", "no-pin": "the token needs a PIN first", "disabled": "too many wrong answers", "delayed": "too soon after wrong answers", "account-budget": "too many wrong answers",
	"not-administrator": "only for administrators", "nothing-enrolled": "no way to sign in that is enough there", "suspended": "the account is suspended", "ended": "the account has ended", "dormant": "the account was long unused",
}

// told are the events whose sentence is of what they were about.
var told = map[string]func(e audit.Entry) language.Sentence{
	"alarm.factor-missing": func(e audit.Entry) language.Sentence {
		return language.Say("The password was right and the second factor never came, at %s", placeOf(e))
	},
	"credential.enrolled": func(e audit.Entry) language.Sentence {
		return language.Say("Added: %s", language.Word(e.Detail["label"]))
	},
	"credential.new-place": func(e audit.Entry) language.Sentence {
		return language.Say("App password used from a new address: %s", e.Detail["label"])
	},
	"credential.renamed": func(e audit.Entry) language.Sentence { return language.Say("Renamed: %s", e.Detail["label"]) },
	"push.quiet-hours": func(e audit.Entry) language.Sentence {
		return language.Say("Quiet hours set: %s", language.Word(e.Detail["hours"]))
	},
	"credential.pin-set": func(e audit.Entry) language.Sentence { return language.Say("PIN set: %s", e.Detail["label"]) },
	"certificate.assigned": func(e audit.Entry) language.Sentence {
		return language.Say("Assigned by %s: %s", e.Actor.Name, e.Detail["label"])
	},
	"token.pin-given": func(e audit.Entry) language.Sentence {
		return language.Say("The PIN of token %s was replaced by %s", e.Detail["serial"], e.Actor.Name)
	},
	"token.pin-cleared": func(e audit.Entry) language.Sentence {
		return language.Say("The PIN of token %s was taken away by %s", e.Detail["serial"], e.Actor.Name)
	},
	"credential.removed":      removed,
	"credential.revoked":      removed,
	"credential.opened":       always("Open again, because you signed in: what wrong answers had closed"),
	"account.opened":          by("Wrong answers were forgotten by %s"),
	"browser.known":           always("A browser was made yours with the link of a mail"),
	"recovery.opened":         opened,
	"recovery.confirmed":      by("The recovery was confirmed by %s"),
	"recovery.stopped":        always("The recovery was stopped"),
	"recovery.refused":        always("The recovery was stopped"),
	"alarm.recovery-not-mine": always("The recovery was stopped"),
	"recovery.collected":      always("A pass was taken by the browser of the recovery, and what you held was switched off"),
	"account.risk-cleared":    by("Your account is at risk no more, says %s"),
	"push.quiet-cleared":      by("Your quiet hours were taken away by %s"),
	"pass.issued":             by("A temporary access pass was issued by %s"),
	"session.ended":           always("A session ended"),
	"session.bound":           always("Your browser bound its sign-in to your device"),
	"alarm.session-copied":    always("The cookie of one of your sessions was used on another device, and opened nothing"),
	"owner.told": func(e audit.Entry) language.Sentence {
		if e.Reason == "opened" {
			return language.Say("%s was opened as you", e.Application)
		}
		return language.Say("Somebody tried to open %s as you, and was refused", e.Application)
	},
	"session.handed-over": func(e audit.Entry) language.Sentence { return language.Say("Opened %s", e.Detail["host"]) },
	"alarm.app-cloned":    always("Your Countersign app was switched off: its key was used on two devices"),
	"client.authorized":   func(e audit.Entry) language.Sentence { return language.Say("You signed in to %s", e.Application) },
	"client.disconnected": func(e audit.Entry) language.Sentence {
		return language.Say("What %s had been given was ended by %s", e.Detail["application"], e.Actor.Name)
	},
	"factor.told": func(e audit.Entry) language.Sentence {
		return language.Say("Your second factor was shown for %s", e.Application)
	},
	"account.linked":   by("Your account was linked by %s"),
	"account.unlinked": by("A link of your account was taken away by %s"),
	"account.linked-by-rule": func(e audit.Entry) language.Sentence {
		return language.Say("Your account was linked to yours at %s", e.Application)
	},
	"client.device-approved": func(e audit.Entry) language.Sentence {
		return language.Say("You let a device in to %s", e.Application)
	},
	"client.device-refused": func(e audit.Entry) language.Sentence {
		return language.Say("You did not let a device in to %s", e.Application)
	},
	"alarm.token-misused": func(e audit.Entry) language.Sentence {
		return language.Say("The access of %s was ended: it was used twice, or by somebody else", e.Application)
	},
	"alarm.not-me": always("You reported an entry as not yours"),
}

func always(format string) func(audit.Entry) language.Sentence {
	return func(audit.Entry) language.Sentence { return language.Say(format) }
}

func by(format string) func(audit.Entry) language.Sentence {
	return func(e audit.Entry) language.Sentence { return language.Say(format, e.Actor.Name) }
}

func removed(e audit.Entry) language.Sentence {
	return language.Say("Removed: %s", language.Word(e.Detail["label"]))
}

func opened(e audit.Entry) language.Sentence {
	if e.Detail["check"] == recovery.Codes {
		return language.Say("A recovery was opened with your codes")
	}
	return language.Say("A recovery was opened by %s", e.Actor.Name)
}

// placeOf is where an entry happened.
func placeOf(e audit.Entry) string {
	if e.Application == audit.Self {
		return "Countersign"
	}
	return e.Application
}

// tell says what an entry is; the zero Sentence is for what people are not told.
func (h *history) tell(e audit.Entry) language.Sentence {
	switch e.Event {
	case "signin.granted":
		return language.Say("%s with %s", letIn(e), h.frame.look.Kinds(e.Detail["shown"]))
	case "signin.refused", "answer.refused":
		return language.Say("Refused at %s: %s", aimedAt(e), reasonOf(e))
	case "credential.closed":
		return language.Say("Closed for %s after too many wrong answers: %s", language.Word(e.Detail["to"]), h.kindOf(e.Detail["authenticator"]))
	case "credential.disabled":
		return language.Say("Switched off after too many wrong answers: %s", h.kindOf(e.Detail["authenticator"]))
	}
	if f := told[e.Event]; f != nil {
		return f(e)
	}
	return language.Sentence{}
}

// letIn is what somebody was let in to, or what they proved themselves for.
func letIn(e audit.Entry) language.Sentence {
	if d := look.Doing(e.Action); d != "" {
		return language.Say("Proved to %s", language.Word(d))
	}
	if e.Action != "" && e.Action != signin.SignIn && e.Action != signin.AppPassword {
		return language.Say("Proved for “%s” in %s", e.Action, placeOf(e))
	}
	return language.Say("Let in to %s", placeOf(e))
}

// aimedAt is where somebody was refused, and for what.
func aimedAt(e audit.Entry) language.Sentence {
	if d := look.Doing(e.Action); d != "" {
		return language.Say("%s, to %s", placeOf(e), language.Word(d))
	}
	if e.Action != "" && e.Action != signin.SignIn && e.Action != signin.AppPassword {
		return language.Say("%s, for “%s”", placeOf(e), e.Action)
	}
	return language.Say("%s", placeOf(e))
}

// reasonOf is why somebody was refused, with how often where refusals are summed up.
func reasonOf(e audit.Entry) language.Sentence {
	reason := language.Say("it was not accepted") // and not the program's own word
	if w := why[e.Reason]; w != "" {
		reason = language.Say(w)
	}
	if n := e.Detail["count"]; n != "" {
		return language.Say("%s, %s times", reason, n)
	}
	return reason
}

// kindOf is what people call an authenticator that the log has as "totp/3".
func (h *history) kindOf(named string) language.Sentence {
	kind, _, _ := strings.Cut(named, "/")
	return h.frame.look.Kinds(kind)
}
