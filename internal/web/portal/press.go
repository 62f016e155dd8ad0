package portal

import (
	"net/http"
	"strconv"
	"strings"

	"countersign/internal/assurance"
	"countersign/internal/failure"
	"countersign/internal/incident"
	"countersign/internal/session"
	"countersign/internal/signin"
	"countersign/internal/web/look"
)

// pressView is an act before it is done: what, about what, and what comes of it.
type pressView struct {
	Title, Lede string
	Facts       []fact
	After       string // what comes of it
	Button      string
	Action      string
	Object      string
}

type fact struct{ Name, Value string }

// Text is what is done, word for word: it comes back with the press, and must still be
// so then.
func (v pressView) Text() string {
	parts := make([]string, len(v.Facts))
	for i, f := range v.Facts {
		parts[i] = strings.ToLower(f.Name) + " " + f.Value
	}
	return v.Title + ": " + strings.Join(parts, ", ")
}

// shown says what an act is about. What is not the person's own is not found.
func (p *Portal) shown(r *http.Request, g signin.Grant, e session.Continuation) (pressView, error) {
	v := pressView{Action: e.Action, Object: e.Object}
	if e.Action == incident.Report {
		return v, p.reported(r, g, &v)
	}
	a, err := p.frame.own(r, g, e.Object)
	if err != nil {
		return v, err
	}
	if _, err := p.changes.Removable(r.Context(), g.Account(), assurance.CredentialID(a.ID)); err != nil {
		return v, err
	}
	v.Title, v.Lede, v.Button = "Remove a way to sign in", "You cannot sign in with it any more after this.", "Remove it"
	v.Facts = []fact{{"Name", a.Label}, {"Kind", a.Title}, {"Added", look.Moment(p.frame.look.In(a.Created))}}
	if !a.Used.IsZero() {
		v.Facts = append(v.Facts, fact{"Last used", look.Moment(p.frame.look.In(a.Used))})
	}
	return v, nil
}

// reported says which entry of the person's history they say was not them.
func (p *Portal) reported(r *http.Request, g signin.Grant, v *pressView) error {
	lines, err := p.history.lines(r, g)
	if err != nil {
		return err
	}
	for _, l := range lines {
		if e := l.Entry; strconv.FormatInt(e.Seq, 10) == v.Object {
			v.Title, v.Lede, v.Button = "This was not me", "Somebody else did this:", "It was not me"
			v.Facts = []fact{{"What", l.Words}, {"When", look.Moment(p.frame.look.In(e.At))}}
			if e.Source != "" {
				v.Facts = append(v.Facts, fact{"From", e.Source})
			}
			v.After = "Your other sessions end, your password is switched off until you set a new one (unless you administer alone), a recovery that is under way is stopped, and your administrators are told."
			return nil
		}
	}
	return failure.New(failure.NotFound, "There is no such entry among the newest of your history.")
}

// reportedNow says what came of a report.
func reportedNow(passwordOff bool) string {
	if passwordOff {
		return "Thank you. Your other sessions were ended, your password was switched off, and your administrators were told."
	}
	return "Thank you. Your other sessions were ended, and your administrators were told. No password of yours was switched off."
}
