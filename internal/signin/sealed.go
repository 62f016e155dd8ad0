package signin

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"strings"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/authenticator"
	"countersign/internal/keyring"
	"countersign/internal/packed"
	"countersign/internal/prompt"
	"countersign/internal/store"
)

// An attempt in which nothing was shown costs the server nothing that lasts: it is
// no row, and travels sealed in its own ticket until the first right answer. Whoever
// plays such a ticket again gains nothing: what makes evidence is spent, and what is
// guessed draws on budgets that no attempt holds. Where that answer is enough, what was
// granted travels too, and a mark that is made when it is claimed keeps it from being
// claimed twice. See docs/decisions/0012.

// ticketMost is how long a ticket may be that a browser keeps in a cookie: a browser
// keeps 4096 octets with the cookie's name and all that is said of it.
const ticketMost = 3000

// sealedForm begins what is sealed, and says how it is written. What was sealed in another
// form, by another release, leads nowhere: whoever holds it begins again.
const sealedForm = 3

// unproved reports whether an attempt has shown nothing, waits for nothing elsewhere,
// and has no row: then all of it fits in a ticket.
func (at *attempt) unproved() bool { return at.light() && len(at.Evidence) == 0 && at.Once == "" }

// light reports whether nothing of an attempt is stored, and nothing elsewhere waits
// for it.
func (at *attempt) light() bool {
	return at.handle == nil && at.Approval == 0 && !at.Transfers && !at.Replaced &&
		at.Sent == nil && at.Sending == "" && !at.Delegated
}

// travels reports whether an attempt in this state can travel in its ticket, and names
// what was granted: once, however often the person looks at it.
func (at *attempt) travels(s State) bool {
	switch {
	case s == Ask:
		return at.unproved()
	case s != Granted || !at.browser() || !at.light():
		return false
	}
	if at.Once == "" {
		at.Once = newID()
	}
	return true
}

// spend marks what was granted and travels as used: of any number at once one does.
// The mark is a row of attempts without a step or a payload, until the attempt's time is
// over; that it was made is known outside the database as well.
func (a *attempts) spend(ctx context.Context, tx *store.Tx, at *attempt) error {
	if at.Once == "" {
		return nil
	}
	hash := hashHandle([]byte("once/" + at.Once))
	n, err := tx.Exec(ctx, `insert into attempt (handle, step, account, payload, created, expires) values ($1,0,0,$2,$3,$4) on conflict do nothing`,
		hash, []byte{}, store.Unix(at.Created), store.Unix(at.Deadline))
	if err == nil && n != 1 {
		return errUsedTicket
	}
	if a.db.Over(attemptTable, at.Once) {
		a.refuse(&attemptRow{hash: hash}, store.Missing) // somebody removed the mark
		return errUsedTicket
	}
	tx.End(attemptTable, at.Once, at.Deadline)
	at.Once = ""
	return err
}

// sealedAAD is another place than a row's, so that neither passes for the other.
func sealedAAD() keyring.AAD { return keyring.AAD{Table: "attempt", Column: "ticket"} }

// isSealed tells the two forms of a ticket apart: a row's has a dot.
func isSealed(ticket string) bool { return !strings.Contains(ticket, ".") }

// seal makes the ticket of an attempt that travels, and false where it would be too long
// for what carries it.
func (a *attempts) seal(at *attempt) (string, bool, error) {
	plain, err := at.pack()
	if err != nil {
		return "", false, err
	}
	ticket := base64.RawURLEncoding.EncodeToString(a.keys.Seal(keyring.Attempt, sealedAAD(), plain))
	return ticket, len(ticket) <= at.carries(), nil
}

func (at *attempt) carries() int {
	if at.Carries > 0 {
		return min(at.Carries, ticketMost)
	}
	return ticketMost
}

// open reads a sealed ticket. What was sealed under an older key is not believed: a
// key is rotated when the database is put back, and what was answered since is
// forgotten there.
func (a *attempts) open(ticket string) (*attempt, error) {
	if ticket == "" || len(ticket) > ticketMost || strings.ContainsAny(ticket, "\r\n") { // which base64 would skip
		return nil, errStrayTicket
	}
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(ticket)
	if err != nil {
		return nil, errStrayTicket
	}
	plain, err := a.keys.OpenCurrent(keyring.Attempt, sealedAAD(), sealed)
	if err != nil {
		return nil, errStrayTicket
	}
	at, ok := unpack(plain)
	if !ok {
		return nil, errStrayTicket
	}
	if !a.now().Before(at.Deadline) {
		return nil, errLateTicket
	}
	return at, nil
}

