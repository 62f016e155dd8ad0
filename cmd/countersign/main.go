// Command countersign is the server and its command line. It is the one visible
// list of what the server is made of.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/alecthomas/kong"
)

// version is set when a release is built.
var version = ""

type commands struct {
	Serve   serveCommand   `cmd:"" help:"Run the server."`
	Config  configCommand  `cmd:"" help:"Look at configuration files."`
	Audit   auditCommand   `cmd:"" help:"Look at the audit log."`
	Policy  policyCommand  `cmd:"" help:"Look at policy documents."`
	Keys    keysCommand    `cmd:"" help:"Look at the keys, and change them."`
	Version versionCommand `cmd:"" help:"Print the version."`
}

type versionCommand struct{}

func (versionCommand) Run() error {
	v := version
	if info, ok := debug.ReadBuildInfo(); ok && v == "" {
		v = info.Main.Version
	}
	fmt.Println("countersign", v)
	return nil
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var c commands
	k := kong.Parse(&c, kong.Name("countersign"), kong.UsageOnError(),
		kong.Description("Two factors in front of everything: multi-factor authentication on your own machine."),
		kong.BindTo(ctx, (*context.Context)(nil)))
	if err := k.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "countersign:", err)
		os.Exit(1)
	}
}
