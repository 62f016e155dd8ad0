package cli

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"time"

	"countersign/internal/audit"
	"countersign/internal/config"
	"countersign/internal/failure"
	"countersign/internal/server"
)

type eventsCommand struct {
	Test eventsTest `cmd:"" help:"Send one entry to a destination of the audit log, and print each step."`
}

type eventsTest struct {
	Destination string `arg:"" help:"The name of the destination in the configuration."`
	Config      string `env:"COUNTERSIGN_CONFIG" help:"Configuration file (/etc/countersign/countersign.yaml)."`
}

// testSeq is the number of an entry that is in no log.
const testSeq = -1

// Run sends an entry as the server would, with or without one running. No step shows a secret.
func (c *eventsTest) Run(ctx context.Context, conn *connection) error {
	file, path, err := configAt(c.Config)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(file.Events, func(d config.Destination) bool { return d.Name == c.Destination })
	if i < 0 {
		return fmt.Errorf("%s has no destination %q under events; it has %s", path, c.Destination, named(file.Events))
	}
	public, err := url.Parse(file.PublicURL)
	if err != nil {
		return err
	}
	tested := newTested(conn)
	receiver, err := server.ReceiverOf(file.Events[i], server.Origin{Host: public.Hostname(), Version: version}, tested.step)
	if err != nil {
		return err
	}
	defer receiver.Close()
	rejected, err := receiver.Take(ctx, []audit.Entry{{Seq: testSeq, At: time.Now(), Actor: audit.System("command line"), Event: "destination.test", Outcome: audit.OK, Application: audit.Self,
		Detail: map[string]string{"destination": c.Destination}}})
	if err == nil && rejected > 0 {
		err = errors.New("the receiver took the entry and threw it away; look into its own log")
	}
	if err != nil {
		return tested.failed(failure.Public(err), err)
	}
	return tested.accepted(fmt.Sprintf("%s took the entry destination.test with the number %d. Look for it there.", c.Destination, testSeq))
}

// named are the names of destinations, for a sentence.
func named(all []config.Destination) string {
	out := "none"
	for i, d := range all {
		if out += ", " + d.Name; i == 0 {
			out = d.Name
		}
	}
	return out
}