// texts are the attempt's texts, in the order in which they are written.
func (at *attempt) texts() []*string {
	return []*string{&at.ID, &at.Application, &at.Action, &at.Object, &at.Name, &at.Session, &at.SessionNumber, &at.Browser, &at.Protocol, &at.Method, &at.Path, &at.Partner, &at.Once}
}

// pack writes an attempt that travels in as few octets as it takes, because equipment
// carries 253 (RFC 2865 section 5.24), and quickly, because every sign-in does.
func (at *attempt) pack() ([]byte, error) {
	b := append(make([]byte, 0, 320), sealedForm)
	for _, n := range [...]int64{int64(at.Account), int64(at.Medium), int64(at.Tries), int64(at.Carries), at.Created.UnixMicro(), at.Deadline.Sub(at.Created).Microseconds()} {
		b = packed.Number(b, n)
	}
	b = packed.Number(packed.Flag(b, at.CodeAlone), sinceNumber(at.Since))
	for _, s := range at.texts() {
		b = packed.Text(b, *s)
	}
	source, err := at.Source.MarshalBinary()
	if err != nil {
		return nil, err
	}
	b = packed.Text(b, string(source))
	var raise []byte
	if at.Raise != nil {
		if raise, err = json.Marshal(at.Raise); err != nil {
			return nil, err
		}
	}
	b = packed.Count(packed.Text(b, string(raise)), len(at.Evidence))
	for i := range at.Evidence {
		b = appendEvidence(b, &at.Evidence[i])
	}
	b = packed.Count(b, len(at.Asked))
	for _, q := range at.Asked {
		b = packed.Text(packed.Text(b, q.Kind), string(q.Memo))
	}
	return b, nil
}

// sinceNumber is a moment in microseconds, and 0 for the zero time.
func sinceNumber(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func appendEvidence(b []byte, e *assurance.Evidence) []byte {
	until := int64(0)
	if !e.Until.IsZero() {
		until = e.Until.UnixNano()
	}
	for _, n := range [...]int64{int64(e.Account), int64(e.Credential), int64(e.Traits), e.Time.UnixNano(), until} {
		b = packed.Number(b, n)
	}
	b = packed.Flag(b, e.OutOfBand)
	for _, s := range [...]string{e.Kind, e.Channel, e.Bound, e.Act} {
		b = packed.Text(b, s)
	}
	return b
}

// unpack reads what pack wrote. It is only ever given what was sealed here, and
// still believes no length.
func unpack(plain []byte) (*attempt, bool) {
	if len(plain) == 0 || plain[0] != sealedForm {
		return nil, false
	}
	r := packed.Read(plain[1:])
	at := &attempt{}
	at.Account, at.Medium, at.Tries, at.Carries = assurance.AccountID(r.Number()), prompt.Medium(r.Number()), int(r.Number()), int(r.Number())
	at.Created = time.UnixMicro(r.Number())
	at.Deadline = at.Created.Add(time.Duration(r.Number()) * time.Microsecond)
	at.CodeAlone = r.Flag()
	if since := r.Number(); since != 0 {
		at.Since = time.UnixMicro(since)
	}
	for _, s := range at.texts() {
		*s = r.Text()
	}
	if err := at.Source.UnmarshalBinary([]byte(r.Text())); err != nil {
		return nil, false
	}
	if raise := r.Text(); raise != "" {
		at.Raise = &assurance.Requirement{}
		if err := json.Unmarshal([]byte(raise), at.Raise); err != nil {
			return nil, false
		}
	}
	for range r.Count() {
		at.Evidence = append(at.Evidence, readEvidence(r))
	}
	for range r.Count() {
		at.Asked = append(at.Asked, asked{Kind: r.Text(), Memo: readMemo(r)})
	}
	return at, r.Whole()
}

func readEvidence(r *packed.Reader) assurance.Evidence {
	e := assurance.Evidence{Account: assurance.AccountID(r.Number()), Credential: assurance.CredentialID(r.Number()), Traits: assurance.Trait(r.Number()), Time: time.Unix(0, r.Number()).UTC()}
	if until := r.Number(); until != 0 {
		e.Until = time.Unix(0, until).UTC()
	}
	e.OutOfBand = r.Flag()
	e.Kind, e.Channel, e.Bound, e.Act = r.Text(), r.Text(), r.Text(), r.Text()
	return e
}

// readMemo reads a text that is nil when it is empty, as it was before.
func readMemo(r *packed.Reader) authenticator.Memo {
	if s := r.Text(); s != "" {
		return authenticator.Memo(s)
	}
	return nil
}
