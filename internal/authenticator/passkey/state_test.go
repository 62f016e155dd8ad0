package passkey

import (
	"bytes"
	"encoding/json"
	"reflect"
	"testing"

	"countersign/internal/packed"
)

// BackedUp reports whether a stored credential was backed up when it was seen last.
func BackedUp(t *testing.T, stored []byte) bool {
	t.Helper()
	s, err := decodeState(stored)
	if err != nil {
		t.Fatal(err)
	}
	return s.BackupState
}

// allOfIt is a credential of which no field is empty.
func allOfIt() state {
	return state{Version: stateVersion, ID: octets("an id"), Key: octets("a key"), Counter: 1<<32 - 1, BackupEligible: true, BackupState: true, Verified: true,
		AAGUID: aaguid{1, 15: 9}, Transports: []string{"usb", "nfc"}, Attestation: "packed basic_full", Attested: true, User: octets("a user")}
}

// Every field is read as it was written; a new one that nobody writes fails here.
func TestStateIsWhole(t *testing.T) {
	full := allOfIt()
	for i := range reflect.TypeOf(full).NumField() {
		if reflect.ValueOf(full).Field(i).IsZero() {
			t.Fatalf("%s is empty here", reflect.TypeOf(full).Field(i).Name)
		}
	}
	one := full
	for name, s := range map[string]state{"full": full, "bare": {Version: stateVersion, ID: octets("x"), Key: octets{}, User: octets{}}, "some": func() state {
		one.BackupState, one.Attested, one.Transports = false, false, nil
		return one
	}()} {
		b, err := s.encode()
		if err != nil {
			t.Fatal(err)
		}
		if got, err := decodeState(b); err != nil || !reflect.DeepEqual(got, s) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
		for cut := range b {
			if got, err := decodeState(b[:cut]); err == nil {
				t.Errorf("%s: of %d octets %d are %+v", name, len(b), cut, got)
			}
		}
		if _, err := decodeState(append(bytes.Clone(b), 0)); err == nil {
			t.Errorf("%s: what stands behind the end is overlooked", name)
		}
		for _, form := range []byte{0, 1, 3, 255} {
			if _, err := decodeState(append([]byte{form}, b[1:]...)); err == nil {
				t.Errorf("%s: form %d is read", name, form)
			}
		}
	}
}

// A model has sixteen octets; a counter has four, and no sign.
func TestStateInBounds(t *testing.T) {
	b, err := allOfIt().encode()
	if err != nil {
		t.Fatal(err)
	}
	id := allOfIt().AAGUID
	model := packed.Text(nil, string(id[:]))
	counter := packed.Number(nil, 1<<32-1)
	for what, c := range map[string]struct{ was, is []byte }{
		"a short model":      {model, packed.Text(nil, string(id[:15]))},
		"a long model":       {model, packed.Text(nil, string(id[:])+"x")},
		"a counter too high": {counter, packed.Number(nil, 1<<32)},
		"a counter below 0":  {counter, packed.Number(nil, -1)},
	} {
		if bytes.Count(b, c.was) != 1 {
			t.Fatalf("%s: %x is not once in %x", what, c.was, b)
		}
		if got, err := decodeState(bytes.Replace(b, c.was, c.is, 1)); err == nil {
			t.Errorf("%s is read: %+v", what, got)
		}
	}
}

// What a release before stored is read as it was: the JSON is fixed here.
func TestStateOfEarlierReleases(t *testing.T) {
	const old = `{"v":1,"id":"YW4gaWQ","key":"YSBrZXk","n":4294967295,"be":true,"bs":true,"uv":true,"aaguid":"01000000-0000-0000-0000-000000000009","tr":["usb","nfc"],"att":"packed basic_full","attested":true,"user":"YSB1c2Vy"}`
	if got, err := decodeState([]byte(old)); err != nil || !reflect.DeepEqual(got, allOfIt()) {
		t.Errorf("%+v, %v", got, err)
	}
	if b, err := json.Marshal(allOfIt()); err != nil || string(b) != old {
		t.Errorf("the JSON of before is another: %s, %v", b, err)
	}
}

// FuzzState: what is read of any octets is the same when it is written and read again.
func FuzzState(f *testing.F) {
	b, err := allOfIt().encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte(`{"v":1,"id":"YW4gaWQ"}`))
	f.Add([]byte{stateForm, 1, 'x', 0, 0, 0, 0, 0, 0, 16})
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := decodeState(b)
		if err != nil {
			return
		}
		once, err := s.encode()
		if err != nil {
			t.Fatal(err)
		}
		again, err := decodeState(once)
		if err != nil {
			t.Fatalf("what was written cannot be read: %v", err)
		}
		if twice, _ := again.encode(); !bytes.Equal(once, twice) {
			t.Fatalf("%x became %x", once, twice)
		}
	})
}
