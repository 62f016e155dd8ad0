package console

import (
	"net/url"

	"countersign/internal/admin"
	"countersign/internal/failure"
	"countersign/internal/session"
	"countersign/internal/signin"
)

var notYours = failure.Refuse("not-administrator", "These pages are for administrators.")

// admit asks the engine whether who looks may do a command that only reads, and
// keeps the grant. Where a proof is missing, it says what continuation to run first:
// what is proved on it joins the session, and the page is loaded again.
func (v *visit) admit(c admin.Command) (signin.Grant, error) {
	step, err := v.desk.browser.Check(v.r, c.Action(), c.Object())
	if err != nil {
		return signin.Grant{}, err
	}
	switch {
	case step.State == signin.Granted:
		v.g = step.Grant
		return step.Grant, nil
	case step.State != signin.Ask:
		return signin.Grant{}, notYours
	case step.Reason == "no-session":
		return signin.Grant{}, &signInFirst{session.Continuation{Return: v.back}}
	}
	return signin.Grant{}, &signInFirst{session.Continuation{Action: c.Action(), Object: c.Object(), Looks: true, Return: v.back}}
}

// read does a command that only reads, under the session.
func read[T any](v *visit, c admin.Command) (T, error) {
	var none T
	g, err := v.admit(c)
	if err != nil {
		return none, err
	}
	answer, err := v.desk.admin.Do(v.r.Context(), g, c)
	if err != nil {
		return none, err
	}
	out, ok := answer.(T)
	if !ok {
		return none, failure.New(failure.Internal, "%s answers another type", c.Action())
	}
	return out, nil
}

func escape(s string) string { return url.PathEscape(s) }
