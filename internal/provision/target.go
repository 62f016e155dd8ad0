package provision

import (
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"slices"
	"strings"
	"time"

	"countersign/internal/application"
	"countersign/internal/audit"
	"countersign/internal/failure"
	"countersign/internal/keyring"
	"countersign/internal/outside"
	"countersign/internal/store"
)

// Settings say how an application is provisioned.
type Settings struct {
	// Address is where its SCIM begins, such as https://app.example.org/scim/v2.
	Address string `json:"address"`
	// Token is the bearer token that it takes; a secret.
	Token string `json:"token"`
	// Groups are the groups that are made there, with those of their members who are there.
	Groups []string `json:"groups,omitempty"`
	// Leavers is what becomes of people there who may not use the application any more:
	// [Deactivate] (or empty) or [Delete]. Whose account is removed here is deleted.
	Leavers string `json:"leavers,omitempty"`
	// Share is how many of a hundred people there are ended within a day without an approval: 1 to
	// 100, [ShareDefault] where it is 0. One is always ended.
	Share int `json:"share,omitempty"`
	// Inside are the networks, addresses and host names inside the network to which its address
	// may lead.
	Inside []string `json:"inside,omitempty"`
}

// The values of [Settings.Leavers], and the usual share.
const (
	Deactivate   = "deactivate"
	Delete       = "delete"
	ShareDefault = 10
)

// Target is an application that is provisioned.
type Target struct {
	Settings
	// Application is its name, and ID its number: another application of the same name is not
	// this one.
	Application string `json:"-"`
	ID          int64  `json:"id"`
	// Approved is how many may be ended beyond the share, and since when that is so.
	Approved   int       `json:"approved,omitempty"`
	ApprovedAt time.Time `json:"approved_at,omitzero"`
	// Off says that it is provisioned no more; the row stays, so that an older one is not believed.
	Off bool `json:"off,omitempty"`

	version int64
	looked  time.Time
}

const (
	targetTable   = "scim_target"
	targetColumns = `application, payload, version, looked`
	// shareWindow is within what time the share counts.
	shareWindow = 24 * time.Hour
)

// Approve has so many ended beyond the share within a day.
func (t *Target) Approve(n int, now time.Time) {
	if now.Sub(t.ApprovedAt) >= shareWindow {
		t.Approved = 0
	}
	t.Approved, t.ApprovedAt = t.Approved+n, now.Truncate(time.Microsecond)
}

func (s Settings) share() int {
	if s.Share == 0 {
		return ShareDefault
	}
	return s.Share
}

// Check says what is wrong with settings, as an Invalid failure.
func (s Settings) Check() error {
	u, err := url.Parse(s.Address)
	whole := err == nil && u.Host != "" && u.User == nil && u.RawQuery == "" && u.Fragment == "" && !u.ForceQuery && u.String() == s.Address && len(s.Address) <= 1024
	switch {
	case !whole || u.Scheme != "https" && !s.plainInside(u):
		return invalid("address", "The address is where the application's SCIM begins, such as https://app.example.org/scim/v2; http is for a loopback address that is listed in inside.")
	case len(s.Token) < 8 || len(s.Token) > 4096 || strings.ContainsFunc(s.Token, func(r rune) bool { return r <= ' ' || r > '~' }):
		return invalid("token", "The token is a text of 8 to 4096 visible ASCII characters.")
	case s.Leavers != "" && s.Leavers != Deactivate && s.Leavers != Delete:
		return invalid("leavers", "Leavers is %s or %s.", Deactivate, Delete)
	case s.Share < 0 || s.Share > 100:
		return invalid("share", "The share is 1 to 100 of a hundred.")
	case len(s.Groups) > 1000:
		return invalid("groups", "There are more than 1000 groups.")
	}
	if _, err := outside.List(s.Inside); err != nil || len(s.Inside) > 20 {
		return invalid("inside", "Inside lists up to 20 networks, addresses and host names.")
	}
	return nil
}

func invalid(field, format string, args ...any) error {
	return failure.At(field, failure.New(failure.Invalid, format, args...))
}

// plainInside reports whether an address without TLS stays on this machine, as an administrator
// listed it.
func (s Settings) plainInside(u *url.URL) bool {
	return u.Scheme == "http" && len(s.Inside) > 0 && slices.Contains([]string{"localhost", "127.0.0.1", "::1"}, u.Hostname())
}

// Targets keeps which applications are provisioned, and how. It is safe for concurrent use.
type Targets struct {
	db           *store.DB
	keys         *keyring.Keyring
	applications *application.Catalogue
	now          func() time.Time
}

func targetAAD(app string, version int64) keyring.AAD {
	return keyring.AAD{Table: targetTable, Column: "payload", Row: version, Key: app}
}

var errAltered = errors.New("provision: a row is not as it was left, so that nothing is sent")

func (t *Targets) scan(row interface{ Scan(...any) error }) (Target, error) {
	var one Target
	var sealed []byte
	var looked int64
	if err := row.Scan(&one.Application, &sealed, &one.version, &looked); err != nil {
		return one, err
	}
	one.looked = store.Time(looked)
	plain, err := t.keys.Open(keyring.Provision, targetAAD(one.Application, one.version), sealed)
	if err != nil || json.Unmarshal(plain, &one) != nil {
		t.report(one.Application, store.Altered)
		return one, errAltered
	}
	if one.version < t.db.Newest(targetTable, store.NumberOf(one.Application)) {
		return one, store.ErrNotFound // changed or removed since it was read, or put back: Inspect says which
	}
	return one, nil
}

