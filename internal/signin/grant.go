package signin

import (
	"context"
	"slices"
	"strings"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/directory"
	"countersign/internal/failure"
	"countersign/internal/store"
	"countersign/internal/throttle"
)

// grants makes the yes, and keeps what it tells of places.
type grants struct {
	people   *directory.Accounts
	throttle *throttle.Throttle
	now      func() time.Time
}

// grant makes the yes. It is the only place that fills one in. Its attempt is over: whoever
// calls it has that go, or had it go.
func (m *grants) grant(ctx context.Context, tx *store.Tx, at *attempt, d decision) (Grant, error) {
	g, err := fill(at, d, m.now())
	if err != nil {
		return Grant{}, err
	}
	en := at.entry(d.account, "signin.granted", "ok", "")
	en.Detail["shown"] = shown(d.evidence)
	en.Detail["acr"] = assurance.ACR(d.evidence)
	en.Detail["rules"] = strings.Join(d.rules, ", ")
	tx.Record(en)
	if err := m.people.Used(ctx, tx, d.account, m.now()); err != nil {
		return Grant{}, err
	}
	if err := m.throttle.NotePlace(ctx, tx, at.origin(), d.account.ID, at.seen.placeIn(tx)); err != nil {
		return Grant{}, err
	}
	if err := m.reopen(ctx, tx, at, d.account); err != nil {
		return Grant{}, err
	}
	return g, nil
}

// fill fills a grant in.
func fill(at *attempt, d decision, now time.Time) (Grant, error) {
	if d.state != Granted || d.account.ID == 0 {
		return Grant{}, failure.New(failure.Internal, "a grant was requested without a decision")
	}
	g := &grant{
		account: d.account.ID, handle: d.account.Handle, name: d.account.Name, display: d.account.Display, mail: d.account.Mail, language: d.account.Language, groups: d.account.Groups,
		application: at.Application, action: at.Action, object: at.Object, protocol: at.Protocol,
		source: at.Source, session: at.SessionNumber, attempt: at.ID, evidence: d.evidence, at: now, begun: at.Created,
		lapses: d.requirement.Lapses(d.evidence, now), mandate: d.mandate,
	}
	if end := d.mandate.Until; !end.IsZero() && (g.lapses.IsZero() || end.Before(g.lapses)) {
		g.lapses = end
	}
	return Grant{g: g}, nil
}

func shown(evidence []assurance.Evidence) string {
	kinds := make([]string, len(evidence))
	for i, ev := range evidence {
		kinds[i] = ev.Kind
	}
	return strings.Join(kinds, ", ")
}

// factorMissing is the event that an alert is made of: something was right, and
// the rest never came. Its owner is told, at most once an hour.
func (n *endings) factorMissing(ctx context.Context, tx *store.Tx, at *attempt, account directory.Account, reason string) error {
	en := at.entry(account, "alarm.factor-missing", "refused", reason)
	en.Detail["shown"] = shown(at.Evidence)
	tx.Record(en)
	if !slices.ContainsFunc(at.Evidence, func(ev assurance.Evidence) bool { return ev.Traits.Has(assurance.Known) }) {
		return nil
	}
	if err := n.throttle.Stuffed(ctx, tx, at.sighting(), account.ID); err != nil {
		return err
	}
	return n.owners.tell(ctx, tx, account, noticeFactorMissing(at, n.now()))
}
