package wire

import (
	"encoding/json"
	"testing"
)

// An application is asked from an address of this machine that it alone knows; one that
// knows none is left out, and says so.
func TestHere(t *testing.T) {
	all := []Configured{
		{"wide", json.RawMessage(`{"clients":[{"networks":["127.0.0.0/8"],"secret":"wide"}]}`)},
		{"gate", json.RawMessage(`{"mode":"appended","separator":",","bind":"client","clients":[{"networks":["192.0.2.7"],"secret":"far"},{"networks":["127.0.0.62/32"],"secret":"near"}]}`)},
		{"far", json.RawMessage(`{"clients":[{"networks":["192.0.2.7/32"],"secret":"far"}]}`)},
		{"named", json.RawMessage(`{"clients":[{"networks":["127.0.0.63"],"secret":"named","nas_identifiers":["nas-7"]}]}`)},
		{"covered", json.RawMessage(`{"clients":[{"networks":["127.0.0.62/31"],"secret":"covered"}]}`)},
	}
	at, left, err := Here(all)
	if err != nil || len(at) != 3 || len(left) != 2 {
		t.Fatalf("%+v %v %v", at, left, err)
	}
	if r := at[0]; r.Application != "wide" || r.Secret != "wide" || r.From.String() != "127.0.0.1" {
		t.Errorf("%+v", r)
	}
	if r := at[1]; r.Application != "gate" || r.Secret != "near" || r.From.String() != "127.0.0.62" || r.Mode != Appended || r.Separator != "," || !r.BindClient {
		t.Errorf("%+v", r)
	}
	if r := at[2]; r.Application != "covered" || r.From.String() != "127.0.0.63" {
		t.Errorf("%+v: the address is another's whose network is narrower", r)
	}
	if left["RADIUS for far"] == "" || left["RADIUS for named"] == "" {
		t.Error(left)
	}
	if _, _, err := Here([]Configured{{"broken", json.RawMessage(`{"clients":"a secret"`)}}); err == nil || err.Error() != "the settings of broken cannot be read" {
		t.Error(err)
	}
}
