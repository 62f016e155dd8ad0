package oidc

import (
	"net/url"
	"strings"

	"countersign/internal/outside"
)

// checkLogout says what is wrong with where the client is told that a session is over.
func (s Settings) checkLogout() error {
	for _, one := range []struct{ word, uri string }{{"back-channel", s.BackChannel}, {"front-channel", s.FrontChannel}} {
		if one.uri == "" {
			continue
		}
		if why := redirectFault(one.uri, false); why != "" {
			return invalid("The address for %s logout %q %s.", one.word, one.uri, why)
		}
	}
	switch {
	case s.BackChannel == "" && s.BackChannelSession:
		return invalid("backchannel_logout_session_required is for clients with a backchannel_logout_uri.")
	case s.FrontChannel == "" && s.FrontChannelSession:
		return invalid("frontchannel_logout_session_required is for clients with a frontchannel_logout_uri.")
	case s.FrontChannel != "" && !s.redirectsTo(s.FrontChannel):
		return invalid("The address for front-channel logout has the scheme, host and port of one of the redirect URIs.")
	case s.FrontChannel != "" && strings.ContainsAny(s.FrontChannel, ";,'"):
		return invalid("The address for front-channel logout has characters that end a rule of a browser's policy; write them as %%3B, %%2C and %%27.")
	}
	if _, err := s.inside(); err != nil {
		return invalid("One of the places inside is no network such as 10.0.0.0/24, no address and no host's name.")
	}
	return nil
}

// redirectsTo reports whether an address is where one of the redirect URIs is (OpenID Connect
// Front-Channel Logout 1.0 section 2).
func (s Settings) redirectsTo(uri string) bool {
	at := func(text string) string {
		u, err := url.Parse(text)
		if err != nil || u.Host == "" {
			return ""
		}
		port := u.Port()
		if port == "" {
			port = map[string]string{"https": "443", "http": "80"}[u.Scheme]
		}
		return u.Scheme + "://" + u.Hostname() + ":" + port
	}
	for _, r := range s.Redirects {
		if here := at(r); here != "" && here == at(uri) {
			return true
		}
	}
	return false
}

// inside are the places of the organisation's own at which the client may be told.
func (s Settings) inside() (outside.Listed, error) { return outside.List(s.Inside) }
