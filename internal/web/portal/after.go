package portal

import (
	"net/http"

	"countersign/internal/enrollment"
	"countersign/internal/language"
	"countersign/internal/signin"
	"countersign/internal/web/look"
)

// afterPath is where an act leads behind which something is left for its owner to do.
const afterPath = "/account/after/"

// The acts behind which something is left.
const (
	afterReport  = "report"
	afterRemoval = "removal"
)

// afterView says what is left to do. It holds nothing of anybody: who opens the address
// without the act reads good advice.
type afterView struct {
	Title, Lede string
	// Password is the kind that is only known: it is set up from here. Empty is none.
	Password string
	// Refused is why they cannot, with how it is mended; empty where they can.
	Refused language.Sentence
	Rest    []string
}

// next are the words of each, for who has done it.
var next = map[string]afterView{
	afterReport: {Title: "Set a new password now", Lede: "Whoever did what you reported may know your password. Until you set a new one, applications let you in only with what cannot be phished.",
		Rest: []string{"Remove what you sign in with and do not know, or do not hold any more.", "Change the password wherever else you use the same one."}},
	afterRemoval: {Title: "It was removed", Lede: "If you removed it because somebody else may have used it, set a new password now. Otherwise nothing is left to do.",
		Rest: []string{"Look through your history, and report what was not you."}},
}

// signInFirst is for whoever's session rested on the password that was just switched off.
const signInFirst = "Your session rested on what is switched off now. Sign in with another way that is still yours, such as a passkey, and set a new password under “Ways to sign in”. If nothing of yours is enough, ask an administrator for a temporary access pass, with which you set one."

// after shows what is left to do after an act, also to whoever's session ended with it.
func (p *Portal) after(w http.ResponseWriter, r *http.Request) error {
	v, there := next[r.PathValue("act")]
	if !there {
		return look.Go(w, r, "/account")
	}
	in, err := p.frame.browser.Check(r, signin.SignIn, "")
	if err != nil {
		return err
	}
	if in.State != signin.Granted {
		v.Refused = language.Say(signInFirst)
		return p.frame.pages.Render(w, r, look.Page{Template: "after", Title: v.Title, Shape: look.Card, Data: v})
	}
	for _, k := range p.frame.listing.Kinds() {
		if k.Known {
			v.Password = k.Kind
		}
	}
	set, err := p.frame.browser.Check(r, enrollment.Enroll, v.Password)
	if err != nil {
		return err
	}
	if set.State == signin.Denied {
		v.Refused = set.Sentence()
	}
	return p.frame.render(w, r, in.Grant, "after", v.Title, v)
}
