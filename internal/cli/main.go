// Package cli is the command line: flags, what is printed, and what is kept of a sign-in.
//
// It owns the words, the files under the user's configuration folder (login.json,
// seen.json) and the commands that work beside no server (backup, restore, keys, rollback-recovery,
// accept). It decides nothing: what administers is a command of admin, sent to a running
// server, and what serves is [server.Serve]. Its invariant: a secret that is read or given
// is printed where it was asked for, and never in an error.
package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"reflect"
	"regexp"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"countersign/internal/admin/checklist"
	"countersign/internal/admin/nouns"
	"countersign/internal/admin/overview"
)

// version is the program's; Main sets it, once. Empty where none was built in.
var version string

type commands struct {
	connection

	Serve         serveCommand         `cmd:"" group:"server" help:"Run the server."`
	Config        configCommand        `cmd:"" group:"server" help:"Look at configuration files."`
	Language      languageCommand      `cmd:"" group:"server" help:"Files of further languages for people's pages and mails."`
	Reload        reloadCommand        `cmd:"" group:"server" help:"Have the server on this machine read its configuration again."`
	Ready         readyCommand         `cmd:"" group:"server" help:"Say whether the server on this machine is ready, for health checks."`
	SetupLink     setupLinkCommand     `cmd:"" group:"server" name:"setup-link" help:"Print a new link for the first administrator, while there is none."`
	Recover       recoverCommand       `cmd:"" group:"server" help:"Issue a pass for an administrator on the server's machine, if local_recovery allows it."`
	Mail          mailCommand          `cmd:"" group:"server" help:"Try the mail server."`
	Events        eventsCommand        `cmd:"" group:"server" help:"Try where the audit log is sent."`
	Keys          keysCommand          `cmd:"" group:"server" help:"Look at the keys of this machine, and change them."`
	Backup        backupCommand        `cmd:"" group:"server" help:"Write one encrypted file that holds the whole installation, while it runs."`
	Restore       restoreCommand       `cmd:"" group:"server" help:"Make an installation from a backup."`
	Rollback      rollbackCommand      `cmd:"" group:"server" name:"rollback-recovery" help:"After an older copy of the database was put back by other means than restore: invalidate what was used since."`
	Rewound       rollbackCommand      `cmd:"" hidden:"" name:"rewound" help:"The name that rollback-recovery had."`
	Login         loginCommand         `cmd:"" group:"you" help:"Sign in, to administer."`
	Logout        logoutCommand        `cmd:"" group:"you" help:"Sign out."`
	Whoami        whoamiCommand        `cmd:"" group:"you" help:"Say who is signed in."`
	Overview      overviewCommand      `cmd:"" group:"admin" help:"How the installation is."`
	Checklist     checklistCommand     `cmd:"" group:"admin" help:"What is left to do until the installation is ready."`
	Account       accountCommand       `cmd:"" group:"admin" help:"Accounts."`
	Pass          passCommand          `cmd:"" group:"admin" help:"Temporary access passes."`
	Recovery      recoveryCommand      `cmd:"" group:"admin" help:"People who lost what they sign in with."`
	Session       sessionCommand       `cmd:"" group:"admin" help:"Sessions."`
	Connection    connectionCommand    `cmd:"" group:"admin" help:"Applications that people are signed in to."`
	Authenticator authenticatorCommand `cmd:"" group:"admin" help:"Authenticators."`
	Token         tokenCommand         `cmd:"" group:"admin" help:"Hardware tokens."`
	Certificate   certificateCommand   `cmd:"" group:"admin" help:"Smart cards."`
	Prompts       promptsCommand       `cmd:"" group:"admin" help:"Requests to approve."`
	Offline       hostCodesCommand     `cmd:"" group:"admin" help:"Codes for local accounts of hosts, for when the network is away."`
	Partner       partnerCommand       `cmd:"" group:"admin" help:"Other organisations whose people administer something for us."`
	Upstream      upstreamCommand      `cmd:"" group:"admin" help:"Other organisations' identity providers, at which people sign in first."`
	Provisioning  provisioningCommand  `cmd:"" group:"admin" help:"People and groups that are made and ended in applications, by SCIM."`
	Rollover      rolloverCommand      `cmd:"" group:"admin" help:"Keys by which others know what this server signed, and their roll-over."`
	Stream        streamCommand        `cmd:"" group:"admin" help:"Streams of signals: other systems that are told what happens to people here."`
	Source        sourceCommand        `cmd:"" group:"admin" help:"Sources of signals: other systems whose word ends sessions here."`
	Quiet         quietCommand         `cmd:"" group:"admin" help:"Quiet hours of apps."`
	Key           keyCommand           `cmd:"" group:"admin" help:"Automation keys."`
	Group         groupCommand         `cmd:"" group:"admin" help:"Groups."`
	Application   applicationCommand   `cmd:"" group:"admin" help:"Applications."`
	Site          siteCommand          `cmd:"" group:"admin" help:"Groups, applications and policy as one file."`
	Apply         applyCommand         `cmd:"" group:"admin" help:"Make groups, applications and policy as a file says, with one approval."`
	Export        exportCommand        `cmd:"" group:"admin" help:"Print groups, applications and policy as a file that apply reads; secrets are hidden."`
	Policy        policyCommand        `cmd:"" group:"admin" help:"The policy."`
	Coverage      coverageCommand      `cmd:"" group:"admin" help:"How far M1032 holds here, row by row."`
	Drill         drillCommand         `cmd:"" group:"admin" help:"Drills."`
	Audit         auditCommand         `cmd:"" group:"admin" help:"The audit log."`
	Approval      approvalCommand      `cmd:"" group:"you" help:"Ask whether a change that was begun with --no-wait is approved, and print its answer."`
	Help          helpCommand          `cmd:"" group:"you" help:"Explain a command."`
	Man           manCommand           `cmd:"" group:"you" help:"Write the manual pages into a folder."`
	Completion    completionCommand    `cmd:"" group:"you" help:"Print a completion script for your shell."`
	Version       versionCommand       `cmd:"" group:"you" help:"Print the version; so does countersign --version."`
}

