package forwardauth

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"countersign/internal/failure"
)

// Public is a path whose requests need no session: they reach the application, which is told
// nobody. A rule that covers the request goes before it.
type Public struct {
	// Path covers itself and everything under it, as a rule's does.
	Path string `json:"path"`
	// Methods are those it is for; GET, which includes HEAD, when empty.
	Methods []string `json:"methods,omitempty"`
}

// Preflight is a path at which pages of other origins may find out what they may ask for: CORS
// preflights, which browsers send without cookies (Fetch Standard, "CORS-preflight fetch"), reach
// the application there, which is told nobody. A rule that covers the request goes before it.
type Preflight struct {
	// Path covers itself and everything under it, as a rule's does.
	Path string `json:"path"`
	// Origins are those of the pages that ask, as browsers write them: https://app.example.org.
	Origins []string `json:"origins"`
}

// opening is a [Public] or a [Preflight], prepared: origins are empty for the former.
type opening struct {
	prepared
	origins []string
}

func prepareOpenings(s Settings) []opening {
	var out []opening
	for _, p := range s.Public {
		if len(p.Methods) == 0 {
			p.Methods = []string{http.MethodGet}
		}
		out = append(out, opening{prepare([]Rule{{Path: p.Path, Methods: p.Methods}})[0], nil})
	}
	for _, p := range s.Preflight {
		out = append(out, opening{prepare([]Rule{{Path: p.Path, Methods: []string{http.MethodOptions}}})[0], p.Origins})
	}
	return out
}

// opens reports whether the settings open a request to everybody. What can be read in two
// ways, in its path or in its method, is opened in none of them.
func (at place) opens(r request, h http.Header) bool {
	if len(at.openings) == 0 {
		return false
	}
	loose := pathSkeleton(r.path)
	return slices.ContainsFunc(at.openings, func(o opening) bool {
		return o.read(r, loose) == yes && (o.origins == nil || preflightFrom(h, o.origins))
	})
}

// preflightFrom reports whether these are the headers of a preflight from one of some origins.
func preflightFrom(h http.Header, origins []string) bool {
	origin, wanted := h["Origin"], h["Access-Control-Request-Method"]
	return len(origin) == 1 && len(wanted) == 1 && method(wanted[0]) && slices.Contains(origins, origin[0])
}

// checkOpenings says what is wrong with what settings that are to be saved open.
func (s Settings) checkOpenings() error {
	for _, p := range s.Public {
		if err := (Rule{Path: p.Path, Methods: p.Methods, Action: "public"}).check(); err != nil {
			return failure.New(failure.Invalid, "A public path is plain and begins with /, and its methods are in capital letters.")
		}
		if own, _ := rulePath(p.Path); strings.Trim(own, "/") == "" {
			return failure.New(failure.Invalid, "The public path %q is everything: then nobody has to sign in. Name the paths that are meant.", p.Path)
		}
	}
	for _, p := range s.Preflight {
		if _, ok := rulePath(p.Path); !ok || len(p.Origins) == 0 {
			return failure.New(failure.Invalid, "Preflights have a plain path that begins with /, and at least one origin.")
		}
		for _, o := range p.Origins {
			if !plainOrigin(o) {
				return failure.New(failure.Invalid, "%q is not an origin as browsers write it, such as https://app.example.org.", o)
			}
		}
	}
	return nil
}

// plainOrigin reports whether an origin is written as browsers do (URL Standard, "ASCII
// serialisation of an origin").
func plainOrigin(o string) bool {
	u, err := url.Parse(o)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || o != u.Scheme+"://"+u.Host {
		return false
	}
	host, ok := plainHost(u.Scheme, u.Host)
	return ok && host == u.Host
}

// opened says in words what the settings open, one sentence for each.
func (s Settings) opened() []string {
	var out []string
	for _, p := range s.Public {
		methods := "GET and HEAD"
		if len(p.Methods) > 0 {
			methods = strings.Join(p.Methods, ", ")
		}
		out = append(out, "requests for "+p.Path+" and everything under it ("+methods+") need no session (public): whoever reaches the proxy gets what the application gives to nobody in particular there")
	}
	for _, p := range s.Preflight {
		out = append(out, "OPTIONS requests for "+p.Path+" and everything under it that name "+strings.Join(p.Origins, " or ")+" as their origin, as anybody can, need no session (preflight): an application that does for OPTIONS what it does for GET does it for nobody in particular there")
	}
	return out
}
