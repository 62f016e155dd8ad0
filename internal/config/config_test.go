package config

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestRefusals(t *testing.T) {
	for _, c := range []struct{ text, says string }{
		{"listen: 127.0.0.1:1\nlistenn: x\n", `line 2: there is no setting "listenn" here`},
		{"tls:\n  cert: x\n", `line 2: there is no setting "cert" here`},
		{"listen: 127.0.0.1:1\nlisten: 127.0.0.1:2\n", "line 2"},
		{"listen: 0.0.0.0:443\n", "not on loopback"},
		{"listen: 8080\n", "HOST:PORT"},
		{"public_url: login.example.org\n", "public_url must be like"},
		{"public_url: https://u:p@login.example.org\n", "public_url must be like"},
		{"public_url: https://login.example.org/mfa\n", "public_url must be like"},
		{"tls: {certificate: a.pem}\n", "come together"},
		{"trusted_proxies: [everybody]\n", "not a network"},
		{"trusted_proxies: [0.0.0.0/0]\n", "is everybody"},
		{"mutual_tls: {public_url: 'https://clients.example.org'}\n", "mutual_tls needs listen"},
		{"mutual_tls: {listen: '127.0.0.1:1'}\n", "public_url must be set with listen"},
		{"public_url: https://a.example.org\nmutual_tls: {listen: '127.0.0.1:1', public_url: 'https://a.example.org', tls: {certificate: c, key: k}}\n", "another address than public_url"},
		{"mutual_tls: {listen: '127.0.0.1:1', public_url: 'http://clients.example.org', tls: {certificate: c, key: k}}\n", "must be like https"},
		{"mutual_tls: {listen: '127.0.0.1:1', public_url: 'https://clients.example.org'}\n", "must be set: certificates are shown by TLS"},
		{"mutual_tls: {header: Client-Cert}\n", "believed of trusted_proxies alone"},
		{"trusted_proxies: [127.0.0.1]\nmutual_tls: {header: 'Client Cert'}\n", "name of a header"},
		{"trusted_proxies: [127.0.0.1]\nmutual_tls: {header: Client-Cert, tls: {certificate: c, key: k}}\n", "a proxy has its own certificate"},
		{"log: {level: loud}\n", `log.level is "loud"`},
		{"limits: {dormant: soon}\n", `line 1: "soon" is not a length of time`},
		{"limits: {dormant: -5m}\n", "not a length of time"},
		{"limits: {tries: many}\n", "line 1: what is there does not fit"},
		{"database: mysql://x\n", "postgres://"},
		{"mail: {server: 'mx:25'}\n", "come together"},
		{"mail: {server: 'mx:25', from: 'a@b\\r\\nBcc: x'}\n---\n", "second document"},
		{"mail: {server: 'mx:25', from: \"a@b\\r\\nBcc: x\"}\n", "one mail address"},
		{"mail: {server: 'mx:25', from: 'Countersign'}\n", "one mail address, such as"},
		{"mail: {server: 'mx:25', from: 'a@b, c@d'}\n", "one mail address"},
		{"mail: {server: 'mx:25', from: 'a@b', tls: always}\n", `mail.tls is "always"`},
		{"sms: {url: 'https://sms.example.net/', fields: {to: '{number}'}}\n", "{number} and {text} among the values"},
		{"sms: {url: 'https://sms.example.net/', body: '{\"to\": {number}, \"text\": \"{text}\"}'}\n", "sms.body must be a JSON document"},
		{"sms: {url: 'https://sms.example.net/', body: '[\"{number}\", \"{text}\"]', fields: {a: b}}\n", "must not be set together"},
		{"sms: {url: 'https://sms.example.net/', method: GET, body: '[\"{number}\", \"{text}\"]'}\n", "method POST and format json"},
		{"sms: {url: 'https://sms.example.net/', method: PUT, body: '[\"{number}\", \"{text}\"]'}\n", `sms.method is "PUT"`},
		{"sms: {url: 'https://sms.example.net/', number: national, body: '[\"{number}\", \"{text}\"]'}\n", `sms.number is "national"`},
		{"sms: {url: 'https://sms.example.net/', accepted: '(', body: '[\"{number}\", \"{text}\"]'}\n", "sms.accepted must be a regular expression"},
		{"sms: {url: 'https://sms.example.net/', body: '[\"{number}\", \"{text}\", \"{secret}\"]'}\n", "sms.secret_file must be set"},
		{"sms: {accepted: 'ok'}\n", "sms.url must be the address"},
		{"events: [{name: SIEM, kind: lines, file: x}]\n", "events[0].name must be lower-case"},
		{"events: [{name: a, kind: lines, file: x}, {name: a, kind: lines, file: y}]\n", `"a" is there twice`},
		{"events: [{name: a, kind: splunk}]\n", `events.a.kind is "splunk"`},
		{"events: [{name: a, kind: lines}]\n", "events.a.file must be a path"},
		{"events: [{name: a, kind: lines, file: x, url: 'https://x/'}]\n", "events.a.url is not a setting of a destination of kind lines"},
		{"events: [{name: a, kind: lines, file: x, inside: [10.0.0.1]}]\n", "events.a.inside is not a setting"},
		{"events: [{name: a, kind: lines, file: x, from: yesterday}]\n", `events.a.from is "yesterday"`},
		{"events: [{name: a, kind: lines, file: x, events: ['sign in']}]\n", "is not the beginning of an event"},
		{"events: [{name: a, kind: syslog, server: x}]\n", "events.a.server must be HOST:PORT"},
		{"events: [{name: a, kind: syslog, server: 'x:514', transport: relp}]\n", `events.a.transport is "relp"`},
		{"events: [{name: a, kind: syslog, server: 'x:514', transport: tcp, ca: x}]\n", "tcp has no encryption"},
		{"events: [{name: a, kind: syslog, server: 'x:514', certificate: x}]\n", "come together"},
		{"events: [{name: a, kind: otlp, url: 'http://10.0.0.1:4318/v1/logs'}]\n", "http is possible on loopback alone"},
		{"events: [{name: a, kind: otlp, url: 'https://x/', header: Authorization, value: 'Bearer {secret}'}]\n", "events.a.secret_file must be set"},
		{"events: [{name: a, kind: webhook, url: 'https://x/'}]\n", "events.a.secret_file must be set"},
		{"events: [{name: a, kind: webhook, url: 'http://127.0.0.1/', secret_file: x}]\n", "must be a https address"},
		{"events: [{name: a, kind: webhook, url: 'https://u:p@x/', secret_file: x}]\n", "without a name or password"},
		{"events: [{name: a, kind: webhook, url: 'http://x/', secret_file: x, inside: [x]}]\n", "must be a https address"},
		{"push: {subject: admin@example.org}\n", "push.subject must be like"},
		{"push: {subject: 'mailto: <admin@example.org>'}\n", "push.subject must be like"},
		{"push: {subject: 'http://login.example.org'}\n", "push.subject must be like"},
		{"passkeys: {backup_eligible: maybe}\n", "allow, deny"},
		{"passkeys: {user_verification: discouraged}\n", "required, preferred"},
		{"passkeys: {signature_counter: ignore}\n", "refuse, accept"},
		{"local_recovery: {until: 2999-01-01, reason: why not}\n", "more than 31 days"},
		{"local_recovery: {until: tomorrow, reason: why not}\n", "must be a day"},
		{"local_recovery: {until: 2026-12-01}\n", "must say why"},
		{"certificates: {listen: '127.0.0.1:1', cert: x}\n", `line 1: there is no setting "cert" here`},
		{"certificates: {public_url: 'https://card.example.org'}\n", "certificates.listen must be"},
		{"certificates: {listen: '127.0.0.1:1', public_url: 'http://card.example.org'}\n", "certificates.public_url must be like"},
		{"public_url: https://a.example.org\ncertificates: {listen: '127.0.0.1:1', public_url: 'https://a.example.org'}\n", "another address"},
		{"certificates: {listen: '127.0.0.1:1', public_url: 'https://card.example.org'}\n", "shown by TLS"},
		{withAuthorities(""), "at least one authority"},
		{withAuthorities("{name: a, mapping: upn, crls: [c]}"), "a name and a file"},
		{withAuthorities("{name: a, file: f, mapping: upn}"), "a lost card can be stopped"},
		{withAuthorities("{name: a, file: f, mapping: cn, crls: [c]}"), `mapping is "cn"`},
		{withAuthorities("{name: a, file: f, crls: [c]}"), `mapping is ""`},
		{withAuthorities("{name: a, file: f, mapping: upn, purpose: all, crls: [c]}"), `purpose is "all"`},
		{withAuthorities("{name: a, file: f, mapping: upn, ocsp: 'ldap://x'}"), "http or https"},
		{withAuthorities("{name: a, file: f, mapping: upn, crls: ['file:///x']}"), "neither"},
		{withAuthorities("{name: a, file: f, mapping: email, realm: x, crls: [c]}"), "with mapping upn"},
		{withAuthorities("{name: a, file: f, mapping: upn, ocsp: 'http://x', ocsp_nonce: off}"), "ocsp_nonce"},
		{withAuthorities("{name: a, file: f, mapping: upn, crls: [c]}, {name: a, file: g, mapping: upn, crls: [c]}"), "twice"},
		{withAuthorities("{name: a, file: f, mapping: upn, crl: [c]}"), `line 1: there is no setting "crl" here`},
		{"[1, 2]\n", "line 1: what is there does not fit"},
		{"a: &a [*a]\n", "a"},
		{"listen: [", "line 1"},
	} {
		if _, err := Parse([]byte(c.text)); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%q: %v, which does not say %q", c.text, err, c.says)
		}
	}
}

