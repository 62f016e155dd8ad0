package yubico

import (
	"encoding/json"
	"fmt"
)

// Clash says what two applications both claim: the number of a client, or empty.
func Clash(a, b json.RawMessage) (what string, shut bool, err error) {
	ours, err := parseSettings(a)
	if err != nil {
		return "", false, err
	}
	theirs, err := parseSettings(b)
	if err != nil {
		return "", false, nil //nolint:nilerr // settings that cannot be read answer nobody
	}
	for _, one := range ours.Clients {
		for _, other := range theirs.Clients {
			if one.ID == other.ID {
				return fmt.Sprintf("the client number %d", one.ID), true, nil
			}
		}
	}
	return "", false, nil
}
