package challenge

import (
	"net/http"
)

// language keeps the language that somebody chose in the foot of a page, and goes back there.
func (c *player) language(w http.ResponseWriter, r *http.Request) error {
	in, err := c.look.Chosen(r)
	if err != nil {
		return err
	}
	c.look.Prefer(w, in.Tag())
	return c.look.Return(w, r)
}
