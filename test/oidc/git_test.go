package oidc

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"countersign/internal/servertest"
	"countersign/internal/testbed"
)

// forge is a repository behind nginx, by the lines that docs/git.md shows, and a folder of
// somebody who uses it.
type forge struct {
	w          *servertest.World
	addr, home string
	bare       string
	opened     string // where the browser that git opens writes the address
}

func newForge(w *servertest.World) *forge {
	t := w.T
	t.Helper()
	at := servertest.NewForge(w, "git", "bound", "gone")
	f := &forge{w: w, addr: at.Addr, home: t.TempDir(), bare: at.Bare, opened: filepath.Join(t.TempDir(), "opened")}
	register(w, "git", map[string]any{"client_id": "git", "authentication": "none", "runs": "native", "redirect_uris": []string{"http://127.0.0.1"}})
	browser := filepath.Join(f.home, "open")
	if err := os.WriteFile(browser, []byte("#!/bin/sh\nprintf %s \"$1\" > "+f.opened+".new && mv "+f.opened+".new "+f.opened+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return f
}

// git runs Git as somebody who has nothing but what is in their folder.
func (f *forge) git(args ...string) (string, error) {
	cmd := exec.CommandContext(f.w.T.Context(), "git", args...)
	cmd.Dir = f.home
	cmd.Env = []string{"HOME=" + f.home, "PATH=" + f.home + ":" + os.Getenv("PATH"), "GIT_TERMINAL_PROMPT=0", "GIT_CONFIG_NOSYSTEM=1", "GIT_AUTHOR_NAME=ada", "GIT_AUTHOR_EMAIL=ada@example.org",
		"GIT_COMMITTER_NAME=ada", "GIT_COMMITTER_EMAIL=ada@example.org"}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// with runs Git with a password that is in a file, and in no argument.
func (f *forge) with(t testing.TB, name, password string, args ...string) (string, error) {
	t.Helper()
	file := filepath.Join(f.home, "password")
	if err := os.WriteFile(file, []byte(password), 0o600); err != nil {
		t.Fatal(err)
	}
	helper := "credential.helper=!f() { test \"$1\" = get && echo username=" + name + " && echo password=$(cat " + file + "); }; f"
	return f.git(append([]string{"-c", "credential.helper=", "-c", helper}, args...)...)
}

func (f *forge) address() string { return "http://" + f.addr + "/tools.git" }

// shut demands that Git gets nothing, and that the repository stays as it is.
func (f *forge) shut(t *testing.T, what, name, password string) {
	t.Helper()
	before, err := f.git("-C", f.bare, "rev-parse", "master")
	if err != nil {
		t.Fatal(before)
	}
	if out, err := f.with(t, name, password, "ls-remote", f.address()); err == nil || strings.Contains(out, "refs/") {
		t.Errorf("%s reads: %s", what, out)
	}
	work := filepath.Join(t.TempDir(), "w")
	for _, args := range [][]string{{"clone", "--quiet", f.bare, work}, {"-C", work, "commit", "--quiet", "--allow-empty", "-m", "not hers"}} {
		if out, err := f.git(args...); err != nil {
			t.Fatal(out)
		}
	}
	if out, err := f.with(t, name, password, "-C", work, "push", "--quiet", f.address(), "HEAD:master"); err == nil {
		t.Errorf("%s pushes: %s", what, out)
	}
	if after, _ := f.git("-C", f.bare, "rev-parse", "master"); after != before {
		t.Errorf("%s changed the repository", what)
	}
}

// open demands that Git reads with a token.
func (f *forge) open(t *testing.T, token string) {
	t.Helper()
	if out, err := f.with(t, "oauth2", token, "ls-remote", f.address()); err != nil || !strings.Contains(out, "refs/heads/master") {
		t.Fatalf("an honest token reads nothing: %v\n%s", err, out)
	}
}

// signsIn has Git's helper get a token: it opens a browser, in which somebody signs in.
func (f *forge) signsIn(t *testing.T, browse func(address string)) string {
	t.Helper()
	site := "credential.http://" + f.addr + "."
	for key, value := range map[string]string{"oauthClientId": "git", "oauthAuthURL": "/oidc/authorize", "oauthTokenURL": "/oidc/token", "oauthScopes": "openid"} {
		if out, err := f.git("config", "--global", site+key, value); err != nil {
			t.Fatal(out)
		}
	}
	os.Remove(f.opened)
	cmd := exec.Command(testbed.Program(t, "git-credential-oauth"), "get")
	cmd.Dir, cmd.Env = f.home, []string{"HOME=" + f.home, "PATH=" + f.home + ":" + os.Getenv("PATH"), "DISPLAY=:0"}
	cmd.Stdin = strings.NewReader("protocol=http\nhost=" + f.addr + "\n\n")
	var out, said strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	t.Cleanup(func() { cmd.Process.Kill() }) //nolint:errcheck // it has ended
	f.w.Until("git opens a browser", func() bool {
		if len(done) > 0 {
			t.Fatalf("git-credential-oauth ended: %s", said.String())
		}
		_, err := os.Stat(f.opened)
		return err == nil
	})
	address, err := os.ReadFile(f.opened)
	if err != nil {
		t.Fatal(err)
	}
	browse(string(address))
	if err := <-done; err != nil {
		t.Fatalf("git-credential-oauth: %v: %s", err, said.String())
	}
	_, rest, _ := strings.Cut(out.String(), "password=")
	token, _, _ := strings.Cut(rest, "\n")
	if token == "" {
		t.Fatal("git-credential-oauth has no token")
	}
	return token
}

// The promise: Git reads and writes with a token of minutes for which its owner signed in with two
// factors, by a helper that we did not write; with a password, with anything that is old, and with
// what is another's it gets nothing, and the repository stays as it is.
func TestGitOverHTTPS(t *testing.T) {
	w := servertest.NewWorld(t)
	ada := w.EnrollCodes("ada")
	f := newForge(w)
	f.shut(t, "nobody", "", "")
	f.shut(t, "the right password", "ada", servertest.Passphrase)
	f.shut(t, "a password and a code, which are not taken", "ada", servertest.Passphrase+","+ada.Code())
	w.Later(time.Minute)

	p := w.Person()
	token := f.signsIn(t, func(address string) {
		p.Get(address)
		signIn(p, "ada", ada.Code())
	})
	f.open(t, token)
	work := filepath.Join(f.home, "work")
	if out, err := f.with(t, "oauth2", token, "clone", "--quiet", f.address(), work); err != nil {
		t.Fatalf("clone: %v\n%s", err, out)
	}
	if out, err := f.git("-C", work, "commit", "--quiet", "--allow-empty", "-m", "hers"); err != nil {
		t.Fatal(out)
	}
	if out, err := f.with(t, "oauth2", token, "-C", work, "push", "--quiet", "origin", "HEAD:master"); err != nil {
		t.Fatalf("push: %v\n%s", err, out)
	}
	if out, _ := f.git("-C", f.bare, "log", "-1", "--format=%s", "master"); strings.TrimSpace(out) != "hers" {
		t.Errorf("what she pushed is not there: %s", out)
	}
	f.foreign(t, p)

	f.open(t, token)
	w.Later(11 * time.Minute)
	f.shut(t, "a token after its time", "oauth2", token)
	second := f.signsIn(t, func(address string) { p.Get(address) })
	f.open(t, second)
	w.Suspend("ada")
	f.shut(t, "a token of somebody who is suspended", "oauth2", second)
	if n := w.Refusals("client.token-refused"); n != 5 { // of another client, bound, of one that is gone, after its time, of somebody suspended
		t.Errorf("%d refusals of tokens are in the log", n)
	}
}

// foreign are tokens that are good elsewhere.
func (f *forge) foreign(t *testing.T, p *servertest.Person) {
	t.Helper()
	wiki := newParty(f.w, "wiki", map[string]any{"refresh": "session"})
	p.Get(wiki.begin())
	got, _ := wiki.exchange(t, wiki.back())
	f.shut(t, "another client's token", "oauth2", got.AccessToken)
	id, _ := got.Extra("id_token").(string)
	f.shut(t, "an ID token", "oauth2", id)
	f.shut(t, "a refresh token", "oauth2", got.RefreshToken)
	f.shut(t, "a token of nobody", "oauth2", "csat_"+strings.Repeat("A", 200))
	f.shut(t, "a token with a name as its password", "ada", "csat_")
	h := newHolder(t, f.w)
	bound := newParty(f.w, "bound", nil)
	status, said := bound.redeems(t, p, h.proof("POST", "/oidc/token"))
	if status != http.StatusOK {
		t.Fatalf("no bound token: %d", status)
	}
	access, _ := said["access_token"].(string)
	f.shut(t, "a token that is bound to a key", "oauth2", access)
	gone := newParty(f.w, "gone", nil)
	p.Get(gone.begin())
	last, _ := gone.exchange(t, gone.back())
	f.open(t, last.AccessToken)
	unregister(t, f.w, "gone")
	f.shut(t, "a token of an application that was removed", "oauth2", last.AccessToken)
	if _, err := wiki.provider.UserInfo(t.Context(), wiki.config.TokenSource(t.Context(), got)); err != nil {
		t.Error("it is not good where it belongs, either")
	}
}
