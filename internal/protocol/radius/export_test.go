package radius

import "time"

// PollEvery makes the server look this often while it waits.
func (s *Server) PollEvery(d time.Duration) { s.poll = d }

// ParseSettings lets the tests see what CheckSettings saw.
var ParseSettings = parseSettings

// Definition is one attribute by name, as the tests of other packages see it.
type Definition struct {
	Name, Format string
	Vendor       uint32
	Number       byte
	Tagged       bool
}

// Definitions lists all attributes that have a name here.
func Definitions() []Definition {
	var out []Definition
	for _, v := range vendors {
		for _, d := range v.definitions {
			out = append(out, Definition{d.name, d.format, v.number, d.number, d.tagged})
		}
	}
	return out
}

// Values are the names of an attribute's numbers.
func Values(name string) map[string]uint32 { return values[name] }

// Encode writes attributes as they go into a packet.
var Encode = encode

// Problems lists the applications and clients that are not served.
func (s *Server) Problems() []Problem {
	if h := s.cache.clients(s.now()); h != nil {
		return h.problems
	}
	return []Problem{{Why: "The applications cannot be read; every RADIUS request is dropped."}}
}
