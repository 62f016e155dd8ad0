package partner

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/directory"
	"countersign/internal/failure"
	"countersign/internal/keyring"
	"countersign/internal/signin"
	"countersign/internal/store"
	"countersign/internal/text"
)

// Scope is what is delegated.
type Scope struct {
	// Actions are commands of ours, such as session.end.
	Actions []string `json:"actions,omitempty"`
	// Applications are those where the person may sign in.
	Applications []string `json:"applications,omitempty"`
	// Groups are those of whose members the actions may be; empty is everybody who is not privileged
	// and no partner's.
	Groups []string `json:"groups,omitempty"`
}

// Words say what it is, on one line.
func (s Scope) Words() string {
	var parts []string
	if len(s.Actions) > 0 {
		what := "may do " + listed(s.Actions)
		if len(s.Groups) > 0 {
			what += " about people in " + listed(s.Groups)
		}
		parts = append(parts, what)
	}
	if len(s.Applications) > 0 {
		parts = append(parts, "may sign in to "+listed(s.Applications))
	}
	return strings.Join(parts, ", and ")
}

func listed(names []string) string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = text.Name(n)
	}
	return strings.Join(out, ", ")
}

// Approval is one of ours who said yes to a delegation, and when.
type Approval struct {
	Account assurance.AccountID `json:"account"`
	Name    string              `json:"name"`
	At      time.Time           `json:"at"`
}

// Delegation is what was delegated to one person of a partner.
type Delegation struct {
	Number  int64               `json:"number"`
	Partner string              `json:"partner"`
	Account assurance.AccountID `json:"account"`
	// Name is the account's at the time when it was asked for.
	Name string `json:"name"`
	Scope
	From  time.Time `json:"from"`
	Until time.Time `json:"until"`
	Note  string    `json:"note,omitempty"`
	// Asked is who asked for it, which is the first of two approvals; Approved the second, zero until it
	// is there.
	Asked    Approval `json:"asked"`
	Approved Approval `json:"approved,omitzero"`
	// Ended is when somebody ended it, or it gave way to another one; zero for never. By is who, and
	// Reason why.
	Ended  time.Time `json:"ended,omitzero"`
	By     string    `json:"by,omitempty"`
	Reason string    `json:"reason,omitempty"`
	// Told says that its end was told of.
	Told bool `json:"told,omitempty"`

	version int64
}

// waits is how long a delegation waits for its second approval.
const waits = 7 * 24 * time.Hour

// The states of a delegation.
const (
	Waiting  = "waiting"
	Lapsed   = "lapsed"
	NotBegun = "not-begun"
	InForce  = "in-force"
	Over     = "over"
	Ended    = "ended"
)

// State is how it stands at a moment.
func (d Delegation) State(now time.Time) string {
	switch {
	case !d.Ended.IsZero():
		return Ended
	case d.Approved.Account == 0 && (!now.Before(d.Asked.At.Add(waits)) || !now.Before(d.Until)):
		return Lapsed
	case d.Approved.Account == 0:
		return Waiting
	case !now.Before(d.Until):
		return Over
	case now.Before(d.From):
		return NotBegun
	}
	return InForce
}

// Standing reports whether it was approved and has not ended or come to its end.
func (d Delegation) Standing(now time.Time) bool {
	s := d.State(now)
	return s == InForce || s == NotBegun
}

// Approvers are the names of the two who approved it; one while it waits.
func (d Delegation) Approvers() []string {
	if d.Approved.Account == 0 {
		return []string{d.Asked.Name}
	}
	return []string{d.Asked.Name, d.Approved.Name}
}

func (d Delegation) mandate() signin.Mandate {
	return signin.Mandate{Delegation: d.Number, Partner: d.Partner, Actions: d.Actions, Applications: d.Applications, Groups: d.Groups, From: d.From, Until: d.Until}
}

// Words are the exact text of what is approved: who, what, when.
func (d Delegation) Words() string {
	return text.Name(d.Name) + " of the partner " + text.Name(d.Partner) + " " + d.Scope.Words() + ", from " + d.From.UTC().Format(time.RFC3339) + " until " + d.Until.UTC().Format(time.RFC3339)
}

const (
	delegationColumns = `id, account, payload, version`
	delegationAgain   = `select version from delegation where id = $1`
)

var noDelegation = failure.New(failure.NotFound, "There is no delegation of this number.")

func (k *Kept) scan(ctx context.Context, row scanner) (d Delegation, believed bool, err error) {
	var sealed []byte
	var id, account, version int64
	if err := row.Scan(&id, &account, &sealed, &version); err != nil {
		return d, false, err
	}
	plain, err := k.keys.Open(keyring.Partner, place("delegation", id, version, strconv.FormatInt(account, 10)), sealed)
	if err != nil || json.Unmarshal(plain, &d) != nil || int64(d.Account) != account {
		k.db.Report(store.Finding{Table: "delegation", Row: strconv.FormatInt(id, 10), Wrong: store.Altered, Account: account})
		return Delegation{Number: id}, false, nil
	}
	d.Number, d.version = id, version
	return d, k.newest(ctx, "delegation", id, version, delegationAgain), nil
}

