package oidc

import (
	"encoding/json"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"countersign/internal/server"
	"countersign/internal/servertest"
)

const deviceGrant = "urn:ietf:params:oauth:grant-type:device_code"

// asksIn has a device ask to be let in, from an address.
func (p *party) asksIn(t testing.TB, from string) (device, user string) {
	t.Helper()
	status, got := p.post(t, "/oidc/device", url.Values{"client_id": {p.config.ClientID}, "scope": {"openid profile groups offline_access"}}, "X-Forwarded-For", from, "User-Agent", "box/1.0")
	device, _ = got["device_code"].(string)
	user, _ = got["user_code"].(string)
	if status != 200 || len(device) < 32 || !regexp.MustCompile(`^[BCDFGHJKLMNPQRSTVWXZ]{4}-[BCDFGHJKLMNPQRSTVWXZ]{4}$`).MatchString(user) ||
		got["verification_uri"] != p.w.Base+"/device" || got["verification_uri_complete"] != nil || got["interval"] != 5.0 || got["expires_in"] != 300.0 {
		t.Fatalf("%d %v", status, got)
	}
	return device, user
}

// polls asks what became of a device.
func (p *party) polls(t testing.TB, device string) (int, reply) {
	t.Helper()
	return p.post(t, "/oidc/token", url.Values{"grant_type": {deviceGrant}, "device_code": {device}, "client_id": {p.config.ClientID}})
}

// box is a program on a device, which keeps no secret.
func box(w *servertest.World, name string, more map[string]any) *party {
	w.T.Helper()
	settings := map[string]any{"authentication": "none", "client_secret": nil, "redirect_uris": nil, "device": "anywhere", "refresh": "session"}
	for key, value := range more {
		settings[key] = value
	}
	return newParty(w, name, settings)
}

var sealedIn = regexp.MustCompile(`name="resume" value="([^"]+)"`)

// types types a code, and proves itself where that is asked for.
func types(p *servertest.Person, code string, ada *servertest.Person) {
	p.W.T.Helper()
	p.Get("/device")
	p.Post("/device", "user_code", code)
	if strings.Contains(p.Page, `action="/sign-in"`) {
		p.W.Later(time.Minute) // so that there is a code of the app that was not used
		p.ProveAgain(ada)
		follow(p)
	}
}

// says presses a button of the page that asks.
func says(p *servertest.Person, answer string) {
	p.W.T.Helper()
	m := sealedIn.FindStringSubmatch(p.Page)
	if m == nil {
		p.W.T.Fatalf("the page asks nothing:\n%s", p.Page)
	}
	p.Post("/device/confirm", "resume", m[1], "answer", answer)
}

// The promise: a device is let in by somebody who has signed in as the application demands, has proved
// themselves for this device, has read which it is and from where it asks, and has said yes. It gets
// tokens once, and they end with that session.
func TestADeviceIsLetIn(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, dsn string) {
		w := servertest.NewWorldOn(t, dsn)
		ada := w.EnrollCodes("ada")
		w.Address("ada", "ada@example.org")
		tv := box(w, "tv", nil)
		p := signedIn(w, ada)
		w.Later(time.Minute)
		device, user := tv.asksIn(t, "198.51.100.7")
		status, got := tv.polls(t, device)
		fails(t, "before anybody answered", status, got, "authorization_pending")
		p.Get("/device?user_code=" + user)
		p.Sees("Let a device in")
		if strings.Contains(p.Page, user) {
			t.Error("a link fills the code in")
		}
		types(p, strings.ToLower(strings.ReplaceAll(user, "-", " ")), ada)
		for _, text := range []string{"The tv", "ada", user, "198.51.100.7", "another network", "box/1.0", "your name", "If somebody sent you the code"} {
			if !strings.Contains(p.Page, text) {
				t.Errorf("the page does not say %q", text)
			}
		}
		if w.Events("client.device-approved") != 0 {
			t.Error("it is let in by a look")
		}
		says(p, "allow")
		p.Sees("The device is let in")
		w.Later(10 * time.Second)
		status, got = tv.polls(t, device)
		access, _ := got["access_token"].(string)
		refresh, _ := got["refresh_token"].(string)
		if status != 200 || access == "" || refresh == "" || got["id_token"] == nil || got["scope"] != "openid profile groups" {
			t.Fatalf("%d %v", status, got)
		}
		_, id := parts(t, got["id_token"].(string))
		if id["preferred_username"] != "ada" || id["aud"] != "tv" || id["acr"] != "urn:countersign:aal2" {
			t.Errorf("%v", id)
		}
		if w.Events("client.device-approved") != 1 || w.Events("client.tokens") != 1 {
			t.Error("the log does not say it")
		}
		if n := servertest.Count(w, t, `select count(*) from notice where address = 'ada@example.org' and subject like '%device%'`); n != 1 {
			t.Errorf("the owner was told %d times", n)
		}
		if status, _ = tv.refresh(t, refresh); status != 200 {
			t.Errorf("a refresh: %d", status)
		}
		w.Later(10 * time.Second)
		status, got = tv.polls(t, device)
		fails(t, "the device code again", status, got, "invalid_grant")
		if tv.alive(t, access) || w.Events("alarm.token-misused") != 1 {
			t.Error("a device code that comes twice ends nothing, or is no alarm")
		}
	})
}

