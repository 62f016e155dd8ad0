package challenge

import (
	"encoding/json"
	"net/http"

	"countersign/internal/failure"
	"countersign/internal/prompt"
	"countersign/internal/signin"
	"countersign/internal/web/look"
)

// visitCookie holds the visit to another organisation's identity provider that a browser is on.
const visitCookie = "countersign-visit"

// here reports whether somebody wants to sign in here whose name is another organisation's.
func here(r *http.Request) bool { return r.FormValue("here") == "yes" }

// homeOf is the upstream whose person a typed name is; empty for nobody's, and for whoever wants
// to sign in here.
func (c *player) homeOf(r *http.Request, name string) (string, error) {
	if name == "" || here(r) {
		return "", nil
	}
	return c.upstreams.HomeOf(r.Context(), name)
}

// away sends the browser to an upstream, for what it signs in for.
func (c *player) away(w http.ResponseWriter, r *http.Request) error {
	if err := c.browser.movedText(r, c.continuation(w, r)); err != nil {
		return err
	}
	return c.visit(w, r, r.PostForm.Get("upstream"), "")
}

// leaving is the page that goes on to an upstream.
type leaving struct{ Title, To string }

// visit begins a visit for the attempt that the browser is in, and for a new one where nothing
// is asked there that a visit answers.
func (c *player) visit(w http.ResponseWriter, r *http.Request, name, hint string) error {
	step, err := c.engine.Poll(r.Context(), c.look.Get(r, ticketCookie))
	challenge := challengeIn(step)
	if err == nil && challenge == "" {
		step, err = c.engine.Begin(r.Context(), c.request(r, c.continuation(w, r)))
		challenge = challengeIn(step)
	}
	if err != nil {
		return err
	}
	if challenge == "" {
		return look.Go(w, r, again)
	}
	c.look.Set(w, ticketCookie, step.Ticket, cookieLife)
	begun, err := c.upstreams.Begin(r.Context(), name, challenge, hint)
	if failure.ClassOf(err) == failure.Unavailable {
		return c.pages.Render(w, r, look.Page{Template: "unreached", Title: "Not reached", Shape: look.Card, Status: http.StatusServiceUnavailable, Data: again + "&here=yes"})
	}
	if err != nil {
		return err
	}
	c.look.Set(w, visitCookie, begun.Cookie, begun.Life)
	// A redirect would not do: see look.Leave.
	w.Header().Set("Refresh", "0;url="+begun.To)
	return c.pages.Render(w, r, look.Page{Template: "away", Title: "Going on", Shape: look.Card, Data: leaving{begun.Title, begun.To}})
}

// challengeIn is the challenge of a question that a visit answers; empty where none is asked.
func challengeIn(step signin.Step) string {
	for _, p := range step.Prompts {
		var data struct{ Challenge string }
		if p.Kind == prompt.Upstream && json.Unmarshal(p.Data, &data) == nil {
			return data.Challenge
		}
	}
	return ""
}

// back takes a browser back from an upstream. What came is for this browser's visit and attempt
// or for none: both are in its cookies alone.
func (c *player) back(w http.ResponseWriter, r *http.Request) error {
	text, err := c.upstreams.Finish(r.Context(), r.PathValue("name"), c.look.Get(r, visitCookie), r.URL.Query())
	c.look.Drop(w, visitCookie)
	if err != nil {
		return err
	}
	data, err := json.Marshal(text)
	if err != nil {
		return err
	}
	step, err := c.engine.Answer(r.Context(), c.look.Get(r, ticketCookie), signin.Reply{Answer: prompt.Answer{Authenticator: "upstream", Data: data}, Source: c.browser.Source(r)})
	if err != nil {
		return err
	}
	return c.play(w, r, c.continuation(w, r), "", step)
}
