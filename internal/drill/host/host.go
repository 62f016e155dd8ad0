// Package host enters and attacks the log-in of a host, which also works without the network.
//
// It owns what is typed at a console, and the canary's list of codes as it is handed out.
// The host itself is whoever's test bed it stands in. What the attacks are for, and what
// their results prove, is the drill's. Invariant: a list that was issued for a canary is
// revoked when the play is over.
package host

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"sync"

	"countersign/internal/drill"
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

// Component is the console as a component of a stage. It asks as an application.
func Component(application string, of Console) drill.Component {
	h := &machine{console: of, papers: map[string]paper{}}
	return drill.Component{Kind: drill.Console, Application: application, Name: "the console", Moves: map[drill.Move]drill.Attack{drill.LocalAccount: h.localAccount}}
}

type machine struct {
	console Console
	papers  map[string]paper // of the canaries, by name
}

// paper is what the owner of a local account has.
type paper struct {
	name, local string // its password at the host
	list        handed
}

// paper issues a list of codes, once in a play.
func (h *machine) paper(ctx context.Context, p *drill.Play, c *drill.Canary) (paper, error) {
	if has, ok := h.papers[c.Name]; ok {
		return has, nil
	}
	has := paper{name: c.Name, local: "local " + rand.Text()}
	if err := p.Admin.Do(ctx, "offline.issue", map[string]any{"host": host, "login": c.Name, "note": "a drill"}, &has.list); err != nil {
		return paper{}, err
	}
	h.papers[c.Name] = has
	p.Afterwards(func(ctx context.Context) {
		delete(h.papers, c.Name)
		p.Admin.Do(ctx, "offline.revoke", map[string]string{"host": host, "login": c.Name, "reason": "the drill is over"}, nil) //nolint:errcheck // a list of nobody is left over at worst
	})
	return has, nil
}

// localAccount is an intruder with the local password of a host, who takes its
// network away. The person whose account it is has the paper.
func (h *machine) localAccount(ctx context.Context, p *drill.Play, c *drill.Canary) ([]drill.Try, error) {
	has, err := h.paper(ctx, p, c)
	if err != nil {
		return nil, err
	}
	leave, err := h.console.Join(c.Name, has.local, has.list.Line)
	if err != nil {
		return nil, err
	}
	defer leave()
	var tries []drill.Try
	if !p.Unguarded && !p.Down {
		if tries, err = h.typed(ctx, c.Name, "with the network there", []try{
			{"the local password", []string{has.local, ""}}, {"the local password and the paper", []string{has.local, has.list.code(1)}},
			{"the password alone", []string{c.Password, ""}},
		}); err != nil {
			return nil, err
		}
		if in, err := h.console.Login(ctx, c.Name, c.Password, c.Code()); err != nil || !in {
			return nil, fmt.Errorf("the owner is not let in at the console with password and code (%v)", err)
		}
	}
	plug, err := h.console.Unplug()
	if err != nil {
		return nil, err
	}
	away, err := h.away(ctx, p, has)
	plug()
	if err != nil {
		return nil, err
	}
	return append(tries, away...), h.reconcile(ctx, p, has)
}

// away is what is tried while the host reaches nobody.
func (h *machine) away(ctx context.Context, p *drill.Play, has paper) ([]drill.Try, error) {
	const when = "with the network away"
	tries, err := h.typed(ctx, has.name, when, []try{
		{"the local password", []string{has.local, ""}}, {"the same and a guess", []string{has.local, "00000000"}}, {"the same twice", []string{has.local, has.local}},
		{"a code of the paper alone", []string{"a wrong password", has.list.code(1)}},
	})
	if err != nil || p.Unguarded || p.Down {
		return tries, err
	}
	if in, err := h.console.Login(ctx, has.name, has.local, has.list.code(2)); err != nil || !in {
		return nil, fmt.Errorf("the owner is not let in with the local password and the paper (%v)", err)
	}
	again, err := h.typed(ctx, has.name, when, []try{
		{"a code that was used", []string{has.local, has.list.code(2)}}, {"a code that was passed over", []string{has.local, has.list.code(1)}},
	})
	return append(tries, again...), err
}

// try is what is typed at a console.
type try struct {
	what  string
	lines []string
}

// typed tries side by side, because a console waits after each refusal.
func (h *machine) typed(ctx context.Context, name, when string, all []try) ([]drill.Try, error) {
	tries, errs := make([]drill.Try, len(all)), make([]error, len(all))
	var wait sync.WaitGroup
	for i, t := range all {
		wait.Go(func() {
			in, err := h.console.Login(ctx, name, t.lines...)
			tries[i], errs[i] = drill.Try{Name: "console " + when + ", " + t.what, Answer: map[bool]string{true: "let in", false: "refused"}[in], Open: in}, err
		})
	}
	wait.Wait()
	return tries, errors.Join(errs...)
}

// reconcile hands in what the host keeps, so that the log tells of it, and then the
// file as it was at first, as an intruder would put it back.
func (h *machine) reconcile(ctx context.Context, p *drill.Play, has paper) error {
	if p.Unguarded || p.Down {
		return nil
	}
	file, err := h.console.File()
	if err != nil {
		return err
	}
	for _, text := range []string{file, has.list.Line} {
		if err := p.Admin.Do(ctx, "offline.reconcile", map[string]any{"host": host, "file": text}, nil); err != nil {
			return err
		}
	}
	return nil
}
