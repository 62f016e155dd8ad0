package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"countersign/internal/admin"
	"countersign/internal/admin/account"
	"countersign/internal/admin/application"
	"countersign/internal/admin/authenticator"
	admincertificate "countersign/internal/admin/certificate"
	connections "countersign/internal/admin/connection"
	"countersign/internal/admin/group"
	"countersign/internal/admin/hostcodes"
	"countersign/internal/admin/key"
	"countersign/internal/admin/partner"
	"countersign/internal/admin/pass"
	"countersign/internal/admin/prompts"
	"countersign/internal/admin/provisioning"
	"countersign/internal/admin/quiet"
	"countersign/internal/admin/recovery"
	"countersign/internal/admin/rollover"
	"countersign/internal/admin/session"
	"countersign/internal/admin/signal"
	"countersign/internal/admin/upstream"
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
	sayReading(os.Stderr, a.Text, a.Reading)
	fmt.Fprintf(os.Stderr, "Approve it in your browser, within 10 minutes:\n\n  %s\n\n", words.Seen(a.Page))
	if c.NoWait {
		return nil, c.leave(a)
	}
	open(a.Page)
	return c.await(ctx, a)
}

// errUnapproved is a change that waits for its approval.
var errUnapproved = errors.New("it waits for your approval; nothing was changed")

// leave says how to ask for the answer later.
func (c *client) leave(a api.Approval) error {
	if c.JSON {
		return errors.Join(json.NewEncoder(os.Stdout).Encode(a), errUnapproved)
	}
	_, err := fmt.Printf("Then ask for its answer, once:\n\n  countersign approval %s\n", a.Wait)
	return errors.Join(err, errUnapproved)
}

// approvalCommand is the second half of a change that --no-wait began.
type approvalCommand struct {
	Wait string `arg:"" help:"What the change was answered with; - reads standard input."`
}

// Run prints the answer, or ends with 3 while nobody has approved the change.
func (a *approvalCommand) Run(ctx context.Context, conn *connection) error {
	c, err := conn.connect()
	if err != nil {
		return err
	}
	if a.Wait == "-" {
		b, err := readInput(a.Wait)
		if err != nil {
			return err
		}
		a.Wait = strings.TrimSpace(string(b))
	}
	answer, done, err := c.asked(ctx, a.Wait)
	if err != nil {
		return err
	}
	if !done {
		fmt.Fprintln(os.Stderr, "It still waits for your approval in the browser.")
		return errUnapproved
	}
	return c.print(os.Stdout, answer)
}

// asked asks once after an approval.
func (c *client) asked(ctx context.Context, wait string) (answer json.RawMessage, done bool, err error) {
	var s api.ApprovalState
	if _, err := c.call(ctx, "POST", api.Root+"approval", api.ApprovalWait{Wait: wait}, &s); err != nil {
		return nil, false, err
	}
	switch s.State {
	case "done":
		if s.Detail != "" {
			fmt.Fprintln(os.Stderr, words.Lines(s.Detail))
		}
		return s.Answer, true, nil
	case "refused":
		return nil, false, errors.New(s.Detail)
	}
	return nil, false, nil
}

// pace is how often the command line asks whether an approval was given.
const pace = time.Second

func (c *client) await(ctx context.Context, a api.Approval) (json.RawMessage, error) {
	for time.Now().Before(a.Expires) {
		if answer, done, err := c.asked(ctx, a.Wait); err != nil || done {
			return answer, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(pace):
		}
	}
	return nil, errors.New("nobody approved it in time; nothing was changed")
}

