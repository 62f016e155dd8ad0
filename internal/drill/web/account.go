package web

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"countersign/internal/drill"
)

// exists asks the administrator, not the attacker's own answer.
func exists(ctx context.Context, p *drill.Play, name string) bool {
	return p.Admin.Do(ctx, "account.show", map[string]string{"name": name}, nil) == nil
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
	try := func(door string, attack func(name string)) {
		name := strings.Replace(c.Name, "canary", "foothold", 1) + fmt.Sprint(len(tries))
		attack(name)
		made := !p.Down && exists(ctx, p, name)
		if made {
			p.Remove(name)
		}
		tries = append(tries, drill.Try{Name: door, Open: made})
	}
	try("the API without a session", func(name string) {
		s.call(ctx, p, "commands/account.create", "", map[string]string{"name": name}, nil) //nolint:errcheck // the directory is asked
	})
	try("the API with somebody's whole session", func(name string) {
		s.call(ctx, p, "commands/account.create", secret, map[string]string{"name": name}, nil) //nolint:errcheck // the directory is asked
	})
	try("the API with a made-up key", func(name string) {
		s.call(ctx, p, "commands/account.create", "cskey_abcdefgh_ijklmnop", map[string]string{"name": name}, nil) //nolint:errcheck // the directory is asked
	})
	try("the console with somebody's whole session", func(name string) {
		b := kept(p, s.server, c)
		if b.get(ctx, s.server+"/account") == nil {
			b.post(ctx, "/console/account.create", "input", `{"name":"`+name+`"}`) //nolint:errcheck // the directory is asked
		}
	})
	return tries, nil
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
		return []drill.Try{{Name: "the API", Open: err == nil && status == http.StatusOK}}, nil
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
	s.call(ctx, p, "commands/group.member.add", secret, map[string]string{"group": "administrators", "account": friend.Name}, nil) //nolint:errcheck // the group is asked
	tries := []drill.Try{{Name: "adding an administrator by the API with a session of ten minutes ago", Open: isMember(ctx, p, friend.Name)}}
	s.call(ctx, p, "commands/pass.issue", secret, map[string]string{"account": c.Name}, nil) //nolint:errcheck // one's own pass is nobody's
	b := kept(p, s.server, c)
	if b.get(ctx, s.server+"/account") == nil {
		b.post(ctx, "/console/group.member.add", "input", `{"group":"administrators","account":"`+friend.Name+`"}`) //nolint:errcheck // the group is asked
	}
	return append(tries, drill.Try{Name: "the same on the console", Open: isMember(ctx, p, friend.Name)}), nil
}

func isMember(ctx context.Context, p *drill.Play, name string) bool {
	var group struct {
		Accounts []string `json:"accounts"`
	}
	return p.Admin.Do(ctx, "group.show", map[string]string{"name": "administrators"}, &group) == nil && slices.Contains(group.Accounts, name)
}
