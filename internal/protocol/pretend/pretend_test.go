package pretend

import (
	"encoding/json"
	"testing"
)

func TestSettings(t *testing.T) {
	const good = `{"stations":[{"name":"a","number":1,"word":"open"}]}`
	if err := CheckSettings(json.RawMessage(good)); err != nil {
		t.Error(err)
	}
	for _, bad := range []string{`{}`, `{"stations":[{"name":"a","number":0,"word":"open"}]}`, `{"stations":[{"name":"a","number":1,"word":"ope"}]}`, good + "x"} {
		if CheckSettings(json.RawMessage(bad)) == nil {
			t.Errorf("%s is taken", bad)
		}
	}
	if what, shut, err := clash(json.RawMessage(good), json.RawMessage(good)); what != "the station number 1" || !shut || err != nil {
		t.Errorf("%q, %t, %v", what, shut, err)
	}
}
