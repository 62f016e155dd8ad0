package virtualauth_test

import (
	"encoding/json"
	"errors"
	"testing"

	"countersign/internal/virtualauth"
)

const (
	creation = `{"challenge":"AAAA","rp":{"id":"example.org"},"user":{"id":"YWRh"},"pubKeyCredParams":[{"alg":-7}],` +
		`"excludeCredentials":[],"authenticatorSelection":{"residentKey":"required","userVerification":"required"}}`
	request = `{"challenge":"AAAA","rpId":"example.org","allowCredentials":[],"userVerification":"required"}`
)

// Without a lie the key refuses what a browser or key would refuse.
func TestHonesty(t *testing.T) {
	for name, test := range map[string]struct {
		key    *virtualauth.Key
		origin string
		want   error
	}{
		"good":             {&virtualauth.Key{}, "https://login.example.org", nil},
		"rpId is the host": {&virtualauth.Key{}, "https://example.org:8443", nil},
		"look-alike":       {&virtualauth.Key{}, "https://evilexample.org", virtualauth.ErrSecurity},
		"no TLS":           {&virtualauth.Key{}, "http://login.example.org", virtualauth.ErrSecurity},
		"no verification":  {&virtualauth.Key{NoUV: true}, "https://example.org", virtualauth.ErrNotAllowed},
		"no storage":       {&virtualauth.Key{NoResident: true}, "https://example.org", virtualauth.ErrNotAllowed},
		"other algorithm":  {&virtualauth.Key{Algorithm: virtualauth.EdDSA}, "https://example.org", virtualauth.ErrNotSupported},
	} {
		if _, err := test.key.Create(test.origin, []byte(creation)); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
	}
}

func TestRequests(t *testing.T) {
	k := &virtualauth.Key{}
	if _, err := k.Get("https://example.org", []byte(request)); err != virtualauth.ErrNotAllowed {
		t.Fatalf("an empty key: %v", err)
	}
	created, err := k.Create("https://example.org", []byte(creation))
	if err != nil {
		t.Fatal(err)
	}
	var reply struct{ ID string }
	if err := json.Unmarshal(created, &reply); err != nil || k.Len() != 1 {
		t.Fatalf("%s, %v, %d credentials", created, err, k.Len())
	}
	for name, test := range map[string]struct {
		options string
		want    error
	}{
		"discoverable": {request, nil},
		"listed":       {`{"challenge":"AAAA","rpId":"example.org","allowCredentials":[{"id":"` + reply.ID + `"}]}`, nil},
		"not listed":   {`{"challenge":"AAAA","rpId":"example.org","allowCredentials":[{"id":"AAAA"}]}`, virtualauth.ErrNotAllowed},
		"other rpId":   {`{"challenge":"AAAA","rpId":"login.example.org"}`, virtualauth.ErrNotAllowed},
		"foreign rpId": {`{"challenge":"AAAA","rpId":"example.com"}`, virtualauth.ErrSecurity},
	} {
		if _, err := k.Get("https://login.example.org", []byte(test.options)); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
	}
	excluding := `{"challenge":"AAAA","rp":{"id":"example.org"},"pubKeyCredParams":[{"alg":-7}],"excludeCredentials":[{"id":"` + reply.ID + `"}]}`
	if _, err := k.Create("https://example.org", []byte(excluding)); err != virtualauth.ErrInvalidState {
		t.Errorf("excluded: %v", err)
	}
	for _, noise := range []string{"", "[]", `{"challenge":1}`} {
		if _, err := k.Create("https://example.org", []byte(noise)); err == nil {
			t.Errorf("created for %q", noise)
		}
		if _, err := k.Get("https://example.org", []byte(noise)); err == nil {
			t.Errorf("answered %q", noise)
		}
	}
}
