package portal

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/failure"
	"countersign/internal/incident"
	"countersign/internal/language"
	"countersign/internal/session"
	"countersign/internal/signin"
)

// pressView is an act before it is done: what, about what, and what comes of it.
type pressView struct {
	Title, Lede string
	Facts       []fact
	After       language.Sentence // what comes of it
	Button      string
	Action      string
	Object      string
}

// fact is one row: a value as it is, or in place of it a moment or a sentence.
type fact struct {
	Name, Value string
	Says        language.Sentence
}

// english is the value in the words that come back with the press.
func (f fact) english() string {
	if f.Says.IsZero() {
		return f.Value
	}
	return f.Says.String()
}

// says is the row of a sentence.
func says(name string, s language.Sentence) fact { return fact{Name: name, Says: s} }

// when is the row of a moment.
func when(name string, at time.Time) fact { return says(name, language.Say("%s", language.At(at))) }

// Text is what is done, word for word: it comes back with the press, and must still be
// so then.
func (v pressView) Text() string {
	parts := make([]string, len(v.Facts))
	for i, f := range v.Facts {
		parts[i] = strings.ToLower(f.Name) + " " + f.english()
	}
	return v.Title + ": " + strings.Join(parts, ", ")
}

// told is Text as the person reads it in another language than English; empty in English.
func (v pressView) told(in *language.Language) string {
	if in.Tag() == language.English().Tag() {
		return ""
	}
	parts := make([]string, len(v.Facts))
	for i, f := range v.Facts {
		value := in.Tell(f.Says)
		if f.Says.IsZero() {
			value = f.Value
		}
		parts[i] = in.Text(f.Name) + ": " + value
	}
	return in.Text(v.Title) + ". " + strings.Join(parts, "; ")
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
	v.Facts = []fact{{Name: "Name", Value: a.Label}, says("Kind", language.Say(a.Title)), when("Added", p.frame.look.In(a.Created))}
	if !a.Used.IsZero() {
		v.Facts = append(v.Facts, when("Last used", p.frame.look.In(a.Used)))
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
			v.Facts = []fact{says("What", l.Words), when("When", p.frame.look.In(e.At))}
			if e.Source != "" {
				v.Facts = append(v.Facts, fact{Name: "From", Value: e.Source})
			}
			v.After = language.Say("Your other sessions end, your password is switched off until you set a new one (unless you administer alone), a recovery that is under way is stopped, and your administrators are told.")
			return nil
		}
	}
	return failure.New(failure.NotFound, "There is no such entry among the newest of your history.")
}

// reportedNow says what came of a report.
func reportedNow(passwordOff bool) language.Sentence {
	if passwordOff {
		return language.Say("Thank you. Your other sessions were ended, your password was switched off, and your administrators were told.")
	}
	return language.Say("Thank you. Your other sessions were ended, and your administrators were told. No password of yours was switched off.")
}
