package oidc

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"

	"countersign/internal/assurance"
	"countersign/internal/failure"
	"countersign/internal/language"
	"countersign/internal/oauth"
	"countersign/internal/protocol"
	"countersign/internal/ticket"
)

const (
	// framesPath is the page on which applications are opened in frames, so that they sign the
	// browser out (OpenID Connect Front-Channel Logout 1.0).
	framesPath = "/oidc/logout/told"
	framesKind = "oidc-frames"
)

// framed is what travels to that page, sealed.
type framed struct {
	Frames []string
	Onward string `json:",omitempty"` // a path of ours
}

// frames are the addresses to open for a session: of each application that somebody was signed in
// to by it and that wants that, with our name and the session's (section 2).
func (p *exit) frames(ctx context.Context, account assurance.AccountID, number string) ([]string, error) {
	apps, err := oauth.NewConnections(p.grants).SignedIn(ctx, account, number)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, app := range apps {
		c, known, err := p.clients.named(ctx, app)
		if err != nil {
			return nil, err
		}
		if known && c.FrontChannel != "" {
			out = append(out, addressed(c.FrontChannel, url.Values{"iss": {p.issuer()}, "sid": {sidOf(number)}}))
		}
	}
	return out, nil
}

// onward is where a browser goes whose session is ended at our own pages.
func (p *exit) onward(ctx context.Context, number, onward string) (string, error) {
	held, err := p.sessions.Standing(ctx, number)
	if failure.ClassOf(err) == failure.Refused {
		return onward, nil
	}
	if err != nil {
		return "", err
	}
	frames, err := p.frames(ctx, held.Account, number)
	if err != nil || len(frames) == 0 {
		return onward, err
	}
	plain, err := json.Marshal(framed{frames, onward})
	if err != nil {
		return "", err
	}
	code, fits := p.tickets.Sealed(ticket.Spec{Kind: framesKind, Payload: plain, Lifetime: pendingLife})
	if !fits { // more applications than an address can name: they are told by the back channel, or find out themselves
		return onward, nil
	}
	return framesPath + "?" + url.Values{resumed: {code}}.Encode(), nil
}

// showFrames is the page after a sign-out at our own pages.
func (p *exit) showFrames(w http.ResponseWriter, r *http.Request) {
	v, f := readForm(w, r)
	if f.is() {
		p.refusePage(w, r, unreadable)
		return
	}
	var what framed
	plain, err := p.tickets.OpenSealed(framesKind, v[resumed])
	switch {
	case failure.ClassOf(err) == failure.Refused:
		err = errStale
	case err == nil:
		err = json.Unmarshal(plain, &what)
	}
	if err != nil {
		p.refuseError(w, r, err)
		return
	}
	p.signedOut(w, r, what.Frames, what.Onward, language.Say("Go on"))
}

// signedOut says that it is done, while applications are told in frames.
func (p *exit) signedOut(w http.ResponseWriter, r *http.Request, frames []string, onward string, word language.Sentence) {
	page := protocol.Page{Title: "Signed out", Heading: language.Say("You are signed out."), Frames: frames, Onward: onward}
	if onward == "" {
		onward, word = p.at("/sign-in"), language.Say("Sign in again")
	}
	page.Links = []protocol.PageLink{{Href: onward, Text: word}}
	p.pages(w, r, page)
}
