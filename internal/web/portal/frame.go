package portal

import (
	"net/http"
	"slices"
	"strconv"

	"countersign/internal/directory"
	"countersign/internal/enrollment"
	"countersign/internal/failure"
	"countersign/internal/signin"
	"countersign/internal/web/challenge"
	"countersign/internal/web/look"
)

// frame is what every page here has: whose it is, what is around it, and what they have.
type frame struct {
	browser challenge.Browser
	look    *look.Look
	listing *enrollment.Listing
	pages   *look.Set
}

// enter returns a grant for the pages. A person whose session holds only a pass
// gets one for setting up (limited), and nothing else.
func (fr *frame) enter(w http.ResponseWriter, r *http.Request) (g signin.Grant, limited, ok bool, err error) {
	if g, limited, ok, err = fr.whoever(r); err != nil || ok {
		return g, limited, ok, err
	}
	return g, false, false, fr.browser.SignIn(w, r, comeBack(r))
}

// whoever is signed in here, also where they only set up (limited).
func (fr *frame) whoever(r *http.Request) (g signin.Grant, limited, ok bool, err error) {
	step, err := fr.browser.Check(r, signin.SignIn, "")
	if err != nil || step.State == signin.Granted {
		return step.Grant, false, err == nil, err
	}
	early, err := fr.browser.Check(r, enrollment.Enroll, fr.known())
	if err != nil || early.State == signin.Granted {
		return early.Grant, true, err == nil, err
	}
	return g, false, false, nil
}

// known is the kind that whoever only sets up could begin with wherever they are: what is
// only known.
func (fr *frame) known() string {
	for _, k := range fr.listing.Kinds() {
		if k.Known {
			return k.Kind
		}
	}
	return ""
}

// comeBack is the page to come back to when somebody has signed in; what was posted is
// not done then, because nobody was there to begin it.
func comeBack(r *http.Request) string {
	if r.Method == http.MethodGet {
		return r.URL.RequestURI()
	}
	return "/account"
}

// inside is [Portal.enter] for pages that are nothing to whoever only sets up.
func (fr *frame) inside(w http.ResponseWriter, r *http.Request) (g signin.Grant, ok bool, err error) {
	g, limited, ok, err := fr.enter(w, r)
	if ok && limited {
		return g, false, failure.Refuse("limited", "Sign in first.")
	}
	return g, ok, err
}

func (fr *frame) render(w http.ResponseWriter, r *http.Request, g signin.Grant, template, title string, data any) error {
	return fr.pages.Render(w, r, fr.page(g, template, title, data))
}

// consoleOf is where somebody administers; empty is nowhere.
func consoleOf(g signin.Grant) string {
	switch {
	case slices.Contains(g.Groups(), directory.Administrators):
		return "/console"
	case slices.Contains(g.Groups(), directory.Helpdesk):
		return "/console/recoveries"
	}
	return append(look.Lent(g.Lent()), "")[0]
}

func (fr *frame) page(g signin.Grant, template, title string, data any) look.Page {
	links := []look.Link{{Href: "/account", Text: "Ways to sign in", Here: template == "home"}, {Href: "/account/applications", Text: "My applications", Here: template == "applications" || template == "connected" || template == "app-passwords" || template == "app-password"}, {Href: "/account/history", Text: "History", Here: template == "history"},
		{Href: "/account/approve", Text: "Approve a sign-in", Here: template == "approve"}}
	return look.Page{Template: template, Title: title, Shape: look.Desk, Links: links,
		Person: &look.Person{Name: g.Name(), Display: g.Display(), Console: consoleOf(g)}, Data: data}
}

// own returns one of the person's authenticators by its number.
func (fr *frame) own(r *http.Request, g signin.Grant, number string) (enrollment.Authenticator, error) {
	all, err := fr.listing.List(r.Context(), g.Account())
	if err != nil {
		return enrollment.Authenticator{}, err
	}
	i := slices.IndexFunc(all, func(a enrollment.Authenticator) bool { return strconv.FormatInt(int64(a.ID), 10) == number })
	if i < 0 {
		return enrollment.Authenticator{}, failure.New(failure.NotFound, "There is no such authenticator.")
	}
	return all[i], nil
}