func (k *Kept) list(ctx context.Context, rows *store.Rows, err error) ([]Delegation, error) {
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []Delegation
	for rows.Next() {
		d, believed, err := k.scan(ctx, rows)
		if err != nil {
			return nil, err
		}
		if believed {
			out = append(out, d)
		}
	}
	return out, rows.Err()
}

// Delegations lists all, the newest first.
func (k *Kept) Delegations(ctx context.Context, r store.Reader) ([]Delegation, error) {
	rows, err := r.Query(ctx, `select `+delegationColumns+` from delegation order by id desc`)
	return k.list(ctx, rows, err)
}

// Delegation returns the one of a number.
func (k *Kept) Delegation(ctx context.Context, r store.Reader, number int64) (Delegation, error) {
	d, believed, err := k.scan(ctx, r.QueryRow(ctx, `select `+delegationColumns+` from delegation where id = $1`, number))
	if errors.Is(err, store.ErrNotFound) || err == nil && !believed {
		return Delegation{}, noDelegation
	}
	return d, err
}

func (k *Kept) of(ctx context.Context, r store.Reader, account assurance.AccountID) ([]Delegation, error) {
	rows, err := r.Query(ctx, `select `+delegationColumns+` from delegation where account = $1 order by id desc`, int64(account))
	return k.list(ctx, rows, err)
}

// given reports whether it was approved, and nobody ended it.
func (d Delegation) given() bool {
	return d.Approved.Account != 0 && d.Approved.Account != d.Asked.Account && d.Ended.IsZero()
}

// Of is what [signin.Mandates] asks. There is one at most that was approved and not ended; whether it
// has begun or is over is the engine's to judge.
func (k *Kept) Of(ctx context.Context, r store.Reader, account assurance.AccountID) (signin.Mandate, error) {
	all, err := k.of(ctx, r, account)
	return mandates(all)[account], err
}

// mandates are what was approved and not ended, by account; of several the one that was approved last.
func mandates(all []Delegation) map[assurance.AccountID]signin.Mandate {
	out, last := map[assurance.AccountID]signin.Mandate{}, map[assurance.AccountID]time.Time{}
	for _, d := range all {
		if d.given() && d.Approved.At.After(last[d.Account]) {
			out[d.Account], last[d.Account] = d.mandate(), d.Approved.At
		}
	}
	return out
}

// All is what [signin.Mandates] asks.
func (k *Kept) All(ctx context.Context, r store.Reader) (map[assurance.AccountID]signin.Mandate, error) {
	all, err := k.Delegations(ctx, r)
	return mandates(all), err
}

// addTx adds a delegation.
func (k *Kept) addTx(ctx context.Context, tx *store.Tx, d Delegation) (Delegation, error) {
	if err := tx.QueryRow(ctx, `insert into delegation (account, payload, version) values ($1,$2,$3) returning id`, int64(d.Account), []byte{}, 0).Scan(&d.Number); err != nil {
		return d, err
	}
	if err := delegationNumbers.Fresh(k.db.View(), d.Number); err != nil {
		return d, err
	}
	return k.writeTx(ctx, tx, d)
}

// writeTx writes a delegation that was read in the same change. Whatever rests on it is decided anew.
func (k *Kept) writeTx(ctx context.Context, tx *store.Tx, d Delegation) (Delegation, error) {
	was := d.version
	d.version++
	plain, err := json.Marshal(d)
	if err != nil {
		return d, err
	}
	n, err := tx.Exec(ctx, `update delegation set payload = $1, version = $2 where id = $3 and account = $4 and version = $5`,
		k.keys.Seal(keyring.Partner, place("delegation", d.Number, d.version, strconv.FormatInt(int64(d.Account), 10)), plain), d.version, d.Number, int64(d.Account), was)
	if err == nil && n != 1 {
		err = failure.New(failure.Conflict, "The delegation was changed meanwhile; look at it as it is now, and try again.")
	}
	delegationNumbers.Anchor(tx, d.Number, d.version)
	tx.Announce(directory.Topic(d.Account))
	return d, err
}

// Forget deletes what was delegated to an account that is removed. The log keeps it.
func (k *Kept) Forget(ctx context.Context, tx *store.Tx, account assurance.AccountID) error {
	rows, err := tx.Query(ctx, `select id from delegation where account = $1`, int64(account))
	if err != nil {
		return err
	}
	defer rows.Close()
	var all []int64
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			return err
		}
		all = append(all, id)
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil || len(all) == 0 {
		return err
	}
	for _, id := range all {
		tx.Anchor("delegation", id, store.Gone)
	}
	_, err = tx.Exec(ctx, `delete from delegation where account = $1`, int64(account))
	return err
}
