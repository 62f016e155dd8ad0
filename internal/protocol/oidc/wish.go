package oidc

import (
	"net/netip"
	"slices"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/prompt"
	"countersign/internal/session"
	"countersign/internal/signin"
)

// wish is what a client demands of evidence beyond policy. It only raises.
type wish struct {
	// wanted are the classes of which one must be reached, in the client's order; none is any.
	wanted []string
	raise  *assurance.Requirement
	since  time.Time
	// essential says that it is an error to the client when it cannot be reached.
	essential bool
	// methods are those of which one must have been used; none is any.
	methods []string
	hint    string
}

// unmet is the error of OpenID Connect Core Error Code unmet_authentication_requirements 1.0.
const unmet = "unmet_authentication_requirements"

// wish is what the request and the client's settings demand. A demand that nobody knows is no
// wish; a demand for one of several is met by any of those that are known.
func (q request) wish(now time.Time) (wish, fault) {
	w := wish{methods: q.methods}
	var any *assurance.Requirement
	for _, name := range q.classes {
		if need, known := requirementOf(name); known {
			w.wanted = append(w.wanted, name)
			any = or(any, need)
		}
	}
	if any == nil && q.essential {
		return w, fault{unmet, "None of the acr values that are demanded is known here."}
	}
	w.raise, w.essential = any, any != nil
	if need, known := requirementOf(q.client.Class); q.client.Class != "" && known {
		w.raise = and(w.raise, need)
		if !slices.Contains(w.wanted, q.client.Class) {
			w.wanted = append(w.wanted, q.client.Class)
		}
	}
	w.hint = q.hint
	if q.prompted("login") {
		w.since = q.begun
	}
	if q.maxAge >= 0 {
		// What was shown since the request began is new enough, however long the rest took.
		since := now.Add(-q.maxAge)
		if since.After(q.begun) {
			since = q.begun
		}
		if since.After(w.since) {
			w.since = since
		}
	}
	return w, fault{}
}

func or(a *assurance.Requirement, b assurance.Requirement) *assurance.Requirement {
	if a != nil {
		b = a.Or(b)
	}
	return &b
}

func and(a *assurance.Requirement, b assurance.Requirement) *assurance.Requirement {
	if a != nil {
		b = assurance.And(*a, b)
	}
	return &b
}

// asks is the wish as the engine is asked it.
func (w wish) asks(c client, session string, source netip.Addr) signin.Request {
	return signin.Request{Application: c.app, Session: session, Source: source, Protocol: Protocol, Medium: prompt.Browser, Raise: w.raise, Since: w.since, Partner: c.ClientID}
}

// continuation is the wish as the sign-in pages are asked it, with where to come back to.
func (w wish) continuation(c client, back string) session.Continuation {
	return session.Continuation{Application: c.app, Protocol: Protocol, Raise: w.raise, Since: w.since, Return: back, Hint: w.hint}
}
