package web

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"countersign/internal/drill"
)

// matured is longer than a new authenticator cannot approve what is privileged.
const matured = 25 * time.Hour

// command is a command as the console's form has it.
type command struct{ action, input string }

// path is where its form is, and approved where it is done once it was approved.
func (c command) path() string     { return "/console/commands/" + c.action }
func (c command) approved() string { return c.path() + "/approved" }

// joining adds somebody to the administrators.
func joining(c *drill.Canary) command {
	return command{"group.member.add", `{"group":"administrators","account":"` + c.Name + `"}`}
}

// signedIn is a browser of an owner with their passkey, once that may approve what is
// privileged.
func (s administration) signedIn(ctx context.Context, p *drill.Play, c *drill.Canary) (*browser, error) {
	p.Bed.Later(matured)
	b := honest(p, s.server)
	err := b.get(ctx, s.server+"/sign-in")
	if err == nil {
		err = b.passkey(ctx, c.Key)
	}
	if in, err := b.enters(ctx, err); err != nil || !in {
		return nil, errors.Join(errors.New("the owner is not let in with the passkey"), err)
	}
	return b, nil
}

// requests posts a command's form. That ends on the page that asks for a proof of its own, or
// on what was done.
func (b *browser) requests(ctx context.Context, of command) error {
	if err := b.get(ctx, b.server+"/account"); err != nil {
		return err
	}
	return b.post(ctx, of.path(), "input", of.input)
}

// approve posts a command's form, and approves it with the passkey where that is asked for.
func approve(ctx context.Context, b *browser, c *drill.Canary, of command) error {
	if err := b.requests(ctx, of); err != nil || !passkeyForm.MatchString(b.body) {
		return err
	}
	return b.passkey(ctx, c.Key)
}

// approveOnly approves a command, and stops before the browser has it done.
func approveOnly(ctx context.Context, b *browser, c *drill.Canary, of command) error {
	if err := b.requests(ctx, of); err != nil {
		return err
	}
	page := b.body
	b.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	err := b.passkey(ctx, c.Key)
	b.client.CheckRedirect, b.body = nil, page
	if err == nil && b.status != http.StatusTemporaryRedirect {
		err = fmt.Errorf("the owner's approval is not taken (%d, %s)", b.status, b.title())
	}
	return err
}

// administers asks the drill's administrator who administers, not the attacker's own answer.
func administers(ctx context.Context, p *drill.Play, c *drill.Canary) (bool, error) {
	var group struct {
		Accounts []string `json:"accounts"`
	}
	err := p.Admin.Do(ctx, "group.show", map[string]string{"name": "administrators"}, &group)
	return slices.Contains(group.Accounts, c.Name), err
}

// approvals are what a thief with the cookies of an administrator's browser does with what its
// owner approves: another command, the same one about somebody else, and the same once more.
func (s administration) approvals(ctx context.Context, p *drill.Play) ([]drill.Try, error) {
	all := make([]*drill.Canary, 3)
	for i := range all {
		var err error
		if all[i], err = p.Enroll(ctx); err != nil {
			return nil, err
		}
	}
	owner, wanted, friend := all[0], all[1], all[2]
	if err := promote(ctx, p, owner); err != nil {
		return nil, err
	}
	b, err := s.signedIn(ctx, p, owner)
	if err != nil {
		return nil, err
	}
	p.Bed.Later(10 * time.Minute) // what was shown to sign in approves nothing any more
	var tries []drill.Try
	joined := func(name string, err error) {
		is, broken := administers(ctx, p, friend)
		tries = append(tries, b.tried(p, name, is, errors.Join(err, broken)))
	}
	if err = b.requests(ctx, joining(friend)); err == nil {
		err = b.prove(ctx, owner)
	}
	joined("a command is approved with password and code", err)
	if err := approveOnly(ctx, b, owner, joining(wanted)); err != nil {
		return tries, err
	}
	tries = append(tries, s.instead(ctx, p, b))
	if err := approveOnly(ctx, b, owner, joining(wanted)); err != nil {
		return tries, err
	}
	ticket := cookies(b, s.server, "-attempt")
	if err = b.requests(ctx, joining(friend)); err == nil && tokenField.MatchString(b.body) {
		gives(b, s.server, ticket) // which the thief kept, when the page asked for another
		err = b.post(ctx, joining(friend).approved())
	}
	joined("an approval is used for somebody else before it is for whom it was given", err)
	if err := approveOnly(ctx, b, owner, joining(wanted)); err != nil {
		return tries, err
	}
	used := moment{b.body, cookies(b, s.server, "")}
	if err := b.post(ctx, joining(wanted).approved()); err != nil {
		return tries, err
	}
	if is, err := administers(ctx, p, wanted); err != nil || !is {
		return tries, errors.Join(errors.New("the owner's own approval is not taken"), err)
	}
	joined("an approval is used for somebody else afterwards", b.requests(ctx, joining(friend)))
	again, err := s.again(ctx, p, b, wanted, used)
	return append(tries, again...), err
}

