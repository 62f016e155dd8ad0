package config

import (
	"fmt"
	"io"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// says explains each setting to whoever writes a file, with its unit and its range: here
// once, for the printed example and for docs/configuration.md. A test compares it with the
// struct. The names of parts have an entry too.
var says = map[string]string{
	"listen":                     "Address of the pages and the API, HOST:PORT. Off loopback it needs tls, or plain_http behind a proxy.",
	"public_url":                 "How browsers reach the pages: http or https, a host and perhaps a port, no path. It decides for which host passkeys are good: after a change of the host, no enrolled passkey works any more. Left out, it is localhost with the port of listen, which serves browsers on this machine alone.",
	"plain_http":                 "true allows an address off loopback without TLS, for a proxy on another machine that terminates TLS. The traffic between them is not encrypted.",
	"organisation":               "Name of the organisation: at the head and the foot of people's pages, as the text of the logo, and under mails.",
	"time_zone":                  "Zone of the times in pages and mails, such as Europe/Berlin.",
	"language":                   "Tag of the language of people whose browser asks for none that is here, and of mails to people who chose none: en, de, or one of languages.",
	"languages":                  "Files of further languages of people's pages and mails; countersign language new TAG writes one to fill in.",
	"data":                       "Folder of the SQLite database, the root key and the local socket. Only the server's user may read it.",
	"database":                   "A postgres:// URL; empty is SQLite in the data folder. Put the password into a PGPASSFILE and not here.",
	"trusted_proxies":            "Networks of the proxies whose forwarded headers count, such as 127.0.0.0/8; never everybody (0.0.0.0/0).",
	"mutual_tls":                 "Where OAuth clients show certificates of their own (RFC 8705), to prove who they are or to have tokens bound to them. See docs/oidc.md.",
	"mutual_tls.public_url":      "How clients reach it, such as https://clients.example.org:8444: https, and another address than public_url. Empty where a proxy takes certificates at public_url itself.",
	"mutual_tls.listen":          "Address of a listener for them, HOST:PORT; empty for none.",
	"mutual_tls.tls":             "The certificate of that listener. Set both with listen, or neither.",
	"mutual_tls.tls.certificate": "PEM file of the certificate with its chain.",
	"mutual_tls.tls.key":         "PEM file of its private key.",
	"mutual_tls.header":          "Header in which a trusted proxy hands on the certificate that a client showed it, such as Client-Cert; empty believes none. The proxy must set it anew with every request, also to nothing: otherwise anybody writes it.",

	"metrics": "Address of /metrics for Prometheus, HOST:PORT, on loopback alone; empty serves none.",

	"brand":           "How people's pages look: where they sign in, their own pages, approvals and the app. Administrators' pages stay as they are.",
	"brand.logo":      "File of the logo, PNG or JPEG, 256 KiB and 1200 × 400 pixels at most; it is shown 48 pixels high at most. Set organisation as well: it is the logo's text.",
	"brand.logo_dark": "File of the logo for dark pages; empty for the same.",
	"brand.colour":    "Colour of buttons and links, #rrggbb. Where it could not be read well enough (WCAG 2.2 AA) it is made darker or lighter, and the start and config check say how.",

	"tls":             "The certificate of the pages. Both files are read again when they change. Set both or neither.",
	"tls.certificate": "PEM file of the certificate with its chain.",
	"tls.key":         "PEM file of its private key.",

	"log":        "The log of the server, on standard error.",
	"log.level":  "The lowest level that is written: debug, info, warn or error.",
	"log.format": "text or json.",

	"radius":        "The RADIUS server. The clients and their secrets belong to the applications.",
	"radius.listen": "UDP addresses, HOST:PORT, such as 0.0.0.0:1812; empty serves no RADIUS.",

	"mail":               "The server that sends mail. Without one mail is off: notices wait, and nobody gets a code or a pass by mail.",
	"mail.server":        "HOST:PORT. Off loopback there is always TLS with it. Set it together with from.",
	"mail.tls":           "starttls, or implicit for a server that expects TLS from the start; empty is implicit on port 465 and starttls on others.",
	"mail.from":          "The sender: an address, or Name <address>.",
	"mail.username":      "Name at the mail server; empty for none. Set it together with password_file.",
	"mail.password_file": "File whose text is the password at the mail server.",
	"mail.ca":            "PEM file of the root certificates for the mail server; empty for those of the system.",

	"sms":             "The gateway that sends codes by SMS. In fields, body and value, {number} and {text} become the number and the message, and {secret} the first line of secret_file.",
	"sms.url":         "Address of the gateway: https, or http on loopback; empty sends no SMS.",
	"sms.method":      "POST, or GET with fields in the query.",
	"sms.format":      "Form of the request: json (an object of strings) or form.",
	"sms.fields":      "What is sent, by name.",
	"sms.body":        "A JSON document that is sent instead of fields.",
	"sms.number":      "Form of telephone numbers: plus (+4930...), zeros (004930...) or digits (4930...).",
	"sms.accepted":    "A regular expression (RE2) that matches the body of the answer if the message was accepted; empty if the status says it.",
	"sms.header":      "Header that authenticates the request, such as Authorization. Set it together with value.",
	"sms.value":       "Value of that header, such as Bearer {secret}.",
	"sms.secret_file": "File whose first line is {secret}.",

	"passkeys":                   "Requirements for passkeys and security keys, enrolled and new.",
	"passkeys.attestation":       "none, or direct: a new key must send an attestation of its model.",
	"passkeys.require_attested":  "true refuses keys without a verified attestation.",
	"passkeys.allow":             "Models (AAGUIDs) that are accepted; empty for all.",
	"passkeys.deny":              "Models (AAGUIDs) that are refused.",
	"passkeys.backup_eligible":   "allow or deny keys that can be copied between devices.",
	"passkeys.user_verification": "required, or preferred: then a key without a PIN or biometric counts as one factor.",
	"passkeys.signature_counter": "refuse or accept a key whose counter did not advance, which is a sign of a copy.",
	"passkeys.metadata":          "File of the FIDO Metadata Service (the signed BLOB). Set it together with metadata_root.",
	"passkeys.metadata_root":     "PEM file of the root certificate that its chain must end in.",
	"passkeys.metadata_signer":   "DNS name in the certificate that signs it; empty for any.",

	"certificates":                 "Smart cards and other client certificates: a listener of its own, under another host name or port. A proxy in front must pass TLS through.",
	"certificates.listen":          "HOST:PORT; empty for no client certificates.",
	"certificates.public_url":      "How browsers reach it, such as https://card.example.org:8443.",
	"certificates.tls":             "The server certificate of that host name.",
	"certificates.tls.certificate": "PEM file of the certificate with its chain.",
	"certificates.tls.key":         "PEM file of its private key.",
	"certificates.tls_version":     "The one version of TLS: 1.3, or 1.2 for cards that cannot sign by RSA-PSS; empty is 1.3.",
	"certificates.authorities":     "Who issues people's certificates; each has the settings below.",

	"certificates.authorities.name":        "Name, which must stay the same: enrolled certificates are bound to it.",
	"certificates.authorities.file":        "PEM file of its root certificate and all intermediate certificates.",
	"certificates.authorities.mapping":     "The field that binds a certificate to an account: issuer-serial, upn or email.",
	"certificates.authorities.realm":       "With mapping upn: what follows the @ after account names; empty if account names are whole user principal names.",
	"certificates.authorities.purpose":     "The extended key usage that certificates must have: client-auth or smartcard-logon; empty is client-auth.",
	"certificates.authorities.cards":       "true if it certifies only keys that were generated on a card and need its PIN. This is not checked.",
	"certificates.authorities.ocsp":        "URL of an OCSP responder. Set ocsp or crls.",
	"certificates.authorities.crls":        "URLs or files of revocation lists. All sources that are set must report a certificate as good.",
	"certificates.authorities.ocsp_nonce":  "required, or any for a responder that signs in advance; empty is required.",
	"certificates.authorities.attestation": "PEM file of the root certificates of manufacturers that attest the keys of cards.",

	"limits":                  "Limits of guessing and of sign-ins.",
	"limits.next_code":        "Wrong codes in a row until two consecutive ones are demanded: 1 to 10.",
	"limits.delay":            "Wrong answers in a row until each further one must wait 30s, then twice as long each time: 1 to 10.",
	"limits.disable":          "Wrong answers in a row until an authenticator is closed to where they came from: 1 to 20.",
	"limits.per_account":      "Wrong answers for an account in an hour: 1 to 100.",
	"limits.per_source":       "Wrong answers from one address in ten minutes: 1 to 10000.",
	"limits.per_installation": "Wrong answers altogether in ten minutes until strangers wait from the first: 1 to 100000.",
	"limits.tries":            "Answers that one sign-in may give: 1 to 20.",
	"limits.attempt":          "How long one sign-in may take: a length of time such as 90s or 10m, 15m at most.",
	"limits.dormant":          "How long an account may be unused until it is frozen: 365d at most.",
	"limits.quarantine":       "For how long a new authenticator cannot approve privileged actions: 30d at most, or none.",
	"limits.unanswered":       "Requests to approve a sign-in that may be left unanswered in an hour: 1 to 10.",
	"limits.push_soon":        "Notifications that may be left unanswered in ten minutes: 1 to 3.",
	"limits.push_daily":       "Notifications that may be left unanswered in 24 hours: 1 to 10.",
	"limits.pin_digits":       "The least number of digits in the PIN of a token: 4 to 16; 0 is 4.",

	"push":                    "Notifications to apps.",
	"push.quiet_hours":        "Hours without notifications for everybody who has not set their own: all three settings or none, twelve hours at most.",
	"push.quiet_hours.begins": "Time of day, such as 22:00.",
	"push.quiet_hours.ends":   "Time of day, such as 07:00.",
	"push.quiet_hours.zone":   "Name in the IANA time zone database, such as Europe/Berlin.",
	"push.subject":            "Whom push services turn to, a mailto: or https: address; empty is public_url.",

	"sessions":           "Timeouts of sessions, which can be shortened and not lengthened (SP 800-63B-4 section 2).",
	"sessions.aal2":      "Longest session after two factors: 24h at most.",
	"sessions.aal2_idle": "Longest time without use after two factors: 1h at most.",
	"sessions.aal3":      "Longest session after a passkey that cannot be copied: 12h at most.",
	"sessions.aal3_idle": "Longest time without use after such a passkey: 15m at most.",
	"sessions.end_idle":  "true ends an idle session as a sign-out does: applications and signals are told within a minute, and tokens end. Otherwise its browser signs in again, and applications keep theirs.",

	"recovery":      "How people recover an account when they lost their authenticators.",
	"recovery.wait": "How long an owner can object before it continues: 0s to 168h. With 0s nobody waits, and coverage lists an exception.",

	"signals":        "How other systems are told of what happens to people here, and asked for what happens there: see docs/signals.md. What is told to whom is administered.",
	"signals.inside": "Networks, addresses and host names inside the network that streams and sources may reach; empty is the public internet alone.",
	"signals.ca":     "PEM file of the root certificates of those servers; empty for those of the system.",

	"local_recovery":        "Lets the operator of this machine issue a pass for an administrator without signing in, when no administrator can. Coverage lists it as an exception.",
	"local_recovery.until":  "Its end, 31 days ahead at most: 2026-12-01 or 2026-12-01T12:00:00Z; empty is off. Set it together with reason.",
	"local_recovery.reason": "Why, for every administrator, who is told of each use.",

	"events":             "Where the audit log is sent, one entry for each destination: see docs/events.md. Each kind has its own of the settings below.",
	"events.name":        "Name: lower-case letters, digits and -, 32 at most. Another name is another destination, which begins anew.",
	"events.kind":        "syslog, otlp, webhook or lines; or dovecot, which has a mail server close connections: see docs/mailboxes.md.",
	"events.events":      "Which events are sent, by their first words, such as signin or account.suspended; empty is all, and for dovecot those that end something.",
	"events.except":      "Which of them are left out.",
	"events.from":        "now, for what is written after the first start with it, or beginning, for the whole log; empty is now.",
	"events.server":      "Of syslog: HOST:PORT.",
	"events.transport":   "Of syslog: tls, or tcp or udp without encryption; empty is tls.",
	"events.url":         "Of webhook: a https address. Of otlp: the whole address, such as https://collector.example.org:4318/v1/logs; http on loopback alone. Of dovecot: https://mail.example.org:8080/doveadm/v1.",
	"events.file":        "Of lines: the path that they are appended to, or - for standard output.",
	"events.ca":          "PEM file of the root certificates for the server; empty for those of the system.",
	"events.certificate": "PEM file of a certificate that identifies this server to the other. Set it together with key.",
	"events.key":         "PEM file of its private key.",
	"events.secret_file": "Of webhook: file of one or two secrets, one for each line. Of otlp: file whose first line is {secret}. Of dovecot: file whose first line is doveadm_api_key.",
	"events.header":      "Of otlp: header that authenticates, such as Authorization. Set it together with value.",
	"events.value":       "Of otlp: value of that header, such as Bearer {secret}.",
	"events.inside":      "Of webhook and dovecot: networks, addresses and host names inside the network that it may reach; empty is the public internet alone.",
}

// WriteExample writes a file in which every setting stands with its default, commented out,
// under what it means. Without its # a line can be changed; that of its part too.
func WriteExample(w io.Writer) error {
	var b strings.Builder
	b.WriteString("# The configuration of Countersign. Every setting may be left out; each line without a\n# space after its # is a setting with its default. Lengths of time are written as 90s, 15m,\n# 8h or 30d. To check a file: countersign config check FILE\n")
	example(&b, reflect.ValueOf(Default()), "", "")
	_, err := io.WriteString(w, b.String())
	return err
}

// example writes a part, each line after the indent.
func example(b *strings.Builder, v reflect.Value, prefix, indent string) {
	for i := range v.NumField() {
		key := v.Type().Field(i).Tag.Get("yaml")
		b.WriteString("\n" + comment(says[prefix+key], indent))
		if v.Field(i).Kind() == reflect.Struct {
			fmt.Fprintf(b, "%s#%s:\n", indent, key)
			example(b, v.Field(i), prefix+key+".", indent+"  ")
			continue
		}
		if t := v.Type().Field(i).Type; t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Struct {
			for j := range t.Elem().NumField() {
				of := t.Elem().Field(j).Tag.Get("yaml")
				b.WriteString(comment("  "+of+": "+says[prefix+key+"."+of], indent))
			}
		}
		text, err := yaml.Marshal(map[string]any{key: v.Field(i).Interface()})
		if err != nil {
			text = []byte(key + ":\n")
		}
		fmt.Fprintf(b, "%s#%s", indent, text)
	}
}

// comment wraps a text at 96 columns, each line after the indent and a #.
func comment(s, indent string) string {
	var b strings.Builder
	line := indent + "#"
	if strings.HasPrefix(s, "  ") {
		line += "  "
	}
	for _, word := range strings.Fields(s) {
		if len(line)+1+len(word) > 96 {
			b.WriteString(line + "\n")
			line = indent + "#"
			if strings.HasPrefix(s, "  ") {
				line += "    "
			}
		}
		line += " " + word
	}
	return b.String() + line + "\n"
}

// Hidden stands where a printed configuration has a secret.
const Hidden = "(hidden)"

var (
	inURL   = regexp.MustCompile(`(?i)([?&](?:ssl)?password=)[^&#]*`)
	secrets = regexp.MustCompile(`(?i)pass|secret|token|key|auth`)
)

// WithoutSecrets is the configuration for the eyes of others: without the password of a
// database's URL, and without what was written beside {secret} to authenticate at a gateway.
func (c File) WithoutSecrets() File {
	if c.Database != "" {
		c.Database = withoutPassword(c.Database)
	}
	if c.SMS.Value != "" && !strings.Contains(c.SMS.Value, "{secret}") {
		c.SMS.Value = Hidden
	}
	if secrets.MatchString(c.SMS.Body) && !strings.Contains(c.SMS.Body, "{secret}") {
		c.SMS.Body = Hidden
	}
	fields := map[string]string{}
	for name, value := range c.SMS.Fields {
		if secrets.MatchString(name) && !strings.Contains(value, "{secret}") {
			value = Hidden
		}
		fields[name] = value
	}
	c.SMS.Fields = fields
	if u, err := url.Parse(c.SMS.URL); err == nil && u.RawQuery != "" {
		u.RawQuery = Hidden
		c.SMS.URL = u.String()
	}
	c.Events = slices.Clone(c.Events)
	for i, d := range c.Events {
		if d.Value != "" && !strings.Contains(d.Value, "{secret}") {
			c.Events[i].Value = Hidden
		}
		// Whoever knows the path of a webhook can post there.
		if u, err := url.Parse(d.URL); err == nil && d.Kind == "webhook" && u.RequestURI() != "/" {
			c.Events[i].URL = u.Scheme + "://" + u.Host + "/" + Hidden
		}
	}
	return c
}

// withoutPassword takes what stands between a name and the last @ of a URL's hosts, and a
// password among its parameters. It reads no more of the URL, which may not be well formed.
func withoutPassword(s string) string {
	scheme, rest, found := strings.Cut(s, "://")
	if !found {
		return Hidden
	}
	end := strings.LastIndex(rest, "@")
	if end >= 0 {
		name, _, password := strings.Cut(rest[:end], ":")
		if password {
			rest = name + ":" + Hidden + rest[end:]
		}
	}
	return scheme + "://" + inURL.ReplaceAllString(rest, "${1}"+Hidden)
}
