package radius

import (
	"strings"
	"testing"

	"countersign/internal/servertest"
)

// The promise: a code token signs in by RADIUS, once with each code; a code of
// before, one that was passed over and one far ahead do not, and two in a row
// bring a token back that ran ahead.
func TestCodeTokenByRADIUS(t *testing.T) {
	w := servertest.NewWorld(t)
	grace := servertest.EnrollToken(w.Welcomed("grace"))
	vpn := w.Equipment()

	skipped, code := grace.Press(), grace.Press()
	if !vpn.SignIn("grace", code) {
		t.Error("the code of a token pressed once too often was refused")
	}
	if vpn.SignIn("grace", code) {
		t.Error("a code was accepted twice")
	}
	if vpn.SignIn("grace", skipped) {
		t.Error("a code from before the one that was used was accepted")
	}
	if !vpn.SignIn("grace", grace.Press()) {
		t.Error("after two refusals the next code was refused")
	}

	grace.Next += 50
	if vpn.SignIn("grace", grace.Press()) {
		t.Error("a code 50 ahead was accepted by itself")
	}
	first, second := grace.Press(), grace.Press()
	if !vpn.SignIn("grace", first+" "+second) {
		t.Error("two codes in a row do not bring the token back")
	}
	if vpn.SignIn("grace", first+" "+second) {
		t.Error("the two codes that brought the token back were accepted again")
	}
	if !vpn.SignIn("grace", grace.Press()) {
		t.Error("the token that was brought back is refused")
	}
}

// The promise: who has an app and a token may use either by RADIUS, for months,
// without the one wearing out the other.
func TestTokenBesideAnAppByRADIUS(t *testing.T) {
	w := servertest.NewWorld(t)
	ada := w.EnrollCodes("ada")
	vpn := w.Equipment()
	p := w.Person()
	p.Get("/sign-in")
	p.Post("/sign-in", "name", "ada", "authenticator", "password", "text", servertest.Passphrase)
	p.Post("/sign-in", "authenticator", "totp", "text", ada.Code())
	fob := servertest.EnrollToken(p)
	for i := range 12 {
		if !vpn.SignIn("ada", fob.Press()) {
			t.Fatalf("the token's code %d was refused", i)
		}
	}
	w.Later(60e9)
	if !vpn.SignIn("ada", ada.Code()) {
		t.Error("the app was worn out by the token's codes")
	}
	if vpn.SignIn("ada", "000000") {
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
