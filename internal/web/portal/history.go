package portal

import (
	"net/http"
	"strings"

	"countersign/internal/audit"
	"countersign/internal/failure"
)

type line struct {
	Entry audit.Entry
	Words string
	Alarm bool
}

// history tells the person's own entries in plain words.
func (p *Portal) history(w http.ResponseWriter, r *http.Request) error {
	g, limited, ok, err := p.enter(w, r)
	if !ok {
		return err
	}
	if limited {
		return failure.Refuse("limited", "Sign in first.")
	}
	entries, err := p.Admin.History(r.Context(), g, 100)
	if err != nil {
		return err
	}
	var lines []line
	for _, e := range entries {
		if words := tell(e); words != "" {
			lines = append(lines, line{Entry: e, Words: words, Alarm: strings.HasPrefix(e.Event, "alarm.") || e.Outcome == "refused"})
		}
	}
	return p.render(w, r, g, "history", "History", lines)
}

func tell(e audit.Entry) string {
	what := e.Application
	if what == "countersign" {
		what = "Countersign"
	}
	if e.Action != "" && e.Action != "sign-in" {
		what = "“" + e.Action + "” in " + what
	}
	switch e.Event {
	case "signin.granted":
		return "Let in to " + what + " with " + e.Detail["shown"]
	case "signin.refused", "answer.refused":
		return "Refused at " + what + " (" + e.Reason + ")"
	case "alarm.factor-missing":
		return "The password was right and the second factor never came, at " + what
	case "credential.enrolled":
		return "Added: " + e.Detail["label"]
	case "credential.removed", "credential.revoked":
		return "Removed: " + e.Detail["label"]
	case "credential.disabled":
		return "Switched off after too many wrong answers: " + e.Detail["authenticator"]
	case "pass.issued":
		return "A temporary access pass was issued by " + e.Actor.Name
	case "session.ended":
		return "A session ended"
	case "session.handed-over":
		return "Opened " + e.Detail["host"]
	case "alarm.not-me":
		return "You reported an entry as not yours"
	}
	return ""
}
