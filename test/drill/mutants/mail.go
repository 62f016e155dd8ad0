package main

// mail are guards of tokens that a mail server takes, and of who is told of it.
func mail() []mutant {
	const introspect = "internal/protocol/oidc/introspect.go"
	return []mutant{
		{Guard: "a mail server takes the tokens of the programs that it names", File: introspect, Rows: "T1114 T1114.002",
			Old: `case !known || !asker.mayAskAbout(of, s.refreshes):`, New: `case !known:`},
		{Guard: "a token that opens mail has the scope for it", File: introspect, Rows: "T1114 T1114.002",
			Old: `case asker.app != of.app && asker.TokenScope != "" && !slices.Contains(s.scopes, asker.TokenScope):`, New: `case asker.app != of.app && asker.TokenScope != "" && !slices.Contains(s.scopes, "openid"):`},
		{Guard: "an owner is told who comes to their mail filters", File: introspect, Rows: "T1098.002",
			Old: `if asker.TellsOwners == "" || asker.app == g.Client {`, New: `if asker.TellsOwners != "" || asker.app == g.Client {`},
		{Guard: "mail filters want a passkey that was shown just now", File: "internal/servertest/bedsites.go", Rows: "T1098.002",
			Old: "    when: application.name == \"mail-filters\"\n    require: phishing-resistant\n    within: 15m\n", New: "    when: application.name == \"mail-filters\"\n    require: phishing-resistant\n"},
	}
}
