// Package git enters and attacks repositories of code that Git reads and writes over https.
//
// It owns what Git sends, and uses neither Git nor anything of the server's. People get tokens by
// package openid. What the attacks are for, and what their results prove, is the drill's.
// Invariant: a try is open only if the repository showed its branches, or has one more afterwards.
package git

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"countersign/internal/drill"
	"countersign/internal/drill/openid"
)

// Repository is a repository behind forward-auth that takes the access tokens of a client.
type Repository struct {
	// Application is the name of the site's application, and Door what its settings call the
	// site: its host.
	Application, Door string
	// URL is the repository's, such as https://git.example.org/tools.git, and Connect the host
	// and port to connect to where its name does not resolve.
	URL, Connect string
	// Client is one whose tokens the site takes, and Others are those whose it does not.
	Client openid.Client
	Others []openid.Client
	// Codes says that the site takes a password and a code in one.
	Codes bool
	// Log returns the new lines of its proxy's access log, or is nil.
	Log func(ctx context.Context) ([]string, error)
}

// credentials are what Git sends as name and password. An owner asks from the usual address.
type credentials struct {
	name, password string
	bearer, owner  bool
}

// token is how Git brings an access token.
func token(t string) credentials { return credentials{name: "oauth2", password: t} }

// Component is the repository as a component of a stage. It has no door: a password that Git sends is
// compared with nothing, so that the log knows of nobody's. That it opens nothing is a part of the move.
func (r Repository) Component() drill.Component {
	return drill.Component{Kind: drill.Repository, Application: r.Application, Name: r.Door,
		Moves: map[drill.Move]drill.Attack{drill.CloneCode: r.cloneCode},
		Enter: r.enter, Check: r.check, Log: r.Log}
}

func (r Repository) name() string { return "git at " + r.Application }

// check asks for the branches as Git does first: without anything.
func (r Repository) check(ctx context.Context) error {
	if u, err := url.Parse(r.URL); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return fmt.Errorf("%q is not the address of a repository; give one such as https://git.example.org/tools.git", r.URL)
	}
	if _, err := r.refs(ctx, &drill.Play{}, credentials{owner: true}, upload); err != nil {
		return fmt.Errorf("the repository %s does not answer (%w); correct its address, or give the host and port to connect to", r.URL, err)
	}
	return nil
}

// The services of a repository: reading it, and writing.
const (
	upload  = "git-upload-pack"
	receive = "git-receive-pack"
)

// enter has the owner get a token with the passkey, and read. In a test bed they also push a
// branch, and take it away again.
func (r Repository) enter(ctx context.Context, p *drill.Play, c *drill.Canary) error {
	t, err := r.Client.Signs(ctx, p, c)
	if err != nil {
		return err
	}
	with := token(t.Access)
	with.owner = true
	there, err := r.refs(ctx, p, with, upload)
	if err != nil || there.refs == nil {
		return errors.Join(fmt.Errorf("the owner's token does not read the repository: %s", there.words), err)
	}
	if p.Bed == nil {
		return nil
	}
	branch := "refs/heads/" + c.Name
	if got, err := r.moves(ctx, p, with, branch, nothing, there.head); err != nil || !strings.Contains(string(got.body), "ok "+branch) {
		return errors.Join(fmt.Errorf("the owner's token does not write to the repository: %s", got.words), err)
	}
	_, err = r.moves(ctx, p, with, branch, there.head, nothing)
	return err
}

// reads tries to read the repository.
func (r Repository) reads(ctx context.Context, p *drill.Play, name string, c credentials) drill.Try {
	there, err := r.refs(ctx, p, c, upload)
	t := p.Tried(name, there.refs != nil, err)
	t.Answer = there.words
	return t
}

// thief is an attacker at a repository, whose branches they know.
type thief struct {
	Repository
	p    *drill.Play
	head string
	made int
}

// gets tries to read, and then to push a branch of the thief's own. The branch is looked for with
// the owner's token, and taken away where it is there.
func (t *thief) gets(ctx context.Context, what string, c credentials, owner credentials) []drill.Try {
	reads := t.reads(ctx, t.p, t.name()+" with "+what+", to read", c)
	t.made++
	branch := fmt.Sprintf("refs/heads/%s-%d", t.p.Canary.Name, t.made)
	got, err := t.moves(ctx, t.p, c, branch, nothing, t.head)
	there := listing{}
	if err == nil && owner.password != "" {
		there, err = t.refs(ctx, t.p, owner, upload)
	}
	_, open := there.refs[branch]
	open = open || strings.Contains(string(got.body), "ok "+branch)
	if open {
		t.moves(ctx, t.p, c, branch, t.head, nothing) //nolint:errcheck // it is an empty branch, and told of
	}
	push := t.p.Tried(t.name()+" with "+what+", to push", open, err)
	push.Answer = got.words
	return []drill.Try{reads, push}
}

