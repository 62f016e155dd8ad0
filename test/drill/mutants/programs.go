package main

// programs are guards of Yubico's validation protocol.
func programs() []mutant {
	const (
		asked, answered = "internal/protocol/yubico/yubico.go", "internal/protocol/yubico/message.go"
		otp             = "internal/authenticator/yubicootp/yubicootp.go"
	)
	return []mutant{
		{Guard: "a request of Yubico's protocol bears its program's signature", File: asked, Rows: "T1133",
			Old: `case !q.signed(c.key):`, New: `case !q.signed(c.key) && len(c.key) == 0:`},
		{Guard: "an answer of Yubico's protocol bears the server's signature", File: answered, Rows: "T1040 T1110 T1110.001 T1133",
			Old: `		p = append(pairs{{"h", p.signature(key)}}, p...)`, New: `		p = append(pairs{{"h", p.signature(nil)}}, p...)`},
		{Guard: "a YubiKey's code is opened by its own secret", File: otp, Rows: "T1110.001 T1133",
			Old: `return read(plain), whole && subtle.ConstantTimeCompare(plain[:6], s.Private) == 1, nil`, New: `return read(plain), whole || subtle.ConstantTimeCompare(plain[:6], s.Private) < 2, nil`},
		{Guard: "a YubiKey's counters only rise", File: otp, Rows: "T1133",
			Old: `if s.Seen && now <= s.Last {`, New: `if s.Seen && now == 0 {`},
		{Guard: "a YubiKey's code is good once: its counters, and what was used", File: otp, Rows: "T1040 T1110 T1133",
			Old: `if s.Seen && now <= s.Last {`, New: `if s.Seen && now == 0 {`,
			Also: []edit{{answers, `		case !fresh:`, `		case !fresh && q.account.ID < 0:`}}},
	}
}
