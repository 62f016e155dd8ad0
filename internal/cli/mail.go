package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"countersign/internal/config"
	"countersign/internal/notify"
	"countersign/internal/server"
)

type mailCommand struct {
	Test mailTest `cmd:"" help:"Send one mail by the configured server, and print each step of the conversation."`
}

// usualConfig is where a package keeps the configuration.
const usualConfig = "/etc/countersign/countersign.yaml"

type mailTest struct {
	Address string `arg:"" help:"Where the mail goes."`
	Config  string `env:"COUNTERSIGN_CONFIG" help:"Configuration file (/etc/countersign/countersign.yaml)."`
}

// mailTested is what "mail test" found out, for --json.
type mailTested struct {
	Steps    []string `json:"steps"`
	Accepted bool     `json:"accepted"`
	Problem  string   `json:"problem,omitempty"`
}

// Run sends a mail as the server would, with or without one running. No step shows the password.
func (c *mailTest) Run(ctx context.Context, conn *connection) error {
	path := c.Config
	if path == "" {
		path = usualConfig
	}
	file, err := config.Read(path)
	if err != nil {
		return err
	}
	if file.Mail.Server == "" {
		return fmt.Errorf("%s names no mail server: set mail.server and mail.from", path)
	}
	mailer, err := server.MailerOf(file)
	if err != nil {
		return err
	}
	out := io.Writer(os.Stdout)
	if conn.JSON {
		out = io.Discard
	}
	var tested mailTested
	mailer.Trace = func(line string) {
		tested.Steps = append(tested.Steps, line)
		fmt.Fprintln(out, line)
	}
	err = mailer.Deliver(ctx, notify.Notice{Address: c.Address, Subject: "A test of Countersign's mail",
		Body: "This mail was sent by \"countersign mail test\" for " + file.PublicURL + ". If you can read it, notices arrive.\n"})
	tested.Accepted = err == nil
	if err != nil {
		tested.Problem = notify.Why(err)
	}
	if conn.JSON {
		return errors.Join(json.NewEncoder(os.Stdout).Encode(tested), err)
	}
	if err == nil {
		fmt.Printf("\n%s accepted the mail. Whether it arrives, its recipient knows.\n", file.Mail.Server)
	}
	return err
}
