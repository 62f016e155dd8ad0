package web

import "context"

// SignsOut ends the session of the server's own pages that the visitor's browser has, and all that
// hangs from it.
func (v *Visitor) SignsOut(ctx context.Context) error { return v.b.signsOut(ctx) }
