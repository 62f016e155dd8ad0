package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
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
	try := func(door string, attack func(name string) (string, error)) {
		name := strings.Replace(c.Name, "canary", "foothold", 1) + fmt.Sprint(len(tries))
		answer, err := attack(name)
		made := false
		if err == nil && !p.Down {
			made, err = exists(ctx, p, name)
		}
		if made {
			p.Remove(name)
		}
		tries = append(tries, reply{words: answer}.tried(p, door, made, err))
	}
	byAPI := func(secret string) func(string) (string, error) {
		return func(name string) (string, error) {
			r, err := s.call(ctx, p, "commands/account.create", secret, map[string]string{"name": name}, nil)
			return r.words, err
		}
	}
	try("the API without a session", byAPI(""))
	try("the API with somebody's whole session", byAPI(secret))
	try("the API with a made-up key", byAPI("cskey_abcdefgh_ijklmnop"))
	try("the console with somebody's whole session", func(name string) (string, error) {
		return s.onConsole(ctx, p, c, "account.create", `{"name":"`+name+`"}`)
	})
	if p.Bed == nil || p.Down || p.Unguarded {
		return tries, nil
	}
	helped, err := s.byHelpDesk(ctx, p, c)
	if tries = append(tries, helped...); err != nil {
		return tries, err
	}
	a, err := s.automation(ctx, p)
	if err != nil {
		return tries, err
	}
	made, err := s.smuggled(ctx, p)
	return append(append(tries, a.foothold(ctx, p)), made...), err
}

// byHelpDesk has somebody of the help desk, fresh and with the passkey, make an account and an
// administrator.
func (s administration) byHelpDesk(ctx context.Context, p *drill.Play, c *drill.Canary) ([]drill.Try, error) {
	helper, err := p.Enroll(ctx)
	if err != nil {
		return nil, err
	}
	if err := p.Admin.Do(ctx, "group.member.add", map[string]string{"group": "helpdesk", "account": helper.Name}, nil); err != nil {
		return nil, err
	}
	b, err := s.signedIn(ctx, p, helper)
	if err != nil {
		return nil, err
	}
	name := strings.Replace(helper.Name, "canary", "foothold", 1)
	p.Remove(name)
	err = approve(ctx, b, helper, command{"account.create", `{"name":"` + name + `"}`})
	made, broken := exists(ctx, p, name)
	tries := []drill.Try{b.tried(p, "the help desk makes an account on the console, fresh and with the passkey", made, errors.Join(err, broken))}
	err = approve(ctx, b, helper, joining(c))
	return append(tries, added(ctx, p, "the help desk adds an administrator", c, b.answer, err)), nil
}

// smuggled is an account that somebody wrote into the database, with a password and a code
// generator that are known to them.
func (s administration) smuggled(ctx context.Context, p *drill.Play) ([]drill.Try, error) {
	source, err := p.Enroll(ctx)
	if err != nil {
		return nil, err
	}
	name := strings.Replace(source.Name, "canary", "smuggled", 1)
	before, err := alarms(ctx, p)
	if err != nil {
		return nil, err
	}
	defer p.Bed.Smuggle(source.Name, name)()
	b := attacker(p, s.server)
	in, err := b.enters(ctx, b.typed(ctx, name, source.Password, source.Code()))
	tries := []drill.Try{b.tried(p, "the portal as an account that was written into the database", in, err)}
	after, err := alarms(ctx, p)
	return append(tries, counted(p, "alarm about the database", after-before, 100, err)), nil
}

// alarms is how many rows of the database are not as the server left them, which no
// administrator has seen yet.
func alarms(ctx context.Context, p *drill.Play) (int, error) {
	var page struct {
		Alarms []struct{} `json:"alarms"`
	}
	err := p.Admin.Do(ctx, "audit.alarms", map[string]any{}, &page)
	return len(page.Alarms), err
}

// onConsole sends a command's form with the canary's session, and returns what came back.
func (s administration) onConsole(ctx context.Context, p *drill.Play, c *drill.Canary, action, input string) (string, error) {
	b := kept(p, s.server, c)
	if err := b.get(ctx, s.server+"/account"); err != nil {
		return b.answer, err
	}
	err := b.post(ctx, command{action: action}.path(), "input", input)
	return b.answer, err
}

// promote makes the canary an administrator.
func promote(ctx context.Context, p *drill.Play, c *drill.Canary) error {
	return p.Admin.Do(ctx, "group.member.add", map[string]string{"group": "administrators", "account": c.Name}, nil)
}

// staleAdministration is a stolen session of an administrator, ten minutes
// after they signed in: it adds a friend to the administrators.
func (s administration) staleAdministration(ctx context.Context, p *drill.Play, c *drill.Canary) ([]drill.Try, error) {
	if p.Down {
		r, err := s.call(ctx, p, "commands/group.member.add", "stolen", map[string]string{}, nil)
		return []drill.Try{r.tried(p, "the API", r.status == http.StatusOK, err)}, nil
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
	join := map[string]string{"group": "administrators", "account": friend.Name}
	r, err := s.call(ctx, p, "commands/group.member.add", secret, join, nil)
	fresh := added(ctx, p, "adding an administrator by the API with password and code shown just now", friend, r.words, err)
	p.Bed.Later(10 * time.Minute)
	r, err = s.call(ctx, p, "commands/group.member.add", secret, join, nil)
	tries := []drill.Try{fresh, added(ctx, p, "adding an administrator by the API with a session of ten minutes ago", friend, r.words, err)}
	answer, err := s.onConsole(ctx, p, c, "group.member.add", joining(friend).input)
	tries = append(tries, added(ctx, p, "the same on the console", friend, answer, err))
	if p.Unguarded {
		return tries, nil
	}
	a, err := s.automation(ctx, p)
	if err != nil {
		return tries, err
	}
	tries = append(tries, a.accomplice(ctx, p, friend)...)
	stolen, err := s.bearer(ctx, p, friend)
	if tries = append(tries, stolen...); err != nil {
		return tries, err
	}
	made, err := s.approvals(ctx, p)
	return append(tries, made...), err
}

// added is open where somebody became an administrator. What came back is the attacker's own
// answer, and the directory's decides.
func added(ctx context.Context, p *drill.Play, name string, friend *drill.Canary, answer string, err error) drill.Try {
	is := false
	if err == nil {
		is, err = administers(ctx, p, friend)
	}
	return reply{words: answer}.tried(p, name, is, err)
}
