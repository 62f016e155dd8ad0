package admin

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"countersign/internal/audit"
	"countersign/internal/directory"
	"countersign/internal/signin"
	"countersign/internal/store"
)

// Book writes down what commands do, as they do it.
type Book struct{ db *store.DB }

// NewBook makes a Book.
func NewBook(db *store.DB) Book { return Book{db} }

// Change runs a change as the grant's account and records the command, in one
// transaction. The account that it is about is read when the change is done; nil is
// nobody.
func (b Book) Change(ctx context.Context, g signin.Grant, event string, detail map[string]string, about *directory.Account, fn func(tx *store.Tx) error) error {
	return b.change(ctx, g, func(tx *store.Tx) error {
		if err := fn(tx); err != nil {
			return err
		}
		en := Entry(g, event, "ok", detail)
		if about != nil {
			en.Account, en.AccountName = int64(about.ID), about.Name
		}
		return tx.Record(en)
	})
}

// ChangeEach is Change for a command about several accounts, with an entry for each of them
// that fn returns.
func (b Book) ChangeEach(ctx context.Context, g signin.Grant, event string, detail map[string]string, fn func(tx *store.Tx) ([]directory.Account, error)) error {
	return b.change(ctx, g, func(tx *store.Tx) error {
		all, err := fn(tx)
		if err != nil {
			return err
		}
		for _, about := range all {
			en := Entry(g, event, "ok", detail)
			en.Account, en.AccountName = int64(about.ID), about.Name
			if len(all) > 1 {
				en.Detail["accounts"] = strconv.Itoa(len(all))
			}
			if err := tx.Record(en); err != nil {
				return err
			}
		}
		return nil
	})
}

// change runs fn in a change of its own, or in that of the commands that are done together with
// this one ([Admin.Together]).
func (b Book) change(ctx context.Context, g signin.Grant, fn func(tx *store.Tx) error) error {
	if tx, ok := ctx.Value(sharedKey{}).(*store.Tx); ok {
		return fn(tx)
	}
	return b.db.Change(ctx, g.Actor(), fn)
}

// Entry is the entry of a command that a grant is for, with its exact text.
func Entry(g signin.Grant, event, outcome string, detail map[string]string) audit.Entry {
	en := audit.Entry{Event: event, Outcome: outcome, Application: signin.Self, Protocol: g.Protocol(), Source: g.SourceText(), Action: g.Action(), Attempt: g.Attempt(), Detail: whole("object", g.Object())}
	if partner, delegation := g.Partner(); partner != "" {
		en.Detail["of-partner"], en.Detail["delegation"] = partner, strconv.FormatInt(delegation, 10)
	}
	approvedBy(g, en.Detail)
	for k, v := range detail {
		en.Detail[k] = v
	}
	return en
}

// approvedBy writes down what the command was approved with. Where nothing was shown for
// exactly it, it rode on a sign-in, and the entry says of when.
func approvedBy(g signin.Grant, detail map[string]string) {
	all, own, newest := g.Approval()
	var kinds []string
	for _, ev := range all {
		if !slices.Contains(kinds, ev.Kind) {
			kinds = append(kinds, ev.Kind)
		}
	}
	if len(kinds) == 0 {
		return
	}
	detail["approved-with"] = strings.Join(kinds, ", ")
	if !own && g.Session() != "" { // an automation key has none, and approves by itself
		detail["approved-by-session"] = newest.UTC().Format(time.RFC3339)
	}
}

// whole writes a text into as many details as it takes, so that the log holds all of
// what was approved.
func whole(name, s string) map[string]string {
	out := map[string]string{name: ""}
	for i := 1; s != ""; i++ {
		piece := s
		if len(piece) > audit.MaxValue {
			piece = strings.ToValidUTF8(piece[:audit.MaxValue-8], "")
		}
		key := name
		if i > 1 {
			key = fmt.Sprintf("%s-%d", name, i)
		}
		out[key], s = piece, s[len(piece):]
	}
	return out
}
