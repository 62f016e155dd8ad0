package protocol

import (
	"context"
	"fmt"
	"net/url"
	"time"

	"countersign/internal/application"
)

// Finding is one thing that a test of an application found out.
type Finding struct {
	// Works says that it is as it should be.
	Works bool `json:"works"`
	// Says is what was found in one sentence or two, with how to mend it where it does not
	// work. It holds nothing of a page that was fetched.
	Says string `json:"says"`
}

// Works is what is as it should be.
func Works(format string, args ...any) Finding { return Finding{true, fmt.Sprintf(format, args...)} }

// Wrong is what is not, and how to mend it.
func Wrong(format string, args ...any) Finding { return Finding{false, fmt.Sprintf(format, args...)} }

// Trial is what an application is tested with.
type Trial struct {
	Application application.Application
	Place       Place
	// Ears know what was heard of it; asking may make them hear more.
	Ears *Ears
	Now  time.Time
}

// Test finds out whether an application reaches us and is guarded. Nil is for protocols of
// which only what was heard can be said.
type Test func(ctx context.Context, t Trial) []Finding

// Overheard says what was heard of an application since this server started, where nothing can
// be asked: when, and why requests were not served.
func (t Trial) Overheard(sendTo string) []Finding {
	var out []Finding
	heard, unserved := t.Ears.Of(t.Application.Name)
	strays := t.Ears.Strays(t.Application.Protocol)
	switch {
	case !heard.IsZero():
		out = append(out, Works("A request that is its own was heard %s ago.", t.Now.Sub(heard).Round(time.Second)))
	case len(unserved) == 0 && len(strays) == 0:
		out = append(out, Wrong("Nothing was heard since this server started. Have the equipment send to %s, look whether a firewall is between, and try one sign-in.", sendTo))
	default:
		out = append(out, Wrong("No request that is its own was heard since this server started; what came instead is below."))
	}
	for _, u := range unserved {
		out = append(out, u.finding(""))
	}
	for _, u := range strays {
		out = append(out, u.finding("By the same protocol, and for no application: "))
	}
	return out
}

func (u Unserved) finding(of string) Finding {
	from := ""
	if u.From.IsValid() {
		from = ", the last from " + u.From.String()
	}
	who := ""
	if u.Client != "" {
		who = u.Client + ": "
	}
	return Wrong("%s%s%s (%d times%s)", of, who, u.Mend, u.Count, from)
}

// SignIn reports whether an address is one of our own pages.
func (p Place) SignIn(u *url.URL) bool { return u.Scheme == p.Public.Scheme && u.Host == p.Public.Host }