// Nouns of the command line. Each verb is a command of admin, and its summary is the one
// that admin's list has; a test compares the two lists.
type (
	accountCommand struct {
		List       do[account.List]       `cmd:""`
		Show       do[account.Show]       `cmd:""`
		Create     do[account.Create]     `cmd:""`
		Suspend    do[account.Suspend]    `cmd:""`
		Remove     do[account.Remove]     `cmd:""`
		Resume     do[account.Resume]     `cmd:""`
		Open       do[account.Open]       `cmd:""`
		ClearRisk  do[account.ClearRisk]  `cmd:""`
		SetEnd     do[account.SetEnd]     `cmd:""`
		Import     accountImport          `cmd:"" help:"Say what a file of people holds, and with --commit make their accounts."`
		Preview    accountPreview         `cmd:"" help:"Say what importing a file of people would do; the same as import without --commit."`
		Stage      accountStage           `cmd:"" help:"Send a file of people and print what account.import is to be asked with, for programs."`
		Rename     do[account.Rename]     `cmd:""`
		SetDisplay do[account.SetDisplay] `cmd:""`
		SetMail    do[account.SetMail]    `cmd:""`

		SetExternal do[account.SetExternal] `cmd:""`
		Links       do[account.Links]       `cmd:""`
		Link        do[account.LinkTo]      `cmd:""`
		Unlink      do[account.Unlink]      `cmd:""`
	}
	passCommand struct {
		Issue       do[pass.Issue]    `cmd:""`
		Invite      do[pass.Invite]   `cmd:""`
		Letter      letterCommand     `cmd:""`
		Uninvite    do[pass.Uninvite] `cmd:""`
		Invitations do[pass.Invitees] `cmd:""`
	}
	recoveryCommand struct {
		List    do[recovery.List]    `cmd:"" default:"withargs"`
		Open    do[recovery.Open]    `cmd:""`
		Confirm do[recovery.Confirm] `cmd:""`
		Stop    do[recovery.Stop]    `cmd:""`
	}
	keyCommand struct {
		Issue do[key.Issue] `cmd:""`
	}
	sessionCommand struct {
		End do[session.End] `cmd:""`
	}
	authenticatorCommand struct {
		Revoke do[authenticator.Revoke] `cmd:""`
	}
	promptsCommand struct {
		Show do[prompts.Show] `cmd:"" default:"withargs"`
	}
	hostCodesCommand struct {
		List      do[hostcodes.List]      `cmd:"" default:"withargs"`
		Issue     do[hostcodes.Issue]     `cmd:""`
		Reconcile do[hostcodes.Reconcile] `cmd:""`
		Revoke    do[hostcodes.Revoke]    `cmd:""`
	}
	upstreamCommand struct {
		List      do[upstream.List]      `cmd:"" default:"withargs"`
		Show      do[upstream.Show]      `cmd:""`
		Test      do[upstream.Test]      `cmd:""`
		Set       do[upstream.Set]       `cmd:""`
		AcceptKey do[upstream.AcceptKey] `cmd:""`
		Link      do[upstream.Link]      `cmd:""`
		Unlink    do[upstream.Unlink]    `cmd:""`
		Remove    do[upstream.Remove]    `cmd:""`
	}
	partnerCommand struct {
		List     do[partner.List]     `cmd:"" default:"withargs"`
		Show     do[partner.Show]     `cmd:""`
		Report   do[partner.Report]   `cmd:""`
		Create   do[partner.Create]   `cmd:""`
		Change   do[partner.Change]   `cmd:""`
		Delegate do[partner.Delegate] `cmd:""`
		Approve  do[partner.Approve]  `cmd:""`
		End      do[partner.End]      `cmd:""`
		Stop     do[partner.Stop]     `cmd:""`
		Remove   do[partner.Remove]   `cmd:""`
	}
	provisioningCommand struct {
		List    do[provisioning.List]    `cmd:"" default:"withargs"`
		Show    do[provisioning.Show]    `cmd:""`
		Compare do[provisioning.Compare] `cmd:""`
		Set     do[provisioning.Set]     `cmd:""`
		Mend    do[provisioning.Mend]    `cmd:""`
		Release do[provisioning.Release] `cmd:""`
		Remove  do[provisioning.Remove]  `cmd:""`
	}
	rolloverCommand struct {
		Show     do[rollover.Show]     `cmd:"" default:"withargs"`
		Announce do[rollover.Announce] `cmd:""`
		Switch   do[rollover.Switch]   `cmd:""`
		Retire   do[rollover.Retire]   `cmd:""`
	}
	connectionCommand struct {
		List do[connections.List] `cmd:"" default:"withargs"`
		End  do[connections.End]  `cmd:""`
	}
	streamCommand struct {
		List   do[signal.ListStreams]  `cmd:""`
		Show   do[signal.ShowStream]   `cmd:""`
		Create do[signal.CreateStream] `cmd:""`
		Update do[signal.UpdateStream] `cmd:""`
		Remove do[signal.RemoveStream] `cmd:""`
		Verify do[signal.Verify]       `cmd:""`
		Poll   do[signal.PollStream]   `cmd:""`

		SetStatus     do[signal.SetStatus]     `cmd:""`
		AddSubject    do[signal.AddSubject]    `cmd:""`
		RemoveSubject do[signal.RemoveSubject] `cmd:""`
	}
	sourceCommand struct {
		List      do[signal.ListSources]  `cmd:""`
		Show      do[signal.ShowSource]   `cmd:""`
		Create    do[signal.CreateSource] `cmd:""`
		Update    do[signal.UpdateSource] `cmd:""`
		Renew     do[signal.RenewSource]  `cmd:""`
		Remove    do[signal.RemoveSource] `cmd:""`
		SetStatus do[signal.SetHeard]     `cmd:""`
	}
	quietCommand struct {
		Clear do[quiet.Clear] `cmd:""`
	}
	certificateCommand struct {
		Assign do[admincertificate.Assign] `cmd:""`
	}
	groupCommand struct {
		List   do[group.List]   `cmd:""`
		Show   do[group.Show]   `cmd:""`
		Create do[group.Create] `cmd:""`
		Remove do[group.Remove] `cmd:""`
		Member struct {
			Add    do[group.MemberAdd]    `cmd:""`
			Remove do[group.MemberRemove] `cmd:""`
		} `cmd:"" help:"Who is in a group."`

		SetDisplay  do[group.SetDisplay]  `cmd:""`
		SetExternal do[group.SetExternal] `cmd:""`
	}
	applicationCommand struct {
		List    do[application.List]   `cmd:""`
		Show    do[application.Show]   `cmd:""`
		Snippet applicationSnippet     `cmd:""`
		Test    do[application.Test]   `cmd:""`
		Set     do[application.Set]    `cmd:""`
		Remove  do[application.Remove] `cmd:""`
	}
)
