package application

import (
	"encoding/json"
	"strings"
	"testing"

	"countersign/internal/failure"
	"countersign/internal/protocol"
)

const storedClients = `{"clients":[{"name":"a","networks":["10.0.0.1"],"secret":"secret-of-a"},{"name":"b","networks":["10.0.0.2"],"secret":"secret-of-b"}],"timeout":5}`

// The promise: a secret stays where it was and goes nowhere else, whatever the
// order of the elements; and nothing but the word itself keeps one.
func TestSecretsAreKeptInTheirPlace(t *testing.T) {
	const hidden = `{"clients":[{"name":"b","networks":["10.9.0.0/16"],"secret":"(hidden)"},{"name":"a","secret":"a-new-one"}],"timeout":7}`
	out, err := keepSecrets(protocol.List{}.Secret, json.RawMessage(hidden), json.RawMessage(storedClients))
	if err != nil {
		t.Fatal(err)
	}
	var s struct {
		Clients []struct{ Name, Secret string }
		Timeout json.Number
	}
	if err := json.Unmarshal(out, &s); err != nil {
		t.Fatal(err)
	}
	if s.Clients[0].Secret != "secret-of-b" || s.Clients[1].Secret != "a-new-one" || s.Timeout != "7" {
		t.Errorf("got %s", out)
	}
	plain := json.RawMessage(`{"clients": [ {"secret":"x"} ]}`)
	if out, err := keepSecrets(protocol.List{}.Secret, plain, json.RawMessage(storedClients)); err != nil || string(out) != string(plain) {
		t.Errorf("settings without a hidden secret became %s (%v)", out, err)
	}
}

func TestHiddenSecretsAreNotMoved(t *testing.T) {
	for name, settings := range map[string]string{
		"another name":       `{"clients":[{"name":"mallory","networks":["10.0.0.1"],"secret":"(hidden)"}]}`,
		"no name":            `{"clients":[{"networks":["10.0.0.1"],"secret":"(hidden)"}]}`,
		"another key":        `{"clients":[{"name":"a","other_secret":"(hidden)"}]}`,
		"another depth":      `{"name":"a","secret":"(hidden)"}`,
		"another list":       `{"servers":[{"name":"a","secret":"(hidden)"}]}`,
		"deeper in its like": `{"clients":[{"name":"a","inner":[{"name":"b","secret":"(hidden)"}],"secret":"(hidden)"}]}`,
	} {
		out, err := keepSecrets(protocol.List{}.Secret, json.RawMessage(settings), json.RawMessage(storedClients))
		if failure.ClassOf(err) != failure.Invalid || failure.FieldOf(err) != "settings" {
			t.Errorf("%s: %v, %s", name, err, out)
		}
	}
	if _, err := keepSecrets(protocol.List{}.Secret, json.RawMessage(`{"secret":"(hidden)"}`), nil); failure.ClassOf(err) != failure.Invalid {
		t.Errorf("nothing stored: %v", err)
	}
	// The word in a place that is not a secret's is a word.
	out, err := keepSecrets(protocol.List{}.Secret, json.RawMessage(`{"clients":[{"name":"a","networks":["(hidden)"]}]}`), json.RawMessage(storedClients))
	if err != nil || strings.Contains(string(out), "secret-of-a") {
		t.Errorf("%s, %v", out, err)
	}
	two := `{"clients":[{"name":"a","secret":"one"},{"name":"a","secret":"two"}]}`
	if _, err := keepSecrets(protocol.List{}.Secret, json.RawMessage(`{"clients":[{"name":"a","secret":"(hidden)"}]}`), json.RawMessage(two)); err == nil {
		t.Error("of two stored ones of one name, one was taken")
	}
}

func FuzzKeepSecrets(f *testing.F) {
	f.Add(storedClients, `{"clients":[{"name":"a","secret":"(hidden)"}]}`)
	f.Add(`[]`, `{"secret":"(hidden)"}`)
	f.Fuzz(func(t *testing.T, stored, settings string) {
		out, err := keepSecrets(protocol.List{}.Secret, json.RawMessage(settings), json.RawMessage(stored))
		if err == nil && string(out) != settings && !json.Valid(out) {
			t.Errorf("not JSON: %s", out)
		}
	})
}
