// Package participant keeps which applications were told of a session by a name of their own,
// so that they can be told when it ends: SAML's session participants.
//
// It owns the table participant, and the requests of applications while a browser signs in for
// them, which travel sealed. It decides nothing and tells nobody anything: protocols do. Its
// one invariant: an application joins a session by a Grant alone, with the entry of the audit
// log in the same change, and a request is answered so once.
package participant

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/audit"
	"countersign/internal/failure"
	"countersign/internal/keyring"
	"countersign/internal/signin"
	"countersign/internal/store"
	"countersign/internal/ticket"
)

// Parts are what Participants are made of.
type Parts struct {
	DB      *store.DB
	Keys    *keyring.Keyring
	Tickets *ticket.Tickets
	Now     func() time.Time
}

// Participants keeps who joined which session. It is safe for concurrent use.
type Participants struct {
	db      *store.DB
	keys    *keyring.Keyring
	tickets *ticket.Tickets
	now     func() time.Time
}

// New makes Participants.
func New(p Parts) *Participants {
	return &Participants{db: p.DB, keys: p.Keys, tickets: p.Tickets, now: p.Now}
}

// Participant is one application in one session.
type Participant struct {
	// Index is what the application knows the session by: random, and nobody else's.
	Index       string
	Account     assurance.AccountID
	AccountName string
	// Session is the number of the session.
	Session     string
	Application string
	// Name and Format are what the application calls the person.
	Name, Format string
	// Expires is when nothing is told to it any more: its own session is over by then.
	Expires time.Time

	id []byte
}

// Joining is what is told to an application.
type Joining struct {
	Name, Format string
	// Once names the request that is answered, and is accepted once for the application within
	// Fresh; empty is for what nobody asked for.
	Once  string
	Fresh time.Duration
	// Lasts is how long the application's own session lasts at most.
	Lasts time.Duration
	// Detail is what the audit log says beside it.
	Detail map[string]string
}

const (
	table = "participant"
	// onceKind is the kind of the tickets that remember requests which were answered.
	onceKind  = "participant-once"
	joined    = "application.opened"
	indexSize = 18
)

// ErrTwice says that a request was answered before.
var ErrTwice = failure.Refuse("request-twice", "This request was answered already. Begin again at the application.")

// Join notes that the grant's application is told of the grant's session, and returns what it
// is to know the session by. A request that was answered before is [ErrTwice].
func (p *Participants) Join(ctx context.Context, g signin.Grant, j Joining) (Participant, error) {
	index := make([]byte, indexSize)
	rand.Read(index)
	out := Participant{Index: base64.RawURLEncoding.EncodeToString(index), Account: g.Account(), AccountName: g.Name(), Session: g.Session(), Application: g.Application(), Name: j.Name, Format: j.Format}
	out.id = idOf(out.Index)
	err := p.db.Change(ctx, g.Actor(), func(tx *store.Tx) error {
		out.Expires = tx.Now().Add(j.Lasts).Truncate(time.Microsecond)
		if err := p.once(ctx, tx, g, j); err != nil {
			return err
		}
		sealed, err := p.seal(out)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `insert into participant (id, account, session, subject, payload, expires) values ($1,$2,$3,$4,$5,$6)`,
			out.id, int64(out.Account), out.Session, p.keys.MAC(keyring.Participant, subjectOf(out.Application, out.Name)), sealed, store.Unix(out.Expires)); err != nil {
			return err
		}
		detail := maps.Clone(j.Detail)
		if detail == nil {
			detail = map[string]string{}
		}
		detail["session"] = out.Session
		return tx.Record(audit.Entry{Event: joined, Outcome: audit.OK, Account: int64(g.Account()), AccountName: g.Name(), Application: g.Application(),
			Protocol: g.Protocol(), Source: g.SourceText(), Attempt: g.Attempt(), Detail: detail})
	})
	return out, err
}

// once uses up the name of a request: a ticket that is there already cannot be issued.
func (p *Participants) once(ctx context.Context, tx *store.Tx, g signin.Grant, j Joining) error {
	if j.Once == "" {
		return nil
	}
	h := sha256.Sum256([]byte(g.Application() + "\x00" + j.Once))
	secret := base64.RawURLEncoding.EncodeToString(h[:24])
	if _, err := p.tickets.TakeTx(ctx, tx, onceKind, secret); err == nil {
		return ErrTwice
	} else if failure.ClassOf(err) != failure.Refused && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	_, err := p.tickets.IssueTx(ctx, tx, ticket.Spec{Kind: onceKind, Owner: int64(g.Account()), Lifetime: j.Fresh, Secret: secret})
	return err
}

func idOf(index string) []byte {
	h := sha256.Sum256([]byte(index))
	return h[:]
}

func subjectOf(application, name string) *keyring.Fields {
	return keyring.NewFields().String("subject").String(application).String(name)
}

func (p Participant) aad() keyring.AAD {
	return keyring.AAD{Table: table, Column: "payload", Row: store.Unix(p.Expires), Key: base64.RawURLEncoding.EncodeToString(p.id) + "/" + p.Session, Account: int64(p.Account)}
}