// instead does another command with the approval that an owner's browser has just been given.
func (s administration) instead(ctx context.Context, p *drill.Play, b *browser) drill.Try {
	name := "foothold-" + strings.ToLower(rand.Text()[:8])
	p.Remove(name)
	of := command{"account.create", `{"name":"` + name + `"}`}
	err := b.post(ctx, of.approved(), "input", of.input)
	made, broken := exists(ctx, p, name)
	return b.tried(p, "another command is done with an approval", made, errors.Join(err, broken))
}

// moment is a browser before it had something done: its page and its cookies.
type moment struct {
	page    string
	cookies []*http.Cookie
}

// again has somebody removed from the administrators whom the owner of a browser added just
// now, and sends the approved form once more: with what the browser has now, and with what it
// had when the approval was not used yet, which a thief copied.
func (s administration) again(ctx context.Context, p *drill.Play, b *browser, wanted *drill.Canary, used moment) ([]drill.Try, error) {
	if err := p.Admin.Do(ctx, "group.member.remove", map[string]string{"group": "administrators", "account": wanted.Name}, nil); err != nil {
		return nil, err
	}
	err := b.get(ctx, b.server+"/account")
	if err == nil {
		err = b.post(ctx, joining(wanted).approved(), "input", joining(wanted).input)
	}
	if err == nil {
		err = b.requests(ctx, joining(wanted))
	}
	is, broken := administers(ctx, p, wanted)
	tries := []drill.Try{b.tried(p, "an approval is used twice", is, errors.Join(err, broken))}
	gives(b, s.server, used.cookies)
	b.body = used.page
	err = b.post(ctx, joining(wanted).approved())
	is, broken = administers(ctx, p, wanted)
	return append(tries, b.tried(p, "an approval is used twice, with the cookies of before", is, errors.Join(err, broken))), nil
}

// ownPass is an administrator who issues a pass to themselves, fresh and with the passkey.
func (s administration) ownPass(ctx context.Context, p *drill.Play, _ *drill.Canary) ([]drill.Try, error) {
	if p.Bed == nil || p.Down || p.Unguarded {
		return nil, nil
	}
	owner, err := p.Enroll(ctx)
	if err != nil {
		return nil, err
	}
	other, err := p.Account(ctx)
	if err != nil {
		return nil, err
	}
	if err := promote(ctx, p, owner); err != nil {
		return nil, err
	}
	b, err := s.signedIn(ctx, p, owner)
	if err != nil {
		return nil, err
	}
	pass := func(c *drill.Canary) (bool, error) {
		err := approve(ctx, b, owner, command{"pass.issue", `{"account":"` + c.Name + `"}`})
		return b.says("/welcome?code="), err
	}
	if given, err := pass(other); err != nil || !given {
		return nil, errors.Join(fmt.Errorf("an administrator can issue nobody a pass (%d, %s)", b.status, b.title()), err)
	}
	given, err := pass(owner)
	return []drill.Try{b.tried(p, "an administrator's pass for themselves", given, err)}, nil
}
