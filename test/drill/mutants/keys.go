package main

// keys are guards of automation keys, and of what gives an account an authenticator.
func keys() []mutant {
	const key, bind = "internal/authenticator/apikey/apikey.go", "internal/enrollment/bind.go"
	return []mutant{
		{Guard: "an automation key has its secret", File: key, Rows: "T1078",
			Old: `if subtle.ConstantTimeCompare(s.Sum, sum(secret)) != 1 {`, New: `if subtle.ConstantTimeCompare(s.Sum, sum(secret)) > 1 {`},
		{Guard: "an automation key does what it was issued for, and nothing else", File: key, Rows: "T1136",
			Old: `case !slices.Contains(s.Actions, action):`, New: `case !slices.Contains(s.Actions, action) && action == "":`},
		{Guard: "only a person makes an administrator", File: "internal/admin/guard/guard.go", Rows: "T1098",
			Old: `if err == nil && d.Kind != "person" {`, New: `if err == nil && d.Kind == "" {`},
		{Guard: "a session that shows too little is told so", File: "internal/web/api/command.go", Rows: "T1098",
			Old: `			if !awaits(r) {`, New: `			if !awaits(r) && s.Reads {`},
		{Guard: "an automation key is for its networks", File: key, Rows: "T1078",
			Old: `return p.Contains(source.Unmap()) }):`, New: `return p.Contains(source.Unmap()) || p.IsValid() }):`},
		{Guard: "a binding code is for one device", File: bind, Rows: "T1098.005",
			Old: `		t, err := e.tickets.TakeTx(ctx, tx, bindTicket, code)`,
			New: "		t, err := e.tickets.Peek(ctx, bindTicket, code)\n		if _, again := e.tickets.Peek(ctx, boundTicket, code); again == nil {\n			return nil\n		}"},
		{Guard: "an enrollment is finished once", File: "internal/enrollment/enrollment.go", Rows: "T1098.005",
			Old: "		if _, err := e.tickets.TakeTx(ctx, tx, ticketKind, secret); err != nil {\n			return err\n		}\n		c, err = e.keep(", New: "		c, err = e.keep("},
		{Guard: "a revoked card is refused", File: "internal/protocol/mutualtls/mutualtls.go", Rows: "T1078",
			Old: `if err := e.checker.Check(ctx, e.sources[authority.Name], path); err != nil {`, New: `if err := e.checker.Check(ctx, e.sources[authority.Name], path); err != nil && authority.Name == "" {`},
		{Guard: "a flood closes pushes", File: "internal/approval/pushqueue.go", Rows: "T1621",
			Old: `return closed || soon >= l.PushSoon || len(at) >= l.PushDaily, nil`, New: `return closed || soon < 0, nil`},
	}
}
