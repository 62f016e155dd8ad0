package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	"countersign/internal/server"
)

// onSocket makes sure that the server is on this machine.
func onSocket(conn *connection) (*client, error) {
	c, err := conn.connect()
	if err == nil && (strings.HasPrefix(c.Server, "http://") || strings.HasPrefix(c.Server, "https://")) {
		err = errors.New("that is done on the server's own machine: name its data folder with --server")
	}
	return c, err
}

type reloadCommand struct{}

// Run has the server read its configuration again.
func (reloadCommand) Run(ctx context.Context, conn *connection) error {
	c, err := onSocket(conn)
	if err != nil {
		return err
	}
	var raw json.RawMessage
	if _, err := c.call(ctx, "POST", "/local/reload", nil, &raw); err != nil || c.JSON {
		return errors.Join(err, c.printIf(raw))
	}
	var r server.Reloaded
	if err := json.Unmarshal(raw, &r); err != nil {
		return err
	}
	switch {
	case len(r.Changed)+len(r.NeedsRestart) == 0:
		fmt.Println("Nothing has changed.")
	case len(r.Changed) > 0:
		fmt.Println("In force:", strings.Join(r.Changed, ", "))
	}
	if len(r.NeedsRestart) > 0 {
		fmt.Println("After a restart:", strings.Join(r.NeedsRestart, ", "))
	}
	return nil
}

func (c *client) printIf(raw json.RawMessage) error {
	if raw == nil {
		return nil
	}
	return c.print(os.Stdout, raw)
}

type readyCommand struct{}

// Run asks the server whether it is ready, for what watches it without a browser.
func (readyCommand) Run(ctx context.Context, conn *connection) error {
	c, err := onSocket(conn)
	if err != nil {
		return err
	}
	if _, err := c.call(ctx, "GET", "/local/ready", nil, nil); err != nil {
		return err
	}
	if c.JSON {
		return c.print(os.Stdout, json.RawMessage(`{"ready":true}`))
	}
	fmt.Println("The server is ready.")
	return nil
}

type setupLinkCommand struct{}

// Run prints a new link for the first administrator, while there is none.
func (setupLinkCommand) Run(ctx context.Context, conn *connection) error {
	c, err := onSocket(conn)
	if err != nil {
		return err
	}
	var raw json.RawMessage
	if _, err := c.call(ctx, "POST", "/local/setup-link", nil, &raw); err != nil {
		return err
	}
	return c.print(os.Stdout, raw)
}

type recoverCommand struct {
	Account   string `arg:"" help:"The administrator who cannot sign in."`
	Reason    string `required:"" help:"Why; every administrator is told."`
	Forgotten bool   `name:"forgotten-password" help:"Their password is forgotten too: revoke it."`
}

// Run issues a pass for an administrator, where the configuration allows it.
func (r *recoverCommand) Run(ctx context.Context, conn *connection) error {
	c, err := onSocket(conn)
	if err != nil {
		return err
	}
	var raw json.RawMessage
	if _, err := c.call(ctx, "POST", "/local/recover", server.LocalRecovery{Account: r.Account, Reason: r.Reason, Forgotten: r.Forgotten}, &raw); err != nil {
		return err
	}
	return c.print(os.Stdout, raw)
}
