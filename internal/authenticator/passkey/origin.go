package passkey

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"golang.org/x/net/publicsuffix"
)

// checkRelyingParty holds the identifier and every origin to what browsers will
// do with them (WebAuthn Level 3 section 5.1.2), and more strictly in two
// places: never a public suffix, never http but on localhost.
func checkRelyingParty(rpID string, origins []string) error {
	if err := checkHost(rpID); err != nil {
		return fmt.Errorf("the relying party identifier %q: %w", rpID, err)
	}
	if suffix, _ := publicsuffix.PublicSuffix(rpID); suffix == rpID && rpID != "localhost" {
		return fmt.Errorf("the relying party identifier %q is a public suffix, shared with strangers; use a domain of your own below it", rpID)
	}
	if len(origins) == 0 {
		return errors.New("no origin is given; name at least one, such as https://login.example.org")
	}
	for _, origin := range origins {
		host, err := originHost(origin)
		if err != nil {
			return fmt.Errorf("the origin %q: %w", origin, err)
		}
		if host != rpID && !strings.HasSuffix(host, "."+rpID) {
			return fmt.Errorf("the origin %q is not on %q or below it, so browsers would refuse it", origin, rpID)
		}
	}
	return nil
}

// originHost returns the host of an origin that is written exactly as browsers
// write it, because it is later compared byte by byte.
func originHost(origin string) (string, error) {
	u, err := url.Parse(origin)
	if err != nil {
		return "", errors.New("it is not a URL; write it as https://login.example.org")
	}
	host, port := u.Hostname(), u.Port()
	if err := checkHost(host); err != nil {
		return "", err
	}
	switch {
	case u.Scheme == "http" && host != "localhost":
		return "", errors.New("only http://localhost may go without TLS; use https")
	case u.Scheme != "https" && u.Scheme != "http":
		return "", errors.New("use https")
	}
	want := u.Scheme + "://" + host
	if port != "" {
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || n == 0 {
			return "", errors.New("the port is no number from 1 to 65535")
		}
		if !(u.Scheme == "https" && n == 443) && !(u.Scheme == "http" && n == 80) {
			want += ":" + strconv.FormatUint(n, 10)
		}
	}
	if origin != want {
		return "", fmt.Errorf("write it as browsers do: %s", want)
	}
	return host, nil
}

// checkHost accepts lower-case ASCII domain names and localhost.
func checkHost(host string) error {
	if host == "" {
		return errors.New("the host is empty")
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return errors.New("an address cannot have passkeys; use a domain name")
	}
	if len(host) > 253 {
		return errors.New("the name is longer than 253 characters")
	}
	for label := range strings.SplitSeq(host, ".") {
		if err := checkLabel(label); err != nil {
			return err
		}
	}
	return nil
}

func checkLabel(label string) error {
	if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
		return errors.New("it is not a domain name")
	}
	for _, c := range []byte(label) {
		switch {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9', c == '-':
		case c >= 'A' && c <= 'Z':
			return errors.New("write it in lower case, as browsers do")
		case c >= 0x80:
			return errors.New("write an international name in its ASCII form (xn--...), as browsers do")
		default:
			return errors.New("it is not a domain name")
		}
	}
	return nil
}
