package servertest

import (
	"os"
	"strings"

	"countersign/internal/application"
	"countersign/internal/drill"
	"countersign/internal/drill/mail"
	"countersign/internal/drill/openid"
	"countersign/internal/drill/web"
	"countersign/internal/testbed"
)

// lenient is a mail program of the test bed that signs people in with one factor.
const lenient = "mail-lenient"

const (
	bedMailSecret    = "the-secret-of-the-mail-server-of-the-bed"
	bedFiltersSecret = "the-secret-of-its-filters-of-the-bed-too"
	bedProgramSecret = "the-secret-of-a-mail-program-of-the-bed!"
)

// WithMail puts mail behind the worlds of the bed, which takes as long again to attack.
func (b *Bed) WithMail() *Bed {
	b.Stage.Components = append(b.Stage.Components, b.mail(b.Guarded)...)
	if b.Naked != nil {
		b.Open.Components = append(b.Open.Components, b.mail(b.Naked)...)
	}
	return b
}

// mail puts Dovecot and Postfix behind a world, and the programs that people read mail with. In the
// world without a guard the mail server asks for no second factor, and whoever is in may give a
// mailbox away.
func (b *Bed) mail(w *World) []drill.Component {
	if os.Getuid() != 0 {
		b.T.Log("mail is not drilled: only root can start Postfix; run the tests with sudo")
		return nil
	}
	parts := testbed.MailParts{Countersign: w.Base, MailSecret: bedMailSecret, FiltersSecret: bedFiltersSecret, Patience: "1000"}
	if w == b.Naked {
		parts.Edit = shares
	}
	server := testbed.Dovecot(b.T, parts)
	submission, _ := testbed.Postfix(b.T, server)
	doors, filters := bedDoors(server, submission)
	webmail, weak, other := mailProgram(w, "webmail", "webmail", "mail"), mailProgram(w, lenient, "web", "mail"), mailProgram(w, "calendar", "web")
	settings := func(id, secret, class string, doors []mail.Door, more map[string]any) map[string]any {
		all := map[string]any{"client_id": id, "client_secret": secret, "introspects": []string{"webmail", lenient}, "token_scope": "mail", "doors": called(doors)}
		if w != b.Naked {
			all["acr"] = class
		}
		for k, v := range more {
			all[k] = v
		}
		return all
	}
	PlantApplication(w, application.Application{Name: "mail", Kind: "mail", Tier: application.Standard, Protocol: "oidc"},
		settings("mail", bedMailSecret, "urn:countersign:aal2", doors, map[string]any{"app_passwords": []string{"imap", "pop3", "smtp"}}))
	PlantApplication(w, application.Application{Name: "mail-filters", Kind: "mail", Tier: application.Standard, Protocol: "oidc"},
		settings("mail-filters", bedFiltersSecret, "phr", filters, map[string]any{"tells_owners": "each"}))
	at := mail.Server{Application: "mail", Doors: doors, Program: webmail, Weak: &weak, Others: []openid.Client{other}, Delegates: true}
	behind := mail.Server{Application: "mail-filters", Doors: filters, Program: webmail, Weak: &weak, Others: []openid.Client{other}, Strong: true, Delegates: true}
	return []drill.Component{webmail.Component(), at.Component(), behind.Component()}
}

// mailProgram plants a program that people sign in to. More are its scopes.
func mailProgram(w *World, name, kind string, more ...string) openid.Client {
	c := openid.Client{Application: name, Server: web.Server(w.Base), ID: name, Secret: bedProgramSecret, Redirect: "http://127.0.0.1:7/" + name, Mail: kind == "webmail", Scope: strings.Join(append([]string{"openid"}, more...), " ")}
	settings := map[string]any{"client_id": name, "client_secret": c.Secret, "redirect_uris": []string{c.Redirect}, "refresh": "session"}
	if len(more) > 0 {
		settings["scopes"] = more
	}
	PlantApplication(w, application.Application{Name: name, Kind: kind, Tier: application.Standard, Protocol: "oidc"}, settings)
	return c
}

// bedDoors are those of mail, and of its filters.
func bedDoors(m *testbed.Mailboxes, submission string) (doors, filters []mail.Door) {
	for _, d := range m.Doors(submission) {
		one := mail.Door{Protocol: map[string]mail.Protocol{"imap": mail.IMAP, "pop3": mail.POP3, "smtp": mail.SMTP, "sieve": mail.Sieve}[d.Protocol], Address: d.Addr, Sealed: d.Sealed, Plain: d.Open}
		if one.Protocol == mail.Sieve {
			filters = append(filters, one)
		} else {
			doors = append(doors, one)
		}
	}
	return doors, filters
}

// called are doors as an application's settings have them.
func called(doors []mail.Door) (all []string) {
	for _, d := range doors {
		if !d.Plain {
			all = append(all, d.Name())
		}
	}
	return all
}

// shares lets whoever is in give a mailbox away, as the documentation says not to.
func shares(conf string) string {
	_, at, _ := strings.Cut(conf, "home=")
	at, _, _ = strings.Cut(at, "/%u")
	return conf + `
mail_plugins = acl
protocol imap {
  mail_plugins = acl imap_acl
}
namespace inbox {
  inbox = yes
  separator = /
}
namespace {
  type = shared
  separator = /
  prefix = shared/%%u/
  location = maildir:` + at + `/%%u/Maildir
  subscriptions = no
  list = children
}
plugin {
  acl = vfile
  acl_shared_dict = file:` + at + `/shared.db
}
`
}
