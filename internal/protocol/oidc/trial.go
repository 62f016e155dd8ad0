package oidc

import (
	"context"
	"strings"

	"countersign/internal/protocol"
)

func issuerAt(at protocol.Place) string { return strings.TrimSuffix(at.Public.String(), "/") }

// test says what was heard: nothing of a client can be asked from here.
func test(_ context.Context, t protocol.Trial) []protocol.Finding {
	return t.Overheard(issuerAt(t.Place) + authorizePath)
}
