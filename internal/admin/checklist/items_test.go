package checklist

import (
	"strings"
	"testing"

	"countersign/internal/enrollment"
)

// ready is an installation in which all is done.
func ready() facts {
	return facts{self: "root", spare: true, kind: "passkey", able: []string{"grace", "root"},
		mail:         mailFacts{server: "mail.test:587", from: "mfa@example.org", address: "root@example.org", taken: "mail.test:587 mfa@example.org"},
		applications: []string{"wiki"}, heard: []string{"wiki"}, others: 3}
}

// The promise: each item is done when that is so and not otherwise, whatever the others are, and
// says what its next step is.
func TestEachItem(t *testing.T) {
	mail := func(change func(*mailFacts)) func(*facts) { return func(f *facts) { change(&f.mail) } }
	for name, c := range map[string]struct {
		change      func(*facts)
		item        string
		done        bool
		step, about string
		says        string
	}{
		"a spare key":               {func(*facts) {}, SecondKey, true, "", "passkey", "without any one"},
		"no spare key":              {func(f *facts) { f.spare = false }, SecondKey, false, "", "passkey", "another place"},
		"no kind to add":            {func(f *facts) { f.spare, f.kind = false, "" }, SecondKey, false, "", "", "another place"},
		"two who can":               {func(*facts) {}, SecondAdministrator, true, "", "", "grace and root could administer now."},
		"five who can":              {func(f *facts) { f.able = strings.Fields("a b c d e") }, SecondAdministrator, true, "", "", "a, b, c and 2 more could"},
		"one who can":               {func(f *facts) { f.able = []string{"root"} }, SecondAdministrator, false, "", "", "Nobody else can administer."},
		"one who cannot yet":        {func(f *facts) { f.able, f.waiting = []string{"root"}, []string{"grace"} }, SecondAdministrator, false, StepPass, "grace", "grace cannot administer yet"},
		"two who can, and one more": {func(f *facts) { f.waiting = []string{"linus"} }, SecondAdministrator, true, "", "", "grace and root"},
		"nobody can":                {func(f *facts) { f.able, f.waiting = nil, []string{"root"} }, SecondAdministrator, false, StepPass, "root", "root cannot"},
		"mail was taken":            {func(*facts) {}, MailItem, true, "", "", "mail.test:587 took a test mail"},
		"mail is off":               {mail(func(m *mailFacts) { m.server = "" }), MailItem, false, StepConfig, "", "Mail is off"},
		"mail is off, was taken":    {mail(func(m *mailFacts) { m.server, m.from, m.taken = "", "", " " }), MailItem, false, StepConfig, "", "Mail is off"},
		"mail fails now":            {mail(func(m *mailFacts) { m.fails = "it takes nothing" }), MailItem, false, "", "", "it takes nothing"},
		"no test":                   {mail(func(m *mailFacts) { m.taken = "" }), MailItem, false, "", "", "Send yourself a mail"},
		"another server":            {mail(func(m *mailFacts) { m.server = "other.test:587" }), MailItem, false, "", "", "another one since the last test"},
		"another sender":            {mail(func(m *mailFacts) { m.from = "other@example.org" }), MailItem, false, "", "", "another one since the last test"},
		"no address":                {mail(func(m *mailFacts) { m.taken, m.address = "", "" }), MailItem, false, StepAddress, "root", "no mail address"},
		"no address, but taken":     {mail(func(m *mailFacts) { m.address = "" }), MailItem, true, "", "", "took a test mail"},
		"an application that came":  {func(*facts) {}, FirstApplication, true, "", "", "wiki came to Countersign."},
		"one that did not come":     {func(f *facts) { f.heard = nil }, FirstApplication, false, StepConnect, "wiki", "Nothing was heard yet from wiki"},
		"one of two came":           {func(f *facts) { f.applications = []string{"vpn", "wiki"} }, FirstApplication, true, "", "", "wiki came"},
		"no application":            {func(f *facts) { f.applications, f.heard = nil, nil }, FirstApplication, false, "", "", "Nothing is behind Countersign"},
		"people":                    {func(*facts) {}, People, true, "", "", "3 accounts"},
		"one of the people":         {func(f *facts) { f.others = 1 }, People, true, "", "", "One account"},
		"no people":                 {func(f *facts) { f.others = 0 }, People, false, "", "", "Only administrators"},
	} {
		t.Run(name, func(t *testing.T) {
			f := ready()
			c.change(&f)
			for _, i := range items(f) {
				if i.Item != c.item {
					if !i.Done {
						t.Errorf("%s is not done either", i.Item)
					}
					continue
				}
				if i.Done != c.done || i.Step != c.step || i.About != c.about || !strings.Contains(i.Says, c.says) {
					t.Errorf("got %+v", i)
				}
			}
		})
	}
	f := ready()
	f.service = true
	if all := items(f); len(all) != 4 || all[0].Item == SecondKey {
		t.Errorf("a service has %d items, the first is %s", len(all), all[0].Item)
	}
}

// What is added is of a kind that cannot be phished and that anybody can set up beside another.
func TestTheKindToAdd(t *testing.T) {
	kinds := []enrollment.Kind{{Kind: "code"}, {Kind: "given", Resistant: true, Issued: true}, {Kind: "only", Resistant: true, Single: true}, {Kind: "weak", Resistant: true, Restricted: true}, {Kind: "key", Resistant: true}}
	if got := resistant(kinds); got != "key" {
		t.Errorf("got %q", got)
	}
	if got := resistant(kinds[:4]); got != "" {
		t.Errorf("got %q", got)
	}
}
