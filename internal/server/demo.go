package server

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	"countersign/internal/application"
	"countersign/internal/audit"
	"countersign/internal/failure"
	"countersign/internal/store"
)

// PlantApplications makes a site on that host and a RADIUS client on loopback with that
// secret, for tests.
func (in *Installation) PlantApplications(ctx context.Context, page, secret string) error {
	catalogue := in.Catalogue
	web, err := json.Marshal(map[string]any{"hosts": []string{page}})
	if err != nil {
		return err
	}
	vpn, err := json.Marshal(map[string]any{"mode": "challenge", "clients": []any{map[string]any{"name": "loopback", "networks": []string{"127.0.0.0/8"}, "secret": secret}}})
	if err != nil {
		return err
	}
	return in.DB.Change(ctx, audit.Actor{Name: "set-up", Via: "demo"}, func(tx *store.Tx) error {
		for _, a := range []application.Application{
			{Name: "wiki", Title: "The wiki", Kind: "wiki", Tier: application.Standard, Protocol: "forward-auth", Settings: web},
			{Name: "vpn", Title: "The VPN", Kind: "vpn", Tier: application.Standard, Protocol: "radius", Settings: vpn},
		} {
			if _, err := catalogue.Set(ctx, tx, a); err != nil {
				return err
			}
			if err := tx.Record(audit.Entry{Event: "application.set", Outcome: "ok", Application: a.Name}); err != nil {
				return err
			}
		}
		return nil
	})
}

// demonstrates is the event that marks an installation as a demonstration's.
const demonstrates = "installation.demonstration"

// marking is among how many of the log's first entries the mark stands: those of the keys go
// before it.
const marking = 8

// checkDemonstration refuses a demonstration's database where something real is meant, and
// any other where a demonstration is. What marks one stands at the beginning of its audit
// log, which nobody takes away unseen. A database that holds nothing but keys is marked.
func checkDemonstration(ctx context.Context, db *store.DB, demo bool) error {
	first, err := db.AuditLog().Entries(ctx, store.Filter{Before: marking, Limit: marking})
	if err != nil {
		return err
	}
	marked := slices.ContainsFunc(first, func(e audit.Entry) bool { return e.Event == demonstrates })
	used := slices.ContainsFunc(first, func(e audit.Entry) bool { return !strings.HasPrefix(e.Event, "keyring.") })
	switch {
	case marked && !demo:
		return failure.New(failure.Invalid, "This is the database of a demonstration: its people are invented, and everybody may know their passwords. Start it with --demo, or name another folder with --data.")
	case !marked && demo && used:
		return failure.New(failure.Invalid, "This database is not a demonstration's, and --demo opens none but its own. Start without --demo.")
	case !marked && demo:
		return db.Change(ctx, audit.Actor{Name: "set-up", Via: "demo"}, func(tx *store.Tx) error {
			return tx.Record(audit.Entry{Event: demonstrates, Outcome: audit.OK})
		})
	}
	return nil
}
