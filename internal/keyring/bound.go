package keyring

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"countersign/internal/audit"
	"countersign/internal/store"
)

const (
	// rowKind is the kind of a purpose's newest generation.
	rowKind = "wrapped_key"
	// rootKind is the kind of the moment when the root key was rotated last.
	rootKind = "root_key"

	madeEvent = "keyring.made"
)

// damage is the error for a table of keys that was changed from outside.
type damage struct {
	store.Finding
	says string
}

func (d damage) Error() string { return d.says }

func (w wrappedKey) altered(says string) error {
	return damage{store.Finding{Table: rowKind, Row: fmt.Sprint(w.id), Wrong: store.Altered}, fmt.Sprintf(says, w.id, w.purpose)}
}

func lost(p Purpose, generation uint32) error {
	return damage{store.Finding{Table: rowKind, Row: fmt.Sprintf("%s generation %d", p, generation), Wrong: store.Missing},
		fmt.Sprintf("keyring: the key for %s, generation %d, was made and is missing from the table wrapped_key: it was changed from outside; restore it from a backup", p, generation)}
}

// known returns the newest generation of each purpose that this server knows, from memory
// or from the log. It must be called before the keys are read, so that they are not older.
func (k *Keyring) known() map[Purpose]int64 {
	var mine ring
	if now := k.ring.Load(); now != nil {
		mine = *now
	}
	out := map[Purpose]int64{}
	for _, p := range Purposes() {
		out[p] = k.db.Newest(rowKind, store.NumberOf(string(p)))
		if d := mine.newest(p); d != nil {
			out[p] = max(out[p], int64(d.generation))
		}
	}
	return out
}

// whole returns an error if a known key is missing.
func (r ring) whole(known map[Purpose]int64) error {
	for _, p := range Purposes() { // in their order
		there := int64(0)
		if d := r.newest(p); d != nil {
			there = int64(d.generation)
		}
		if there < known[p] {
			return lost(p, uint32(there+1))
		}
	}
	return nil
}

// loadWhole is load, and an error if a known key is missing.
func (k *Keyring) loadWhole(ctx context.Context, r store.Reader, known map[Purpose]int64) (ring, error) {
	out, err := k.load(ctx, r)
	if err == nil {
		err = out.whole(known)
	}
	return out, err
}

// report records an alarm for a row that was changed from outside.
func (k *Keyring) report(err error) {
	if d := (damage{}); errors.As(err, &d) {
		k.db.Report(d.Finding)
	}
}

// errBegun is returned for a database in use that has no keys, or no log.
var errBegun = errors.New("keyring: the database is in use, and its keys or its audit log are missing: it was changed from outside; restore it from a backup")

// unused refuses to make keys in a database that is in use.
func unused(ctx context.Context, r store.Reader) error {
	var rows int64
	err := r.QueryRow(ctx, `select (select count(*) from (select 1 from account limit 1) as a) + (select count(*) from (select 1 from policy limit 1) as p)
		+ (select count(*) from (select 1 from team limit 1) as t) + (select count(*) from (select 1 from audit_entry limit 1) as e)
		+ (select count(*) from (select 1 from audit_inbox limit 1) as i)`).Scan(&rows)
	if err == nil && rows > 0 {
		return errBegun
	}
	return err
}

// madeBefore returns the purposes for which a key was made, from the whole log: every
// entry must exist and have a valid MAC.
func (k *Keyring) madeBefore(ctx context.Context) (map[Purpose]bool, error) {
	if err := k.numbered(ctx); err != nil {
		return nil, err
	}
	tree, err := k.db.AuditLog().Tree(ctx)
	if errors.Is(err, store.ErrNotFound) || err == nil && tree.Size() == 0 {
		return nil, unused(ctx, k.db)
	}
	if err != nil {
		return nil, err
	}
	out, next, auth := map[Purpose]bool{}, int64(0), audit.NewAuthenticator(k.log.keys.MAC)
	err = k.db.AuditLog().EachEntry(ctx, 0, func(l audit.Leaf) error {
		if l.Seq != next || !auth.Check(l.Seq, l.Body, l.MAC) {
			return fmt.Errorf("keyring: a key is missing, and entry %d of the audit log, which could say whether it was made, is missing or was altered: restore the database from a backup", next)
		}
		next++
		return noteMade(out, l.Body)
	})
	if err == nil && next < tree.Size() {
		err = fmt.Errorf("keyring: a key is missing, and the audit log ends at entry %d of %d: restore the database from a backup", next, tree.Size())
	}
	return out, err
}

func noteMade(out map[Purpose]bool, body []byte) error {
	if !strings.Contains(string(body), madeEvent) {
		return nil
	}
	e, err := audit.Decode(body)
	if err != nil || e.Event != madeEvent {
		return err
	}
	for p := range strings.SplitSeq(e.Detail["purposes"], ", ") {
		out[Purpose(p)] = true
	}
	return nil
}

// numbered waits until all entries have their numbers.
func (k *Keyring) numbered(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for {
		var waits int64
		if err := k.db.QueryRow(ctx, `select count(*) from audit_inbox`).Scan(&waits); err != nil || waits == 0 {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Inspect opens all keys of the database and reports those that do not open, exist twice
// or are missing. This server continues with the keys in its memory.
func (k *Keyring) Inspect(ctx context.Context) error {
	err := k.inspect(ctx)
	if errors.Is(err, ErrWrongRoot) && k.rerooted() {
		return nil // on another server, which the log says
	}
	if errors.Is(err, ErrWrongRoot) {
		err = damage{store.Finding{Table: rowKind, Row: "all", Wrong: store.Altered}, err.Error()}
	}
	k.report(err)
	if errors.As(err, &damage{}) {
		return nil
	}
	return err
}

func (k *Keyring) inspect(ctx context.Context) error {
	look := func() error {
		k.mu.Lock()
		defer k.mu.Unlock()
		_, err := k.loadWhole(ctx, k.db, k.known())
		return err
	}
	err := look()
	if errors.As(err, &damage{}) || errors.Is(err, ErrWrongRoot) {
		// The root key may have been rotated, which is not known here yet.
		if heard := k.db.View().Hear(ctx); heard != nil {
			return heard
		}
		err = look()
	}
	return err
}

// rerooted reports whether the root key was rotated since this server started, give or
// take a minute for servers whose clocks differ.
func (k *Keyring) rerooted() bool {
	return k.db.Newest(rootKind, 0) > store.Unix(k.opened.Add(-time.Minute))
}

// Bind records the existing keys of an installation of an earlier release in the log.
func (k *Keyring) Bind(ctx context.Context) error {
	return k.db.Change(ctx, audit.System("start"), func(tx *store.Tx) error {
		r, err := k.load(ctx, tx)
		if err != nil {
			return err
		}
		for p, keys := range r {
			tx.Anchor(rowKind, store.NumberOf(string(p)), int64(len(keys)))
		}
		return tx.RecordBound(rowKind, len(r))
	})
}
