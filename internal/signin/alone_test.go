package signin

import (
	"context"
	"path/filepath"
	"testing"

	"countersign/internal/store"
	"countersign/internal/store/storetest"
)

// Each statement that uses a ticket up finds its row at that very step, or refuses: also
// where the row was read long before, and nothing else compares the steps. What another has
// moved on stays as that other left it.
func TestEachStatementFindsItsStep(t *testing.T) {
	for what, use := range map[string]func(*desk, context.Context, *store.Tx, *attempt) error{
		"take":   func(d *desk, ctx context.Context, tx *store.Tx, at *attempt) error { return d.useUp(ctx, tx, at) },
		"claim":  func(d *desk, ctx context.Context, tx *store.Tx, at *attempt) error { return d.drop(ctx, tx, at) },
		"save":   func(d *desk, ctx context.Context, tx *store.Tx, at *attempt) error { return d.save(ctx, tx, at) },
		"forget": func(d *desk, ctx context.Context, tx *store.Tx, at *attempt) error { return d.forget(ctx, tx, at) },
	} {
		t.Run(what, func(t *testing.T) {
			storetest.EachDSN(t, func(t *testing.T, dsn string) {
				d := newDesk(t, dsn)
				uses := func(at *attempt) string {
					return whyNot(d.change(func(tx *store.Tx) error { return use(d, t.Context(), tx, at.clone()) }))
				}
				fresh := d.shown(7)
				fresh.unused = true
				if why := uses(fresh); why != "" {
					t.Errorf("at its step: %s", why)
				}
				late := d.shown(7)
				late.unused = true
				moved, err := d.take(t.Context(), late.ticket())
				if err != nil {
					t.Fatal(err)
				}
				if why := uses(late); why != "used-ticket" {
					t.Errorf("a step late: %q", why)
				}
				early := moved.clone()
				early.step, early.unused = early.step+1, true
				if why := uses(early); why != "used-ticket" {
					t.Errorf("a step early: %q", why)
				}
				if why := whyNot(d.change(func(tx *store.Tx) error { return d.save(t.Context(), tx, moved) })); why != "" {
					t.Errorf("whoever took it cannot go on: %s", why)
				}
				if why := d.reads(moved.ticket()); why != "" {
					t.Errorf("the next ticket: %s", why)
				}
			})
		})
	}
}

// Of any number that take one ticket at once, from two servers, one has it.
func TestOneTakesATicket(t *testing.T) {
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		d := newDesk(t, dsn)
		desks := []*desk{d}
		if filepath.Ext(dsn) != ".db" {
			desks = append(desks, d.beside())
		}
		at := d.shown(7)
		const each = 8
		came := make(chan error)
		for _, from := range desks {
			for range each {
				go func() { _, err := from.take(t.Context(), at.ticket()); came <- err }()
			}
		}
		took := 0
		for range each * len(desks) {
			switch why := whyNot(<-came); why {
			case "":
				took++
			case "used-ticket":
			default:
				t.Errorf("refused: %s", why)
			}
		}
		if took != 1 {
			t.Errorf("%d took it", took)
		}
	})
}
