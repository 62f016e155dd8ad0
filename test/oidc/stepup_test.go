package oidc

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"countersign/internal/servertest"
)

// demands is a resource server that takes an access token by what introspection says of it, and
// refuses otherwise with what the client has to ask for (RFC 9470 section 3).
func (p *party) demands(t testing.TB, access, class string, age time.Duration) (challenge map[string]string) {
	t.Helper()
	got := p.asks(t, access)
	at, _ := got["auth_time"].(float64)
	if got["active"] == true && got["acr"] == class && p.w.Now().Sub(time.Unix(int64(at), 0)) <= age {
		return nil
	}
	return map[string]string{"acr_values": class, "max_age": strconv.Itoa(int(age.Seconds()))}
}

// The promise of RFC 9470: a resource server that wants more than a token shows says so, the client
// sends the person with that here, they are asked for what is missing, and the next token says it.
func TestAResourceServerDemandsMore(t *testing.T) {
	w := servertest.NewWorld(t)
	ada := w.EnrollCodes("ada")
	wiki := newParty(w, "wiki", nil)
	api := resourceServer(w, "api", "wiki")
	p := signedIn(w, ada)
	w.Later(10 * time.Minute)
	access, _ := wiki.tokens(t, p)
	challenge := api.demands(t, access, "https://refeds.org/profile/mfa", 5*time.Minute)
	if challenge == nil {
		t.Fatal("an old sign-in was good enough")
	}
	p.Get(wiki.begin("acr_values", challenge["acr_values"], "max_age", challenge["max_age"]))
	if strings.Contains(p.Page, "Welcome to the application") {
		t.Fatal("nothing was asked")
	}
	before := w.Now()
	p.Post("/sign-in", "authenticator", "password", "text", servertest.Passphrase)
	p.Post("/sign-in", "authenticator", "totp", "text", ada.Code())
	follow(p)
	status, got := wiki.post(t, "/oidc/token", wiki.tokenForm(wiki.back()))
	if status != 200 {
		t.Fatal(status, got)
	}
	risen := fmt.Sprint(got["access_token"])
	if challenge := api.demands(t, risen, "https://refeds.org/profile/mfa", 5*time.Minute); challenge != nil {
		t.Errorf("the token of the stronger sign-in is refused, too: %v", api.asks(t, risen))
	}
	if at := int64(api.asks(t, risen)["auth_time"].(float64)); at < before.Add(-time.Second).Unix() {
		t.Errorf("auth_time is %d, and the person proved themselves after %d", at, before.Unix())
	}
	_, id := parts(t, fmt.Sprint(got["id_token"]))
	if id["acr"] != "https://refeds.org/profile/mfa" || id["auth_time"] != api.asks(t, risen)["auth_time"] {
		t.Errorf("the ID token says %v", id)
	}
	if api.demands(t, access, "https://refeds.org/profile/mfa", 5*time.Minute) == nil {
		t.Error("the token of before rose with it")
	}
}

// Who has not got what is demanded is refused by its name, and the client is told.
func TestWhatIsDemandedCannotBeShown(t *testing.T) {
	w := servertest.NewWorld(t)
	ada := w.EnrollCodes("ada")
	wiki := newParty(w, "wiki", nil)
	p := signedIn(w, ada)
	p.Get(wiki.begin("acr_values", "phrh"))
	wiki.refused("unmet_authentication_requirements")
}
