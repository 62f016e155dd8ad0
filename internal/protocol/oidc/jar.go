package oidc

import (
	"encoding/json"
	"net/http"
	"strconv"

	"countersign/internal/failure"
	"countersign/internal/jws"
)

// requestType is the typ of a signed request (RFC 9101 section 10.8).
const requestType = "oauth-authz-req+jwt"

func refused(reason, says string) error {
	return &failure.Error{Class: failure.Refused, Reason: reason, Public: says}
}

// signed reads a signed request (RFC 9101). What counts of it is what was signed, and nothing that
// stands beside it. While it is not verified nothing in it is known, so what is wrong is said on a
// page of ours.
func (p *front) signed(r *http.Request, v params) (pending, error) {
	c, known, err := p.clients.of(r.Context(), v["client_id"])
	if err != nil {
		return pending{}, err
	}
	if !known {
		p.notes.miss("no-such-application", "", p.source(r))
		return pending{}, refused("no-such-application", "The application that sent you is not known here.")
	}
	inside, err := p.opened(r, c, v["request"])
	if err != nil {
		p.notes.miss("bad-request-object", c.app, p.source(r))
		return pending{}, err
	}
	return pending{Params: inside, Begun: p.now(), Signed: true}, nil
}

var errRequestObject = refused("bad-request-object", "The application's request is not signed as it must be.")

// opened are the parameters of a signed request of this client.
func (c common) opened(r *http.Request, of client, text string) (params, error) {
	s, ok := of.read(text, requestType)
	if !ok || s.Issuer != of.ClientID || !s.IsFor(c.issuer()) || !s.Current(c.now()) || of.Profile == FAPI2 && s.Before.IsZero() {
		return nil, errRequestObject
	}
	if s.ID != "" {
		first, err := c.grants.UseOnce(r.Context(), "request", of.ClientID, s.ID, s.Expires.Add(jws.Skew))
		if err != nil {
			return nil, err
		}
		if !first {
			return nil, errRequestObject
		}
	}
	return paramsOf(s, of)
}

// params are the parameters in a statement. A request in a request is none (RFC 9101 section 4).
func paramsOf(s jws.Statement, of client) (params, error) {
	out := params{}
	for name, value := range s.All {
		switch name {
		case "iss", "aud", "exp", "nbf", "iat", "jti", "sub":
			continue
		case "request", "request_uri", resumed:
			return nil, errRequestObject
		}
		switch v := value.(type) {
		case string:
			out[name] = v
		case float64:
			out[name] = strconv.FormatInt(int64(v), 10)
		case map[string]any:
			b, err := json.Marshal(v)
			if err != nil {
				return nil, errRequestObject
			}
			out[name] = string(b)
		}
		if len(out[name]) > valueMost {
			return nil, errRequestObject
		}
	}
	if out["client_id"] != of.ClientID {
		return nil, errRequestObject
	}
	return out, nil
}
