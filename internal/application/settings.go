package application

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"

	"countersign/internal/failure"
)

// ReadSettings strictly decodes an application's settings into those of its protocol, a
// pointer. The error is an Invalid failure with one sentence. It never holds a value of
// the settings, which may be a secret.
func ReadSettings(raw json.RawMessage, settings any) error {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	err := d.Decode(settings)
	if err == nil {
		if _, err := d.Token(); !errors.Is(err, io.EOF) {
			return failure.New(failure.Invalid, "There is something after the end of the settings.")
		}
		return nil
	}
	if t, ok := errors.AsType[*json.UnmarshalTypeError](err); ok && t.Field != "" {
		return failure.New(failure.Invalid, "The setting %s cannot be a %s.", t.Field, t.Value)
	}
	if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		return failure.New(failure.Invalid, "There is no setting %s.", name)
	}
	return failure.New(failure.Invalid, "The settings are not the JSON object that they should be.")
}

// BoundSessions is the one value of the setting sessions, which protocols of browsers share: the
// application takes sessions alone that are bound to their device. Empty takes every one.
const BoundSessions = "bound"

// CheckSessions says what is wrong with the setting sessions.
func CheckSessions(value string) error {
	if value != "" && value != BoundSessions {
		return failure.New(failure.Invalid, "%q is not what can be asked of sessions; use %q, or leave it out.", value, BoundSessions)
	}
	return nil
}

// demandsBound reports whether settings take bound sessions alone. Those that cannot be read are
// their protocol's, which serves nothing by them.
func demandsBound(settings json.RawMessage) bool {
	var shared struct {
		Sessions string `json:"sessions"`
	}
	return json.Unmarshal(settings, &shared) == nil && shared.Sessions == BoundSessions
}
