package config

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// Destination is where the audit log is sent, entry by entry. Each kind has its own settings;
// those of another kind are refused.
type Destination struct {
	// Name names the destination in the log, in metrics and in its position: lower-case
	// letters, digits and -, 32 at most. Another name is another destination, which begins
	// anew.
	Name string `yaml:"name"`
	// Kind is syslog, otlp, webhook, lines or dovecot.
	Kind string `yaml:"kind"`
	// Events are those that are sent, by their first words: signin, alarm, account.suspended.
	// Empty is all. Except are those that are left out of them.
	Events []string `yaml:"events"`
	Except []string `yaml:"except"`
	// From is now, for what is written after the first start with this destination, or
	// beginning, for the whole log. Empty is now.
	From string `yaml:"from"`
	// Server is HOST:PORT of a syslog server.
	Server string `yaml:"server"`
	// Transport of syslog is tls (the default), or tcp or udp, by which whoever is on the way
	// reads and changes what is sent.
	Transport string `yaml:"transport"`
	// URL is that of a webhook (https), the whole one of OTLP logs, such as
	// https://collector.example.org:4318/v1/logs (http on loopback alone), or that of
	// doveadm's HTTP API.
	URL string `yaml:"url"`
	// File is the path that lines are appended to, or - for standard output.
	File string `yaml:"file"`
	// CA is a PEM file of the root certificates for the server; empty for those of the
	// system. Certificate and Key identify this server to it.
	CA          string `yaml:"ca"`
	Certificate string `yaml:"certificate"`
	Key         string `yaml:"key"`
	// SecretFile has the secrets of a webhook, one for each line, two at most; what
	// {secret} in value stands for; or the key of doveadm.
	SecretFile string `yaml:"secret_file"`
	// Header and Value authenticate requests to a collector.
	Header string `yaml:"header"`
	Value  string `yaml:"value"`
	// Inside are the networks, addresses and host names inside of the network that a webhook
	// or doveadm's API may be reached at. All others must be on the public internet.
	Inside []string `yaml:"inside"`
}

// mostDestinations bounds what a server does beside its work.
const mostDestinations = 16

var destinationName = regexp.MustCompile(`^[a-z][a-z0-9-]{0,31}$`)

var eventWords = regexp.MustCompile(`^[a-z0-9-]+(\.[a-z0-9-]+)*$`)

func (c File) checkEvents() error {
	if len(c.Events) > mostDestinations {
		return fmt.Errorf("events: %d destinations are more than %d", len(c.Events), mostDestinations)
	}
	var all []error
	seen := map[string]bool{}
	for i, d := range c.Events {
		at := fmt.Sprintf("events[%d]", i)
		if !destinationName.MatchString(d.Name) {
			all = append(all, fmt.Errorf("%s.name must be lower-case letters, digits and -, 32 at most, not %q", at, d.Name))
			continue
		}
		if seen[d.Name] {
			all = append(all, fmt.Errorf("events: %q is there twice", d.Name))
		}
		seen[d.Name] = true
		all = append(all, d.check("events."+d.Name))
	}
	return errors.Join(all...)
}

func (d Destination) check(at string) error {
	if err := word(at+".kind", d.Kind, "syslog", "otlp", "webhook", "lines", "dovecot"); err != nil {
		return err
	}
	if err := d.checkForeign(at); err != nil {
		return err
	}
	for _, w := range slices.Concat(d.Events, d.Except) {
		if !eventWords.MatchString(w) {
			return fmt.Errorf("%s: %q is not the beginning of an event, such as signin or account.suspended", at, w)
		}
	}
	if err := errors.Join(word(at+".from", d.From, "", "now", "beginning"), both(at+".certificate", d.Certificate, at+".key", d.Key)); err != nil {
		return err
	}
	switch d.Kind {
	case "syslog":
		return errors.Join(address(at+".server", d.Server, false), word(at+".transport", d.Transport, "", "tls", "tcp", "udp"), d.checkPlain(at))
	case "otlp":
		return errors.Join(d.checkURL(at, Loopback), d.checkHeader(at))
	case "webhook":
		return d.checkWebhook(at)
	case "dovecot":
		return d.checkDovecot(at)
	}
	if d.File == "" {
		return fmt.Errorf("%s.file must be a path, or - for standard output", at)
	}
	return nil
}

// checkForeign refuses settings that this kind does not have.
func (d Destination) checkForeign(at string) error {
	set := []struct {
		name  string
		is    bool
		kinds string
	}{
		{"server", d.Server != "", "syslog"}, {"transport", d.Transport != "", "syslog"}, {"url", d.URL != "", "otlp webhook dovecot"}, {"file", d.File != "", "lines"},
		{"ca", d.CA != "", "syslog otlp webhook dovecot"}, {"certificate", d.Certificate != "", "syslog otlp webhook dovecot"}, {"secret_file", d.SecretFile != "", "otlp webhook dovecot"},
		{"header", d.Header != "", "otlp"}, {"value", d.Value != "", "otlp"}, {"inside", len(d.Inside) > 0, "webhook dovecot"},
	}
	for _, s := range set {
		if s.is && !slices.Contains(strings.Fields(s.kinds), d.Kind) {
			return fmt.Errorf("%s.%s is not a setting of a destination of kind %s", at, s.name, d.Kind)
		}
	}
	return nil
}

func (d Destination) checkPlain(at string) error {
	if (d.Transport == "tcp" || d.Transport == "udp") && d.CA+d.Certificate != "" {
		return fmt.Errorf("%s.ca and certificate are for transport tls; %s has no encryption", at, d.Transport)
	}
	return nil
}

// checkURL demands https, or http where that is allowed.
func (d Destination) checkURL(at string, plain func(hostport string) bool) error {
	u, err := url.Parse(d.URL)
	if err != nil || u.Hostname() == "" || u.User != nil || u.Fragment != "" || u.Scheme != "https" && (u.Scheme != "http" || !plain(withPort(u))) {
		return fmt.Errorf("%s.url must be a https address without a name or password in it; http is possible on loopback alone", at)
	}
	return nil
}

func withPort(u *url.URL) string {
	if u.Port() == "" {
		return u.Host + ":80"
	}
	return u.Host
}

func (d Destination) checkHeader(at string) error {
	switch {
	case (d.Header == "") != (d.Value == ""):
		return fmt.Errorf("%s.header and value must be set both or neither", at)
	case strings.Contains(d.Value, "{secret}") != (d.SecretFile != ""):
		return fmt.Errorf("%s.secret_file must be set, and {secret} be in value, both or neither", at)
	case strings.ContainsAny(d.Header+d.Value, "\r\n") || strings.ContainsAny(d.Header, " :"):
		return fmt.Errorf("%s.header must be the name of a header, such as Authorization, not %q", at, d.Header)
	}
	return nil
}

func (d Destination) checkWebhook(at string) error {
	if d.SecretFile == "" {
		return fmt.Errorf("%s.secret_file must be set: every request of a webhook is signed", at)
	}
	return d.checkURL(at, func(hostport string) bool { return Loopback(hostport) && len(d.Inside) > 0 })
}

// checkDovecot demands the key of the API, and that the address is listed where it is not on the
// public internet: a mail server rarely is.
func (d Destination) checkDovecot(at string) error {
	if d.SecretFile == "" {
		return fmt.Errorf("%s.secret_file must be set: the file with doveadm_api_key of the mail server", at)
	}
	return d.checkURL(at, func(hostport string) bool { return Loopback(hostport) && len(d.Inside) > 0 })
}
