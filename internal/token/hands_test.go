package token

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"countersign/internal/authenticator"
	"countersign/internal/authenticator/hotp"
	"countersign/internal/authenticator/otp"
	"countersign/internal/authenticator/totp"
	"countersign/internal/directory"
	"countersign/internal/enrollment"
	"countersign/internal/failure"
	"countersign/internal/notify"
	"countersign/internal/signin"
	"countersign/internal/store"
	"countersign/internal/ticket"
)

// kinds are real ones.
type kinds map[string]authenticator.Token

func (k kinds) Import(s Seed) (authenticator.Enrolled, error) { return k[s.Kind].Import(s) }
func (k kinds) Resync(kind string, state []byte, codes string, now time.Time) (authenticator.Result, error) {
	return k[kind].Resync(state, codes, now)
}
func (k kinds) Secret(kind string, state []byte) ([]byte, error) { return k[kind].Secret(state) }
func (k kinds) Shown(kind string) bool                           { return k[kind].Shown() }
func (k kinds) Handle(kind string, state []byte) (string, error) { return k[kind].Handle(state) }

// bare takes away PINs, and does nothing else.
type bare struct{ enrollment.PINKinds }

func (bare) Clear(kind string, state []byte) (authenticator.Enrolled, error) {
	if kind == hotp.Kind {
		return new(hotp.Authenticator).SetPIN(state, nil, "")
	}
	return new(totp.Authenticator).SetPIN(state, nil, "")
}

// office hands tokens to people.
type office struct {
	*rig
	files       *Files
	hands       *Hands
	people      *directory.Accounts
	credentials *directory.Credentials
	ada, bob    directory.Account
	key         otp.Key
	spare       error
}

