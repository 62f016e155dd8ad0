package store

import (
	"slices"
	"strings"
	"testing"
)

func TestWhatMayRun(t *testing.T) {
	for _, c := range []struct {
		query       string
		change, tid bool // in Change, in Housekeep
	}{
		{"select 1 from account", true, true},
		{"SELECT count(*) FROM account", true, true},
		{"insert into account (name) values ($1)", true, false},
		{"\n\tinsert into account(name) values ($1) returning id", true, false},
		{"update account set state = $1", true, false},
		{"delete from credential where id = $1", true, false},
		{"update team set name = 'x'", true, false},
		{"insert into membership (team) values (1)", true, false},
		{"insert into credential (id) values (1)", true, false},
		{"insert into api_key (id) values (1)", false, false},          // was dropped
		{"insert into spent_before (once) values ('a')", false, false}, // was only for a moment
		{"insert into policy (body) values ('x')", true, false},
		{"update policy set body = 'x'", true, false},
		{"insert into wrapped_key (id) values (1)", true, true},
		{"update wrapped_key set retired = 1", true, false},
		{"insert into application (id) values (1)", true, false},
		{"insert into drill (technique) values ('x')", false, false}, // was dropped
		{"insert into account_alias (alias) values ('x')", true, false},
		{"update address set verified = 1", true, false},
		{"insert into spent (credential) values (1)", true, false},
		{"update spent set at = 0", true, false},
		{"delete from spent where at < $1", true, true},
		{"delete from spent where credential = $1", true, false},
		{"delete from spent", true, false},
		{"delete from spent where at < $1 or 1 = 1", true, false},
		{"insert into session (id) values ($1)", true, false},
		{"update session set seen = $1, mac = $2 where id = $3 and mac = $4", true, true},
		{"update session set seen=$1,mac=$2 where id=$3 and mac=$4", true, true},
		{"update session set seen = $1 where id = $2", true, false},
		{"update session set seen = $1, mac = $2 where id = $3", true, false},
		{"update session set seen = $1, mac = $2 where id = $3 or mac = $4", true, false},
		{"update session set seen = $1, mac = $2 where id = $3 and mac = $4 or 1 = 1", true, false},
		{"update session set seen = expires, mac = $2 where id = $3 and mac = $4", true, false},
		{"update session set ended = $1, mac = $2 where id = $3 and mac = $4", true, false},
		{"update session set seen = $1, expires = $2 where id = $3", true, false},
		{"update session set expires = $1 where id = $2", true, false},
		{"update session set seen = expires where id = $2", true, false},
		{"update session set seen = $1", true, false},
		{"delete from session where expires < $1", true, true},
		{"insert into attempt (handle) values ($1)", true, true},
		{"update ticket set expires = 0", true, true},
		{"insert into guess (subject) values ($1) on conflict (subject) do update set count = 1", true, true},
		{"insert into known_source (account) values (1)", true, true},
		{"update notice set state = 'sent'", true, true},
		{"delete from feed where at < $1", false, true},
		{"insert into audit_checkpoint (size) values (1)", false, true},
		{"update audit_checkpoint set note = 'x'", false, false},
		{"insert into audit_entry (seq) values (1)", false, false},
		{"delete from audit_entry", false, false},
		{"update audit_tree set size = 0", false, false},
		{"delete from audit_inbox", false, false},
		{"insert into schema_version (version) values (9)", false, false},
		// What would get round a guard that reads the beginning.
		{"delete from attempt; delete from account", false, false},
		{"/* delete from attempt */ delete from account", false, false},
		{"-- select\ndelete from account", false, false},
		{"with x as (delete from account returning 1) select 1 from x", false, false},
		{"insert or replace into attempt (handle) values ($1)", false, false},
		{"replace into attempt (handle) values ($1)", false, false},
		{`delete from "audit_entry"`, false, false},
		{"delete from public.audit_entry", false, false},
		{"delete from main.audit_entry", false, false},
		{"delete from [audit_entry]", false, false},
		{"delete from only audit_entry", false, false},
		{"update only audit_entry set at = 0", false, false},
		{"update or ignore audit_entry set at = 0", false, false},
		{"select * into copy from account", false, false},
		{"drop table account", false, false},
		{"truncate account", false, false},
		{"pragma foreign_keys = 0", false, false},
		{"commit", false, false},
		{"rollback to request", false, false},
		{"attach 'x' as y", false, false},
		{"", false, false},
		{"select", false, false},
	} {
		v := judge(c.query)
		if (v[change] == nil) != c.change || (v[housekeeping] == nil) != c.tid {
			t.Errorf("%q: change %v, housekeeping %v", c.query, v[change], v[housekeeping])
		}
	}
}

func TestEveryTableIsJudged(t *testing.T) {
	for table, verbs := range chores {
		for _, verb := range []string{"insert into ", "update ", "delete from "} {
			word, _, _ := strings.Cut(verb, " ")
			st, err := parse(verb + table + " set x")
			if err != nil || st.table != table || st.verb != word {
				t.Errorf("%s%s: %+v, %v", verb, table, st, err)
			}
			if !slices.Contains(verbs, word) && st.forHousekeeping() == nil {
				t.Errorf("%s%s may run", verb, table)
			}
		}
	}
}

func FuzzJudge(f *testing.F) {
	f.Add("delete from attempt where expires < $1")
	f.Add("update session set seen = $1, mac = $2 where id = $3 and mac = $4")
	f.Add("with x as (select 1) delete from account")
	f.Fuzz(func(t *testing.T, query string) {
		v := judge(query)
		if v[housekeeping] != nil {
			return
		}
		words := strings.Fields(strings.ToLower(query))
		if len(words) == 0 || !slices.Contains([]string{"select", "insert", "update", "delete"}, strings.TrimLeft(words[0], "(,=")) &&
			!strings.ContainsAny(words[0], "(),=") {
			t.Fatalf("%q may run", query)
		}
		if strings.ContainsAny(query, ";") || strings.Contains(query, "--") || strings.Contains(query, "/*") {
			t.Fatalf("%q may run", query)
		}
	})
}
