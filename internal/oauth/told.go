package oauth

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/keyring"
	"countersign/internal/signin"
	"countersign/internal/store"
)

// logoutRows are the rows of those that wait to be told.
type logoutRows struct {
	db   *store.DB
	keys *keyring.Keyring
	now  func() time.Time
}

const logoutTable = "oauth_logout"

// persistence is how long a client that cannot be reached is tried after a session is over.
const persistence = 6 * time.Hour

// farewell is what is sealed of a [Logout]. It names its row so that it cannot be moved.
type farewell struct {
	ID      []byte `json:"id"`
	Subject string `json:"subject"`
	Name    string `json:"name"` // of the account, for the log
	// Over says that the session ended, or what the client was given in it, before its time.
	Over bool `json:"over,omitempty"`
}

// Logout is one client that is to be told that a session is over.
type Logout struct {
	farewell
	Account assurance.AccountID
	// Client is the application.
	Client string
	// Session is the number of the session.
	Session string

	due, expires time.Time
	tries        int64
	sealed       []byte
	mac          []byte
}

// Subject is what the client calls the person; of a sign-in before an update it is empty.
func (l *Logout) Subject() string { return l.farewell.Subject }

func (l *Logout) fields() *keyring.Fields {
	return keyring.LongFields().String(logoutTable).Bytes(l.ID).Int(int64(l.Account)).String(l.Client).String(l.Session).Int(store.Unix(l.due)).
		Int(l.tries).Int(store.Unix(l.expires)).Bytes(l.sealed)
}

func (l *Logout) place() keyring.AAD {
	return keyring.AAD{Table: logoutTable, Column: "payload", Key: number(l.ID) + "/" + l.Client + "/" + l.Session, Account: int64(l.Account)}
}

// The names by which it is known outside the database that a row is over: one that waited is, once
// the session is over, and one that was told is for good.
func (l *Logout) waited() string { return keyring.SealName(l.sealed) }
func (l *Logout) told() string   { return "told-" + keyring.SealName(l.sealed) }

func (lr *logoutRows) bind(l *Logout) { l.mac = lr.keys.MAC(keyring.OAuth, l.fields()) }

func (lr *logoutRows) seal(l *Logout) error {
	plain, err := json.Marshal(l.farewell)
	if err != nil {
		return err
	}
	l.sealed = lr.keys.Seal(keyring.OAuth, l.place(), plain)
	lr.bind(l)
	return nil
}

const logoutColumns = `id, account, client, session, due, tries, expires, payload, mac`

// scanLogout reads a row. One that is not as it was left is reported. Of one that is whole what is
// sealed counts all the same.
func (lr *logoutRows) scan(from interface{ Scan(...any) error }) (readLogout, error) {
	l := readLogout{Logout: &Logout{}}
	var account, due, expires int64
	if err := from.Scan(&l.ID, &account, &l.Client, &l.Session, &due, &l.tries, &expires, &l.sealed, &l.mac); err != nil {
		return l, err
	}
	l.Account, l.due, l.expires = assurance.AccountID(account), store.Time(due), store.Time(expires)
	l.bound = lr.keys.VerifyMAC(keyring.OAuth, l.fields(), l.mac)
	l.whole = lr.open(l.Logout)
	if !l.bound || !l.whole {
		lr.report(l.Logout, store.Altered)
	}
	return l, nil
}

func (lr *logoutRows) open(l *Logout) bool {
	plain, err := lr.keys.Open(keyring.OAuth, l.place(), l.sealed)
	if err != nil {
		return false
	}
	var f farewell
	if json.Unmarshal(plain, &f) != nil || string(f.ID) != string(l.ID) {
		return false
	}
	l.farewell = f
	return true
}

func (lr *logoutRows) report(l *Logout, wrong string) {
	row := number(l.ID)
	lr.db.Report(store.Finding{Table: logoutTable, Row: row[:min(len(row), 40)], Wrong: wrong, Account: int64(l.Account)})
}

// logouts reads rows that can be read.
func (lr *logoutRows) read(rows *store.Rows, err error) ([]*Logout, error) {
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []*Logout
	for rows.Next() {
		l, err := lr.scan(rows)
		if err != nil {
			return nil, err
		}
		if l.whole {
			out = append(out, l.Logout)
		}
	}
	return out, errors.Join(rows.Err(), rows.Close())
}

// until is when the session of a grant is over at the latest; zero where nobody is to be told.
func until(ctx context.Context, sessions Sessions, by signin.Grant, s Spec) (time.Time, error) {
	if !s.Listens {
		return time.Time{}, nil
	}
	held, err := sessions.Standing(ctx, by.Session())
	return held.Expires, err
}

// joins notes that a client is to be told when the session of a grant is over.
func (lr *logoutRows) joins(ctx context.Context, tx *store.Tx, g *Given, until time.Time) error {
	if !g.Listens {
		return nil
	}
	all, err := lr.read(tx.Query(ctx, `select `+logoutColumns+` from oauth_logout where account = $1 and client = $2 and session = $3`, int64(g.Account), g.Client, g.Session))
	if err != nil {
		return err
	}
	for _, l := range all {
		if !l.Over {
			return nil
		}
	}
	return lr.insert(ctx, tx, g, until, false)
}

func (lr *logoutRows) insert(ctx context.Context, tx *store.Tx, g *Given, due time.Time, over bool) error {
	id := make([]byte, idSize)
	rand.Read(id)
	l := &Logout{farewell: farewell{ID: id, Subject: g.Subject, Name: g.Name, Over: over}, Account: g.Account, Client: g.Client, Session: g.Session, due: due, expires: due.Add(persistence)}
	if err := lr.seal(l); err != nil {
		return err
	}
	_, err := tx.Expect(ctx, 1, `insert into oauth_logout (id, account, client, session, due, tries, expires, payload, mac) values ($1,$2,$3,$4,$5,$6,$7,$8,$9)`,
		l.ID, int64(l.Account), l.Client, l.Session, store.Unix(l.due), l.tries, store.Unix(l.expires), l.sealed, l.mac)
	return err
}

// overTx has a client told now.
func (lr *logoutRows) overTx(ctx context.Context, tx *store.Tx, l *Logout) error {
	if l.Over {
		return nil
	}
	tx.End(logoutTable, l.waited(), l.expires)
	l.Over, l.due, l.expires, l.tries = true, tx.Now(), tx.Now().Add(persistence), 0
	if err := lr.seal(l); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `update oauth_logout set due = $2, tries = $3, expires = $4, payload = $5, mac = $6 where id = $1`,
		l.ID, store.Unix(l.due), l.tries, store.Unix(l.expires), l.sealed, l.mac)
	return err
}

// all reads grants, without those that are not as they were left, which are reported.
func (gs *Grants) all(rows *store.Rows, err error) ([]*Given, error) {
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []*Given
	for rows.Next() {
		g, err := gs.scan(rows)
		if errors.Is(err, errAltered) {
			continue
		}
		if err != nil {
			return nil, err
		}
		out = append(out, g)
	}
	return out, errors.Join(rows.Err(), rows.Close())
}