func newOffice(t *testing.T) *office {
	t.Helper()
	o := &office{rig: setUpOn(t, filepath.Join(t.TempDir(), "token.db")), key: otp.Key{Algorithm: otp.SHA1, Digits: 6, Secret: []byte("12345678901234567890")}}
	of := directory.Parts{DB: o.db, Keys: o.keys}
	o.people, o.credentials = directory.NewAccounts(of), directory.NewCredentials(of)
	outbox, err := notify.NewOutbox(o.db, o.keys, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	k := kinds{hotp.Kind: new(hotp.Authenticator), totp.Kind: new(totp.Authenticator)}
	o.files = NewFiles(o.Stock, ticket.New(ticket.Parts{DB: o.db, Keys: o.keys, Now: time.Now}), k)
	enrolled := enrollment.New(enrollment.Parts{DB: o.db, Accounts: o.people, Credentials: o.credentials, Outbox: outbox, Now: time.Now})
	o.hands = NewHands(Parts{Stock: o.Stock, Accounts: o.people, Credentials: o.credentials, Kinds: k, PINs: bare{}, Now: time.Now,
		Enrollments: enrolled.Enrollments, Endings: enrolled.Endings, Notices: enrolled.Notices,
		Spare: func(context.Context, store.Reader, signin.Loss) error { return o.spare }})
	o.change(t, func(tx *store.Tx) (err error) {
		if o.ada, err = o.people.Create(t.Context(), tx, directory.NewAccount{Name: "ada", Mail: "ada@example.org"}); err != nil {
			return err
		}
		o.bob, err = o.people.Create(t.Context(), tx, directory.NewAccount{Name: "bob"})
		return err
	})
	o.plant(t, "T1", o.key)
	return o
}

func (o *office) plant(t *testing.T, serial string, key otp.Key) {
	t.Helper()
	e, err := new(hotp.Authenticator).Import(Seed{Secret: key.Secret, Algorithm: string(key.Algorithm), Digits: key.Digits})
	if err != nil {
		t.Fatal(err)
	}
	o.change(t, func(tx *store.Tx) error {
		return o.Add(t.Context(), tx, []Token{{Serial: serial, Kind: hotp.Kind, Seed: e.State}})
	})
}

// codes are two in a row.
func (o *office) codes(from uint64) string { return o.key.Code(from) + " " + o.key.Code(from+1) }

func (o *office) assign(t *testing.T, serial string, to directory.Account, codes string) error {
	t.Helper()
	return o.try(t, func(tx *store.Tx) error {
		_, err := o.hands.AssignTx(t.Context(), tx, Assignment{Serial: serial, To: to, By: o.bob.ID, Codes: codes})
		return err
	})
}

func (o *office) move(t *testing.T, serial, state string) error {
	t.Helper()
	return o.try(t, func(tx *store.Tx) error {
		one, _, err := o.hands.TakeBackTx(t.Context(), tx, serial, o.bob.ID)
		if err != nil {
			return err
		}
		_, err = o.hands.PutTx(t.Context(), tx, one, state)
		return err
	})
}

func (o *office) resync(t *testing.T, serial, codes string) error {
	t.Helper()
	return o.try(t, func(tx *store.Tx) error {
		_, _, err := o.hands.ResyncTx(t.Context(), tx, serial, codes, time.Now())
		return err
	})
}

func (o *office) is(t *testing.T, serial, state string, seeded bool) Token {
	t.Helper()
	one, err := o.Get(t.Context(), o.db, serial)
	if err != nil || one.State != state || (len(one.Seed) > 0) != seeded {
		t.Errorf("%s is %s with a seed of %d octets, %v", serial, one.State, len(one.Seed), err)
	}
	return one
}

// held is what the token's owner has of it.
func (o *office) held(t *testing.T, one Token) directory.Credential {
	t.Helper()
	c, err := o.credentials.Get(t.Context(), o.db, one.Account, one.Credential)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func refused(t *testing.T, what string, err error, says string) {
	t.Helper()
	var f *failure.Error
	if !errors.As(err, &f) || !strings.Contains(f.Public, says) {
		t.Errorf("%s: %v", what, err)
	}
}

// The seed is in one place at a time and keeps its counter: no code that was shown for one
// owner, or to put the token right, is any good for the next.
func TestNoCodeServesTwoOwners(t *testing.T) {
	o := newOffice(t)
	if err := o.resync(t, "T1", o.codes(1)); err != nil {
		t.Errorf("one in stock is not put right: %v", err)
	}
	refused(t, "without codes", o.assign(t, "T1", o.ada, ""), "Press the token twice")
	refused(t, "with codes of another", o.assign(t, "T1", o.ada, "000000 000001"), "not two codes")
	o.is(t, "T1", InStock, true)
	if err := o.assign(t, "T1", o.ada, o.codes(4)); err != nil {
		t.Fatal(err)
	}
	first := o.is(t, "T1", Assigned, false)
	if c := o.held(t, first); c.Account != o.ada.ID || c.Status != directory.CredentialActive || c.Assigned != o.bob.ID || len(c.State) == 0 {
		t.Errorf("ada has %+v", c)
	}
	refused(t, "twice", o.assign(t, "T1", o.bob, o.codes(8)), "not in stock; it is assigned")

	refused(t, "codes of before, at its owner", o.resync(t, "T1", o.codes(4)), "not two codes")
	if err := o.resync(t, "T1", o.codes(10)); err != nil {
		t.Fatal(err)
	}
	refused(t, "the same again", o.resync(t, "T1", o.codes(10)), "not two codes")

	if err := o.move(t, "T1", Returned); err != nil {
		t.Fatal(err)
	}
	var told int
	if err := o.db.QueryRow(t.Context(), `select count(*) from notice where account = $1`, int64(o.ada.ID)).Scan(&told); err != nil || told != 2 {
		t.Errorf("ada was told %d times, of what she got and of what was taken, %v", told, err)
	}
	o.is(t, "T1", Returned, true)
	if c := o.held(t, first); c.Status != directory.CredentialRevoked || c.End.Cause != directory.ByAdministrator || c.End.Whose != int64(o.bob.ID) {
		t.Errorf("ada has it still: %+v", c)
	}
	refused(t, "before it showed anything", o.assign(t, "T1", o.bob, o.codes(12)), "came back and has shown nothing")
	refused(t, "with what its last owner used", o.resync(t, "T1", o.codes(10)), "not two codes")
	if err := o.resync(t, "T1", o.codes(12)); err != nil {
		t.Fatal(err)
	}
	o.is(t, "T1", InStock, true)
	refused(t, "with what put it right", o.assign(t, "T1", o.bob, o.codes(12)), "not two codes")
	if err := o.assign(t, "T1", o.bob, o.codes(14)); err != nil {
		t.Fatal(err)
	}
	if one := o.is(t, "T1", Assigned, false); one.Account != o.bob.ID || one.Credential == first.Credential {
		t.Errorf("it is %d of %d", one.Credential, one.Account)
	}
}

// Where a token can go, by where it is; what was revoked has no seed, for good.
func TestWhereATokenCanGo(t *testing.T) {
	for _, c := range []struct {
		road []string
		says string // empty where the last step is taken
	}{
		{[]string{Lost}, ""}, {[]string{Revoked}, ""}, {[]string{Assigned, Lost, Returned}, ""}, {[]string{Assigned, Lost, Revoked}, ""}, {[]string{Assigned, Revoked}, ""}, {[]string{Assigned, Returned, Lost}, ""},
		{[]string{Returned}, "not with anybody; it is stock"}, {[]string{Lost, Lost}, "lost already"}, {[]string{Revoked, Lost}, "revoked already"}, {[]string{Revoked, Revoked}, "revoked already"},
		{[]string{Revoked, Returned}, "not with anybody; it is revoked"}, {[]string{Assigned, Returned, Returned}, "not with anybody; it is returned"},
	} {
		t.Run(strings.Join(c.road, " "), func(t *testing.T) {
			t.Parallel()
			o := newOffice(t)
			for i, state := range c.road {
				err := error(nil)
				if state == Assigned {
					err = o.assign(t, "T1", o.ada, o.codes(0))
				} else {
					err = o.move(t, "T1", state)
				}
				if last := i == len(c.road)-1; last && c.says != "" {
					refused(t, state, err, c.says)
				} else if err != nil {
					t.Fatalf("%s: %v", state, err)
				} else if last {
					o.is(t, "T1", state, state != Revoked)
				}
			}
		})
	}
	o := newOffice(t)
	if err := o.move(t, "T1", InStock); err == nil {
		t.Error("it is put into stock without its codes")
	}
}

// What refuses a loss is asked before a token is taken back, and nothing happened then.
func TestALossThatIsNotSpared(t *testing.T) {
	o := newOffice(t)
	if err := o.assign(t, "T1", o.ada, o.codes(0)); err != nil {
		t.Fatal(err)
	}
	o.spare = failure.Refuse("last-administrator", "Nobody could administer.")
	refused(t, "lost", o.move(t, "T1", Lost), "Nobody could administer")
	if c := o.held(t, o.is(t, "T1", Assigned, false)); c.Status != directory.CredentialActive {
		t.Errorf("it was taken away all the same: %s", c.Status)
	}
}

// A token whose secret went with its owner, or was taken out of the database, can be lost
// or revoked and comes back to nobody; the authenticator is dead also if it is put back.
func TestASecretThatIsGone(t *testing.T) {
	for name, gone := range map[string]func(t *testing.T, o *office, one Token){
		"its owner was removed": func(t *testing.T, o *office, _ Token) {
			o.change(t, func(tx *store.Tx) error { return o.people.Remove(t.Context(), tx, o.ada, o.bob.ID) })
		},
		"its row was removed": func(t *testing.T, o *office, one Token) {
			o.intruder(t, `create table kept as select * from credential`, `delete from credential where id = `+number(int64(one.Credential)))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := newOffice(t)
			if err := o.assign(t, "T1", o.ada, o.codes(0)); err != nil {
				t.Fatal(err)
			}
			one := o.is(t, "T1", Assigned, false)
			gone(t, o, one)
			refused(t, "return", o.move(t, "T1", Returned), "can only be revoked")
			says := "can only be revoked"
			if name == "its owner was removed" {
				says = "no account of that name"
			}
			refused(t, "putting it right", o.resync(t, "T1", o.codes(2)), says)
			if err := o.move(t, "T1", Revoked); err != nil {
				t.Fatal(err)
			}
			if o.is(t, "T1", Revoked, false); name == "its owner was removed" {
				return
			}
			o.intruder(t, `insert into credential select * from kept`)
			if c, err := o.credentials.Get(t.Context(), o.db, o.ada.ID, one.Credential); err != nil || c.Status != directory.CredentialRevoked {
				t.Errorf("what was put back is %s, %v", c.Status, err)
			}
		})
	}
}

// Whoever took the token out of their own account has it until it comes back.
func TestATokenThatItsOwnerRemoved(t *testing.T) {
	o := newOffice(t)
	if err := o.assign(t, "T1", o.ada, o.codes(0)); err != nil {
		t.Fatal(err)
	}
	inUse := func() (directory.Account, directory.Credential, error) { return o.hands.InUse(t.Context(), o.db, "T1") }
	owner, c, err := inUse()
	if err != nil || owner.ID != o.ada.ID || c.Status != directory.CredentialActive {
		t.Errorf("%s has it, %+v, %v", owner.Name, c, err)
	}
	c.EndAt(time.Now(), directory.CredentialRevoked, directory.ByOwner, 0)
	o.change(t, func(tx *store.Tx) error { return o.credentials.Update(t.Context(), tx, c) })
	_, _, err = inUse()
	refused(t, "in use", err, "Its owner has removed that token")
	refused(t, "put right", o.resync(t, "T1", o.codes(4)), "Its owner has removed that token")
	if err := o.move(t, "T1", Returned); err != nil {
		t.Fatal(err)
	}
	if kept := o.held(t, o.is(t, "T1", Returned, true)); kept.End.Cause != directory.ByOwner {
		t.Errorf("it ended by %s", kept.End.Cause)
	}
	_, _, err = inUse()
	refused(t, "in use", err, "not with anybody; it is returned")
}

// Two codes that were taken already put nothing right, whatever the counter says.
func TestCodesThatWereSpent(t *testing.T) {
	o := newOffice(t)
	o.change(t, func(tx *store.Tx) error {
		e, err := new(totp.Authenticator).Import(Seed{Secret: o.key.Secret, Algorithm: string(o.key.Algorithm), Digits: o.key.Digits, Period: 30})
		if err != nil {
			return err
		}
		return o.Add(t.Context(), tx, []Token{{Serial: "T2", Kind: totp.Kind, Seed: e.State}})
	})
	if err := o.assign(t, "T2", o.ada, ""); err != nil {
		t.Fatal(err)
	}
	at := time.Now()
	codes := o.codes(uint64(at.Unix() / 30))
	c := o.held(t, o.is(t, "T2", Assigned, false))
	r, err := new(totp.Authenticator).Resync(c.State, codes, at)
	if err != nil || !r.OK || r.Once == "" {
		t.Fatalf("%+v, %v", r, err)
	}
	o.change(t, func(tx *store.Tx) error {
		_, err := o.credentials.Spend(t.Context(), tx, directory.Once{Credential: c.ID, Key: r.Once}, at)
		return err
	})
	err = o.try(t, func(tx *store.Tx) error {
		_, _, err := o.hands.ResyncTx(t.Context(), tx, "T2", codes, at)
		return err
	})
	refused(t, "putting it right", err, "not two codes")
}

// Two tokens of one secret that came before likenesses were kept: the second is not handed
// out.
func TestATwinIsNotHandedOut(t *testing.T) {
	o := newOffice(t)
	o.plant(t, "T2", o.key)
	if err := o.assign(t, "T1", o.ada, o.codes(0)); err != nil {
		t.Fatal(err)
	}
	refused(t, "the twin", o.assign(t, "T2", o.bob, o.codes(0)), `has the secret of token "T1"`)
}

func sent(t *testing.T, o *office, owner directory.Account, upload string, parts ...[]Row) (Batch, error) {
	t.Helper()
	sum, b := sha256.New(), Batch{Upload: upload, Parts: len(parts)}
	for i, rows := range parts {
		digest, err := o.files.Stage(t.Context(), owner.ID, Part{Upload: upload, Number: i, Rows: rows})
		if err != nil {
			return b, err
		}
		raw, _ := hex.DecodeString(digest)
		sum.Write(raw)
		b.Count += len(rows)
	}
	b.Digest = hex.EncodeToString(sum.Sum(nil))
	return b, nil
}

// A file goes into stock as it was sent and by whom: all of it, once, or nothing.
func TestFiles(t *testing.T) {
	o := newOffice(t)
	row := func(serial string) Row {
		return Row{Line: 3, Serial: serial, Kind: totp.Kind, Algorithm: "SHA1", Digits: 6, Period: 30, Secret: []byte("secret of " + serial + " 1234567890")}
	}
	upload := ticket.NewSecret()
	b, err := sent(t, o, o.ada, upload, []Row{row("F1"), row("F2")}, []Row{row("F3")})
	if err != nil {
		t.Fatal(err)
	}
	if known, err := o.files.Known(t.Context(), o.ada.ID, b); err != nil || len(known) != 0 {
		t.Errorf("%v are known, %v", known, err)
	}
	load := func(owner directory.Account, b Batch) error {
		return o.try(t, func(tx *store.Tx) error { return o.files.ImportTx(t.Context(), tx, owner.ID, b) })
	}
	short, other, none, all := b, b, b, b
	short.Count, other.Digest, none.Parts, all.Parts = 2, strings.Repeat("0", 64), 0, ticket.MostParts+1
	refused(t, "somebody else's", load(o.bob, b), "was not sent")
	refused(t, "fewer", load(o.ada, short), "not what its digest says")
	refused(t, "another digest", load(o.ada, other), "not what its digest says")
	refused(t, "no parts", load(o.ada, none), "1 to 10000 parts")
	refused(t, "too many parts", load(o.ada, all), "1 to 10000 parts")
	if err := load(o.ada, b); err != nil {
		t.Fatal(err)
	}
	if one := o.is(t, "F3", InStock, true); one.Batch != b.Digest || one.Detail != "SHA1, 6 digits, 30 seconds" {
		t.Errorf("%+v", one)
	}
	refused(t, "twice", load(o.ada, b), "was not sent")

	again, err := sent(t, o, o.ada, ticket.NewSecret(), []Row{row("F4")}, []Row{row("F3")})
	if err != nil {
		t.Fatal(err)
	}
	if known, err := o.files.Known(t.Context(), o.ada.ID, again); err != nil || strings.Join(known, " ") != "F3" {
		t.Errorf("%v are known, %v", known, err)
	}
	refused(t, "one that is there", load(o.ada, again), "is there already")
	if _, err := o.Get(t.Context(), o.db, "F4"); failure.ClassOf(err) != failure.NotFound {
		t.Errorf("half of a file is there: %v", err)
	}
	long, bad := row(strings.Repeat("x", 65)), row("F5")
	bad.Digits = 3
	umlaut := row("F6")
	umlaut.Manufacturer = "Müller GmbH"
	if _, err := o.files.Stage(t.Context(), o.ada.ID, Part{Upload: ticket.NewSecret(), Rows: []Row{umlaut}}); err != nil {
		t.Errorf("a manufacturer with an umlaut: %v", err)
	}
	turned, shifted := row("F7"), row("0e8e37b0e38b314a56748c030f58d21d")
	turned.Manufacturer = "M\u202eX"
	shifted.Digits = 3
	if _, err := o.files.Stage(t.Context(), o.ada.ID, Part{Upload: upload, Rows: []Row{shifted}}); err == nil || strings.Contains(failure.Public(err), "0e8e") {
		t.Errorf("a secret in other places: %v", err)
	}
	for name, c := range map[string]struct {
		upload string
		part   int
		rows   []Row
		says   string
	}{
		"a turned maker": {upload, 0, []Row{turned}, "a manufacturer has"},
		"no name":        {"short", 0, []Row{row("F5")}, "24 random bytes"},
		"a part too far": {upload, ticket.MostParts, []Row{row("F5")}, "10000 parts at most"},
		"nothing":        {upload, 0, nil, "1 to 300 tokens"},
		"too much":       {upload, 0, make([]Row, RowsPerPart+1), "1 to 300 tokens"},
		"no serial":      {upload, 0, []Row{row("")}, "a serial number has"},
		"a long serial":  {upload, 0, []Row{long}, "a serial number has"},
		"a blank":        {upload, 0, []Row{row(" F5")}, "a serial number has"},
		"no token":       {upload, 0, []Row{bad}, "Line 3: "},
	} {
		_, err := o.files.Stage(t.Context(), o.ada.ID, Part{Upload: c.upload, Number: c.part, Rows: c.rows})
		refused(t, name, err, c.says)
	}
}
