package portal

import (
	"net/http"
	"slices"

	"countersign/internal/directory"
	"countersign/internal/enrollment"
	"countersign/internal/signin"
)

// card is something that a person can set up, as the page offers it.
type card struct {
	enrollment.Kind
	// Recommended is the one to take if in doubt; Step says how far it leads, or nothing.
	Recommended bool
	Step        string
	// Replaces says that a new one takes the place of one that they have.
	Replaces bool
}

// How far one more way leads whoever has none yet, or one of two.
const (
	stepAlone  = "Enough by itself"
	stepFirst  = "One of two"
	stepSecond = "The second of two"
)

// onboard looks how far a newcomer is, and offers what leads on: nothing behind which they
// would stand before a closed door.
func (p *Portal) onboard(r *http.Request, g signin.Grant, v *homeView) error {
	var names []string
	for _, k := range v.Kinds {
		names = append(names, k.Kind)
	}
	o, err := p.prospects.Outlook(r.Context(), g.Account(), g.Source(), names)
	if err != nil {
		return err
	}
	v.Ready, v.Begun = o.Ready, o.Begun
	v.Kinds = slices.DeleteFunc(v.Kinds, func(k enrollment.Kind) bool { return !o.Helps[k.Kind] })
	for _, k := range v.Kinds {
		c := card{Kind: k, Step: stepFirst}
		switch {
		case o.Completes[k.Kind] && o.Begun:
			c.Step = stepSecond
		case o.Completes[k.Kind]:
			c.Step = stepAlone
		}
		v.Cards = append(v.Cards, c)
	}
	recommend(v.Cards, func(c card) bool { return o.Completes[c.Kind.Kind] })
	return nil
}

// more offers what somebody who is in can add. What cannot be phished is recommended to whoever
// has nothing of it.
func (v *homeView) more() {
	for _, k := range v.Kinds {
		has := slices.ContainsFunc(v.Authenticators, func(a enrollment.Authenticator) bool { return a.Kind == k.Kind })
		v.Cards = append(v.Cards, card{Kind: k, Replaces: k.Single && has})
	}
	if !slices.ContainsFunc(v.Authenticators, resistant) {
		recommend(v.Cards, func(c card) bool { return c.Resistant })
	}
}

// recommend marks the first card that will do, of those that nobody has to be given first and
// that have no known weakness.
func recommend(cards []card, does func(card) bool) {
	i := slices.IndexFunc(cards, func(c card) bool { return !c.Restricted && !c.Issued && does(c) })
	if i >= 0 {
		cards[i].Recommended = true
	}
}

// forAdministrator offers a new administrator what the policy lets them in with:
// where it is only what cannot be phished, codes as the first thing would lock
// them out. Where codes are enough it reminds those who have no passkey. What is
// restricted counts for no administrator unless the policy is changed for it.
func (p *Portal) forAdministrator(r *http.Request, g signin.Grant, v *homeView) error {
	if !slices.Contains(g.Groups(), directory.Administrators) {
		return nil
	}
	codes, err := p.setup.CodesAreEnough(r.Context())
	if err != nil {
		return err
	}
	v.Weaker = codes && !slices.ContainsFunc(v.Authenticators, resistant)
	v.Kinds = slices.DeleteFunc(v.Kinds, func(k enrollment.Kind) bool { return k.Restricted })
	if v.Administrator = v.Limited && !codes; v.Administrator {
		v.Kinds = slices.DeleteFunc(v.Kinds, func(k enrollment.Kind) bool { return !k.Resistant || k.Issued })
	}
	return nil
}
