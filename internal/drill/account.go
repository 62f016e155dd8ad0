package drill

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// exists asks the administrator, not the attacker's own answer.
func (s *scene) exists(ctx context.Context, name string) bool {
	return s.admin.Do(ctx, "account.show", map[string]string{"name": name}, nil) == nil
}

// createAccount tries to make an account to come back with: with a password
// alone, and with the whole session of somebody who is no administrator.
func createAccount(ctx context.Context, s *scene) ([]Door, error) {
	secret, err := s.login(ctx, s.canary)
	if err != nil && !s.down {
		return nil, err
	}
	if s.unguarded {
		// There the canary is an administrator, and nothing more is asked.
		if err := s.promote(ctx); err != nil {
			return nil, err
		}
	}
	var doors []Door
	try := func(door string, attack func(name string)) {
		name := strings.Replace(s.canary.name, "canary", "foothold", 1) + fmt.Sprint(len(doors))
		attack(name)
		made := !s.down && s.exists(ctx, name)
		if made {
			s.made = append(s.made, name)
		}
		doors = append(doors, Door{door, made, ""})
	}
	try("the API without a session", func(name string) {
		s.call(ctx, "commands/account.create", "", map[string]string{"name": name}, nil) //nolint:errcheck // the directory is asked
	})
	try("the API with somebody's whole session", func(name string) {
		s.call(ctx, "commands/account.create", secret, map[string]string{"name": name}, nil) //nolint:errcheck // the directory is asked
	})
	try("the API with a made-up key", func(name string) {
		s.call(ctx, "commands/account.create", "cskey_abcdefgh_ijklmnop", map[string]string{"name": name}, nil) //nolint:errcheck // the directory is asked
	})
	try("the console with somebody's whole session", func(name string) {
		b := s.canary.kept
		if b.get(ctx, s.Server+"/account") == nil {
			b.post(ctx, "/console/account.create", "input", `{"name":"`+name+`"}`) //nolint:errcheck // the directory is asked
		}
	})
	return doors, nil
}

// promote makes the canary an administrator.
func (s *scene) promote(ctx context.Context) error {
	return s.admin.Do(ctx, "group.member.add", map[string]string{"group": "administrators", "account": s.canary.name}, nil)
}

// staleAdministration is a stolen session of an administrator, ten minutes
// after they signed in: it adds a friend to the administrators.
func staleAdministration(ctx context.Context, s *scene) ([]Door, error) {
	if s.down {
		status, err := s.call(ctx, "commands/group.member.add", "stolen", map[string]string{}, nil)
		return []Door{{"the API", err == nil && status == http.StatusOK, ""}}, nil
	}
	friend, err := s.account(ctx)
	if err != nil {
		return nil, err
	}
	secret, err := s.login(ctx, s.canary)
	if err != nil || secret == "" {
		return nil, fmt.Errorf("the canary could not sign in on a terminal: %w", err)
	}
	if err := s.promote(ctx); err != nil {
		return nil, err
	}
	s.bed.Later(10 * time.Minute)
	s.call(ctx, "commands/group.member.add", secret, map[string]string{"group": "administrators", "account": friend.name}, nil) //nolint:errcheck // the group is asked
	doors := []Door{{"adding an administrator by the API with a session of ten minutes ago", s.isMember(ctx, friend.name), ""}}
	s.call(ctx, "commands/pass.issue", secret, map[string]string{"account": s.canary.name}, nil) //nolint:errcheck // one's own pass is nobody's
	b := s.canary.kept
	if b.get(ctx, s.Server+"/account") == nil {
		b.post(ctx, "/console/group.member.add", "input", `{"group":"administrators","account":"`+friend.name+`"}`) //nolint:errcheck // the group is asked
	}
	return append(doors, Door{"the same on the console", s.isMember(ctx, friend.name), ""}), nil
}

func (s *scene) isMember(ctx context.Context, name string) bool {
	var group struct {
		Accounts []string `json:"accounts"`
	}
	return s.admin.Do(ctx, "group.show", map[string]string{"name": "administrators"}, &group) == nil && slices.Contains(group.Accounts, name)
}

// registerDevice tries to enroll the attacker's own authenticator.
func registerDevice(ctx context.Context, s *scene) ([]Door, error) {
	var doors []Door
	// With the password alone.
	b := s.browse(true)
	if err := b.typed(ctx, s.canary.name, s.canary.password, ""); err == nil {
		doors = append(doors, Door{"with the password alone", s.plants(ctx, b), ""})
	}
	if s.down {
		return doors, nil
	}
	// A welcome link for the second time.
	used := s.browse(true)
	doors = append(doors, Door{"with a welcome link that was used", s.welcome(ctx, used, s.canary.link) == nil && s.plants(ctx, used), ""})
	// A session whose proof is long ago.
	if s.bed != nil {
		s.bed.Later(30 * time.Minute)
		stolen := s.canary.kept
		doors = append(doors, Door{"with a stolen session of half an hour ago", s.plants(ctx, stolen), ""})
	}
	// An account that was suspended, with everything that is right.
	if !s.unguarded {
		asleep, err := s.enroll(ctx)
		if err != nil {
			return doors, err
		}
		if err := s.admin.Do(ctx, "account.suspend", map[string]string{"name": asleep.name, "reason": "a drill"}, nil); err != nil {
			return doors, err
		}
		b := s.browse(true)
		err = b.typed(ctx, asleep.name, asleep.password, asleep.code())
		doors = append(doors, Door{"on a suspended account with password and code", err == nil && s.plants(ctx, b), ""})
		doors = append(doors, Door{"on a suspended account with its session", s.plants(ctx, asleep.kept), ""})
	}
	if s.unguarded {
		// The guard here is the engine's own and no policy takes it out. The control
		// shows that the same steps succeed when the proof is fresh.
		fresh := s.browse(true)
		if err := fresh.typed(ctx, s.canary.name, s.canary.password, s.canary.code()); err != nil {
			return doors, err
		}
		if err := s.prove(ctx, fresh, s.canary); err != nil {
			return doors, err
		}
		doors = append(doors, Door{"with both factors just shown, which is the owner", s.plantsAfter(ctx, fresh), ""})
	}
	return doors, nil
}

// plants tries to enroll a new generator in a browser, and reports whether that
// went as far as the offer.
func (s *scene) plants(ctx context.Context, b *browser) bool {
	if b.get(ctx, s.Server+"/account") != nil || !tokenField.MatchString(b.body) {
		return false
	}
	if b.post(ctx, "/account/do", "action", "authenticator.enroll", "object", "totp") != nil {
		return false
	}
	return secretField.MatchString(b.body)
}

// plantsAfter is plants for the owner, who answers what is asked on the way.
func (s *scene) plantsAfter(ctx context.Context, b *browser) bool {
	if s.plants(ctx, b) {
		return true
	}
	return s.prove(ctx, b, s.canary) == nil && secretField.MatchString(b.body)
}
