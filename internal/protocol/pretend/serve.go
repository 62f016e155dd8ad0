package pretend

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"countersign/internal/metrics"
	"countersign/internal/prompt"
	"countersign/internal/protocol"
	"countersign/internal/signin"
)

// Path is where it is asked by HTTP.
const Path = "/pretend"

// lines is the name of its metric.
const lines = "countersign_pretend_lines_total"

// Line is what it is asked on a socket, as one line of JSON.
type Line struct {
	Station  string `json:"station"`
	Word     string `json:"word"`
	Name     string `json:"name"`
	Password string `json:"password"`
	Code     string `json:"code"`
}

// service answers, and counts the lines that sockets brought.
type service struct {
	protocol.Parts
	lines atomic.Uint64
}

func open(p protocol.Parts) (protocol.Service, error) {
	s := &service{Parts: p}
	return protocol.Service{Handle: func(mux *http.ServeMux) { mux.Handle("POST "+Path, s) }, Listen: s.listen, Metrics: s.count}, nil
}

// ServeHTTP answers a form with the fields of a [Line].
func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	field := r.PostFormValue
	io.WriteString(w, s.answer(r.Context(), Line{Station: field("station"), Word: field("word"), Name: field("name"), Password: field("password"), Code: field("code")})) //nolint:errcheck // the client went away
}

// answer asks the engine. Only a Grant is "yes".
func (s *service) answer(ctx context.Context, l Line) string {
	app, greeting := s.asker(ctx, l)
	answer := "no"
	if app != "" {
		step, err := s.Engine.Begin(ctx, signin.Request{Application: app, Name: l.Name, Protocol: Protocol, Medium: prompt.Single, Partner: l.Station,
			Opening: []prompt.Answer{{Authenticator: "password", Text: l.Password}, {Authenticator: signin.AnyCode, Text: l.Code}}})
		if err == nil && step.State == signin.Granted {
			answer = "yes"
		}
	}
	return strings.TrimSpace(greeting + " " + answer)
}

// asker finds the application of the station that asks; empty if no application has it.
func (s *service) asker(ctx context.Context, l Line) (name, greeting string) {
	all, err := s.Applications.ByProtocol(ctx, Protocol)
	if err != nil {
		return "", ""
	}
	for _, a := range all {
		settings, _ := parse(a.Settings)
		for _, one := range settings.Stations {
			if fmt.Sprint(one.Number) == l.Station && one.Word == l.Word {
				return a.Name, settings.Greeting
			}
		}
	}
	return "", ""
}

// count is its metric.
func (s *service) count(context.Context) ([]metrics.Sample, error) {
	return []metrics.Sample{{Name: lines, Help: "Lines that sockets brought.", Kind: metrics.Counter, Value: float64(s.lines.Load())}}, nil
}

// listen opens TCP sockets.
func (s *service) listen(addresses []string) (protocol.Sockets, error) {
	var all []net.Listener
	var sockets protocol.Sockets
	for _, address := range addresses {
		l, err := net.Listen("tcp", address)
		if err != nil {
			return protocol.Sockets{}, errors.Join(err, closeAll(all))
		}
		all, sockets.Addresses = append(all, l), append(sockets.Addresses, l.Addr())
	}
	sockets.Serve = func(ctx context.Context) error { return s.serve(ctx, all) }
	return sockets, nil
}

func closeAll(all []net.Listener) error {
	var errs []error
	for _, l := range all {
		errs = append(errs, l.Close())
	}
	return errors.Join(errs...)
}

// serve answers until ctx ends or a socket breaks, and finishes what is in flight.
func (s *service) serve(ctx context.Context, all []net.Listener) error {
	broken := make(chan error, len(all))
	var working sync.WaitGroup
	for _, l := range all {
		working.Go(func() {
			for {
				conn, err := l.Accept()
				if err != nil {
					broken <- err
					return
				}
				working.Go(func() { s.converse(ctx, conn) })
			}
		})
	}
	var err error
	select {
	case <-ctx.Done():
	case err = <-broken:
	}
	err = errors.Join(err, closeAll(all))
	working.Wait()
	return err
}

// most is the longest line, in bytes, and patience how long one may take to arrive.
const (
	most     = 4096
	patience = 5 * time.Second
)

// converse answers one line. One that is no JSON is answered "no", and one that does not
// end gets no answer. The end of the server does not interrupt it.
func (s *service) converse(ctx context.Context, conn net.Conn) {
	defer conn.Close()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	conn.SetDeadline(time.Now().Add(patience)) //nolint:errcheck // a connection that is closed cannot be read
	text, err := bufio.NewReader(io.LimitReader(conn, most)).ReadBytes('\n')
	if err != nil {
		return
	}
	s.lines.Add(1)
	answer := "no"
	if l := (Line{}); json.Unmarshal(text, &l) == nil {
		answer = s.answer(ctx, l)
	}
	fmt.Fprintln(conn, answer) //nolint:errcheck // the client went away
}
