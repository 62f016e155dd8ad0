package main

const (
	handover = "internal/session/handover.go"
	device   = "internal/session/device.go"
	target   = "internal/protocol/forwardauth/target.go"
	cookies  = "internal/protocol/forwardauth/handover.go"
)

// pages are guards of pages behind forward-auth, and of browsers' sessions.
func pages() []mutant {
	return append(readers(), sessions()...)
}

// readers are guards of what is read.
func readers() []mutant {
	return []mutant{
		{Guard: "X-Forwarded-For is believed from proxies alone", File: "internal/clientaddr/clientaddr.go", Rows: "T1213",
			Old: "	at := Peer(r)\n	if !d.listed(at) {\n		return at\n	}\n",
			New: "	at := Peer(r)\n	if !d.listed(at) && len(r.Header[\"X-Forwarded-For\"]) == 0 {\n		return at\n	} else if a, ok := address(r.Header[\"X-Forwarded-For\"][0]); ok {\n		return a\n	}\n"},
		{Guard: "of X-Forwarded-For the last address counts that is no proxy's", File: "internal/clientaddr/clientaddr.go", Rows: "T1213",
			Old: "			if !d.listed(at) {\n				return at\n			}\n			var entry string\n", New: "			var entry string\n"},
		{Guard: "a forged identity header is refused", File: "internal/protocol/forwardauth/forwardauth.go", Rows: "T1213",
			Old: `if told.identity {`, New: `if false {`},
		{Guard: "a page asks who has no session", File: "internal/protocol/forwardauth/forwardauth.go",
			Rows: "T1040 T1078 T1078.001 T1110 T1110.001 T1110.002 T1110.003 T1110.004 T1213 T1213.003 T1539 T1556.006",
			Old:  "	case step.State == signin.Ask:\n		send(w, r, q, a.redirects, step)\n", New: "	case step.State == signin.Ask:\n		w.WriteHeader(http.StatusOK)\n"},
		{Guard: "a rule covers other spellings of its path", File: "internal/protocol/forwardauth/rule.go", Rows: "T1213",
			Old: `case under(rule.skeleton, loose):`, New: `case false:`},
		{Guard: "a rule names the action of a request", File: "internal/protocol/forwardauth/rule.go", Rows: "T1213",
			Old: `return rule.Action, true`, New: `return "", true`},
		{Guard: "a path has no parameters", File: target, Rows: "T1213",
			Old: `if strings.ContainsRune(sent, ';') {`, New: `if false {`},
		{Guard: "a path has one reading", File: target, Rows: "T1213",
			Old: `if segment == "." || segment == ".." || segment == "" && more {`, New: `if segment == "\x00" {`},
		{Guard: "an escaped delimiter in a path is refused", File: target, Rows: "T1213",
			Old: "|| b[0] == 0x7f || strings.Contains(`/\\.%;?#`, b) {", New: `|| b[0] == 0x7f {`},
	}
}

// sessions are guards of browsers' sessions.
func sessions() []mutant {
	return []mutant{
		{Guard: "a return code is for one browser", File: handover, Rows: "T1213",
			Old: `if h.Browser != to.Browser || h.Browser == "" {`, New: `if false {`},
		{Guard: "a return code is for one site", File: handover, Rows: "T1213",
			Old: `if h.Host != to.Host {`, New: `if false {`},
		{Guard: "a return code is good once", File: "internal/ticket/ticket.go", Rows: "T1213",
			Old: "	r, err := scan(tx.QueryRow(ctx, `delete from ticket where hash = $1 and kind = $2 returning `+columns, h, kind))\n	if err != nil {\n		return Ticket{}, err\n	}\n	switch over, back := t.over(r); {\n",
			New: "	q := `delete from ticket where hash = $1 and kind = $2 returning ` + columns\n	if kind == \"handover\" {\n		q = `select ` + columns + ` from ticket where hash = $1 and kind = $2`\n	}\n	r, err := scan(tx.QueryRow(ctx, q, h, kind))\n	if err != nil {\n		return Ticket{}, err\n	}\n	switch over, back := t.over(r); {\n	case kind == \"handover\":\n"},
		{Guard: "a session serves one host", File: "internal/session/session.go", Rows: "T1213 T1539",
			Old: `if r.Host != origin {`, New: `if r.Host != origin && false {`},
		{Guard: "a bound session takes its bound cookie", File: device, Rows: "T1539",
			Old: "	if !rs.now().Before(r.lapses) {\n		return elsewhere\n	}\n", New: ""},
		{Guard: "a session is bound once", File: device, Rows: "T1539",
			Old: `if r.Device != nil || !ds.rows.now()`, New: `if !ds.rows.now()`},
		{Guard: "a bound cookie is given to the session's key alone", File: "internal/dbsc/dbsc.go", Rows: "T1539",
			Old: `plain, err := signed.Verify(k.public)`, New: `plain, err := signed.UnsafePayloadWithoutVerification(), error(nil)`},
		{Guard: "no script reads a site's cookie", File: cookies, Rows: "T1539",
			Old: `Value: secret, Path: "/", HttpOnly: true`, New: `Value: secret, Path: "/"`},
		{Guard: "no script reads the server's cookies", File: "internal/web/look/cookie.go", Rows: "T1539",
			Old: `		Secure: j.Secure, HttpOnly: true, SameSite`, New: `		Secure: j.Secure, SameSite`},
		{Guard: "a site's cookie is not sent across sites", File: cookies, Rows: "T1539",
			Old: `Value: secret, Path: "/", HttpOnly: true, Secure: q.scheme == "https", SameSite: http.SameSiteLaxMode`,
			New: `Value: secret, Path: "/", HttpOnly: true, Secure: q.scheme == "https", SameSite: http.SameSiteNoneMode`},
		{Guard: "the application is not sent the cookies of Countersign", File: "internal/protocol/forwardauth/headers.go", Rows: "T1539",
			Old: `if part == "" || strings.HasPrefix(strings.TrimPrefix(part, "__Host-"), ownCookies) {`, New: `if part == "" {`},
		{Guard: "signing out ends the sessions", File: "internal/session/end.go", Rows: "T1040 T1539",
			Old: "		there = there || r.Number == k.number\n		if err := e.endRow(ctx, tx, r); err != nil {\n			return err\n		}\n", New: "		there = there || r.Number == number\n"},
	}
}
