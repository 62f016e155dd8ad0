package server

import (
	"context"
	"slices"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/directory"
	"countersign/internal/language"
	samlmetadata "countersign/internal/metadata"
	"countersign/internal/oauth"
	"countersign/internal/protocol/saml"
	"countersign/internal/signal"
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

// credentialWord is what shared signals call a kind.
func (l KindList) credentialWord(kind string) string {
	for _, a := range l {
		if d := a.Describe(); d.Kind == kind {
			return d.Signal
		}
	}
	return ""
}

// openSignals makes what tells other systems of people here, and hears what they say.
func openSignals(in *Installation, s Settings) {
	of := directory.Parts{DB: in.DB, Keys: in.Keys}
	in.Signals = signal.New(signal.Parts{DB: in.DB, Keys: in.Keys, Accounts: in.Accounts, Roll: directory.NewRoll(of), Externals: in.Externals, Endings: in.Endings, Signing: in.Signing,
		Words: in.kinds.credentialWord, Inside: s.SignalsInside, CA: s.SignalsCA, PublicURL: s.PublicURL, Now: s.Now, Log: s.Log})
	in.rooms = append(in.rooms, in.Signals.Keeper)
}

// MetadataSources are the addresses from which the metadata of SAML parties is read now.
func MetadataSources(in *Installation) func(context.Context) ([]samlmetadata.Source, error) {
	return func(ctx context.Context) ([]samlmetadata.Source, error) {
		apps, err := in.Catalogue.ByProtocol(ctx, saml.Protocol)
		if err != nil {
			return nil, err
		}
		var out []samlmetadata.Source
		for _, app := range apps {
			if from, is := saml.Fetched(app); is {
				out = append(out, from)
			}
		}
		all, err := in.Upstreams.All(ctx, in.DB)
		for _, u := range all {
			if from, is := u.Fetched(); is && !u.Off {
				out = append(out, from)
			}
		}
		return out, err
	}
}

// saysOf is what an administrator is told of what others take and give.
func saysOf(in *Installation) []string {
	ctx, done := context.WithTimeout(context.Background(), 5*time.Second)
	defer done()
	return slices.Concat(in.carriers.says(), in.Delivery.Says(), in.Signals.Keeper.Says(ctx))
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
