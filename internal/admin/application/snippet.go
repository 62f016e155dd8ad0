package application

import (
	"context"
	"slices"
	"strings"

	"countersign/internal/failure"
	"countersign/internal/protocol"
	"countersign/internal/signin"
)

// Snippet shows the configuration of what asks for an application: its proxy or its client.
type Snippet struct {
	Name        string `json:"name" arg:"" help:"The application."`
	For         string `json:"for,omitempty" help:"The product, such as nginx; an unknown one is answered with those that there are. The usual one when left out."`
	Host        string `json:"host,omitempty" help:"Which of the application's hosts; the first when left out."`
	Backend     string `json:"backend,omitempty" help:"Where the application itself is, such as 127.0.0.1:3000; as its settings say when left out."`
	Client      string `json:"client,omitempty" help:"Which of the application's clients; the first when left out."`
	Countersign string `json:"countersign,omitempty" help:"Host and port at which the product reaches Countersign; where this server listens when left out."`
}

// Snippets is what application.snippet answers. It holds no secret: where one belongs, the
// text says which.
type Snippets struct {
	For      string           `json:"for"`
	Title    string           `json:"title"`
	Document string           `json:"document"`
	Files    []protocol.Ready `json:"files"`
	// Others are the products that there are besides.
	Others []Product `json:"others,omitempty"`
}

// Product is one that an application's configuration can be shown for.
type Product struct {
	Name  string `json:"name"`
	Title string `json:"title"`
}

func (c *Snippet) Action() string { return "application.snippet" }
func (c *Snippet) Object() string { return "" }

func (c *Snippet) Do(ctx context.Context, a *readDesk, _ signin.Grant) (any, error) {
	app, err := a.applications.Get(ctx, c.Name)
	if err != nil {
		return nil, err
	}
	d, _ := a.protocols.Named(app.Protocol)
	if len(d.Guides) == 0 {
		return nil, failure.New(failure.Invalid, "There is no configuration to show for the protocol %q.", app.Protocol)
	}
	i := slices.IndexFunc(d.Guides, func(g protocol.Guide) bool { return c.For == "" || g.Name == c.For })
	if i < 0 {
		return nil, failure.At("for", failure.New(failure.Invalid, "There is no configuration for %q; use %s.", c.For, names(d.Guides)))
	}
	g := d.Guides[i]
	out := Snippets{For: g.Name, Title: g.Title, Document: g.Document}
	for _, other := range d.Guides {
		if other.Name != g.Name {
			out.Others = append(out.Others, Product{other.Name, other.Title})
		}
	}
	out.Files, err = g.Write(app, a.place.With(c.Host, c.Backend, c.Client, c.Countersign))
	return out, err
}

func names(all []protocol.Guide) string {
	var out []string
	for _, g := range all {
		out = append(out, g.Name)
	}
	last := len(out) - 1
	if last < 1 {
		return strings.Join(out, "")
	}
	return strings.Join(out[:last], ", ") + " or " + out[last]
}
