package config

import (
	"errors"
	"fmt"
	"net"
	"net/mail"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Check returns all errors, one per line, or nil.
func (c File) Check() error {
	return errors.Join(
		c.checkListen(), c.checkTimeZone(), c.checkBrand(), c.checkMetrics(), c.checkPublicURL(), c.checkDatabase(), c.checkProxies(),
		c.checkRadius(), c.checkMail(), c.checkSMS(), c.checkPush(), c.checkPasskeys(), c.checkCertificates(), c.checkMutualTLS(), c.checkEvents(),
		word("log.level", c.Log.Level, "debug", "info", "warn", "error"),
		word("log.format", c.Log.Format, "text", "json"),
		c.checkRecovery(time.Now()),
	)
}

// Zone is the zone of pages and mails; empty is UTC. That of the machine is no choice: it
// has no name, and may be another on each server of an installation.
func (c File) Zone() (*time.Location, error) {
	if c.TimeZone == "Local" {
		return nil, errors.New("time_zone must name a zone, such as Europe/Berlin or UTC")
	}
	zone, err := time.LoadLocation(c.TimeZone)
	if err != nil {
		return nil, fmt.Errorf("time_zone %q is no zone of the time zone database; write one as in Europe/Berlin, or UTC", c.TimeZone)
	}
	return zone, nil
}

func (c File) checkTimeZone() error {
	_, err := c.Zone()
	return err
}

func (c File) checkBrand() error {
	if c.Organisation == "" && c.Brand.Logo+c.Brand.LogoDark != "" {
		return errors.New("brand.logo needs organisation as well: who cannot see the logo reads that name")
	}
	if c.Brand.Logo == "" && c.Brand.LogoDark != "" {
		return errors.New("brand.logo_dark is for dark pages only: set brand.logo as well")
	}
	return nil
}

func word(key, value string, words ...string) error {
	if slices.Contains(words, value) {
		return nil
	}
	return fmt.Errorf("%s is %q; it may be %s", key, value, strings.Join(words, ", "))
}

func address(key, value string, optional bool) error {
	if value == "" && optional {
		return nil
	}
	if _, port, err := net.SplitHostPort(value); err != nil || port == "" {
		return fmt.Errorf("%s must be HOST:PORT such as 127.0.0.1:8080, not %q", key, value)
	}
	return nil
}

// both says that two settings come together or not at all.
func both(a, va, b, vb string) error {
	if (va == "") != (vb == "") {
		return fmt.Errorf("%s and %s come together: set both or neither", a, b)
	}
	return nil
}

// Loopback reports whether only this machine reaches an address, HOST:PORT.
func Loopback(hostport string) bool {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

func (c File) checkListen() error {
	if err := errors.Join(address("listen", c.Listen, false), both("tls.certificate", c.TLS.Certificate, "tls.key", c.TLS.Key)); err != nil {
		return err
	}
	if c.TLS.Certificate == "" && !Loopback(c.Listen) && !c.PlainHTTP {
		return fmt.Errorf("listen is %s, which is not on loopback: set tls.certificate and tls.key, or plain_http: true behind a proxy that brings TLS", c.Listen)
	}
	return nil
}

// checkMetrics keeps the numbers on this machine: they are for whoever asks.
func (c File) checkMetrics() error {
	if err := address("metrics", c.Metrics, true); err != nil || c.Metrics == "" || Loopback(c.Metrics) {
		return err
	}
	return fmt.Errorf("metrics is %s; it may be on loopback only, such as 127.0.0.1:9100: let the collector on this machine read it", c.Metrics)
}

func (c File) checkPublicURL() error {
	u, err := url.Parse(c.PublicURL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.Path != "" && u.Path != "/" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return fmt.Errorf("public_url must be like https://login.example.org, without a path, not %q", c.PublicURL)
	}
	return nil
}

func (c File) checkDatabase() error {
	if c.Data == "" {
		return errors.New("data must name a folder")
	}
	if c.Database != "" && !strings.HasPrefix(c.Database, "postgres://") && !strings.HasPrefix(c.Database, "postgresql://") {
		return errors.New("database must be a postgres:// URL, or be left out for SQLite in the data folder")
	}
	return nil
}

func (c File) checkProxies() error {
	_, err := c.Proxies()
	return err
}

// Proxies are TrustedProxies, read. One that lets everybody through is refused:
// then anybody could say where they come from.
func (c File) Proxies() ([]netip.Prefix, error) {
	var out []netip.Prefix
	for _, s := range c.TrustedProxies {
		p, err := netip.ParsePrefix(s)
		if ip, single := netip.ParseAddr(s); err != nil && single == nil {
			p, err = netip.PrefixFrom(ip, ip.BitLen()), nil
		}
		if err != nil {
			return nil, fmt.Errorf("trusted_proxies: %q is not a network such as 127.0.0.0/8", s)
		}
		if p.Bits() == 0 {
			return nil, fmt.Errorf("trusted_proxies: %s is everybody; name the proxies", s)
		}
		out = append(out, p.Masked())
	}
	return out, nil
}

func (c File) checkRadius() error {
	var all []error
	for _, a := range c.Radius.Listen {
		all = append(all, address("radius.listen", a, false))
	}
	return errors.Join(all...)
}

func (c File) checkMail() error {
	if _, err := mail.ParseAddress(c.Mail.From); c.Mail.From != "" && (err != nil || strings.ContainsAny(c.Mail.From, "\r\n")) {
		return errors.New("mail.from must be one mail address, such as mfa@example.org or Countersign <mfa@example.org>")
	}
	return errors.Join(word("mail.tls", c.Mail.TLS, "", "starttls", "implicit"), address("mail.server", c.Mail.Server, true), both("mail.server", c.Mail.Server, "mail.from", c.Mail.From),
		both("mail.username", c.Mail.Username, "mail.password_file", c.Mail.PasswordFile))
}

func (c File) checkPush() error {
	s := c.Push.Subject
	if s == "" {
		return nil
	}
	if to, mailto := strings.CutPrefix(s, "mailto:"); mailto {
		if a, err := mail.ParseAddress(to); err == nil && a.Address == to {
			return nil
		}
	} else if u, err := url.Parse(s); err == nil && u.Scheme == "https" && u.Host != "" && u.User == nil {
		return nil
	}
	return fmt.Errorf("push.subject must be like mailto:admin@example.org or https://login.example.org, not %q", s)
}

func (c File) checkPasskeys() error {
	return errors.Join(word("passkeys.attestation", c.Passkeys.Attestation, "none", "direct"),
		word("passkeys.backup_eligible", c.Passkeys.BackupEligible, "allow", "deny"),
		word("passkeys.user_verification", c.Passkeys.UserVerification, "required", "preferred"),
		word("passkeys.signature_counter", c.Passkeys.SignatureCounter, "refuse", "accept"),
		both("passkeys.metadata", c.Passkeys.Metadata, "passkeys.metadata_root", c.Passkeys.MetadataRoot))
}

// longestRecovery bounds an exception that lets a machine's owner in.
const longestRecovery = 31 * 24 * time.Hour

func (c File) checkRecovery(now time.Time) error {
	l := c.LocalRecovery
	switch {
	case l.Until == "" && l.Reason == "":
		return nil
	case l.End().IsZero():
		return fmt.Errorf("local_recovery.until must be a day such as %s, not %q", now.Add(24*time.Hour).Format(time.DateOnly), l.Until)
	case l.Reason == "":
		return errors.New("local_recovery.reason must say why, for those who are told of it")
	case l.End().Sub(now) > longestRecovery:
		return errors.New("local_recovery.until is more than 31 days ahead")
	}
	return nil
}
