package application

import (
	"bytes"
	"encoding/json"

	"countersign/internal/admin"
	"countersign/internal/failure"
)

// HiddenSecret stands for a secret that is not shown. Where settings that are to
// be saved say it, the stored secret of the same place stays.
const HiddenSecret = admin.Hidden

// Hide puts HiddenSecret in the place of each setting that is a secret by its name, inside a
// decoded value, and returns the value.
func Hide(secret func(setting string) bool, v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k, inner := range v {
			if secret(k) {
				v[k] = HiddenSecret
				continue
			}
			v[k] = Hide(secret, inner)
		}
	case []any:
		for i := range v {
			v[i] = Hide(secret, v[i])
		}
	}
	return v
}

// keepSecrets puts the stored secrets back where the settings say that they are
// hidden. The same place is the same keys, and in a list the element of the same
// name; what has no stored secret there is Invalid, so that none of them ever
// moves to something else.
func keepSecrets(secret func(setting string) bool, settings, stored json.RawMessage) (json.RawMessage, error) {
	if !bytes.Contains(settings, []byte(HiddenSecret)) {
		return settings, nil
	}
	now, err := Decoded(settings)
	if err != nil {
		return settings, nil // the protocol says what is wrong with it
	}
	before, err := Decoded(stored)
	if err != nil {
		before = nil
	}
	out, err := keeper(secret).restored(now, before, "the application")
	if err != nil {
		return nil, err
	}
	return json.Marshal(out)
}

// Decoded reads a value and keeps numbers as they are written.
func Decoded(raw []byte) (v any, err error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	err = d.Decode(&v)
	return v, err
}

// keeper says which settings are secrets.
type keeper func(setting string) bool

func (k keeper) restored(now, before any, of string) (any, error) {
	switch now := now.(type) {
	case map[string]any:
		old, _ := before.(map[string]any)
		if name, ok := now["name"].(string); ok {
			of = name
		}
		for key, inner := range now {
			var err error
			if k(key) && inner == HiddenSecret {
				secret, ok := old[key].(string)
				if !ok {
					return nil, failure.At("settings", failure.New(failure.Invalid, "There is no stored secret of %s to keep; write a new one.", of))
				}
				now[key] = secret
			} else if now[key], err = k.restored(inner, old[key], of); err != nil {
				return nil, err
			}
		}
	case []any:
		old, _ := before.([]any)
		for i, inner := range now {
			var err error
			if now[i], err = k.restored(inner, sameName(inner, old), of); err != nil {
				return nil, err
			}
		}
	}
	return now, nil
}

// sameName returns the one element that bears the name, or nothing.
func sameName(v any, among []any) any {
	m, _ := v.(map[string]any)
	name, ok := m["name"].(string)
	if !ok || name == "" {
		return nil
	}
	var found any
	for _, other := range among {
		if o, _ := other.(map[string]any); o["name"] == name {
			if found != nil {
				return nil
			}
			found = other
		}
	}
	return found
}
