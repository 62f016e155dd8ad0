package application_test

import (
	"encoding/json"
	"strings"
	"testing"

	"countersign/internal/application"
	"countersign/internal/failure"
)

// Settings are read strictly, and what is wrong is said without what was written.
func TestReadSettings(t *testing.T) {
	const hidden = "hunter2hunter2"
	for raw, want := range map[string]string{
		`{"secret": "hunter2hunter2", "port": 1}`:         "",
		`{"secret": "hunter2hunter2", "prot": 1}`:         `There is no setting "prot".`,
		`{"secret": "hunter2hunter2", "port": "1"}`:       "The setting port cannot be a string.",
		`{"secret": "hunter2hunter2"} {}`:                 "There is something after the end of the settings.",
		`{"secret": "hunter2hunter2"`:                     "The settings are not the JSON object that they should be.",
		`"hunter2hunter2"`:                                "The settings are not the JSON object that they should be.",
		``:                                                "The settings are not the JSON object that they should be.",
		`{"secret": "hunter2hunter2", "port": 1, "port":`: "The settings are not the JSON object that they should be.",
	} {
		var s struct {
			Secret string `json:"secret"`
			Port   int    `json:"port"`
		}
		err := application.ReadSettings(json.RawMessage(raw), &s)
		if want == "" {
			if err != nil || s.Secret != hidden || s.Port != 1 {
				t.Errorf("%s: %v", raw, err)
			}
			continue
		}
		if failure.ClassOf(err) != failure.Invalid || failure.Public(err) != want || strings.Contains(err.Error(), hidden) {
			t.Errorf("%s: %v", raw, err)
		}
	}
}
