package web

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"countersign/internal/drill"
	"countersign/internal/failure"
)

// exists asks the administrator, not the attacker's own answer.
func exists(ctx context.Context, p *drill.Play, name string) (bool, error) {
	err := p.Admin.Do(ctx, "account.show", map[string]string{"name": name}, nil)
	if failure.ClassOf(err) == failure.NotFound {
		return false, nil
	}
	return err == nil, err
}

// createAccount tries to make an account to come back with: with a password
// alone, and with the whole session of somebody who is no administrator.
func (s administration) createAccount(ctx context.Context, p *drill.Play, c *drill.Canary) ([]drill.Try, error) {
	secret, err := s.login(ctx, p, c)
	if err != nil && !p.Down {
		return nil, err
	}
	if p.Unguarded {
		// There the canary is an administrator, and nothing more is asked.
		if err := promote(ctx, p, c); err != nil {
			return nil, err
		}
	}
	var tries []drill.Try
	try := func(door string, attack func(name string) error) {
		name := strings.Replace(c.Name, "canary", "foothold", 1) + fmt.Sprint(len(tries))
		made, err := false, attack(name)
		if err == nil && !p.Down {
			made, err = exists(ctx, p, name)
		}
		if made {
			p.Remove(name)
		}
		tries = append(tries, p.Tried(door, made, err))
	}
	byAPI := func(secret string) func(string) error {
		return func(name string) error {
			_, err := s.call(ctx, p, "commands/account.create", secret, map[string]string{"name": name}, nil)
			return err
		}
	}
	try("the API without a session", byAPI(""))
	try("the API with somebody's whole session", byAPI(secret))
	try("the API with a made-up key", byAPI("cskey_abcdefgh_ijklmnop"))
	try("the console with somebody's whole session", func(name string) error {
		return s.onConsole(ctx, p, c, "account.create", `{"name":"`+name+`"}`)
	})
	return tries, nil
}

// onConsole sends a command's form with the canary's session.
func (s administration) onConsole(ctx context.Context, p *drill.Play, c *drill.Canary, action, input string) error {
	b := kept(p, s.server, c)
	if err := b.get(ctx, s.server+"/account"); err != nil {
		return err
	}
	return b.post(ctx, "/console/"+action, "input", input)
}

// promote makes the canary an administrator.
func promote(ctx context.Context, p *drill.Play, c *drill.Canary) error {
	return p.Admin.Do(ctx, "group.member.add", map[string]string{"group": "administrators", "account": c.Name}, nil)
}

// staleAdministration is a stolen session of an administrator, ten minutes
// after they signed in: it adds a friend to the administrators.
func (s administration) staleAdministration(ctx context.Context, p *drill.Play, c *drill.Canary) ([]drill.Try, error) {
	if p.Down {
		status, err := s.call(ctx, p, "commands/group.member.add", "stolen", map[string]string{}, nil)
		return []drill.Try{p.Tried("the API", status == http.StatusOK, err)}, nil
	}
	friend, err := p.Account(ctx)
	if err != nil {
		return nil, err
	}
	secret, err := s.login(ctx, p, c)
	if err != nil || secret == "" {
		return nil, fmt.Errorf("the canary could not sign in on a terminal: %w", err)
	}
	if err := promote(ctx, p, c); err != nil {
		return nil, err
	}
	p.Bed.Later(10 * time.Minute)
	_, err = s.call(ctx, p, "commands/group.member.add", secret, map[string]string{"group": "administrators", "account": friend.Name}, nil)
	tries := []drill.Try{added(ctx, p, "adding an administrator by the API with a session of ten minutes ago", friend, err)}
	s.call(ctx, p, "commands/pass.issue", secret, map[string]string{"account": c.Name}, nil) //nolint:errcheck // one's own pass is nobody's
	err = s.onConsole(ctx, p, c, "group.member.add", `{"group":"administrators","account":"`+friend.Name+`"}`)
	return append(tries, added(ctx, p, "the same on the console", friend, err)), nil
}

// added asks the administrator whether somebody became one.
func added(ctx context.Context, p *drill.Play, name string, friend *drill.Canary, err error) drill.Try {
	var group struct {
		Accounts []string `json:"accounts"`
	}
	if err == nil {
		err = p.Admin.Do(ctx, "group.show", map[string]string{"name": "administrators"}, &group)
	}
	return p.Tried(name, slices.Contains(group.Accounts, friend.Name), err)
}
