package portal

import (
	"net/http"

	"countersign/internal/enrollment"
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
	// Password says whether there is a kind that is only known, and which: it is set up from here.
	Password, PasswordTitle string
	// Refused is why they cannot, with how it is mended; empty where they can.
	Refused string
	Rest    []string
}

// next are the words of each, for who has done it.
var next = map[string]afterView{
	afterReport: {Title: "Set a new password now", Lede: "Whoever did what you reported may know your password. Until you set a new one, applications let you in only with what cannot be phished.",
		Rest: []string{"Remove what you sign in with and do not know, or do not hold any more.", "Change the password wherever else you use the same one."}},
	afterRemoval: {Title: "It was removed", Lede: "If you removed it because somebody else may have used it, set a new password now. Otherwise nothing is left to do.",
		Rest: []string{"Look through your history, and report what was not you."}},
}

// after shows what is left to do after an act.
func (p *Portal) after(w http.ResponseWriter, r *http.Request) error {
	g, ok, err := p.frame.inside(w, r)
	if !ok {
		return err
	}
	v, there := next[r.PathValue("act")]
	if !there {
		return look.Go(w, r, "/account")
	}
	for _, k := range p.frame.listing.Kinds() {
		if k.Known {
			v.Password, v.PasswordTitle = k.Kind, k.Title
		}
	}
	step, err := p.frame.browser.Check(r, enrollment.Enroll, v.Password)
	if err != nil {
		return err
	}
	if step.State == signin.Denied {
		v.Refused = step.Public
	}
	return p.frame.render(w, r, g, "after", v.Title, v)
}
