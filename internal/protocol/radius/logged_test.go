package radius_test

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"countersign/internal/application"
	"countersign/internal/protocol"
	"countersign/internal/protocol/radius"
)

// nobody is an engine that is never asked, and a catalogue without applications.
type nobody struct{ protocol.Engine }

func (nobody) ByProtocol(context.Context, string) ([]application.Application, error) { return nil, nil }
func (nobody) Changed() uint64                                                       { return 1 }

// lines is a log that may be read while it is written.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// A datagram that gets no answer is in the server's log, with its address and the reason,
// and without what was sent.
func TestDroppedRequestsAreLogged(t *testing.T) {
	var log lines
	service, err := radius.Description().Open(protocol.Parts{Engine: nobody{}, Applications: nobody{}, Now: time.Now, Log: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	sockets, err := service.Listen([]string{"127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- sockets.Serve(ctx) }()
	conn, err := net.Dial("udp", sockets.Addresses[0].String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("hunter2")); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); log.String() == "" && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	stop()
	if err := <-served; err != nil {
		t.Error(err)
	}
	got := log.String()
	if !strings.Contains(got, "level=WARN") || !strings.Contains(got, "reason=malformed from="+conn.LocalAddr().String()) || strings.Contains(got, "hunter2") {
		t.Errorf("the log says %q", got)
	}
}
