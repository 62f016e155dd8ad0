package server

import (
	"context"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/language"
	"countersign/internal/oauth"
	"countersign/internal/signingkey"
	"countersign/internal/store"
)

// openClients makes what clients are given tokens with: the rows of what came of each sign-in to
// one, and the keys that sign.
func (in *Installation) openClients(now func() time.Time) {
	in.Grants = oauth.New(oauth.Parts{DB: in.DB, Keys: in.Keys, Sessions: in.Sessions, Tell: in.tellOwner, Now: now})
	in.Signing = signingkey.New(in.DB, in.Keys, now)
	in.rooms = append(in.rooms, in.Grants, oauth.NewLogouts(in.Grants), in.Signing)
}

// tellOwner tells an account's owner of something that happened to it, inside the change that
// records it.
func (in *Installation) tellOwner(ctx context.Context, tx *store.Tx, account assurance.AccountID, subject, what language.Sentence) error {
	a, err := in.Accounts.Get(ctx, tx, account)
	if err != nil {
		return err
	}
	return in.Enrolled.Notices.Tell(ctx, tx, a, subject, what)
}

// method is the RFC 8176 word of a kind, where its traits do not say.
func (l KindList) method(kind string) string {
	for _, a := range l.here() {
		if d := a.Describe(); d.Kind == kind {
			return d.AMR
		}
	}
	return ""
}
