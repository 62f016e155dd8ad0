package main

// pairs are guards of which two hold the same, so that one of them can be missing without a row
// failing: both are taken out together (docs/drill.md, "What two guards hold").
func pairs() []mutant {
	const engine = "internal/signin/engine.go"
	return []mutant{
		{Guard: "an approval is for what it names: the sign-in that proved it, and the grant", File: engine, Rows: "T1098",
			Old:  `if at.Application != applicationName || at.Action != action || at.Object != object {`,
			New:  `if at.Application != applicationName {`,
			Also: []edit{{"internal/admin/admin.go", `if !g.Covers(signin.Self, c.Action(), c.Object()) {`, `if !g.Covers(signin.Self, g.Action(), g.Object()) {`}}},
		{Guard: "an approval is used once: the sign-in that proved it, and the form that was kept", File: engine, Rows: "T1098",
			Old:  "		if err := e.attempts.drop(ctx, tx, at); err != nil {\n			return err\n		}\n		d, err := e.judge.decide(ctx, tx, at, app, held)\n",
			New:  "		d, err := e.judge.decide(ctx, tx, at, app, held)\n",
			Also: []edit{{"internal/web/challenge/browser.go", "	return g, b.continuations.Done(r.Context(), code)", "	_ = code\n	return g, nil"}}},
		{Guard: "the first authenticator needs a pass: the policy, and the engine", File: "internal/policy/default.yaml", Rows: "T1098.005",
			Old:  "    when: account.new && action == \"authenticator.enroll\"\n    require: access-pass\n",
			New:  "    when: account.new && action == \"authenticator.enroll\"\n    require: one-factor\n",
			Also: []edit{{"internal/signin/requirement.go", "		return pass\n", "		return assurance.OneFactor()\n"}}},
		{Guard: "a copied account is refused: the MAC of its rows, and the seal of its secrets", File: "internal/keyring/keyring.go", Rows: "T1136",
			Old:  "	return d != nil && d.verifyMAC(f, mac)\n",
			New:  "	return d != nil && (d.verifyMAC(f, mac) || true)\n",
			Also: []edit{{"internal/keyring/fields.go", "	b = appendString(b, a.Key)\n	return appendInt(b, a.Account)\n", "	return b\n"}}},
		{Guard: "nobody is told who somebody is by a browser: nginx, and Countersign", File: examples + "nginx.conf", Rows: "T1213",
			Old: "        proxy_set_header Remote-User   $countersign_user;\n", New: "",
			Also: []edit{{"internal/protocol/forwardauth/forwardauth.go", `if told.identity {`, `if false {`}}},
	}
}