func (p *Participants) seal(one Participant) ([]byte, error) {
	plain, err := json.Marshal(one)
	if err != nil {
		return nil, err
	}
	return p.keys.Seal(keyring.Participant, one.aad(), plain), nil
}

const columns = `id, account, session, subject, payload, expires`

// Of are the applications that were told of a session.
func (p *Participants) Of(ctx context.Context, session string) ([]Participant, error) {
	return p.read(p.db.Query(ctx, `select `+columns+` from participant where session = $1 and expires > $2 order by id`, session, store.Unix(p.now())))
}

// OfAccount are the applications that were told of an account's sessions.
func (p *Participants) OfAccount(ctx context.Context, account assurance.AccountID) ([]Participant, error) {
	return p.read(p.db.Query(ctx, `select `+columns+` from participant where account = $1 and expires > $2 order by id`, int64(account), store.Unix(p.now())))
}

// Named are the sessions of which an application was told by this name; where index is not
// empty, the one that it knows by it.
func (p *Participants) Named(ctx context.Context, application, name, index string) ([]Participant, error) {
	var out []Participant
	for _, mac := range p.keys.MACs(keyring.Participant, subjectOf(application, name)) {
		all, err := p.read(p.db.Query(ctx, `select `+columns+` from participant where subject = $1 and expires > $2 order by id`, mac, store.Unix(p.now())))
		if err != nil {
			return nil, err
		}
		for _, one := range all {
			if one.Application == application && one.Name == name && (index == "" || string(one.id) == string(idOf(index))) {
				out = append(out, one)
			}
		}
	}
	return out, nil
}

// read reads rows, without those that are not as they were left, which are reported.
func (p *Participants) read(rows *store.Rows, err error) ([]Participant, error) {
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []Participant
	for rows.Next() {
		one, ok, err := p.scan(rows)
		if err != nil {
			return nil, err
		}
		if ok {
			out = append(out, one)
		}
	}
	return out, errors.Join(rows.Err(), rows.Close())
}

func (p *Participants) scan(row interface{ Scan(...any) error }) (Participant, bool, error) {
	var one Participant
	var subject, sealed []byte
	var account, expires int64
	if err := row.Scan(&one.id, &account, &one.Session, &subject, &sealed, &expires); err != nil {
		return one, false, err
	}
	one.Account, one.Expires = assurance.AccountID(account), store.Time(expires)
	if !p.open(&one, subject, sealed) {
		p.db.Report(store.Finding{Table: table, Row: base64.RawURLEncoding.EncodeToString(one.id[:min(12, len(one.id))]), Wrong: store.Altered, Account: account})
		return one, false, nil
	}
	return one, true, nil
}

// open reads what is sealed, which names its row.
func (p *Participants) open(one *Participant, subject, sealed []byte) bool {
	plain, err := p.keys.Open(keyring.Participant, one.aad(), sealed)
	if err != nil {
		return false
	}
	id := one.id
	var held Participant
	if json.Unmarshal(plain, &held) != nil || held.Session != one.Session || held.Account != one.Account || string(idOf(held.Index)) != string(one.id) {
		return false
	}
	held.id, held.Expires = id, one.Expires
	*one = held
	return p.keys.VerifyMAC(keyring.Participant, subjectOf(held.Application, held.Name), subject)
}

// Leave forgets that an application was told of a session: it has been told of the end.
func (p *Participants) Leave(ctx context.Context, one Participant) error {
	return p.db.Housekeep(ctx, "participant.leave", func(tx *store.Tx) error {
		_, err := tx.Exec(ctx, `delete from participant where id = $1`, one.id)
		return err
	})
}

// Sweep deletes what has expired.
func (p *Participants) Sweep(ctx context.Context) error {
	return p.db.Housekeep(ctx, "participant.sweep", func(tx *store.Tx) error {
		_, err := tx.Exec(ctx, `delete from participant where expires < $1`, store.Unix(p.now()))
		return err
	})
}

// Forget deletes what is kept of an account that is being removed, inside the change that
// removes it.
func (p *Participants) Forget(ctx context.Context, tx *store.Tx, account assurance.AccountID) error {
	_, err := tx.Exec(ctx, `delete from participant where account = $1`, int64(account))
	return err
}

// inspectPage is how many rows are looked at at a time.
const inspectPage = 500

// Inspect reports the rows that are not as they were left.
func (p *Participants) Inspect(ctx context.Context) error {
	last := []byte{}
	return p.db.Walk(ctx, func(ctx context.Context) (more bool, err error) {
		rows, err := p.db.Query(ctx, `select `+columns+` from participant where id > $1 order by id limit $2`, last, inspectPage)
		if err != nil {
			return false, err
		}
		defer rows.Close()
		n := 0
		for ; rows.Next(); n++ {
			one, _, err := p.scan(rows)
			if err != nil {
				return false, err
			}
			last = one.id
		}
		return n == inspectPage, errors.Join(rows.Err(), rows.Close())
	})
}
