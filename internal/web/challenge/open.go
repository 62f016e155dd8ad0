package challenge

import (
	"net/http"

	"countersign/internal/language"
	"countersign/internal/signin"
	"countersign/internal/web/look"
)

// OpenPath is where the links of mails about guesses lead.
const OpenPath = "/sign-in/open"

type opening struct{ Name, Code string }

// opening asks before it makes the browser its owner's, because mail is read by programs
// as well, which follow every link.
func (c *player) opening(w http.ResponseWriter, r *http.Request) error {
	code := r.URL.Query().Get("code")
	name, err := c.engine.Invited(r.Context(), code)
	if err != nil {
		return err
	}
	return c.pages.Render(w, r, look.Page{Template: "open", Title: "Sign in from here", Shape: look.Card, Data: opening{name, code}})
}

// open makes the browser one of its owner's, which lets nobody in.
func (c *player) open(w http.ResponseWriter, r *http.Request) error {
	kept, err := c.engine.Accept(r.Context(), r.PostForm.Get("code"), signin.Request{Application: signin.Self, Action: signin.SignIn, Protocol: "browser", Source: c.browser.Source(r)})
	if err != nil {
		return err
	}
	c.look.Set(w, browserCookie, kept, signin.BrowserLife)
	return c.look.Done(w, r, "/sign-in", language.Say("This browser is known now. Sign in."))
}
