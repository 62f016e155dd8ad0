package webpush

import (
	"errors"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"syscall"

	"countersign/internal/outside"
)

// errInside is an endpoint that leads to where a push service cannot be.
var errInside = errors.New("webpush: the push service's address is not on the public internet")

// control is asked after the name was resolved and before the connection is
// made, for each address that is tried: a name that changes its address between
// a check and its use has nothing to gain.
func (o Options) control(_, address string, _ syscall.RawConn) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return errInside
	}
	if slices.ContainsFunc(o.Inside, func(p netip.Prefix) bool { return p.Contains(to.Addr().Unmap()) }) {
		return nil
	}
	if !outside.Public(to.Addr()) || to.Port() != 443 {
		return errInside
	}
	return nil
}

// CheckEndpoint parses a push service's address: https, a host, no user information, at
// most 1024 bytes.
func CheckEndpoint(endpoint string) (*url.URL, error) {
	u, err := url.Parse(endpoint)
	if err != nil || len(endpoint) > 1024 || u.Scheme != "https" || u.Hostname() == "" || u.User != nil || u.Opaque != "" || u.Fragment != "" ||
		strings.ContainsAny(endpoint, " \t\r\n") {
		return nil, errors.New("webpush: invalid address of a push service")
	}
	return u, nil
}
