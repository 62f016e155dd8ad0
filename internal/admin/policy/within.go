package policy

import (
	"context"

	"countersign/internal/signin"
	"countersign/internal/store"
)

// Within puts a document in force inside the change of a command that does this and more,
// with every check of [Change]. It writes no entry: that is the caller's.
type Within struct{ desk changeDesk }

// NewWithin makes one.
func NewWithin(p Parts) *Within {
	return &Within{changeDesk{documents: documents{p.DB, p.Rules, p.Known}, engine: p.Engine}}
}

// Latest is the document that is in force for who reads from r.
func (w *Within) Latest(ctx context.Context, r store.Reader) (signin.Document, error) {
	return w.desk.rules.Latest(ctx, r)
}

// Save puts a document in force whose names exist, whose own tests hold, and by which
// somebody can go on to administer.
func (w *Within) Save(ctx context.Context, tx *store.Tx, body, author string) (signin.Document, error) {
	if err := w.desk.sound(ctx, tx, body); err != nil {
		return signin.Document{}, err
	}
	return w.desk.rules.Save(ctx, tx, body, author)
}
