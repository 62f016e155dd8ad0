package signin

import (
	"encoding/base64"
	"net/netip"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/audit"
	"countersign/internal/authenticator"
	"countersign/internal/failure"
	"countersign/internal/keyring"
	"countersign/internal/prompt"
	"countersign/internal/store"
)

// kept opens an installation's attempts, with keys and a database of its own.
func kept(t testing.TB, now func() time.Time) *attempts {
	t.Helper()
	db, err := store.Open(t.Context(), store.Options{DSN: filepath.Join(t.TempDir(), "attempts.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	keys, err := keyring.Open(t.Context(), db, keyring.NewRoot())
	if err != nil {
		t.Fatal(err)
	}
	return &attempts{db: db, keys: keys, now: now}
}

// full is an attempt in which every field is set that may be set in one that travels.
func full(now time.Time) *attempt {
	wish := assurance.Phishing().Within(5 * time.Minute)
	return &attempt{ID: "an-id", Account: 7, SessionNumber: "s-7", Tries: 3, Once: "a-grant",
		Evidence: []assurance.Evidence{{Account: 7, Kind: "passkey", Credential: 31, Traits: assurance.Held, Time: now.UTC(), Channel: "browser", Bound: "https://login.test", Act: "a text", OutOfBand: true, Until: now.UTC().Add(time.Minute)}}, Created: now, Deadline: now.Add(10 * time.Minute),
		Asked: []asked{{Kind: "passkey", Memo: authenticator.Memo("a challenge")}, {Kind: "password"}},
		Request: Request{Application: "wiki", Action: SignIn, Object: "its text", Name: "ada", Session: "a secret", Source: netip.MustParseAddr("2001:db8::7"),
			Browser: "7.1.mac", Protocol: "browser", Medium: prompt.Browser | prompt.Line, Method: "GET", Path: "/page", Raise: &wish, Since: now.Add(-time.Minute), Partner: "nas-7", Carries: 236, CodeAlone: true}}
}

// left are the fields that an attempt which travels has not set, or that are of one turn or
// of a row.
var left = map[string]bool{"Delegated": true, "Approval": true, "Transfers": true, "Replaced": true, "Sent": true, "Sending": true, "Opening": true, "Reading": true, "CodeAlone": true}

// What is sealed is all of the attempt: a field that somebody adds is carried, or named
// here with a reason.
func TestSealedIsTheWholeAttempt(t *testing.T) {
	now := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC).Local()
	a := kept(t, func() time.Time { return now })
	at := full(now)
	for _, v := range []reflect.Value{reflect.ValueOf(*at), reflect.ValueOf(at.Request), reflect.ValueOf(at.Evidence[0])} {
		for i := range v.NumField() {
			f := v.Type().Field(i)
			if f.IsExported() && v.Field(i).IsZero() && !left[f.Name] {
				t.Errorf("set %s here, and carry it in a sealed ticket", f.Name)
			}
		}
	}
	at.Carries = 2000
	ticket, fits, err := a.seal(at)
	if err != nil || !fits {
		t.Fatal(fits, err)
	}
	got, err := a.open(ticket)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, at) {
		t.Errorf("it came back as\n%+v, not\n%+v", got, at)
	}
}

// A sealed ticket opens as it was made, here, until its end, and in no other way.
func TestSealedTicketIsNothingElse(t *testing.T) {
	now := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	clock := now
	a := kept(t, func() time.Time { return clock })
	at := full(now)
	at.Carries = 0
	ticket, _, err := a.seal(at)
	if err != nil {
		t.Fatal(err)
	}
	read := func(a *attempts, ticket string) string {
		_, err := a.read(t.Context(), a.db, ticket)
		if err == nil {
			return ""
		}
		if failure.ClassOf(err) != failure.Refused {
			t.Errorf("%.20q: a breakdown: %v", ticket, err)
		}
		return failure.ReasonOf(err)
	}
	if r := read(a, ticket); r != "" {
		t.Fatal("as it was made: ", r)
	}
	raw, _ := base64.RawURLEncoding.DecodeString(ticket)
	for i := range raw {
		raw[i] ^= 1 << (i % 8)
		if r := read(a, base64.RawURLEncoding.EncodeToString(raw)); r != "unknown-ticket" {
			t.Errorf("with a bit of octet %d turned: %q", i, r)
		}
		raw[i] ^= 1 << (i % 8)
	}
	for i := range ticket {
		if r := read(a, ticket[:i]); r != "unknown-ticket" {
			t.Errorf("the first %d characters: %q", i, r)
		}
	}
	for _, tail := range []string{"A", "AA", "AAAA", "=", ".1", ".", " ", "\n", "\x00"} {
		if r := read(a, ticket+tail); r != "unknown-ticket" {
			t.Errorf("with %q behind it: %q", tail, r)
		}
	}
	if r := read(a, strings.Repeat("A", 1<<20)); r != "unknown-ticket" {
		t.Errorf("a megabyte: %q", r)
	}
	if r := read(kept(t, a.now), ticket); r != "unknown-ticket" {
		t.Errorf("in another installation: %q", r)
	}
	// Neither form passes for the other.
	for _, place := range []keyring.AAD{attemptAAD(), {Table: "ticket", Column: "sealed"}, {Table: "attempt", Column: "ticket", Account: 7}} {
		plain, err := at.pack()
		if err != nil {
			t.Fatal(err)
		}
		if r := read(a, base64.RawURLEncoding.EncodeToString(a.keys.Seal(keyring.Attempt, place, plain))); r != "unknown-ticket" {
			t.Errorf("sealed for %v: %q", place, r)
		}
	}
	row := full(now)
	row.Evidence = []assurance.Evidence{{Account: 7, Kind: "passkey"}}
	if err := a.db.Housekeep(t.Context(), "", func(tx *store.Tx) error { return a.save(t.Context(), tx, row) }); err != nil {
		t.Fatal(err)
	}
	for _, mixed := range []string{strings.Replace(row.ticket(), ".", "", 1), ticket + "." + strings.Split(row.ticket(), ".")[1], strings.Split(row.ticket(), ".")[0]} {
		if r := read(a, mixed); r != "unknown-ticket" {
			t.Errorf("half a row's ticket: %q", r)
		}
	}
	if row.unproved() {
		t.Error("an attempt with evidence would travel in its ticket")
	}
	row.Evidence = nil
	if row.unproved() {
		t.Error("a row would travel in its ticket")
	}
	clock = now.Add(10 * time.Minute)
	if r := read(a, ticket); r != "late-ticket" {
		t.Errorf("at its end: %q", r)
	}
	clock = now
	if err := a.keys.RotateDataKey(t.Context(), audit.System("test"), keyring.Attempt); err != nil {
		t.Fatal(err)
	}
	if r := read(a, ticket); r != "unknown-ticket" {
		t.Errorf("of before the database was put back: %q", r)
	}
}

// What is typed at equipment fits in its State: a name and a place as people have them.
func TestSealedFitsInAState(t *testing.T) {
	now := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	a := kept(t, func() time.Time { return now })
	at := &attempt{ID: newID(), Created: now, Deadline: now.Add(10 * time.Minute), Asked: []asked{{Kind: "password"}},
		Request: Request{Application: "vpn", Action: SignIn, Name: "ada.lovelace@example.org", Source: netip.MustParseAddr("203.0.113.7"), Protocol: "radius",
			Medium: prompt.Line | prompt.Display, Partner: "gateway 192.0.2.1", Carries: 236}}
	ticket, fits, err := a.seal(at)
	if err != nil || !fits {
		t.Errorf("%d characters: %v", len(ticket), err)
	}
	at.Name = strings.Repeat("a", 200)
	if _, fits, _ := a.seal(at); fits {
		t.Error("a name of 200 letters is said to fit")
	}
}

func FuzzUnpack(f *testing.F) {
	plain, err := full(time.Unix(1, 0)).pack()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(plain)
	f.Add([]byte{sealedForm})
	f.Fuzz(func(t *testing.T, b []byte) {
		at, ok := unpack(b)
		if !ok {
			return
		}
		again, err := at.pack()
		if err != nil {
			t.Fatal(err)
		}
		if other, ok := unpack(again); !ok || !reflect.DeepEqual(at, other) {
			t.Errorf("%x came back otherwise", b)
		}
	})
}
