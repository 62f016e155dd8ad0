package main

const (
	received = "internal/protocol/radius/receive.go"
	drafts   = "internal/protocol/radius/packet/draft.go"
)

// radiusGuards are guards of the RADIUS server.
func radiusGuards() []mutant { return append(messages(), states()...) }

// messages are guards of single requests and replies.
func messages() []mutant {
	return []mutant{
		{Guard: "a RADIUS request's Message-Authenticator is verified", File: received, Rows: "T1133",
			Old: `if c.secret.VerifyRequest(p) {`, New: `if c.secret.VerifyRequest(p) || p.Authenticated() {`},
		{Guard: "a RADIUS request without Message-Authenticator is dropped", File: received, Rows: "T1133",
			Old: `case p.Code() == packet.StatusServer || !c.exception.excepted(now):`, New: `case p.Code() == packet.StatusServer:`},
		{Guard: "a shared secret from a manual is refused", File: "internal/protocol/radius/clients.go", Rows: "T1078.001",
			Old: `	if len(different) < 8 || strings.Contains(strings.ToLower(c.Secret), "testing123") {`, New: `	if len(different) < 0 {`},
		{Guard: "every RADIUS reply has a Message-Authenticator", File: drafts, Rows: "T1133",
			Old: `	response := s.response(d.buf, request)`,
			New: "	d.buf = append(d.buf[:HeaderLength], d.buf[HeaderLength+2+authenticatorLength:]...)\n	binary.BigEndian.PutUint16(d.buf[2:], uint16(len(d.buf)))\n	response := s.response(d.buf, request)"},
		{Guard: "a RADIUS reply's Message-Authenticator is right", File: drafts, Rows: "T1133",
			Old: `	copy(d.buf[macAt:], mac[:])`, New: "	mac[0] ^= 1\n	copy(d.buf[macAt:], mac[:])"},
		{Guard: "a RADIUS reply's Message-Authenticator is its first attribute", File: drafts, Rows: "T1133",
			Old: `const macAt = HeaderLength + 2`, New: `const macAt = HeaderLength + 5`,
			Also: []edit{{drafts, `	buf = append(buf, byte(MessageAuthenticator), 2+authenticatorLength)`,
				"	buf = append(buf, byte(NASIdentifier), 2+1, 'x')\n	buf = append(buf, byte(MessageAuthenticator), 2+authenticatorLength)"}}},
		{Guard: "a RADIUS request that cannot be decided is not accepted", File: "internal/protocol/radius/work.go", Rows: "T1556.006", Outages: true,
			Old: "	if err != nil {\n		reply = nil\n		s.blame(j, step, err)",
			New: "	if err != nil && !errors.Is(err, context.DeadlineExceeded) {\n		d := j.draft(packet.AccessAccept)\n		reply, _ = j.finish(&d, &s.Stats.Accepted)\n	} else if err != nil {\n		reply = nil\n		s.blame(j, step, err)"},
		{Guard: "a RADIUS reply has the Proxy-State of its request", File: "internal/protocol/radius/work.go", Rows: "T1133",
			Old: `	d.AddAll(j.request, packet.ProxyState)`, New: ``},
		{Guard: "a retransmission at RADIUS is not decided again", File: "internal/protocol/radius/replycache.go", Rows: "T1133 T1621",
			Old: "	s.turn(now)\n	if p, ok := s.running[k]; ok {", New: "	s.turn(now)\n	if k.port != 0 {\n		return isNew, dst\n	}\n	if p, ok := s.running[k]; ok {"},
	}
}

// states are guards of sign-ins of several messages.
func states() []mutant {
	return []mutant{
		{Guard: "a State is the server's own", File: "internal/protocol/radius/state.go", Rows: "T1133",
			Old: `subtle.ConstantTimeCompare(want[:], state[1:1+tagLength]) == 1`, New: `subtle.ConstantTimeCompare(want[:], state[1:1+tagLength]) <= 1`},
		{Guard: "a State is used up with its sign-in", File: "internal/signin/attempt.go", Rows: "T1133",
			Old: "func (a *attempts) forget(ctx context.Context, tx *store.Tx, at *attempt) error {\n",
			New: "func (a *attempts) forget(ctx context.Context, tx *store.Tx, at *attempt) error {\n	if at.ID != \"\" {\n		return nil\n	}\n"},
		{Guard: "a State is for one User-Name", File: "internal/protocol/radius/exchange.go", Rows: "T1133",
			Old: `return bearer{key: j.client.key, name: bareName(string(j.content.name)), partner: j.partner}`, New: `return bearer{key: j.client.key, partner: j.partner}`,
			Also: []edit{{"internal/protocol/radius/exchange.go", `switch err := s.engine.Names(ctx, ticket, string(j.content.name)); {`, `switch err := error(nil); {`}}},
		{Guard: "a RADIUS sign-in is for one piece of equipment", File: "internal/protocol/radius/request.go", Rows: "T1133",
			Old: `	partner := of.name + " " + from.Unmap().String()`, New: "	if of != nil {\n		return \"equipment\"\n	}\n	partner := of.name + \" \" + from.Unmap().String()"},
	}
}
