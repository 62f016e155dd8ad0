package cli

import (
	"context"
	"fmt"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"countersign/internal/authenticator/otp"
)

// token is a device with a button: each press is the next code.
type token struct {
	key  otp.Key
	next uint64
}

func (k *token) press() string {
	k.next++
	return k.key.Code(k.next - 1)
}

// enrollToken adds a code token to what a person with a welcome link has. The
// password is there already, so that both are two factors.
func (p *person) enrollToken() *token {
	p.w.t.Helper()
	p.post("/account/do", "action", "authenticator.enroll", "object", "hotp")
	k := &token{key: otp.Key{Algorithm: otp.SHA1, Digits: 6, Secret: p.shownSecret()}}
	p.post("/account/setup", "authenticator", "hotp", "text", k.press())
	p.sees("Added: Code token")
	return k
}

// welcomed is a person who followed a welcome link and set a password.
func (w *world) welcomed(name string) *person {
	w.t.Helper()
	pass, err := w.Setup.Plant(context.Background(), name, "")
	if err != nil {
		w.t.Fatal(err)
	}
	p := w.person()
	p.get(pass.Link)
	_, code, _ := strings.Cut(pass.Link, "code=")
	p.post("/welcome", "code", code)
	p.enrollPassword()
	return p
}

// equipment asks by RADIUS as a VPN gateway does, with radclient.
type equipment struct {
	w      *world
	secret string
}

func (w *world) equipment() equipment {
	w.t.Helper()
	e := equipment{w, "a-secret-of-the-equipment"}
	if err := w.PlantApplications(context.Background(), "localhost:1", e.secret); err != nil {
		w.t.Fatal(err)
	}
	return e
}

func (e equipment) ask(name, password, state string) string {
	e.w.t.Helper()
	in := fmt.Sprintf("User-Name = %q\nUser-Password = %q\nNAS-Identifier = \"nas\"\nMessage-Authenticator = 0x00\n", name, password)
	if state != "" {
		in += "State = " + state + "\n"
	}
	cmd := exec.Command("radclient", "-x", "-r", "1", "-t", "5", e.w.radius, "auth", e.secret)
	cmd.Stdin = strings.NewReader(in)
	out, _ := cmd.CombinedOutput() // radclient exits 1 for a challenge and a reject
	return string(out)
}

var stateAttribute = regexp.MustCompile(`State = (0x[0-9a-f]+)`)

// signIn types the password, and then the code at the challenge.
func (e equipment) signIn(name, code string) (accepted bool) {
	e.w.t.Helper()
	out := e.ask(name, passphrase, "")
	m := stateAttribute.FindAllStringSubmatch(out, -1)
	if !strings.Contains(out, "Access-Challenge") || m == nil {
		e.w.t.Fatalf("no challenge:\n%s", out)
	}
	return strings.Contains(e.ask(name, code, m[len(m)-1][1]), "Received Access-Accept")
}

// The promise: a code token signs in by RADIUS, once with each code; a code of
// before, one that was passed over and one far ahead do not, and two in a row
// bring a token back that ran ahead.
func TestCodeTokenByRADIUS(t *testing.T) {
	w := newWorld(t)
	grace := w.welcomed("grace").enrollToken()
	vpn := w.equipment()

	skipped, code := grace.press(), grace.press()
	if !vpn.signIn("grace", code) {
		t.Error("the code of a token pressed once too often was refused")
	}
	if vpn.signIn("grace", code) {
		t.Error("a code was accepted twice")
	}
	if vpn.signIn("grace", skipped) {
		t.Error("a code from before the one that was used was accepted")
	}
	if !vpn.signIn("grace", grace.press()) {
		t.Error("after two refusals the next code was refused")
	}

	grace.next += 50
	if vpn.signIn("grace", grace.press()) {
		t.Error("a code 50 ahead was accepted by itself")
	}
	first, second := grace.press(), grace.press()
	if !vpn.signIn("grace", first+" "+second) {
		t.Error("two codes in a row do not bring the token back")
	}
	if vpn.signIn("grace", first+" "+second) {
		t.Error("the two codes that brought the token back were accepted again")
	}
	if !vpn.signIn("grace", grace.press()) {
		t.Error("the token that was brought back is refused")
	}
}

// The promise: who has an app and a token may use either by RADIUS, for months,
// without the one wearing out the other.
func TestTokenBesideAnAppByRADIUS(t *testing.T) {
	w := newWorld(t)
	ada := w.enrollCodes("ada")
	vpn := w.equipment()
	p := w.person()
	p.get("/sign-in")
	p.post("/sign-in", "name", "ada", "authenticator", "password", "text", passphrase)
	p.post("/sign-in", "authenticator", "totp", "text", ada.code())
	fob := p.enrollToken()
	for i := range 12 {
		if !vpn.signIn("ada", fob.press()) {
			t.Fatalf("the token's code %d was refused", i)
		}
	}
	w.later(60e9)
	if !vpn.signIn("ada", ada.code()) {
		t.Error("the app was worn out by the token's codes")
	}
	if vpn.signIn("ada", "000000") {
		t.Error("a wrong code was accepted")
	}
	rows, err := w.DB.Query(t.Context(), `select subject, count from guess where count > 0`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	kinds := 0
	for rows.Next() {
		var subject string
		var count int
		if err := rows.Scan(&subject, &count); err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(subject, "credential/") {
			kinds++
		}
		if count != 1 && !strings.HasPrefix(subject, "enroll/") {
			t.Errorf("one wrong code was charged %d times to %s", count, subject)
		}
	}
	if kinds != 2 {
		t.Errorf("one wrong code was charged to %d authenticators, and it may have been for two", kinds)
	}
}
