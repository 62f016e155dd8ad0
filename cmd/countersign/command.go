package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"countersign/internal/admin"
	words "countersign/internal/text"
	"countersign/internal/web/api"
)

// do is one command of admin as one of the command line: its fields are the
// arguments and flags.
type do[T any] struct {
	Command T `embed:""`
}

// Run has the server do it.
func (d *do[T]) Run(ctx context.Context, conn *connection) error {
	c, err := conn.connect()
	if err != nil {
		return err
	}
	cmd, ok := any(&d.Command).(admin.Command)
	if !ok {
		return errors.New("that is no command")
	}
	if err := c.build(cmd); err != nil {
		return err
	}
	answer, err := c.do(ctx, cmd)
	if err != nil {
		return err
	}
	if err := c.saw(cmd, answer); err != nil {
		return err
	}
	return c.print(os.Stdout, answer)
}

// do sends a command, and has it approved where it must be.
func (c *client) do(ctx context.Context, cmd admin.Command) (json.RawMessage, error) {
	var raw json.RawMessage
	status, err := c.call(ctx, "POST", api.Root+"commands/"+cmd.Action(), cmd, &raw)
	if err != nil || status != 202 {
		return raw, err
	}
	if c.login.Terminal {
		return c.approveHere(ctx, cmd)
	}
	var a api.Approval
	if err := json.Unmarshal(raw, &a); err != nil {
		return nil, err
	}
	fmt.Fprintf(os.Stderr, "This needs your approval:\n\n  %s\n\nApprove it in your browser, within 10 minutes:\n\n  %s\n\n", words.Seen(a.Text), words.Seen(a.Page))
	open(a.Page)
	return c.await(ctx, a)
}

// pace is how often the command line asks whether an approval was given.
const pace = time.Second

func (c *client) await(ctx context.Context, a api.Approval) (json.RawMessage, error) {
	for time.Now().Before(a.Expires) {
		var s api.ApprovalState
		if _, err := c.call(ctx, "POST", api.Root+"approval", api.ApprovalWait{Wait: a.Wait}, &s); err != nil {
			return nil, err
		}
		switch s.State {
		case "done":
			if s.Detail != "" {
				fmt.Fprintln(os.Stderr, words.Lines(s.Detail))
			}
			return s.Answer, nil
		case "refused":
			return nil, errors.New(s.Detail)
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(pace):
		}
	}
	return nil, errors.New("nobody approved it in time; nothing was changed")
}

// Nouns of the command line. Each verb is a command of admin; a test compares
// the two lists.
type (
	accountCommand struct {
		List      do[admin.AccountList]      `cmd:"" help:"List accounts by name."`
		Show      do[admin.AccountShow]      `cmd:"" help:"Show one account with its authenticators and sessions."`
		Create    do[admin.AccountCreate]    `cmd:"" help:"Create an account. It has no access until somebody else issues a pass."`
		Suspend   do[admin.AccountSuspend]   `cmd:"" help:"Suspend an account: it gets nothing and its sessions end."`
		Remove    do[admin.AccountRemove]    `cmd:"" help:"Remove an account for good; what the log says of it stays."`
		Resume    do[admin.AccountResume]    `cmd:"" help:"Resume a suspended or dormant account."`
		Open      do[admin.AccountOpen]      `cmd:"" help:"Forget wrong answers, so that authenticators that were closed by them are open again."`
		ClearRisk do[admin.AccountClearRisk] `cmd:"" help:"Say that an account is at risk no more, whose owner reported a sign-in."`
	}
	passCommand struct {
		Issue do[admin.PassIssue] `cmd:"" help:"Issue a temporary access pass to somebody else."`
	}
	recoveryCommand struct {
		List    do[admin.RecoveryList]    `cmd:"" default:"withargs" help:"List recoveries of accounts, newest first."`
		Open    do[admin.RecoveryOpen]    `cmd:"" help:"Begin a recovery for the person who reads you the number in their browser."`
		Confirm do[admin.RecoveryConfirm] `cmd:"" help:"Confirm a recovery as the second person, so that nobody has to wait."`
		Stop    do[admin.RecoveryStop]    `cmd:"" help:"Stop a recovery that is under way."`
	}
	keyCommand struct {
		Issue do[admin.KeyIssue] `cmd:"" help:"Issue an automation key to a service account."`
	}
	sessionCommand struct {
		End do[admin.SessionEnd] `cmd:"" help:"End one or all sessions of an account."`
	}
	authenticatorCommand struct {
		Revoke do[admin.AuthenticatorRevoke] `cmd:"" help:"Revoke somebody's authenticator, or an automation key."`
	}
	promptsCommand struct {
		Show do[admin.PromptsShow] `cmd:"" default:"withargs" help:"Count the requests to approve sign-ins elsewhere, by day and by what became of them."`
	}
	offlineCommand struct {
		List      do[admin.OfflineList]      `cmd:"" default:"withargs" help:"List the lists of codes for local accounts of hosts."`
		Issue     do[admin.OfflineIssue]     `cmd:"" help:"Make a list of codes for a local account of a host. It is shown once."`
		Reconcile do[admin.OfflineReconcile] `cmd:"" help:"Take over which codes were used on a host while it could not ask."`
		Revoke    do[admin.OfflineRevoke]    `cmd:"" help:"Forget a list of codes of a host."`
	}
	quietCommand struct {
		Clear do[admin.QuietClear] `cmd:"" help:"Take away the quiet hours that somebody has set, so that everybody's count."`
	}
	certificateCommand struct {
		Assign do[admin.CertificateAssign] `cmd:"" help:"Make a card's certificate an authenticator of somebody else's."`
	}
	groupCommand struct {
		List   do[admin.GroupList]   `cmd:"" help:"List groups."`
		Show   do[admin.GroupShow]   `cmd:"" help:"Show a group and its members."`
		Create do[admin.GroupCreate] `cmd:"" help:"Create a group."`
		Remove do[admin.GroupRemove] `cmd:"" help:"Remove a group that is empty and that the policy does not mention."`
		Member struct {
			Add    do[admin.MemberAdd]    `cmd:"" help:"Add an account to a group."`
			Remove do[admin.MemberRemove] `cmd:"" help:"Remove an account from a group."`
		} `cmd:"" help:"Who is in a group."`
	}
	applicationCommand struct {
		List   do[admin.ApplicationList]   `cmd:"" help:"List applications."`
		Show   do[admin.ApplicationShow]   `cmd:"" help:"Show an application with its settings; secrets are hidden."`
		Set    do[admin.ApplicationSet]    `cmd:"" help:"Add or change an application."`
		Remove do[admin.ApplicationRemove] `cmd:"" help:"Remove an application."`
	}
)
