package signin

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"sync"
	"sync/atomic"

	"countersign/internal/application"
	"countersign/internal/directory"
	"countersign/internal/keyring"
	"countersign/internal/policy"
	"countersign/internal/store"
)

// PolicyTopic is the feed's word for a changed policy document.
const PolicyTopic = "policy"

// Rules holds the policy in force: the newest document of the store, compiled.
// A document that was changed behind our back is not believed: the last good
// one stays in force and the log says so.
type Rules struct {
	DB   *store.DB
	Keys *keyring.Keyring
	// Known are the names that a document may mention, read when it is compiled, and
	// inside a change as that change leaves them.
	Known func(ctx context.Context, r store.Reader) (policy.Known, error)
	Log   *slog.Logger

	gen     atomic.Uint64
	current atomic.Pointer[compiled]
	compile sync.Mutex
}

type compiled struct {
	gen     uint64
	version int64
	policy  *policy.Policy
}

// Watch keeps the rules fresh by the store's feed. Call it once.
func (r *Rules) Watch() {
	r.DB.Subscribe(func(topic string) {
		if topic == PolicyTopic || topic == "group" || topic == application.Topic || topic == store.Missed {
			r.gen.Add(1)
		}
	})
}

// Document is one version of the policy as kept.
type Document struct {
	Version int64
	Body    string
	Author  string
	Created int64
}

func (d Document) fields() *keyring.Fields {
	return keyring.NewFields().Int(d.Version).String(d.Body).String(d.Author).Int(d.Created)
}

// ErrNoPolicy is an installation without any document: it denies everything.
var ErrNoPolicy = errors.New("signin: there is no policy")

// Current returns the policy in force.
func (r *Rules) Current(ctx context.Context) (*policy.Policy, error) {
	gen := r.gen.Load()
	if c := r.current.Load(); c != nil && c.gen == gen && r.DB.FeedFresh() {
		return c.policy, nil
	}
	r.compile.Lock()
	defer r.compile.Unlock()
	last := r.current.Load()
	doc, err := r.Latest(ctx, r.DB)
	switch {
	case errors.Is(err, directory.ErrTampered) && last != nil:
		r.Log.Error("the policy was changed behind our back; the last good one stays in force", "version", last.version)
		return last.policy, nil
	case err != nil:
		return nil, err
	case last != nil && last.version == doc.Version && last.gen == gen:
		return last.policy, nil
	}
	known, err := r.Known(ctx, r.DB)
	if err != nil {
		return nil, err
	}
	p, err := policy.Load([]byte(doc.Body), known)
	if gone := p.Gone(); len(gone) > 0 {
		r.Log.Warn("the policy mentions what is not there any more; its other rules are in force as before: change those that mention it", "version", doc.Version, "gone", gone)
	}
	if err != nil {
		if last != nil {
			r.Log.Error("the policy no longer compiles; the last good one stays in force", "version", doc.Version, "error", err)
			return last.policy, nil
		}
		return nil, err
	}
	r.current.Store(&compiled{gen: gen, version: doc.Version, policy: p})
	return p, nil
}

// Latest returns the newest document.
func (r *Rules) Latest(ctx context.Context, from store.Reader) (Document, error) {
	return r.document(from.QueryRow(ctx, `select version, body, author, created, mac from policy order by version desc limit 1`))
}

// Version returns one document by its number.
func (r *Rules) Version(ctx context.Context, from store.Reader, version int64) (Document, error) {
	return r.document(from.QueryRow(ctx, `select version, body, author, created, mac from policy where version = $1`, version))
}

func (r *Rules) document(row interface{ Scan(...any) error }) (Document, error) {
	var d Document
	var mac []byte
	err := row.Scan(&d.Version, &d.Body, &d.Author, &d.Created, &mac)
	if errors.Is(err, store.ErrNotFound) {
		return d, ErrNoPolicy
	}
	if err != nil {
		return d, err
	}
	if !r.Keys.VerifyMAC("policy", d.fields(), mac) {
		r.Log.Error("a row was changed behind our back; it is not believed", "table", "policy", "version", d.Version)
		return d, directory.ErrTampered
	}
	return d, nil
}

// Save keeps a new version. The caller has compiled it.
func (r *Rules) Save(ctx context.Context, tx *store.Tx, body, author string) (Document, error) {
	d := Document{Body: body, Author: author, Created: store.Unix(tx.Now())}
	err := tx.QueryRow(ctx, `insert into policy (body, author, created, mac) values ($1,$2,$3,$4) returning version`, body, author, d.Created, []byte{}).Scan(&d.Version)
	if err != nil {
		return d, err
	}
	tx.Announce(PolicyTopic)
	_, err = tx.Exec(ctx, `update policy set mac = $2 where version = $1`, d.Version, r.Keys.MAC("policy", d.fields()))
	return d, err
}

// Versions returns documents, newest first: those before a version, or all where
// it is zero.
func (r *Rules) Versions(ctx context.Context, from store.Reader, before int64, limit int) ([]Document, error) {
	if before <= 0 {
		before = math.MaxInt64
	}
	rows, err := from.Query(ctx, `select version, body, author, created, mac from policy where version < $1 order by version desc limit $2`, before, limit)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []Document
	for rows.Next() {
		d, err := r.document(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, d)
	}
	return out, rows.Err()
}
