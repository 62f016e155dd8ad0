package directory

import (
	"fmt"
	"testing"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/store"
)

// condition is a state that an authenticator can be in, and what the promise makes of
// it: whether it is still its owner's, whether somebody who proved nothing or one person
// alone brought it there, and whether it can be asked for.
type condition struct {
	name                    string
	set                     func(c *Credential, now time.Time)
	mine, standing, askable bool
}

func ends(status string, by Cause) func(*Credential, time.Time) {
	return func(c *Credential, now time.Time) { c.EndAt(now.Add(-time.Hour), status, by, 7) }
}

// conditions are all there are.
var allConditions = []condition{
	{name: "never", set: nil},
	{"active", func(*Credential, time.Time) {}, true, true, true},
	{"out of quarantine now", func(c *Credential, now time.Time) { c.Quarantine = now }, true, true, true},
	{"in quarantine", func(c *Credential, now time.Time) { c.Quarantine = now.Add(time.Microsecond) }, true, true, false},
	{"off by guesses", ends(CredentialDisabled, ByGuesses), true, true, false},
	{"off by report", ends(CredentialDisabled, ByReport), true, true, false},
	{"off as before there were causes", func(c *Credential, _ time.Time) { c.Status = CredentialDisabled }, true, true, false},
	{"removed by an administrator", ends(CredentialRevoked, ByAdministrator), true, false, false},
	{"removed by a recovery on one word", ends(CredentialRevoked, ByRecovery), true, false, false},
	{"removed as before there were causes", func(c *Credential, _ time.Time) { c.Status = CredentialRevoked }, true, false, false},
	{"removed by its owner", ends(CredentialRevoked, ByOwner), false, false, false},
	{"replaced by its owner", ends(CredentialRevoked, ByNewer), false, false, false},
	{"removed by a recovery on two words", ends(CredentialRevoked, BySureRecovery), false, false, false},
	{"removed on the machine", ends(CredentialRevoked, ByMachine), false, false, false},
	{"undone with a recovery", ends(CredentialRevoked, ByStop), false, false, false},
	{"used up", func(c *Credential, _ time.Time) { c.Status = CredentialUsedUp }, false, false, false},
}

// The promise, for every state of what is known, of a device that is held, and of a
// passkey: one person's word beside nothing is enough for nobody who had two factors
// and did not give them up, whatever became of them.
func TestNobodyReplacesBothAlone(t *testing.T) {
	now := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	count := 0
	for _, known := range allConditions {
		for _, held := range allConditions {
			for _, key := range allConditions {
				for _, assigned := range []assurance.AccountID{0, 9} {
					count++
					var all []Credential
					add := func(kind string, c condition, traits assurance.Trait, by assurance.AccountID) {
						if c.set != nil {
							one := Credential{ID: assurance.CredentialID(len(all) + 1), Account: 3, Kind: kind, Traits: traits, Status: CredentialActive, Created: now.Add(-48 * time.Hour), Assigned: by}
							c.set(&one, now)
							all = append(all, one)
						}
					}
					add("password", known, assurance.Known, 0)
					add("totp", held, assurance.Held, assigned)
					add("passkey", key, assurance.Held|assurance.UserVerified|assurance.PhishingResistant, 0)
					add("mailcode", allConditions[1], assurance.Mailed, 0)
					got := ProofRequired(all, now, now)
					two := key.mine || known.mine && held.mine
					showsHeld := held.askable || key.askable
					strange := held.askable && assigned != 0
					var want Proof
					switch {
					case known.askable:
						want = ProofKnown
					case !two && !known.standing:
						want = ProofNone
					case showsHeld && !strange:
						want = ProofHeld
					default:
						want = ProofSecondPerson
					}
					what := fmt.Sprintf("known %s, held %s (assigned %d), passkey %s", known.name, held.name, assigned, key.name)
					if got != want {
						t.Errorf("%s: asked for %s, want %s", what, got, want)
					}
					if got == ProofNone && (key.mine || known.mine && held.mine) {
						t.Errorf("%s: one word replaces both", what)
					}
					standing := key.standing || known.standing && held.standing
					if lacks := LacksTwoFactors(all, now); lacks != (!standing && want != ProofSecondPerson) {
						t.Errorf("%s: lacks two factors: %t", what, lacks)
					}
					if later := ProofRequired(all, now.Add(-49*time.Hour), now); later != ProofNone {
						t.Errorf("%s: what came of a word is asked for beside it: %s", what, later)
					}
				}
			}
		}
	}
	if count != 2*16*16*16 {
		t.Errorf("%d cases", count)
	}
}

