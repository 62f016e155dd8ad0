// Package demo is the demonstration: an installation with invented people and two weeks
// of invented history, a site behind forward-auth, and a page that shows what to try.
//
// It owns who is invented and what they did, the site and its reverse proxy, and the page
// that shows the codes of the invented people. What they did goes through the same rooms as
// in any installation, with a clock that was moved back: the engine decides each sign-in,
// and each command has its grant, so that the audit log verifies. Its neighbours are server,
// which it starts, and cli, which starts it. Its one invariant: it never opens an
// installation that it did not make, and it listens on loopback alone.
package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"countersign/internal/config"
	"countersign/internal/server"
)

// Options say how a demonstration runs.
type Options struct {
	// Folder is kept when it ends; empty is a temporary one, which is removed.
	Folder string
	// File is the configuration, without data folder and listeners of protocols.
	File config.File
	// Version is the program's.
	Version string
	// Out is where it says what to open; nil is standard output.
	Out io.Writer

	temporary bool // Folder goes when it ends
}

// scenarioFile marks a folder that a demonstration made: it is written last, when the
// history is complete.
const scenarioFile = "demonstration.json"

// scenario is what a demonstration knows of itself beside the database: invented people's
// passwords and keys, so that its page can show their codes.
type scenario struct {
	Site   string   `json:"site"`   // host and port of the site
	Radius string   `json:"radius"` // the shared secret of the RADIUS client
	Shown  []player `json:"shown"`  // those whose codes the page shows
}

// player is somebody whose password and codes are shown.
type player struct {
	Name     string `json:"name"`
	Display  string `json:"display"`
	Role     string `json:"role"`
	Password string `json:"password"`
	Secret   []byte `json:"secret"` // of their authenticator app
}

// Serve makes the demonstration if the folder has none yet, and serves it until ctx ends.
// It refuses a folder that holds anything else, and every address but loopback.
func Serve(ctx context.Context, o Options) (err error) {
	if o.Out == nil {
		o.Out = os.Stdout
	}
	if err := onLoopback(&o.File); err != nil {
		return err
	}
	if o.Folder == "" {
		if o.Folder, err = os.MkdirTemp("", "countersign-demo-"); err != nil {
			return err
		}
		o.temporary = true
		defer func() { err = errors.Join(err, os.RemoveAll(o.Folder)) }()
	}
	o.File.Data = o.Folder
	s, err := open(ctx, o)
	if err != nil {
		return err
	}
	stage, err := openStage(s, o.File)
	if err != nil {
		return err
	}
	defer stage.close()
	return server.Serve(ctx, server.Run{Reread: func() (config.File, error) { return o.File, nil }, Demo: true, Version: o.Version,
		Greet: func(ctx context.Context, in *server.Installation, _ server.Settings) error {
			stage.serve(in.Handler)
			return o.greet(stage)
		}})
}

// onLoopback refuses what would be reached from elsewhere, and fills in what a
// demonstration has of its own.
func onLoopback(f *config.File) error {
	if len(f.Radius.Listen) == 0 {
		f.Radius.Listen = []string{"127.0.0.1:18120"}
	}
	for _, at := range append([]string{f.Listen}, f.Radius.Listen...) {
		if !config.Loopback(at) {
			return fmt.Errorf("a demonstration shows codes, passwords and a shared secret, so it listens on loopback only: leave --listen and --radius out, or give an address such as 127.0.0.1:8080 instead of %s", at)
		}
	}
	if f.PublicURL == config.Default().PublicURL {
		_, port, _ := net.SplitHostPort(f.Listen)
		f.PublicURL = "http://localhost:" + port
	}
	if u, err := url.Parse(f.PublicURL); err != nil || u.Scheme != "http" || u.Hostname() != "localhost" {
		return fmt.Errorf("a demonstration is opened at http://localhost only: leave --public-url out")
	}
	f.TrustedProxies = []string{"127.0.0.0/8"}
	return nil
}

// open reads the demonstration of a folder, or makes one in a folder that is empty.
func open(ctx context.Context, o Options) (scenario, error) {
	var s scenario
	b, err := os.ReadFile(filepath.Join(o.Folder, scenarioFile))
	if err == nil {
		return s, json.Unmarshal(b, &s)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return s, err
	}
	if inside, err := os.ReadDir(o.Folder); err == nil && len(inside) > 0 {
		return s, fmt.Errorf("%s is not empty and holds no demonstration: --demo opens none but its own; name another folder, or leave --data out for a temporary one", o.Folder)
	}
	began := time.Now()
	fmt.Fprintln(o.Out, "Making a demonstration: invented people, and two weeks of invented history...")
	if s, err = invent(ctx, o); err != nil {
		return s, fmt.Errorf("the demonstration could not be made: %w", err)
	}
	if b, err = json.Marshal(s); err != nil {
		return s, err
	}
	fmt.Fprintf(o.Out, "Made in %.1f seconds.\n", time.Since(began).Seconds())
	return s, os.WriteFile(filepath.Join(o.Folder, scenarioFile), b, 0o600)
}

func (o Options) greet(s *stage) error {
	_, err := fmt.Fprintf(o.Out, `
A DEMONSTRATION. Every account and every entry before now is invented, and everybody on
this machine can read the passwords and codes on its first page. Never use it for
anything real: start without --demo for that.

  Open this                http://%s
  The console              %s/console
  The site                 http://%s
  RADIUS                   %s, secret %s (password, then code)

`, s.start.Addr(), o.File.PublicURL, s.made.Site, o.File.Radius.Listen[0], s.made.Radius)
	if err == nil && o.temporary {
		_, err = fmt.Fprintln(o.Out, "All of it is gone when you stop it; --data FOLDER keeps it.")
	}
	return err
}
