package server

import (
	"context"
	"strconv"
	"time"

	"countersign/internal/audit"
	"countersign/internal/protocol"
	"countersign/internal/store"
)

// TellUnserved writes to the audit log what protocols did not serve: of each cause one
// entry at once and then one in ten minutes, however many requests there were; with rest,
// whatever no entry tells yet.
func (in *Installation) TellUnserved(ctx context.Context, rest bool) error {
	return in.ears.TellOwed(time.Now(), rest, func(due []protocol.Owed) error {
		return in.DB.Change(ctx, audit.System("protocol"), func(tx *store.Tx) error {
			for _, o := range due {
				if err := tx.Record(unserved(o)); err != nil {
					return err
				}
			}
			return nil
		})
	})
}

func unserved(o protocol.Owed) audit.Entry {
	en := audit.Entry{Event: "request.unserved", Outcome: audit.Refused, Application: o.Application, Protocol: o.Protocol, Reason: o.Cause, Source: audit.AddressText(o.From),
		Detail: map[string]string{"mend": o.Mend}}
	if o.Count > 1 {
		en.Detail["count"], en.Detail["first"], en.Detail["last"] = strconv.Itoa(o.Count), o.First.UTC().Format(time.RFC3339), o.Last.UTC().Format(time.RFC3339)
	}
	if o.Client != "" {
		en.Detail["client"] = o.Client
	}
	return en
}