func (t *Targets) report(app, wrong string) {
	t.db.Report(store.Finding{Table: targetTable, Row: app, Wrong: wrong})
}

// Get returns how an application is provisioned. One that is not is a NotFound failure; a row that
// is not as it was left is an Internal failure and an alarm.
func (t *Targets) Get(ctx context.Context, r store.Reader, app string) (Target, error) {
	one, err := t.scan(r.QueryRow(ctx, `select `+targetColumns+` from scim_target where application = $1`, app))
	if errors.Is(err, store.ErrNotFound) || err == nil && one.Off {
		return one, failure.New(failure.NotFound, "The application %q is not provisioned.", app)
	}
	return one, err
}

// All returns all that are provisioned, by name, without those whose rows are not as they were
// left, which are reported.
func (t *Targets) All(ctx context.Context, r store.Reader) ([]Target, error) {
	rows, err := r.Query(ctx, `select `+targetColumns+` from scim_target order by application`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []Target
	for rows.Next() {
		one, err := t.scan(rows)
		switch {
		case errors.Is(err, errAltered) || errors.Is(err, store.ErrNotFound):
			continue
		case err != nil:
			return nil, err
		}
		if !one.Off {
			out = append(out, one)
		}
	}
	return out, errors.Join(rows.Err(), rows.Close())
}

// SetTx keeps how an application is provisioned, inside another room's change, which records it.
// Everybody is looked at anew afterwards.
func (t *Targets) SetTx(ctx context.Context, tx *store.Tx, one Target) error {
	if err := one.Check(); err != nil {
		return err
	}
	return t.write(ctx, tx, one)
}

func (t *Targets) write(ctx context.Context, tx *store.Tx, one Target) error {
	number := store.NumberOf(one.Application)
	version := max(0, t.db.Newest(targetTable, number))
	var there int64
	if err := tx.QueryRow(ctx, `select version from scim_target where application = $1`, one.Application).Scan(&there); err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	version = max(version, there) + 1
	plain, err := json.Marshal(one)
	if err != nil {
		return err
	}
	tx.Anchor(targetTable, number, version)
	_, err = tx.Exec(ctx, `insert into scim_target (`+targetColumns+`) values ($1,$2,$3,0)
		on conflict (application) do update set payload = excluded.payload, version = excluded.version, looked = 0`, one.Application, t.keys.Seal(keyring.Provision, targetAAD(one.Application, version), plain), version)
	return err
}

// RemoveTx forgets how an application is provisioned and what is there, inside another room's
// change, which records it. What is there stays.
func (t *Targets) RemoveTx(ctx context.Context, tx *store.Tx, app string) error {
	if _, err := tx.Exec(ctx, `delete from scim_entry where application = $1`, app); err != nil {
		return err
	}
	return t.write(ctx, tx, Target{Application: app, Off: true})
}

// lookedAt notes that everybody was looked at for an application.
func (t *Targets) lookedAt(ctx context.Context, one Target, at time.Time) error {
	return t.db.Housekeep(ctx, "provision.looked", func(tx *store.Tx) error {
		_, err := tx.Exec(ctx, `update scim_target set looked = $2 where application = $1 and version = $3`, one.Application, store.Unix(at), one.version)
		return err
	})
}

// Inspect reports rows that are not as they were left, or are missing.
func (t *Targets) Inspect(ctx context.Context) error {
	rows, err := t.db.Query(ctx, `select `+targetColumns+` from scim_target order by application`)
	if err != nil {
		return err
	}
	defer rows.Close()
	there := map[string]bool{}
	for rows.Next() {
		one, err := t.scan(rows)
		there[one.Application] = true
		if errors.Is(err, store.ErrNotFound) && t.stands(ctx, one) {
			t.report(one.Application, store.Older)
		} else if err != nil && !errors.Is(err, errAltered) && !errors.Is(err, store.ErrNotFound) {
			return err
		}
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return err
	}
	apps, err := t.applications.All(ctx)
	if err != nil {
		return err
	}
	for _, a := range apps {
		if newest := t.db.Newest(targetTable, store.NumberOf(a.Name)); newest > 0 && !there[a.Name] {
			t.report(a.Name, store.Missing)
		}
	}
	return nil
}

// stands reports whether a row is older than the newest now: it may have been changed as it was
// read.
func (t *Targets) stands(ctx context.Context, one Target) bool {
	var now int64
	err := t.db.QueryRow(ctx, `select version from scim_target where application = $1`, one.Application).Scan(&now)
	return err == nil && now < t.db.Newest(targetTable, store.NumberOf(one.Application))
}

// What the log is told.
const (
	createdEvent     = "provisioning.created"
	changedEvent     = "provisioning.changed"
	activatedEvent   = "provisioning.activated"
	deactivatedEvent = "provisioning.deactivated"
	deletedEvent     = "provisioning.deleted"
	failingEvent     = "provisioning.failing"
	worksEvent       = "provisioning.works"
	heldEvent        = "alarm.provisioning-held"
)

// entryOf is what the log is told of something that was done in an application.
func entryOf(event, outcome, app string, detail map[string]string) audit.Entry {
	return audit.Entry{Event: event, Outcome: outcome, Application: app, Detail: detail}
}
