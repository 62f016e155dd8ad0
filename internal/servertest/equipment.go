package servertest

import (
	"context"
	"fmt"
	"os/exec"
	"regexp"
	"strings"

	"countersign/internal/authenticator/otp"
)

// Token is a device with a button: each press is the next code.
type Token struct {
	Key  otp.Key
	Next uint64
}

func (k *Token) Press() string {
	k.Next++
	return k.Key.Code(k.Next - 1)
}

// EnrollToken adds a code token to what a person with a welcome link has. The
// password is there already, so that both are two factors.
func EnrollToken(p *Person) *Token {
	p.W.T.Helper()
	p.Post("/account/do", "action", "authenticator.enroll", "object", "hotp")
	k := &Token{Key: otp.Key{Algorithm: otp.SHA1, Digits: 6, Secret: p.ShownSecret()}}
	p.Post("/account/setup", "authenticator", "hotp", "text", k.Press())
	p.Sees("Added: Code token")
	return k
}

// Welcomed is a person who followed a welcome link and set a password.
func (w *World) Welcomed(name string) *Person {
	w.T.Helper()
	pass, err := w.Setup.Plant(context.Background(), name, "")
	if err != nil {
		w.T.Fatal(err)
	}
	p := w.Person()
	p.Get(pass.Link)
	_, code, _ := strings.Cut(pass.Link, "code=")
	p.Post("/welcome", "code", code)
	p.EnrollPassword()
	return p
}

// Equipment asks by RADIUS as a VPN gateway does, with radclient.
type Equipment struct {
	W      *World
	Secret string
}

func (w *World) Equipment() Equipment {
	w.T.Helper()
	e := Equipment{w, "a-secret-of-the-equipment"}
	if err := w.PlantApplications(context.Background(), "localhost:1", e.Secret); err != nil {
		w.T.Fatal(err)
	}
	return e
}

func (e Equipment) Ask(name, password, state string) string {
	e.W.T.Helper()
	in := fmt.Sprintf("User-Name = %q\nUser-Password = %q\nNAS-Identifier = \"nas\"\nMessage-Authenticator = 0x00\n", name, password)
	if state != "" {
		in += "State = " + state + "\n"
	}
	cmd := exec.Command("radclient", "-x", "-r", "1", "-t", "5", e.W.Radius, "auth", e.Secret)
	cmd.Stdin = strings.NewReader(in)
	out, _ := cmd.CombinedOutput() // radclient exits 1 for a challenge and a reject
	return string(out)
}

var StateAttribute = regexp.MustCompile(`State = (0x[0-9a-f]+)`)

// SignIn types the password, and then the code at the challenge.
func (e Equipment) SignIn(name, code string) (accepted bool) {
	e.W.T.Helper()
	out := e.Ask(name, Passphrase, "")
	m := StateAttribute.FindAllStringSubmatch(out, -1)
	if !strings.Contains(out, "Access-Challenge") || m == nil {
		e.W.T.Fatalf("no challenge:\n%s", out)
	}
	return strings.Contains(e.Ask(name, code, m[len(m)-1][1]), "Received Access-Accept")
}

// ProveAgain shows password and code where something waits for a fresh proof.
func (p *Person) ProveAgain(ada *Person) {
	p.W.T.Helper()
	p.Post("/sign-in", "authenticator", "password", "text", Passphrase)
	p.Post("/sign-in", "authenticator", "totp", "text", ada.Code())
}
