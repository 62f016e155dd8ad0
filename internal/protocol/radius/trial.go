package radius

import (
	"context"
	"net"

	"countersign/internal/failure"
	"countersign/internal/protocol"
)

// test says what was heard of the equipment: it asks us, and nothing can be asked of it.
func test(_ context.Context, t protocol.Trial) []protocol.Finding {
	s, err := parseSettings(t.Application.Settings)
	if err != nil {
		return []protocol.Finding{protocol.Wrong("The settings cannot be read, so every request is dropped: save them again.")}
	}
	host, port, err := s.answersAt(t.Place)
	if err != nil {
		return []protocol.Finding{protocol.Wrong("%s", failure.Public(err))}
	}
	return t.Overheard(net.JoinHostPort(host, port) + " by UDP")
}