// What was set up at the moment of the word was there before it, and a pass is no
// factor; the newest pass is the word, whatever became of it.
func TestWordGiven(t *testing.T) {
	now := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	password := Credential{Kind: "password", Traits: assurance.Known, Status: CredentialActive, Created: now}
	if got := ProofRequired([]Credential{password}, now, now); got != ProofKnown {
		t.Errorf("a password of that moment: %s", got)
	}
	if got := ProofRequired([]Credential{password}, now.Add(-time.Microsecond), now); got != ProofNone {
		t.Errorf("one of afterwards: %s", got)
	}
	old := Credential{Traits: assurance.Vouched, Status: CredentialUsedUp, Created: now.Add(-2 * time.Hour)}
	pass := Credential{Traits: assurance.Vouched, Status: CredentialRevoked, Created: now.Add(-time.Hour)}
	for _, all := range [][]Credential{{old, password, pass}, {pass, old, password}} {
		if got := WordGiven(all, now); !got.Equal(pass.Created) {
			t.Errorf("given %s", got)
		}
	}
	if got := WordGiven([]Credential{password}, now); !got.Equal(now) {
		t.Errorf("without a pass: %s", got)
	}
	device := Credential{Kind: "totp", Traits: assurance.Held, Status: CredentialActive, Created: now.Add(-time.Hour)}
	off := Credential{Kind: "password", Traits: assurance.Known, Status: CredentialDisabled, Created: now.Add(-time.Hour)}
	token := Credential{Kind: "hotp", Traits: assurance.Held, Status: CredentialActive, Created: now.Add(time.Minute), Assigned: 9}
	if got := ProofRequired([]Credential{off, device, token}, now, now.Add(time.Hour)); got != ProofSecondPerson {
		t.Errorf("who gives a pass hands over what is asked for beside it: %s", got)
	}
	pin := Credential{Kind: "hotp", Traits: assurance.Known | assurance.Held, Status: CredentialActive, Created: now}
	if got := ProofRequired([]Credential{pin}, now, now); got != ProofHeld {
		t.Errorf("a token with a PIN: %s", got)
	}
}

func TestEndIsReadAsWritten(t *testing.T) {
	at := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	for _, e := range []End{{}, {At: at, Cause: ByOwner}, {At: at, Cause: ByAdministrator, Whose: 7}} {
		got, err := readEnd(at.UnixMicro(), e.by())
		if e.At.IsZero() {
			got, err = readEnd(0, e.by())
		}
		if err != nil || !got.At.Equal(e.At) || got.Cause != e.Cause || got.Whose != e.Whose {
			t.Errorf("%+v is read as %+v, %v", e, got, err)
		}
	}
	if _, err := readEnd(1, "administrator/x"); err == nil {
		t.Error("an end by nobody is read")
	}
}

// Why an authenticator ended decides what is asked for: whoever writes to the database
// makes nothing that was taken away look as if its owner had given it up.
func TestEndIsBound(t *testing.T) {
	for _, statement := range []string{`update credential set ender = 'owner'`, `update credential set ended = 0`, `update credential set assigned = 0`, `update credential set ender = 'x/y'`, `update credential set ended = 0, ender = '', assigned = 0`} {
		r := setUp(t)
		bob := r.account(t, NewAccount{Name: "bob"})
		c := r.credential(t, Credential{Account: bob.ID, Kind: "password", Traits: assurance.Known, State: []byte("{}"), Assigned: 5})
		r.change(t, func(tx *store.Tx) error {
			c.EndAt(tx.Now(), CredentialRevoked, ByAdministrator, 5)
			return r.credentials.Update(t.Context(), tx, c)
		})
		got, err := r.credentials.Get(t.Context(), r.db, bob.ID, c.ID)
		if err != nil || got.End.Cause != ByAdministrator || got.End.Whose != 5 || got.End.At.IsZero() || got.Assigned != 5 || got.GivenUp() {
			t.Fatalf("%+v, %v", got, err)
		}
		r.sabotage(t, statement)
		got, err = r.credentials.Get(t.Context(), r.db, bob.ID, c.ID)
		if err != nil || got.GivenUp() || got.Traits != assurance.Known || !got.End.At.IsZero() {
			t.Errorf("after %q it is believed: %+v, %v", statement, got, err)
		}
		r.alarmed(t, "credential", store.Altered)
	}
	r := setUp(t)
	bob := r.account(t, NewAccount{Name: "bob"})
	c := r.credential(t, Credential{Account: bob.ID, Kind: "password", Traits: assurance.Known, State: []byte("{}")})
	r.change(t, func(tx *store.Tx) error {
		c.EndAt(tx.Now(), CredentialActive, ByGuesses, 0)
		return r.credentials.Update(t.Context(), tx, c)
	})
	if got, err := r.credentials.Get(t.Context(), r.db, bob.ID, c.ID); err != nil || got.End != (End{}) {
		t.Errorf("what is active again has an end: %+v, %v", got.End, err)
	}
}
