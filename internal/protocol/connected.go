package protocol

import (
	"context"
	"slices"
	"strings"
	"time"

	"countersign/internal/application"
	"countersign/internal/assurance"
	"countersign/internal/failure"
	"countersign/internal/language"
	"countersign/internal/oauth"
	"countersign/internal/participant"
	"countersign/internal/session"
	"countersign/internal/signin"
)

// Connections tell which applications somebody is signed in to, or that act for them. They end
// what can be ended, and grant nothing.
type Connections struct {
	clients      *oauth.Connections
	participants *participant.Participants
	sessions     *session.Sessions
	catalogue    *application.Catalogue
	protocols    List
}

// NewConnections makes Connections; doors know what applications are called.
func NewConnections(doors *Doors, clients *oauth.Connections, participants *participant.Participants, sessions *session.Sessions) *Connections {
	return &Connections{clients, participants, sessions, doors.catalogue, doors.protocols}
}

// Connected is an application that somebody is signed in to. It holds none of its settings.
type Connected struct {
	Application string `json:"application"`
	// Title is what people call it.
	Title    string `json:"title"`
	Protocol string `json:"protocol"`
	// Gets are scopes and single facts that it got, by their words in the protocol; of one that
	// was told a name alone it is that.
	Gets []string `json:"gets"`
	// Since is the first sign-in of those that stand, Last the newest, and Until when the last of
	// them is over.
	Since time.Time `json:"since,omitzero"`
	Last  time.Time `json:"last,omitzero"`
	Until time.Time `json:"until"`
	// Offline says that it acts for the person without their session.
	Offline bool `json:"offline,omitempty"`
	// Ends says that it can be ended by itself; otherwise it ends with the session.
	Ends bool `json:"ends"`
}

// Of are the applications that have something of an account, by their titles.
func (c *Connections) Of(ctx context.Context, account assurance.AccountID) ([]Connected, error) {
	clients, err := c.clients.Of(ctx, account)
	if err != nil {
		return nil, err
	}
	var out []Connected
	for _, one := range clients {
		out = append(out, Connected{Application: one.Client, Protocol: "oidc", Gets: slices.Concat(one.Scopes, one.Claims), Since: one.Since, Last: one.Last, Until: one.Until, Offline: one.Offline, Ends: true})
	}
	joined, err := c.joined(ctx, account)
	if err != nil {
		return nil, err
	}
	out = append(out, joined...)
	for i := range out {
		if out[i].Title, err = c.title(ctx, out[i].Application); err != nil {
			return nil, err
		}
	}
	slices.SortStableFunc(out, func(a, b Connected) int { return strings.Compare(a.Title, b.Title) })
	return out, nil
}

// joined are those that were told of a session that stands.
func (c *Connections) joined(ctx context.Context, account assurance.AccountID) (out []Connected, err error) {
	all, err := c.participants.OfAccount(ctx, account)
	if err != nil {
		return nil, err
	}
	for _, one := range all {
		if _, err := c.sessions.Standing(ctx, one.Session); failure.ClassOf(err) == failure.Refused {
			continue
		} else if err != nil {
			return nil, err
		}
		i := slices.IndexFunc(out, func(o Connected) bool { return o.Application == one.Application })
		if i < 0 {
			i = len(out)
			out = append(out, Connected{Application: one.Application, Protocol: "saml"})
		}
		if !slices.Contains(out[i].Gets, one.Name) {
			out[i].Gets = append(out[i].Gets, one.Name)
		}
		if one.Expires.After(out[i].Until) {
			out[i].Until = one.Expires
		}
	}
	return out, nil
}

func (c *Connections) title(ctx context.Context, name string) (string, error) {
	app, err := c.catalogue.Get(ctx, name)
	switch {
	case failure.ClassOf(err) == failure.NotFound: // it was removed, and has something still
		return name, nil
	case err != nil:
		return "", err
	case app.Title == "":
		return name, nil
	}
	return app.Title, nil
}

// Says is what an application got, for the person whom it is about.
func (c *Connections) Says(one Connected) []language.Sentence {
	p, _ := c.protocols.Named(one.Protocol)
	var out []language.Sentence
	for _, word := range one.Gets {
		says, known := p.Words[word]
		if !known {
			says = language.Say("“%s”", word)
		}
		if !slices.ContainsFunc(out, func(s language.Sentence) bool { return s.Format == says.Format && known }) {
			out = append(out, says)
		}
	}
	return out
}

// EndOwn ends what an application has of whoever the grant is of, and has it told.
func (c *Connections) EndOwn(ctx context.Context, by signin.Grant, application string) error {
	return c.clients.EndOwn(ctx, by, application)
}
