package main

const requests = "internal/approval/request.go"

// approvals are guards of sign-ins that wait for their owner.
func approvals() []mutant {
	return []mutant{
		{Guard: "only so many requests may be left unanswered", File: requests, Rows: "T1621",
			Old: `left >= int64(a.limits.Unanswered)`, New: `left < 0`},
		{Guard: "one request of an account waits at a time", File: requests, Rows: "T1621",
			Old: `exists (select 1 from approval as later where later.account = approval.account and later.id > approval.id)`, New: `1 = 0`},
		{Guard: "an approval has its number", File: "internal/approval/approve.go", Rows: "T1621",
			Old: `(over != "" || subtle.ConstantTimeCompare([]byte(number), []byte(row.body.Number)) != 1)`, New: `(over != "" || subtle.ConstantTimeCompare([]byte(number), []byte(row.body.Number)) > 1)`},
		{Guard: "a reported account's password is switched off", File: "internal/incident/incident.go", Rows: "T1110.004 T1621",
			Old: `	passwordOff, err = i.disablePassword(ctx, tx, said.Account.ID)`, New: `	passwordOff, err = true, nil`},
		{Guard: "a reported account is at risk", File: "internal/incident/incident.go", Rows: "T1621",
			Old: `	account.Risk = i.now().Truncate(time.Microsecond)`, New: `	account.Risk = time.Time{}`},
		{Guard: "a report is an alarm", File: "internal/incident/incident.go", Rows: "T1110.004 T1621",
			Old: `"alarm.not-me", audit.OK`, New: `"report.taken", audit.OK`},
	}
}
