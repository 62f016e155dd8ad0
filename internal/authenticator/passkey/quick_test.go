package passkey

import (
	"encoding/json"
	"reflect"
	"testing"
)

// wellKnown is a reply as browsers write it.
const wellKnown = `{"authenticatorAttachment":"platform","clientExtensionResults":{},"id":"AAEC","rawId":"AAEC","response":{"authenticatorData":"AA","clientDataJSON":"e30","signature":"AQ","userHandle":"Ag"},"type":"public-key"}`

// TestQuick: what is plain is read, and whatever is not is left to encoding/json.
func TestQuick(t *testing.T) {
	for data, plain := range map[string]bool{
		wellKnown: true,
		` { "id" : "AAEC" , "response" : { "userHandle" : null } , "authenticatorAttachment" : null } ` + "\r\n\t": true,
		`{}`:                    true,
		`{"id":"AA","id":"AQ"}`: false,
		`{"ID":"AA"}`:           false,
		`{"id":"A\u0041"}`:      false,
		`{"id":"ä"}`:            false,
		"{\"id\":\"A\nA\"}":     false,
		`{"id":null}`:           false,
		`{"id":"AA"`:            false,
		`{"id":"AA",}`:          false,
		`{"id":"AA"} {}`:        false,
		"{\"id\":\"AA\"}\x00":   false,
		`{"id" "AA"}`:           false,
		`{,"id":"AA"}`:          false,
		`{"rawId":"A"}`:         false,
		`{"rawId":"AB"}`:        false,
		`{"rawId":"AA=="}`:      false,
		`{"other":1}`:           false,
		`{"clientExtensionResults":{"appid":true}}`:        false,
		`{"response":{"signature":"AA","signature":"AQ"}}`: false,
		`{"response":{"attestationObject":"AA"}}`:          false,
		`{"response":null}`:                                false,
		`{"response":{"userHandle":nul`:                    false,
		`[]`:                                               false,
		``:                                                 false,
	} {
		if _, ok := quickReply([]byte(data)); ok != plain {
			t.Errorf("%s: %v", data, ok)
		}
		same(t, []byte(data))
	}
	for data, plain := range map[string]bool{
		`{"type":"webauthn.get","challenge":"AAEC","origin":"https://login.example.org","crossOrigin":false}`:                        true,
		`{"type":"webauthn.get","challenge":"AAEC","origin":"https://login.example.org:8443","crossOrigin":true}`:                    true,
		`{"type":"webauthn.get","challenge":"AAEC","origin":"https://login.example.org"}`:                                            true,
		`{"type":"webauthn.get","challenge":"AAEC","origin":"https:\/\/login.example.org"}`:                                          false,
		`{"type":"webauthn.get","challenge":"AAEC","origin":"https://login.example.org","crossOrigin":null}`:                         false,
		`{"type":"webauthn.get","challenge":"AAEC","origin":"https://a","crossOrigin":false,"topOrigin":"https://b"}`:                false,
		`{"type":"webauthn.get","challenge":"AAEC","origin":"https://a","origin":"https://b"}`:                                       false,
		`{"type":"webauthn.get","challenge":"AAEC","origin":"https://a","other_keys_can_be_added_here":"do not compare clientData"}`: false,
		`{"crossOrigin":truefalse}`: false,
		`{"crossOrigin":tru`:        false,
	} {
		if _, ok := quickClient([]byte(data)); ok != plain {
			t.Errorf("%s: %v", data, ok)
		}
		same(t, []byte(data))
	}
}

// FuzzQuick: what is read quickly is what encoding/json reads.
func FuzzQuick(f *testing.F) {
	f.Add([]byte(wellKnown))
	f.Add([]byte(`{"type":"webauthn.get","challenge":"AAEC","origin":"https://login.example.org","crossOrigin":false}`))
	f.Add([]byte(`{"id":null,"rawId":"AA","response":{"userHandle":null}} `))
	f.Fuzz(func(t *testing.T, data []byte) { same(t, data) })
}

func same(t *testing.T, data []byte) {
	t.Helper()
	if got, ok := quickReply(data); ok {
		var want reply
		if err := json.Unmarshal(data, &want); err != nil {
			t.Fatalf("%q: encoding/json refuses it: %v", data, err)
		}
		a, _ := json.Marshal(got)
		if b, _ := json.Marshal(want); string(a) != string(b) {
			t.Fatalf("%q: %s, and encoding/json reads %s", data, a, b)
		}
	}
	if got, ok := quickClient(data); ok {
		var want clientData
		if err := json.Unmarshal(data, &want); err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("%q: %v, and encoding/json reads %v, %v", data, got, want, err)
		}
	}
}
