package main

// pairs are guards of which two or more hold the same, so that one of them can be missing without
// a row failing: all are taken out together (docs/drill.md, "What two guards hold").
func pairs() []mutant {
	const engine, defaultPolicy = "internal/signin/engine.go", "internal/policy/default.yaml"
	return []mutant{
		{Guard: "an approval is for what it names: the sign-in that proved it, and the grant", File: engine, Rows: "T1098",
			Old:  `if at.Application != applicationName || at.Action != action || at.Object != object {`,
			New:  `if at.Application != applicationName {`,
			Also: []edit{{"internal/admin/admin.go", `if !g.Covers(signin.Self, c.Action(), c.Object()) {`, `if !g.Covers(signin.Self, g.Action(), g.Object()) {`}}},
		{Guard: "an approval is used once: the sign-in that proved it, and the form that was kept", File: engine, Rows: "T1098",
			Old:  "		if err := e.attempts.drop(ctx, tx, at); err != nil {\n			return err\n		}\n		d, err := e.judge.decide(ctx, tx, at, app, held)\n",
			New:  "		d, err := e.judge.decide(ctx, tx, at, app, held)\n",
			Also: []edit{{"internal/web/challenge/browser.go", "	return g, b.continuations.Done(r.Context(), code)", "	_ = code\n	return g, nil"}}},
		{Guard: "a key makes no administrator: what it was issued for, and that a person must", File: "internal/authenticator/apikey/apikey.go", Rows: "T1098 T1136",
			Old:  `case !slices.Contains(s.Actions, action):`,
			New:  `case !slices.Contains(s.Actions, action) && action == "":`,
			Also: []edit{{"internal/admin/guard/guard.go", `if err == nil && d.Kind != "person" {`, `if err == nil && d.Kind == "" {`}}},
		{Guard: "a card is its owner's: the authority that signed it, and the key that was added", File: "internal/pki/pki.go", Rows: "T1078",
			Old:  "	chains, err := a.chains(leaf, now)\n	if err != nil {\n",
			New:  "	chains, err := a.chains(leaf, now)\n	if err != nil && bytes.Equal(leaf.RawIssuer, a.Certificates[0].RawSubject) {\n		return []*x509.Certificate{leaf, a.Certificates[0]}, nil\n	}\n	if err != nil {\n",
			Also: []edit{{"internal/authenticator/certificate/state.go", `return s.Mapping != pki.IssuerSerial || bytes.Equal(s.Key, seen.id.Key)`, `return s.Mapping != pki.IssuerSerial || bytes.Equal(s.Key, seen.id.Key) || true`}}},
		{Guard: "the first authenticator needs a pass: the policy's word, the engine, and a sign-in by one factor", File: "internal/assurance/levels.go", Rows: "T1098.005",
			Old: `"access-pass":                 AccessPass,`,
			New: `"access-pass":                 func() Requirement { return accessPass.Or(oneFactor) },`,
			Also: []edit{{"internal/signin/requirement.go", `pass := assurance.AccessPass()`, `pass := assurance.AccessPass().Or(assurance.OneFactor())`},
				{defaultPolicy, "action != \"account.recover\" && action != \"app-password\" && !(account.new && action == \"authenticator.enroll\")\n    require: two-factors\n",
					"action != \"account.recover\" && action != \"app-password\" && !(account.new && (action == \"authenticator.enroll\" || action == \"sign-in\"))\n    require: two-factors\n\n  - name: new people sign in\n    when: account.kind != \"service\" && account.new && action == \"sign-in\"\n    require: one-factor\n"},
				{defaultPolicy, "  - name: a new person cannot sign in with the pass alone\n    given: {account: {new: true}, action: sign-in}\n    expect: two-factors\n", ""}}},
		{Guard: "a copied account is refused: the MACs, the account's list of what is its own, and the seals", File: "internal/keyring/keyring.go", Rows: "T1136",
			Old: "	return d != nil && d.verifyMAC(f, mac)\n",
			New: "	return d != nil && (d.verifyMAC(f, mac) || true)\n",
			Also: []edit{{"internal/keyring/fields.go", "	b = appendInt(b, a.Row)\n	b = appendString(b, a.Key)\n	return appendInt(b, a.Account)\n", "	return b\n"},
				{"internal/directory/directory.go", `	case !a.roster.called(alias):`, `	case !a.roster.called(alias) && alias == "":`},
				{"internal/directory/held.go", "	if wrong != \"\" {\n		h.report(\"credential\", strconv", "	if wrong == store.Altered {\n		h.report(\"credential\", strconv"}}},
		{Guard: "nobody is told who somebody is by a browser: nginx, and Countersign", File: examples + "nginx.conf", Rows: "T1213",
			Old: "        proxy_set_header Remote-User   $countersign_user;\n", New: "",
			Also: []edit{{"internal/protocol/forwardauth/forwardauth.go", `if told.identity {`, `if false {`}}},
	}
}
