package yubikey

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"countersign/internal/authenticator"
	"countersign/internal/authenticator/yubicootp"
	"countersign/internal/drill"
	"countersign/internal/prompt"
)

// Our key types what the server's own reading of a YubiKey takes, once and in order; one that
// only knows its public half does not.
func TestKey(t *testing.T) {
	k := newKey()
	kind := yubicootp.Authenticator{}
	e, err := kind.Import(authenticator.Seed{Public: k.public, Private: k.private, Secret: k.aes})
	if err != nil {
		t.Fatal(err)
	}
	c := authenticator.Credential{ID: 1, State: e.State, Handle: e.Handle}
	k.use = 254 // the session goes on after 255
	for i := range 4 {
		r, err := kind.Check(context.Background(), []authenticator.Credential{c}, nil, prompt.Answer{Text: k.touch()}, time.Time{})
		if err != nil || !r.OK {
			t.Fatalf("touch %d: %+v %v", i, r, err)
		}
		c.State = r.Next
	}
	if r, err := kind.Check(context.Background(), []authenticator.Credential{c}, nil, prompt.Answer{Text: k.forged().touch()}, time.Time{}); err != nil || r.OK {
		t.Errorf("a forged one: %+v %v", r, err)
	}
}

// The request that Yubico's "Getting Started Writing Clients" signs:
// https://developers.yubico.com/OTP/Libraries/Getting_Started_Writing_Clients.html
func TestSignature(t *testing.T) {
	key, err := base64.StdEncoding.DecodeString("mG5be6ZJU1qBGz24yPh/ESM3UdU=")
	if err != nil {
		t.Fatal(err)
	}
	q := url.Values{"id": {"1"}, "otp": {"vvungrrdhvtklknvrtvuvbbkeidikkvgglrvdgrfcdft"}, "nonce": {"jrFwbaYFhn0HoxZIsd9LQ6w2ceU"}}
	if got := signature(q, key); got != "+ja8S3IjbX593/LAgTBixwPNGX4=" {
		t.Error(got)
	}
}

// admin does every command, and remembers none.
type admin struct{}

func (admin) Do(_ context.Context, _ string, _, out any) error {
	if out == nil {
		return nil
	}
	return json.Unmarshal([]byte(`{"digest":"00"}`), out)
}

func play(t *testing.T, server string) (Validation, *drill.Play) {
	t.Helper()
	s := Validation{Application: "gate", Server: server, Client: 7, Key: []byte("a key of a program"), owners: &owners{}}
	return s, &drill.Play{Stage: drill.Stage{Components: []drill.Component{s.Component()}, Patience: 200 * time.Millisecond}, Admin: admin{}, Canary: &drill.Canary{Name: "canary", Password: "secret"}}
}

var moves = []drill.Move{drill.Replay, drill.RaceCodes, drill.GuessCodes, drill.MadeUp}

// A server that says OK to everything, without a signature that is right, is open in each move,
// and so are its answers.
func TestEverythingIsOK(t *testing.T) {
	yes := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		fmt.Fprintf(w, "h=AAAA\r\notp=%s\r\nnonce=%s\r\nstatus=OK\r\n\r\n", q.Get("otp"), q.Get("nonce"))
	}))
	defer yes.Close()
	s, p := play(t, yes.URL)
	for _, m := range moves {
		open := 0
		for _, try := range p.Move(t.Context(), m, p.Canary) {
			if try.Open {
				open++
			}
			if try.Name == "an answer that can be forged" && !try.Open {
				t.Errorf("%+v", try)
			}
		}
		if open == 0 {
			t.Errorf("%s is shut", m)
		}
	}
	if err := s.enter(t.Context(), p, p.Canary); err == nil {
		t.Error("an owner believes an answer that is not signed")
	}
	if err := s.check(t.Context()); err == nil || !strings.Contains(err.Error(), "another installation") {
		t.Error(err)
	}
}

// What cannot be reached was not attacked, and errors hold no code. While Countersign is
// stopped its silence is an answer.
func TestUnreachableIsNotShut(t *testing.T) {
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	_, p := play(t, gone.URL)
	for _, m := range moves {
		tries := p.Move(t.Context(), m, p.Canary)
		bad := len(tries) == 0
		for _, try := range tries {
			bad = bad || try.Open
			if strings.Contains(try.Error, "otp=") {
				t.Errorf("a code is in %q", try.Error)
			}
		}
		if bad || tries[len(tries)-1].Error == "" {
			t.Errorf("%s: nothing listens, and it is said to be shut: %+v", m, tries)
		}
	}
	p.Down = true
	for _, m := range moves {
		for _, try := range p.Move(t.Context(), m, p.Canary) {
			if try.Open || try.Error != "" {
				t.Errorf("%s while Countersign is stopped: %+v", m, try)
			}
		}
	}
}

// Settings are read as the server reads them.
func TestHere(t *testing.T) {
	all, err := Here("https://login.example.org", []Configured{{"gate", []byte(`{"clients":[{"name":"gateway","id":7,"key":"Z2F0ZXdheS1rZXktb2YtMjAh"},{"name":"b","id":8,"key":"eA=="}]}`)}})
	if err != nil || len(all) != 1 || all[0].Client != 7 || string(all[0].Key) != "gateway-key-of-20!" || all[0].Component().Name != "the validation protocol for gate" {
		t.Errorf("%+v %v", all, err)
	}
	for _, bad := range []string{``, `{}`, `{"clients":[{"id":7,"key":"!"}]}`} {
		if _, err := Here("", []Configured{{"gate", []byte(bad)}}); err == nil || strings.Contains(err.Error(), "!") {
			t.Errorf("%s: %v", bad, err)
		}
	}
}
