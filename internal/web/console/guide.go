package console

import (
	"strconv"

	"countersign/internal/admin/application"
	"countersign/internal/failure"
	"countersign/internal/protocol"
)

// guide fills in the configuration of what asks for an application, for the product and the
// addresses that the page's own address names.
func (a *applicationView) guide(v *visit) error {
	a.Choice = typed(v.r.URL.Query()).as("guide")
	c := &application.Snippet{Name: a.Name, For: a.Choice.text("for"), Host: a.Choice.text("host"), Backend: a.Choice.text("backend"), Client: a.Choice.text("client"), Countersign: a.Choice.text("countersign")}
	shown, err := read[application.Snippets](v, c)
	switch failure.ClassOf(err) {
	case failure.Invalid, failure.NotFound:
		a.Unready = failure.Public(err)
		return nil
	}
	a.Guide = shown
	return err
}

// Products are those that the configuration can be shown for.
func (a applicationView) Products() []choice {
	var out []choice
	d, _ := a.Protocols.Named(a.Protocol)
	for _, g := range d.Guides {
		out = append(out, choice{g.Name, g.Title})
	}
	return out
}

// readyFile is a file as the page shows it, with what finds it there.
type readyFile struct {
	protocol.Ready
	ID string
}

// Files are those of the product that was chosen.
func (a applicationView) Files() []readyFile {
	var out []readyFile
	for i, f := range a.Guide.Files {
		out = append(out, readyFile{f, "file-" + strconv.Itoa(i)})
	}
	return out
}

// Clients says that the settings list clients, of which one is meant.
func (a applicationView) Clients() bool {
	for _, g := range a.Groups {
		if g.List == "clients" {
			return true
		}
	}
	return false
}
