package main

// hybrid are guards of sign-ins by way of another organisation's identity provider.
func hybrid() []mutant {
	const token, saml, read = "internal/upstream/oidc/token.go", "internal/upstream/saml/saml.go", "internal/protocol/saml/message/asserted.go"
	return []mutant{
		{Guard: "the word of another organisation is no second factor", File: "internal/authenticator/upstream/upstream.go", Rows: "T1556.007",
			Old: "	t := assurance.Known | assurance.Foreign\n", New: "	t := assurance.Known | assurance.Held\n"},
		{Guard: "an ID token of another organisation is for us", File: token, Rows: "T1556.007",
			Old: `case !ok || !slices.Contains(audience, p.Client):`, New: `case !ok:`},
		{Guard: "an ID token of another organisation is of this visit", File: token, Rows: "T1556.007",
			Old: `case v.Nonce == "" || subtle.ConstantTimeCompare([]byte(t.Nonce), []byte(v.Nonce)) != 1:`, New: `case v.Nonce == "" || subtle.ConstantTimeCompare([]byte(t.Nonce), []byte(v.Nonce)) > 1:`},
		{Guard: "an assertion is for us", File: saml, Rows: "T1556.007",
			Old: `return refuse("wrong-audience", "the assertion is for somebody else")`, New: `_ = refuse`},
		{Guard: "a response answers this browser's request", File: "internal/upstream/saml.go", Rows: "T1556.007",
			Old: `case subtle.ConstantTimeCompare([]byte(a.Answers), []byte(going.requestID())) != 1:`, New: `case subtle.ConstantTimeCompare([]byte(a.Answers), []byte(going.requestID())) > 1:`},
		{Guard: "a response holds one assertion", File: read, Rows: "T1556.007",
			Old: `len(all) != anywhere || anywhere > 1 {`, New: `len(all) == 0 && anywhere > 0 {`,
			Also: []edit{{read, "inner > 1 || own > 1 || total != own+inner {", "inner > 1 || own > 1 {"}}},
		{Guard: "a new key of another organisation is an alarm", File: "internal/upstream/visits.go", Rows: "T1556.007",
			Old: `Event: "alarm.upstream-key"`, New: `Event: "upstream.key-learned"`},
	}
}
