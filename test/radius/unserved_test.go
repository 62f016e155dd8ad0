package radius

import (
	"encoding/json"
	"os/exec"
	"strings"
	"testing"
	"time"

	"countersign/internal/application"
	"countersign/internal/servertest"
)

// heard is what application show says of an application's requests.
type heard struct {
	Last     time.Time `json:"last_heard_from"`
	Unserved []struct {
		Cause, Mend, Client string
		Count               int
	} `json:"unserved"`
}

// The promise: an administrator learns from application show and from the audit log why a
// gateway's requests are not served, and how to mend it; a flood makes no flood of entries.
func TestWhyRADIUSIsNotServed(t *testing.T) {
	w := servertest.NewWorld(t)
	ada := &servertest.Clerk{W: w, Name: "ada", Person: w.Administrator("ada")}
	vpn := w.Equipment()
	send := func(secret, attributes string) {
		t.Helper()
		cmd := exec.Command("radclient", "-r", "1", "-t", "1", w.Radius, "auth", secret)
		cmd.Stdin = strings.NewReader("User-Name = \"ada\"\n" + attributes)
		_ = cmd.Run() // it gets a refusal or nothing
	}
	const signed = "Message-Authenticator = 0x00\n"
	for range 3 {
		send("not-the-secret-of-it", "User-Password = \"hunter2\"\n"+signed)
	}
	send(vpn.Secret, "User-Password = \"hunter2\"\n")
	send(vpn.Secret, "CHAP-Password = \"hunter2\"\n"+signed)
	send(vpn.Secret, "MS-CHAP-Challenge = 0x00112233445566778899aabbccddeeff\nMS-CHAP2-Response = 0x"+strings.Repeat("00", 50)+"\n"+signed)
	send(vpn.Secret, "EAP-Message = 0x0201000801616461\n"+signed)
	send(vpn.Secret, "User-Password = \"hunter2\"\nState = 0x0123456789abcdef\n"+signed)

	var got heard
	want := map[string]string{"wrong-message-authenticator": "shared secret differs", "no-message-authenticator": "switch it on", "chap": "set it to PAP", "ms-chap": "set it to PAP",
		"eap": "set it to PAP", "stray-state": "send the State of the last challenge"}
	w.Until("every cause is shown", func() bool {
		got = heard{}
		if err := ada.Do(t.Context(), "application.show", map[string]any{"name": "vpn"}, &got); err != nil {
			t.Fatal(err)
		}
		return len(got.Unserved) == len(want)
	})
	for _, u := range got.Unserved {
		if want[u.Cause] == "" || !strings.Contains(u.Mend, want[u.Cause]) || u.Client == "" {
			t.Errorf("%+v", u)
		}
		if u.Cause == "wrong-message-authenticator" && u.Count != 3 {
			t.Errorf("the wrong secret came %d times", u.Count)
		}
	}
	if got.Last.IsZero() {
		t.Error("the gateway was never heard from")
	}
	for range 2 {
		if err := w.TellUnserved(t.Context(), false); err != nil {
			t.Fatal(err)
		}
	}
	if n := w.Events("request.unserved"); n != len(want) {
		t.Errorf("%d entries about %d causes", n, len(want))
	}
	raw, _ := json.Marshal(got)
	if strings.Contains(string(raw), "hunter2") || strings.Contains(string(raw), vpn.Secret) {
		t.Error("what is shown holds what was typed or the secret")
	}
}

// The promise: an exception that is over is named as such, and its client is not served.
func TestExceptionThatIsOverIsNamed(t *testing.T) {
	w := servertest.NewWorld(t)
	w.Equipment() // beside it, in the same network
	servertest.PlantApplication(w, application.Application{Name: "old", Kind: "vpn", Tier: application.Standard, Protocol: "radius"}, map[string]any{"mode": "challenge",
		"clients": []any{map[string]any{"name": "old gate", "networks": []string{"127.0.0.0/8"}, "nas_identifiers": []string{"old"}, "secret": "a-secret-of-the-equipment",
			"message_authenticator_exception": map[string]any{"reason": "old", "expires": w.Now().Add(time.Hour)}}}})
	w.Later(2 * time.Hour)
	ada := &servertest.Clerk{W: w, Name: "ada", Person: w.Administrator("ada")}
	cmd := exec.Command("radclient", "-r", "1", "-t", "1", w.Radius, "auth", "a-secret-of-the-equipment")
	cmd.Stdin = strings.NewReader("User-Name = \"ada\"\nUser-Password = \"hunter2\"\nNAS-Identifier = \"old\"\n")
	_ = cmd.Run() // it gets nothing
	w.Until("the exception is named", func() bool {
		var got heard
		if err := ada.Do(t.Context(), "application.show", map[string]any{"name": "old"}, &got); err != nil {
			t.Fatal(err)
		}
		return len(got.Unserved) == 1 && got.Unserved[0].Cause == "expired-exception" && got.Last.IsZero()
	})
}
