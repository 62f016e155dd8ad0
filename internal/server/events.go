package server

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/config"
	"countersign/internal/events"
	"countersign/internal/failure"
	"countersign/internal/outside"
)

// destinations are what the configuration names, with their receivers. The files that it
// names are read when they are used.
func destinations(all []config.Destination, from Origin) ([]events.Destination, error) {
	var out []events.Destination
	for _, c := range all {
		if c.Kind == "dovecot" && len(c.Events) == 0 {
			c.Events = events.Ending()
		}
		receiver, err := ReceiverOf(c, from, nil)
		if err != nil {
			return nil, fmt.Errorf("events.%s: %w", c.Name, err)
		}
		out = append(out, events.Destination{Name: c.Name, Which: events.Which{Only: c.Events, Except: c.Except}, FromBeginning: c.From == "beginning", Receiver: receiver})
	}
	return out, nil
}

// Origin is what events say they come from.
type Origin struct {
	Host    string // of the public address
	Version string
}

// ReceiverOf makes the receiver of one destination. The trace hears each step; nil is nobody.
func ReceiverOf(c config.Destination, from Origin, trace events.Trace) (events.Receiver, error) {
	files := events.Files{CA: c.CA, Certificate: c.Certificate, Key: c.Key}
	switch c.Kind {
	case "syslog":
		transport := c.Transport
		if transport == "" {
			transport = events.OverTLS
		}
		return &events.Syslog{Server: c.Server, Transport: transport, Files: files, Host: from.Host, Trace: trace}, nil
	case "otlp":
		return &events.OTLP{URL: c.URL, Files: files, Header: c.Header, Value: c.Value, SecretFile: c.SecretFile, Host: from.Host, Version: from.Version, Trace: trace}, nil
	case "webhook":
		inside, err := outside.List(c.Inside)
		if err != nil {
			return nil, fmt.Errorf("inside: %w", err)
		}
		return &events.Webhook{URL: c.URL, SecretFile: c.SecretFile, Inside: inside, Files: files, Host: from.Host, Name: c.Name, Now: time.Now, Trace: trace}, nil
	}
	if c.Kind == "dovecot" {
		inside, err := outside.List(c.Inside)
		if err != nil {
			return nil, fmt.Errorf("inside: %w", err)
		}
		return &events.Dovecot{URL: c.URL, SecretFile: c.SecretFile, Inside: inside, Files: files, Trace: trace}, nil
	}
	return &events.Lines{File: c.File, Trace: trace}, nil
}

// warnOfPlain says what a destination without encryption costs.
func warnOfPlain(all []config.Destination, log *slog.Logger) {
	for _, c := range all {
		switch c.Transport {
		case events.OverTCP:
			log.Warn("a destination of the audit log has no encryption: whoever is on the way reads names and addresses, and can change or drop what is sent", "destination", c.Name, "transport", c.Transport)
		case events.OverUDP:
			log.Warn("a destination of the audit log has no encryption and no connection: whoever is on the way reads names and addresses, can change what is sent, and what is lost is lost silently", "destination", c.Name, "transport", c.Transport)
		}
	}
}

// delivery is what sends the audit log to the configured destinations.
func (in *Installation) delivery(s Settings) (*events.Delivery, error) {
	all, err := destinations(s.Events, Origin{Host: s.PublicURL.Hostname(), Version: s.Version})
	for _, d := range all {
		if mail, is := d.Receiver.(*events.Dovecot); is {
			mail.Name = calledOf(in)
		}
	}
	return events.New(events.Parts{DB: in.DB, Keys: in.Keys, Destinations: all, Now: s.Now, Log: s.Log}), err
}

// calledOf says what an account is called; one that is gone is called nothing.
func calledOf(in *Installation) func(ctx context.Context, account int64) (string, error) {
	return func(ctx context.Context, account int64) (string, error) {
		a, err := in.Accounts.Get(ctx, in.DB, assurance.AccountID(account))
		if failure.ClassOf(err) == failure.NotFound {
			return "", nil
		}
		return a.Name, err
	}
}