func TestEmptyIsDefault(t *testing.T) {
	for _, text := range []string{"", "# nothing\n", "{}\n"} {
		if c, err := Parse([]byte(text)); err != nil || len(c.Radius.Listen) != 0 || c.Listen != "127.0.0.1:8080" {
			t.Errorf("%q: %+v, %v", text, c, err)
		}
	}
}

// What is printed can be read back and means the same.
func TestPrint(t *testing.T) {
	c := Default()
	c.Limits.Dormant, c.Limits.Attempt, c.Limits.Quarantine = Duration(30*24*time.Hour), Duration(15*time.Minute), -1
	c.TrustedProxies = []string{"10.0.0.0/8"}
	var b bytes.Buffer
	if err := c.Print(&b); err != nil {
		t.Fatal(err)
	}
	back, err := Parse(b.Bytes())
	if err != nil {
		t.Fatalf("%v in\n%s", err, &b)
	}
	if now, restart := Changes(c, back); len(now)+len(restart) > 0 {
		t.Errorf("printed and read back, it differs in %v %v:\n%s", now, restart, &b)
	}
}

func TestChanges(t *testing.T) {
	was, is := Default(), Default()
	is.Listen, is.Log.Level, is.Mail.Server, is.TLS.Key = "127.0.0.1:1", "debug", "mx:25", "k"
	now, restart := Changes(was, is)
	if !slices.Equal(now, []string{"tls.key", "log.level", "mail.server"}) || !slices.Equal(restart, []string{"listen"}) {
		t.Errorf("now %v, restart %v", now, restart)
	}
	if got := Live(was, is); got.Listen != was.Listen || got.Mail.Server != "mx:25" {
		t.Errorf("%+v", got)
	}
	// Every key that is called live is carried over by Live.
	if n, r := Changes(Live(was, is), is); len(n) != 0 || len(r) != 1 {
		t.Errorf("still to come: %v, %v", n, r)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("listen: 127.0.0.1:1\n")
	f.Add("limits: {dormant: 30d, quarantine: none}\n")
	f.Add("a: &a [*a, *a]\n")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := Parse([]byte(text))
		if err != nil {
			return
		}
		if err := c.Check(); err != nil {
			t.Errorf("parsed, and yet: %v", err)
		}
	})
}

func withAuthorities(list string) string {
	return "certificates: {listen: '127.0.0.1:1', public_url: 'https://card.example.org', tls: {certificate: c, key: k}, authorities: [" + list + "]}\n"
}

func TestCertificates(t *testing.T) {
	c, err := Parse([]byte(withAuthorities("{name: a, file: f, mapping: upn, realm: example.org, crls: [c, 'https://x/y'], ocsp: 'http://z', ocsp_nonce: any, cards: true}")))
	if err != nil || !c.Certificates.Authorities[0].Cards || len(c.Certificates.Authorities[0].CRLs) != 2 {
		t.Errorf("%+v, %v", c.Certificates, err)
	}
}

// The zone of pages and mails is named, and the machine's is none.
func TestTimeZone(t *testing.T) {
	for name, good := range map[string]bool{"": true, "UTC": true, "Europe/Berlin": true, "Local": false, "CET5": false, "../etc/passwd": false} {
		if _, err := (File{TimeZone: name}).Zone(); (err == nil) != good {
			t.Errorf("%q: %v", name, err)
		}
	}
}
