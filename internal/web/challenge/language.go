package challenge

import (
	"net/http"

	"countersign/internal/session"
	"countersign/internal/signin"
)

// written has a browser without a choice of its own use that of the account. Whoever begins to
// set up is written to in the language that they read then, if nobody chose another before.
func (c *player) written(w http.ResponseWriter, r *http.Request, e session.Continuation, g signin.Grant) error {
	switch {
	case g.Language() == "" && welcomes(e):
		return c.languages.Set(r.Context(), g, c.look.Language(r).Tag())
	case g.Language() != "" && !c.look.Prefers(r):
		c.look.Prefer(w, g.Language())
	}
	return nil
}
