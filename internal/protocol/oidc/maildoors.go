package oidc

import (
	"net/url"
	"slices"
	"strings"
)

// TellEach tells owners of everybody who comes as them, once an hour: the value of
// [Settings.TellsOwners].
const TellEach = "each"

// mailSchemes are those of the addresses in [Settings.Doors]: those with an s begin with TLS, the
// others with a command for it.
func mailSchemes() []string {
	return []string{"imap", "imaps", "pop3", "pop3s", "submission", "submissions", "sieve"}
}

// mostDoors bounds how many doors a mail server has.
const mostDoors = 20

func (s Settings) checkMail() error {
	switch {
	case s.TellsOwners != "" && s.TellsOwners != TellEach:
		return invalid("Owners are told of each (each), or it is empty.")
	case (s.TellsOwners != "" || len(s.Doors) > 0) && !s.serves():
		return invalid("Doors and tells_owners are of a resource server: name the programs whose tokens it takes, in introspects.")
	case len(s.Doors) > mostDoors:
		return invalid("A mail server has 20 doors at most.")
	}
	for i, door := range s.Doors {
		u, err := url.Parse(door)
		switch {
		case err != nil || !slices.Contains(mailSchemes(), u.Scheme) || u.Hostname() == "" || u.Port() == "" || u.String() != u.Scheme+"://"+u.Host:
			return invalid("%q is no door of a mail server; write %s, then :// and a host and its port, such as imaps://mail.example.org:993.", door, strings.Join(mailSchemes(), ", "))
		case slices.Contains(s.Doors[:i], door):
			return invalid("%s is there twice.", door)
		}
	}
	return nil
}
