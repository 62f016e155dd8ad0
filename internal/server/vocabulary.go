package server

import (
	"context"
	"slices"
	"time"

	"countersign/internal/admin/nouns"
	policies "countersign/internal/admin/policy"
	"countersign/internal/admin/survey"
	"countersign/internal/application"
	"countersign/internal/authenticator"
	"countersign/internal/directory"
	"countersign/internal/keyring"
	"countersign/internal/policy"
	"countersign/internal/protocol"
	"countersign/internal/signin"
	"countersign/internal/store"
)

// Known is what a policy may mention in an installation that exists, whether or not
// a server runs on it.
func Known(ctx context.Context, db *store.DB, keys *keyring.Keyring) (policy.Known, error) {
	catalogue, err := application.Open(ctx, db, keys)
	if err != nil {
		return policy.Known{}, err
	}
	kinds, err := EveryKind()
	if err != nil {
		return policy.Known{}, err
	}
	return vocabulary{directory.NewGroups(directory.Parts{DB: db, Keys: keys}), catalogue, kinds, Protocols()}.names(ctx, db)
}

// Unmeetable says whom a document demands something of that nobody can show there, a sentence for
// each. It reads the applications.
func Unmeetable(ctx context.Context, db *store.DB, keys *keyring.Keyring, p *policy.Policy) ([]string, error) {
	catalogue, err := application.Open(ctx, db, keys)
	if err != nil {
		return nil, err
	}
	kinds, err := EveryKind()
	if err != nil {
		return nil, err
	}
	all := make([]authenticator.Authenticator, len(kinds))
	for i, k := range kinds {
		all[i] = k.Authenticator
	}
	places, err := survey.New(survey.Parts{Applications: catalogue, Protocols: Protocols()}).Places(ctx)
	if err != nil {
		return nil, err
	}
	return policies.Unmeetable(p, policies.Reached{Reach: signin.ReachOf(all, time.Now), Places: places, Protocols: Protocols(), Now: time.Now()}), nil
}

// vocabulary is what a policy's names are of.
type vocabulary struct {
	groups    *directory.Groups
	catalogue *application.Catalogue
	kinds     KindList
	protocols protocol.List
}

// names lists what a policy may mention.
func (v vocabulary) names(ctx context.Context, r store.Reader) (policy.Known, error) {
	k := policy.Known{ApplicationKinds: application.Kinds, Tiers: []string{application.Standard, application.ControlPlane},
		Protocols: slices.Concat([]string{"browser"}, v.protocols.Names(), []string{"api"}), AccountKinds: []string{directory.Person, directory.Service}, Actions: append(signin.OwnActions(), signin.AppPassword), Applications: []string{signin.Self}}
	for _, c := range nouns.Commands() {
		k.Actions = append(k.Actions, c.Action)
	}
	k.Reading = nouns.Commands().Reading()
	for _, a := range v.kinds { // also of those that this server lacks something for
		k.Kinds = append(k.Kinds, a.Describe().Kind)
	}
	groups, err := v.groups.All(ctx, r)
	if err != nil {
		return k, err
	}
	for _, g := range groups {
		k.Groups = append(k.Groups, g.Name)
	}
	all, err := v.catalogue.AllIn(ctx, r)
	for _, a := range all {
		k.Applications = append(k.Applications, a.Name)
		o, _ := v.protocols.Exposure(a) // settings that cannot be read open nothing
		k.Actions = append(k.Actions, o.Actions...)
	}
	return k, err
}