// Who says no is believed, and so is nobody who has not said yes.
func TestADeviceIsNotLetIn(t *testing.T) {
	w := servertest.NewWorld(t)
	ada := w.EnrollCodes("ada")
	tv := box(w, "tv", nil)
	p := signedIn(w, ada)
	w.Later(time.Minute)
	device, user := tv.asksIn(t, "198.51.100.7")
	types(p, user, ada)
	page := p.Page
	says(p, "refuse")
	p.Sees("The device was not let in")
	status, got := tv.polls(t, device)
	fails(t, "refused", status, got, "access_denied")
	if w.Refusals("client.device-refused") != 1 {
		t.Error("the log does not say it")
	}
	p.Page = page
	says(p, "allow") // who thinks better of it has the device ask anew
	if w.Events("client.device-approved") != 0 {
		t.Error("what was refused was let in")
	}
	// Time is short.
	device, user = tv.asksIn(t, "198.51.100.7")
	types(p, user, ada)
	w.Later(6 * time.Minute)
	says(p, "allow")
	if w.Events("client.device-approved") != 0 {
		t.Error("a device was let in after its time")
	}
	status, got = tv.polls(t, device)
	fails(t, "after its time", status, got, "expired_token")
	// A code that nobody was given, and a device that is none.
	p.Post("/device", "user_code", "BBBB-BBBB")
	p.Sees("No device waits with this code")
	for _, wrong := range []string{"", "nonsense", strings.Repeat("A", 3000), device + "A"} {
		status, got = tv.polls(t, wrong)
		fails(t, "no device code", status, got, "expired_token")
	}
	w.Suspend("ada")
	w.Later(time.Minute)
	_, user = tv.asksIn(t, "198.51.100.7")
	p.Post("/device", "user_code", user)
	if strings.Contains(p.Page, "Let the device in") {
		t.Error("somebody who is suspended is asked")
	}
}

// What is approved is approved by whoever read it, in their own session: no link of a stranger, no form
// of another site and no page of somebody else's is a yes.
func TestADeviceCodeIsPhished(t *testing.T) {
	w := servertest.NewWorld(t)
	ada, eve := w.EnrollCodes("ada"), w.EnrollCodes("eve")
	tv := box(w, "tv", nil)
	victim, thief := signedIn(w, ada), signedInAs(w, eve, "eve")
	w.Later(time.Minute)
	_, user := tv.asksIn(t, "203.0.113.66")
	types(thief, user, eve)
	m := sealedIn.FindStringSubmatch(thief.Page)
	if m == nil {
		t.Fatal("the thief is not asked")
	}
	victim.Get("/device/confirm?resume=" + url.QueryEscape(m[1]))
	if strings.Contains(victim.Page, "Let the device in") {
		t.Error("a link shows somebody what another one typed")
	}
	victim.Get("/device")
	victim.Post("/device/confirm", "resume", m[1], "answer", "allow")
	victim.Sees("Type the code that the device in front of you shows")
	victim.Get("/device/confirm?answer=allow&resume=" + url.QueryEscape(m[1]))
	// Who types the code by themselves is asked to prove themselves for it, however new their session is.
	victim.Get("/device")
	victim.Post("/device", "user_code", user)
	if strings.Contains(victim.Page, "Let the device in") {
		t.Error("a session of before is enough")
	}
	stranger := w.Person()
	stranger.Get("/device")
	stranger.Sees("Sign in")
	stranger.Post("/device", "user_code", user)
	stranger.Post("/device/confirm", "resume", m[1], "answer", "allow")
	if n := w.Events("client.device-approved"); n != 0 {
		t.Errorf("%d devices were let in", n)
	}
}

// A device is let in by whom the application's own demand and the policy let in, where it is allowed,
// and from where.
func TestWhoMayLetADeviceIn(t *testing.T) {
	w := servertest.NewWorld(t)
	ada := w.EnrollCodes("ada")
	off := newParty(w, "off", map[string]any{"authentication": "none", "client_secret": nil})
	status, got := off.post(t, "/oidc/device", url.Values{"client_id": {"off"}, "scope": {"openid"}})
	fails(t, "where it is off", status, got, "unauthorized_client")
	status, got = off.post(t, "/oidc/token", url.Values{"client_id": {"off"}, "grant_type": {deviceGrant}, "device_code": {"x"}})
	fails(t, "where it is off, at the token endpoint", status, got, "unauthorized_client")
	strict, near := box(w, "strict", map[string]any{"acr": "phr"}), box(w, "near", map[string]any{"device": "same-network"})
	p := signedIn(w, ada)
	w.Later(time.Minute)
	_, user := strict.asksIn(t, "198.51.100.7")
	p.Get("/device")
	p.Post("/device", "user_code", user)
	if strings.Contains(p.Page, "Let the device in") {
		t.Error("two factors are enough where a passkey is demanded")
	}
	_, user = near.asksIn(t, "198.51.100.7")
	p.Get("/device")
	p.Post("/device", "user_code", user)
	p.Sees("in another network than you are")
	_, user = near.asksIn(t, "127.0.0.9")
	types(p, user, ada)
	p.Sees("It asks from the network in which you are")
	if status, got := near.post(t, "/oidc/device", url.Values{"client_id": {"near"}}); status != 400 || got["error"] != "invalid_scope" {
		t.Errorf("without openid: %d %v", status, got)
	}
}

