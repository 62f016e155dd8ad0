// Package pretend is a protocol that nobody speaks: an example of all that one brings.
//
// It owns its form and its answer, yes or no: by HTTP, and as a line of JSON on sockets of
// its own. It does not decide: signin does. Only tests put it into their list, with one
// line. Its one invariant is that of every protocol: "yes" is a Grant.
package pretend

import (
	"encoding/json"
	"fmt"

	"countersign/internal/application"
	"countersign/internal/failure"
	"countersign/internal/prompt"
	"countersign/internal/protocol"
)

// Protocol is its word in applications, policy and the audit log.
const Protocol = "pretend"

// Settings are what an application of it is configured with.
type Settings struct {
	// Stations are who may ask; at least one.
	Stations []Station `json:"stations"`
	// Greeting stands before each answer.
	Greeting string `json:"greeting,omitempty"`
}

// Station is one who may ask.
type Station struct {
	Name string `json:"name"`
	// Number is of this installation's applications once.
	Number int `json:"number"`
	// Word is the secret that it shows, four characters at least.
	Word string `json:"word"`
}

// Description is what the rest of the server asks of it.
func Description() protocol.Description {
	return protocol.Description{
		Name: Protocol, Way: "by a pretence", Document: "pretend.md", Plays: prompt.Single,
		CheckSettings: CheckSettings, Clash: clash,
		Exposure: func(application.Application) (protocol.Exposure, error) {
			return protocol.Exposure{Medium: prompt.Single}, nil
		},
		Form: []protocol.Group{
			{Legend: "Stations", Help: "Who may ask.", List: "stations", Row: "station", Add: "Add a station", Remove: "Remove this station", Fields: []protocol.Field{
				{Name: "name", Label: "Name", Missing: "Every station needs a name."},
				{Name: "number", Label: "Number", Kind: protocol.Number, Missing: "Every station needs a number."},
				{Name: "word", Label: "Word", Kind: protocol.Secret, Help: "Four characters at least.", Missing: "A new station needs a word."},
			}},
			{Fields: []protocol.Field{{Name: "greeting", Label: "Greeting", Help: "Before each answer."}}},
		},
		Open:    open,
		Metrics: []string{lines},
	}
}

// CheckSettings says in one sentence what is wrong with settings.
func CheckSettings(raw json.RawMessage) error {
	s, err := parse(raw)
	if err != nil {
		return err
	}
	if len(s.Stations) == 0 {
		return failure.New(failure.Invalid, "List at least one station.")
	}
	for _, one := range s.Stations {
		if one.Name == "" || one.Number < 1 || len(one.Word) < 4 {
			return failure.New(failure.Invalid, "A station has a name, a number from 1 on and a word of four characters at least.")
		}
	}
	return nil
}

func parse(raw json.RawMessage) (s Settings, err error) {
	err = application.ReadSettings(raw, &s)
	return s, err
}

// clash says which number two applications both claim.
func clash(a, b json.RawMessage) (what string, shut bool, err error) {
	ours, err := parse(a)
	if err != nil {
		return "", false, err
	}
	theirs, err := parse(b)
	if err != nil {
		return "", false, nil //nolint:nilerr // settings that cannot be read answer nobody
	}
	for _, one := range ours.Stations {
		for _, other := range theirs.Stations {
			if one.Number == other.Number {
				return fmt.Sprintf("the station number %d", one.Number), true, nil
			}
		}
	}
	return "", false, nil
}
