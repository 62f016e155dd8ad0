package cli

import (
	"context"
	"fmt"

	"countersign/internal/notify"
	"countersign/internal/server"
)

type mailCommand struct {
	Test mailTest `cmd:"" help:"Send one mail by the configured server, and print each step of the conversation."`
}

type mailTest struct {
	Address string `arg:"" help:"Where the mail goes."`
	Config  string `env:"COUNTERSIGN_CONFIG" help:"Configuration file (/etc/countersign/countersign.yaml)."`
}

// Run sends a mail as the server would, with or without one running. No step shows the password.
func (c *mailTest) Run(ctx context.Context, conn *connection) error {
	file, path, err := configAt(c.Config)
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
	tested := newTested(conn)
	mailer.Trace = tested.step
	err = mailer.Deliver(ctx, notify.Notice{Address: c.Address, Subject: "A test of Countersign's mail",
		Body: "This mail was sent by \"countersign mail test\" for " + file.PublicURL + ". If you can read it, notices arrive.\n"})
	if err != nil {
		return tested.failed(notify.Why(err), err)
	}
	return tested.accepted(file.Mail.Server + " accepted the mail. Whether it arrives, its recipient knows.")
}