var groups = []kong.Group{
	{Key: "server", Title: "The server:"},
	{Key: "you", Title: "You:"},
	{Key: "admin", Title: "Administration, by a running server:"},
}

type versionCommand struct{}

func (versionCommand) Run(conn *connection) error {
	if conn.JSON {
		return json.NewEncoder(os.Stdout).Encode(map[string]string{"version": release()})
	}
	fmt.Println("countersign", release())
	return nil
}

// readInput reads a file, or standard input for "-".
func readInput(path string) ([]byte, error) {
	if path == "-" {
		return io.ReadAll(os.Stdin)
	}
	return os.ReadFile(path)
}

// fileText is for a text that is given by the name of its file.
func fileText(ctx *kong.DecodeContext, target reflect.Value) error {
	var path string
	if err := ctx.Scan.PopValueInto("file", &path); err != nil {
		return err
	}
	b, err := readInput(path)
	if err != nil {
		return err
	}
	if target.Kind() == reflect.String {
		target.SetString(string(b))
		return nil
	}
	if !json.Valid(b) {
		return fmt.Errorf("%s is not JSON", path)
	}
	target.SetBytes(b)
	return nil
}

func parser(c *commands) (*kong.Kong, error) {
	p, err := kong.New(c, kong.Name("countersign"), kong.ExplicitGroups(groups),
		kong.Description("Two factors in front of everything: multi-factor authentication on your own machine."),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, NoExpandSubcommands: true}),
		kong.Help(printHelp), kong.NamedMapper("days", lengths(24*time.Hour, "7d or 90d")), kong.NamedMapper("hours", lengths(time.Hour, "12h or 3d")), kong.NamedMapper("seconds", lengths(time.Second, "30m or 8h")),
		kong.NamedMapper("text-file", kong.MapperFunc(fileText)), kong.NamedMapper("json-file", kong.MapperFunc(fileText)))
	if err != nil {
		return nil, err
	}
	summaries := map[string]string{}
	for _, s := range nouns.Commands() {
		summaries[s.Action] = s.Summary
	}
	name(p.Model.Node, "", summaries)
	return p, nil
}

// Main runs the program, built as this version, with the arguments of the process, and exits with
// 0, with 1 for a command that failed, with 2 for one that could not be read, with 3 for a
// change that waits for its approval, or with 4 for a plan that would change something.
func Main(built string) {
	version = built
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var c commands
	p, err := parser(&c)
	if err != nil {
		fmt.Fprintln(os.Stderr, "countersign:", err)
		os.Exit(2)
	}
	args := os.Args[1:]
	switch {
	case len(args) == 0:
		args = []string{"--help"}
	case args[0] == "--version": // no flag of the parser's: policy test has one of that name
		args[0] = "version"
	}
	if err := run(ctx, p, &c, args); err != nil {
		os.Exit(complain(os.Stderr, err))
	}
}

// run does what the arguments say.
func run(ctx context.Context, p *kong.Kong, c *commands, args []string) error {
	k, err := p.Parse(args)
	if err == nil {
		err = useZone(c.Zone)
	}
	if err != nil {
		return usageError{err}
	}
	k.BindTo(ctx, (*context.Context)(nil))
	return k.Run(&c.connection, p)
}

// Readable reads a command as [Main] does, and does nothing. A file that it names need not
// exist.
func Readable(args []string) error {
	p, err := parser(&commands{})
	if err != nil {
		return err
	}
	if _, err = p.Parse(args); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// complain says what went wrong, and returns what the program ends with.
func complain(w io.Writer, err error) int {
	var usage usageError
	switch {
	case errors.Is(err, errUnapproved):
		return 3
	case errors.Is(err, errDiffers):
		fmt.Fprintln(w, "countersign:", err)
		return 4
	case errors.As(err, &usage):
		fmt.Fprintf(w, "countersign: %s\n%s\n", withoutPasswords(err), see(err))
		return 2
	}
	fmt.Fprintln(w, "countersign:", withoutPasswords(err))
	return 1
}

// aPassword is one in a URL, or among the words that connect to a database.
var aPassword = regexp.MustCompile(`(?i)(://)[^\s"/]*:[^\s"]*@|(password\s*=\s*)('[^']*'?|[^\s"]+)`)

// withoutPasswords is what is printed of an error. Those about arguments and settings quote
// what was written, and a database's URL may stand in the wrong place.
func withoutPasswords(err error) string {
	return aPassword.ReplaceAllString(err.Error(), "$1$2...")
}

type overviewCommand struct {
	Show do[overview.Show] `cmd:"" default:"1"`
}

type checklistCommand struct {
	Show      do[checklist.Show]      `cmd:"" default:"1"`
	TestMail  do[checklist.TestMail]  `cmd:"" name:"test-mail"`
	PutAway   do[checklist.PutAway]   `cmd:"" name:"put-away"`
	BringBack do[checklist.BringBack] `cmd:"" name:"bring-back"`
}