// A device code is its client's alone: one that another client brings is nobody's any more.
func TestADeviceCodeIsItsClients(t *testing.T) {
	w := servertest.NewWorld(t)
	ada := w.EnrollCodes("ada")
	tv, other := box(w, "tv", nil), box(w, "other", nil)
	p := signedIn(w, ada)
	w.Later(time.Minute)
	device, user := tv.asksIn(t, "198.51.100.7")
	types(p, user, ada)
	says(p, "allow")
	status, got := other.polls(t, device)
	fails(t, "another client", status, got, "invalid_grant")
	status, got = tv.polls(t, device)
	fails(t, "its client after that", status, got, "expired_token")
	// What a device is given is nothing by another grant type, and no refresh token comes of its code.
	device, _ = tv.asksIn(t, "198.51.100.7")
	for _, form := range []url.Values{{"grant_type": {"authorization_code"}, "code": {device}, "client_id": {"tv"}, "code_verifier": {strings.Repeat("v", 43)}},
		{"grant_type": {"refresh_token"}, "refresh_token": {device}, "client_id": {"tv"}}} {
		status, got = tv.post(t, "/oidc/token", form)
		fails(t, "by another grant type", status, got, "invalid_grant")
	}
}

// Of many that ask at once for one device, one gets tokens.
func TestADeviceCodeIsUsedOnce(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, dsn string) {
		w := servertest.NewWorldOn(t, dsn)
		ada := w.EnrollCodes("ada")
		tv := box(w, "tv", nil)
		p := signedIn(w, ada)
		w.Later(time.Minute)
		device, user := tv.asksIn(t, "198.51.100.7")
		types(p, user, ada)
		page := p.Page
		says(p, "allow")
		p.Page = page
		says(p, "allow") // twice by the person
		if n := w.Events("client.device-approved"); n != 1 {
			t.Errorf("it was let in %d times", n)
		}
		var wait sync.WaitGroup
		var mu sync.Mutex
		good := 0
		for range 8 {
			wait.Go(func() {
				status, _ := tv.polls(t, device)
				mu.Lock()
				defer mu.Unlock()
				if status == 200 {
					good++
				}
			})
		}
		wait.Wait()
		if good != 1 {
			t.Errorf("%d got tokens", good)
		}
	})
}

// Who asks too often is told so and waits longer, and who types codes to find somebody else's stops
// being asked.
func TestDevicesAreBounded(t *testing.T) {
	w := servertest.NewWorldFrom(t, server.Settings{Proxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}, "http://localhost", nil)
	ada := w.EnrollCodes("ada")
	tv := box(w, "tv", nil)
	p := signedIn(w, ada)
	device, user := tv.asksIn(t, "198.51.100.7")
	status, got := tv.polls(t, device)
	fails(t, "the first", status, got, "authorization_pending")
	for range 2 {
		status, got = tv.polls(t, device)
		fails(t, "at once again", status, got, "slow_down")
	}
	w.Later(6 * time.Second)
	status, got = tv.polls(t, device)
	fails(t, "after five seconds, where fifteen are due", status, got, "slow_down")
	w.Later(21 * time.Second)
	status, got = tv.polls(t, device)
	fails(t, "in time", status, got, "authorization_pending")
	for range 10 {
		p.Post("/device", "user_code", "BCDF-GHJK")
		p.Sees("No device waits with this code")
	}
	p.Post("/device", "user_code", user)
	p.Sees("You typed too many codes")
	if p.Status != http.StatusTooManyRequests {
		t.Errorf("status %d", p.Status)
	}
	for range 29 {
		tv.asksIn(t, "198.51.100.7")
	}
	if status, got = tv.post(t, "/oidc/device", url.Values{"client_id": {"tv"}, "scope": {"openid"}}, "X-Forwarded-For", "198.51.100.7"); status != http.StatusTooManyRequests {
		t.Errorf("%d %v", status, got)
	}
	tv.asksIn(t, "198.51.100.8") // others still can
}

// The metadata names the endpoint, and what is in it is told to programs alone.
func TestDeviceMetadata(t *testing.T) {
	w := servertest.NewWorld(t)
	r, err := http.Get(w.Base + "/.well-known/openid-configuration")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	var all struct {
		Device string   `json:"device_authorization_endpoint"`
		Grants []string `json:"grant_types_supported"`
	}
	if err := json.NewDecoder(r.Body).Decode(&all); err != nil || all.Device != w.Base+"/oidc/device" || !strings.Contains(strings.Join(all.Grants, " "), deviceGrant) {
		t.Errorf("%+v, %v", all, err)
	}
}
