package drill

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"sync"
)

// Console is the log-in of a host that also works while no server can be reached.
type Console interface {
	// Join creates a local account with a password on the host, and installs the line
	// of its list of codes.
	Join(name, password, line string) (leave func(), err error)
	// Login types lines at the console, and reports whether that logged in.
	Login(ctx context.Context, name string, lines ...string) (bool, error)
	// Unplug disconnects the network.
	Unplug() (plug func(), err error)
	// File returns the present file of the host's lists.
	File() (string, error)
}

// host is what drills call the host of a console.
const host = "console.drill"

// handed is a list of codes as it is handed out: the line for the host, the codes
// for the paper.
type handed struct {
	Line  string `json:"line"`
	Codes []struct {
		Number int    `json:"number"`
		Code   string `json:"code"`
	} `json:"list"`
}

// code is the one of a number, as it is typed.
func (h handed) code(number int) string {
	for _, c := range h.Codes {
		if c.Number == number {
			return strings.ReplaceAll(c.Code, " ", "")
		}
	}
	return ""
}

// localAccount is an intruder with the local password of a host, who takes its
// network away. The person whose account it is has the paper.
func localAccount(ctx context.Context, s *scene) ([]Door, error) {
	c := s.canary
	if s.list == nil {
		list := &handed{}
		if err := s.admin.Do(ctx, "offline.issue", map[string]any{"host": host, "login": c.name, "note": "a drill"}, list); err != nil {
			return nil, err
		}
		s.list, s.local = list, "local "+rand.Text()
	}
	leave, err := s.Console.Join(c.name, s.local, s.list.Line)
	if err != nil {
		return nil, err
	}
	defer leave()
	var doors []Door
	if !s.unguarded && !s.down {
		if doors, err = s.atConsole(ctx, "with the network there", []try{
			{"the local password", []string{s.local, ""}}, {"the local password and the paper", []string{s.local, s.list.code(1)}},
			{"the password alone", []string{c.password, ""}},
		}); err != nil {
			return nil, err
		}
		if in, err := s.Console.Login(ctx, c.name, c.password, c.code()); err != nil || !in {
			return nil, fmt.Errorf("the owner is not let in at the console with password and code (%v)", err)
		}
	}
	plug, err := s.Console.Unplug()
	if err != nil {
		return nil, err
	}
	away, err := s.away(ctx)
	plug()
	if err != nil {
		return nil, err
	}
	return append(doors, away...), s.reconcile(ctx)
}

// away is what is tried while the host reaches nobody.
func (s *scene) away(ctx context.Context) ([]Door, error) {
	const when = "with the network away"
	doors, err := s.atConsole(ctx, when, []try{
		{"the local password", []string{s.local, ""}}, {"the same and a guess", []string{s.local, "00000000"}}, {"the same twice", []string{s.local, s.local}},
		{"a code of the paper alone", []string{"a wrong password", s.list.code(1)}},
	})
	if err != nil || s.unguarded || s.down {
		return doors, err
	}
	if in, err := s.Console.Login(ctx, s.canary.name, s.local, s.list.code(2)); err != nil || !in {
		return nil, fmt.Errorf("the owner is not let in with the local password and the paper (%v)", err)
	}
	again, err := s.atConsole(ctx, when, []try{
		{"a code that was used", []string{s.local, s.list.code(2)}}, {"a code that was passed over", []string{s.local, s.list.code(1)}},
	})
	return append(doors, again...), err
}

// try is what is typed at a console.
type try struct {
	what  string
	lines []string
}

// atConsole tries side by side, because a console waits after each refusal.
func (s *scene) atConsole(ctx context.Context, when string, tries []try) ([]Door, error) {
	doors, errs := make([]Door, len(tries)), make([]error, len(tries))
	var all sync.WaitGroup
	for i, t := range tries {
		all.Go(func() {
			in, err := s.Console.Login(ctx, s.canary.name, t.lines...)
			doors[i], errs[i] = Door{Name: "console " + when + ", " + t.what, Open: in}, err
		})
	}
	all.Wait()
	return doors, errors.Join(errs...)
}

// reconcile hands in what the host keeps, so that the log tells of it, and then the
// file as it was at first, as an intruder would put it back.
func (s *scene) reconcile(ctx context.Context) error {
	if s.unguarded || s.down {
		return nil
	}
	file, err := s.Console.File()
	if err != nil {
		return err
	}
	for _, text := range []string{file, s.list.Line} {
		if err := s.admin.Do(ctx, "offline.reconcile", map[string]any{"host": host, "file": text}, nil); err != nil {
			return err
		}
	}
	return nil
}
