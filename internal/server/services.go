package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"

	"countersign/internal/metrics"
	"countersign/internal/protocol"
)

// service is a protocol of the list at work.
type service struct {
	of protocol.Description
	protocol.Service
}

// openProtocols opens what serves each protocol of the list, in its order.
func (in *Installation) openProtocols(p protocol.Parts) error {
	p.Devices = devicesOf(in)
	for _, d := range in.protocols {
		if d.Open == nil {
			continue
		}
		opened, err := d.Open(p)
		if err != nil {
			return fmt.Errorf("the protocol %s cannot be served: %w", d.Name, err)
		}
		in.services = append(in.services, service{d, opened})
	}
	return nil
}

// handleProtocols mounts what protocols serve by HTTP.
func (in *Installation) handleProtocols(mux *http.ServeMux) {
	for _, s := range in.services {
		if s.Handle != nil {
			s.Handle(mux)
		}
	}
}

// strict puts the headers of pages before next, where no protocol says otherwise, and then
// the protocols that must see a request first.
func (in *Installation) strict(set func(next http.Handler, proxies, foreign []string) http.Handler, next http.Handler) http.Handler {
	var proxies, foreign []string
	for _, s := range in.services {
		proxies, foreign = append(proxies, s.of.ProxyPaths...), append(foreign, s.of.ForeignPaths...)
	}
	all := set(next, proxies, foreign)
	for _, s := range slices.Backward(in.services) {
		if s.Around != nil {
			all = s.Around(all)
		}
	}
	return all
}

// left is where a browser goes on whose session is ended at our pages: through each protocol that
// has applications to tell; empty where none has.
func (in *Installation) left(ctx context.Context, session string) (to string, err error) {
	for _, s := range in.services {
		if s.Left == nil {
			continue
		}
		if to, err = s.Left(ctx, session, to); err != nil {
			return "", err
		}
	}
	return to, nil
}

// Work does what protocols do beside what they serve until ctx ends, and closes the channel that it
// returns when they have finished.
func (in *Installation) Work(ctx context.Context) (stopped <-chan struct{}) {
	var working sync.WaitGroup
	for _, s := range in.services {
		if s.Work != nil {
			working.Go(func() { s.Work(ctx) })
		}
	}
	done := make(chan struct{})
	go func() { working.Wait(); close(done) }()
	return done
}

// ProtocolMetrics returns the sources of the protocols that measure something, by name.
func (in *Installation) ProtocolMetrics() map[string]metrics.Source {
	out := map[string]metrics.Source{}
	for _, s := range in.services {
		if s.Metrics != nil {
			out[s.of.Name] = s.Metrics
		}
	}
	return out
}

// Listening are the names of the protocols that can open sockets, in the list's order.
func (in *Installation) Listening() []string {
	var out []string
	for _, s := range in.services {
		if s.Listen != nil {
			out = append(out, s.of.Name)
		}
	}
	return out
}

// Listen opens the sockets of protocols at addresses, which are given by the protocol's
// name; none are opened for a protocol without addresses. After an error some may be open:
// the caller ends.
func (in *Installation) Listen(addresses map[string][]string) (map[string]protocol.Sockets, error) {
	out := map[string]protocol.Sockets{}
	for name, at := range addresses {
		if len(at) == 0 {
			continue
		}
		i := slices.IndexFunc(in.services, func(s service) bool { return s.of.Name == name && s.Listen != nil })
		if i < 0 {
			return nil, fmt.Errorf("no protocol %q listens on addresses, only %s: remove its addresses from the configuration", name, strings.Join(in.Listening(), ", "))
		}
		sockets, err := in.services[i].Listen(at)
		var op *net.OpError
		if errors.As(err, &op) && op.Addr != nil {
			err = portTaken(name+".listen", op.Addr.String(), err)
		}
		if err != nil {
			return nil, err
		}
		out[name] = sockets
	}
	in.listening.Store(&out)
	return out, nil
}

// unheard reports whether a protocol has addresses of its own and listens on none.
func (in *Installation) unheard(protocol string) bool {
	if open := in.listening.Load(); open != nil {
		if _, heard := (*open)[protocol]; heard {
			return false
		}
	}
	return slices.Contains(in.Listening(), protocol)
}

// socketsOf are the addresses at which a protocol listens; none before [Installation.Listen].
func (in *Installation) socketsOf(name string) []string {
	var out []string
	if open := in.listening.Load(); open != nil {
		for _, a := range (*open)[name].Addresses {
			out = append(out, a.String())
		}
	}
	return out
}

// ServeSockets serves on sockets until ctx ends and what is in flight is finished, then
// closes the channel that it returns. Failed receives an error of each that breaks.
func ServeSockets(ctx context.Context, sockets map[string]protocol.Sockets, failed func(error)) (stopped <-chan struct{}) {
	var serving sync.WaitGroup
	for _, s := range sockets {
		serving.Go(func() {
			if err := s.Serve(ctx); err != nil {
				failed(err)
			}
		})
	}
	done := make(chan struct{})
	go func() { serving.Wait(); close(done) }()
	return done
}