// cloneCode tries to read and to push with all that somebody has whom the repository is not for.
func (r Repository) cloneCode(ctx context.Context, p *drill.Play, c *drill.Canary) ([]drill.Try, error) {
	t := &thief{Repository: r, p: p, head: nothing}
	if p.Down {
		return append(t.gets(ctx, "the right password", credentials{name: c.Name, password: c.Password}, credentials{}),
			t.gets(ctx, "a token", token("csat_stolen"), credentials{})...), nil
	}
	got, err := r.Client.Signs(ctx, p, c)
	if err != nil {
		return nil, err
	}
	owner := token(got.Access)
	owner.owner = true
	before, err := r.refs(ctx, p, owner, upload)
	if err != nil || before.refs == nil {
		return nil, errors.Join(fmt.Errorf("the owner's token does not read the repository: %s", before.words), err)
	}
	t.head = before.head
	tries, err := t.stolen(ctx, c, got, owner)
	if err != nil {
		return tries, err
	}
	ended, err := t.ended(ctx, c)
	return append(tries, ended...), err
}

// stolen are passwords, and tokens that are not for here.
func (t *thief) stolen(ctx context.Context, c *drill.Canary, got openid.Tokens, owner credentials) ([]drill.Try, error) {
	tries := t.gets(ctx, "nothing", credentials{}, owner)
	tries = append(tries, t.gets(ctx, "the right password", credentials{name: c.Name, password: c.Password}, owner)...)
	if !t.Codes {
		tries = append(tries, t.gets(ctx, "the right password and a code, which it does not take", credentials{name: c.Name, password: c.Password + "," + c.Code()}, owner)...)
	}
	low, said, err := t.Client.Guesses(ctx, t.p, c.Name, c.Password, "")
	weak := t.p.Tried(t.name()+" with a token for the password alone", low.Access != "", err)
	weak.Answer = said
	tries = append(tries, weak)
	tries = append(tries, t.gets(ctx, "an ID token", token(got.ID), owner)...)
	if got.Refresh != "" {
		tries = append(tries, t.gets(ctx, "a refresh token", token(got.Refresh), owner)...)
	}
	tries = append(tries, t.gets(ctx, "an altered token", token(altered(got.Access)), owner)...)
	for _, other := range t.Others {
		foreign, err := other.Signs(ctx, t.p, c)
		if err != nil {
			return tries, err
		}
		tries = append(tries, t.gets(ctx, "a token of "+other.Application, token(foreign.Access), owner)...)
		tries = append(tries, t.gets(ctx, "a token of "+other.Application+" as Bearer", credentials{password: foreign.Access, bearer: true}, owner)...)
	}
	return tries, nil
}

// expired is longer than any access token is good.
const expired = 61 * time.Minute

// ended are tokens that were good: after their time, which only a test bed can wait for, and of
// somebody who was suspended.
func (t *thief) ended(ctx context.Context, c *drill.Canary) ([]drill.Try, error) {
	victim, err := t.p.Enroll(ctx)
	if err != nil {
		return nil, err
	}
	kept, err := t.Client.Signs(ctx, t.p, victim)
	if err != nil {
		return nil, err
	}
	var tries []drill.Try
	if t.p.Bed != nil {
		t.p.Bed.Later(expired)
		tries = t.gets(ctx, "a token after its time", token(kept.Access), credentials{})
		t.p.Bed.Later(-expired)
	}
	if err := t.p.Admin.Do(ctx, "account.suspend", map[string]string{"name": victim.Name, "reason": "a drill"}, nil); err != nil {
		return tries, err
	}
	return append(tries, t.gets(ctx, "a token of somebody who was suspended", token(kept.Access), credentials{})...), nil
}

// altered is a token of which one character in the middle is another.
func altered(t string) string {
	if t == "" {
		return t
	}
	at, other := len(t)/2, "A"
	if t[at] == 'A' {
		other = "B"
	}
	return t[:at] + other + t[at+1:]
}
