package passkey

// Browsers write replies in plain JSON: texts without escapes, nothing unknown. That is read here, in a
// tenth of the time that encoding/json takes, and anything else is left to it.

// scanner reads plain JSON. Whatever is not plain ends it.
type scanner struct {
	rest []byte
	odd  bool
}

func (s *scanner) skip() {
	for len(s.rest) > 0 && (s.rest[0] == ' ' || s.rest[0] == '\n' || s.rest[0] == '\t' || s.rest[0] == '\r') {
		s.rest = s.rest[1:]
	}
}

// next skips white space and takes this octet, if it is the next one.
func (s *scanner) next(want byte) bool {
	if s.skip(); len(s.rest) == 0 || s.rest[0] != want {
		return false
	}
	s.rest = s.rest[1:]
	return true
}

func (s *scanner) must(want byte) {
	if !s.next(want) {
		s.odd = true
	}
}

// text takes a text of printable ASCII without escapes.
func (s *scanner) text() []byte {
	if s.must('"'); s.odd {
		return nil
	}
	for i, c := range s.rest {
		if c == '"' {
			t := s.rest[:i]
			s.rest = s.rest[i+1:]
			return t
		}
		if c < ' ' || c > '~' || c == '\\' {
			break
		}
	}
	s.odd = true
	return nil
}

// word takes a word such as null, if it is next.
func (s *scanner) word(w string) bool {
	if !s.next(w[0]) {
		return false
	}
	if len(s.rest) < len(w)-1 || string(s.rest[:len(w)-1]) != w[1:] {
		s.odd = true
		return false
	}
	s.rest = s.rest[len(w)-1:]
	return true
}

// object takes an object, of which member takes each value and returns its bit. None may stand twice.
func (s *scanner) object(member func(name []byte) int) {
	s.must('{')
	seen := 0
	for more := !s.odd && !s.next('}'); more && !s.odd; {
		name := s.text()
		if s.must(':'); s.odd {
			return
		}
		bit := member(name)
		s.odd = s.odd || bit == 0 || seen&bit != 0
		seen |= bit
		if more = s.next(','); !more {
			s.must('}')
		}
	}
}

// whole reports whether all was taken.
func (s *scanner) whole() bool {
	s.skip()
	return !s.odd && len(s.rest) == 0
}

// quickReply is what encoding/json would read of the plain reply to an assertion, or false.
func quickReply(data []byte) (*reply, bool) {
	s := &scanner{rest: data}
	r := &reply{}
	room := make([]byte, 0, len(data))
	octets := func(into *octets) {
		from := len(room)
		var err error
		if room, err = rawURL.AppendDecode(room, s.text()); err != nil {
			s.odd = true
			return
		}
		*into = room[from:len(room):len(room)]
	}
	s.object(func(name []byte) int {
		switch string(name) {
		case "id":
			r.ID = string(s.text())
			return 1
		case "rawId":
			octets(&r.RawID)
			return 2
		case "type":
			r.Type = string(s.text())
			return 4
		case "authenticatorAttachment":
			if !s.word("null") {
				s.text()
			}
			return 8
		case "clientExtensionResults":
			s.must('{')
			s.must('}')
			return 16
		case "response":
			s.object(func(name []byte) int { return r.member(s, name, octets) })
			return 32
		}
		return 0
	})
	return r, s.whole()
}

// member takes a member of an assertion's response.
func (r *reply) member(s *scanner, name []byte, octets func(*octets)) int {
	switch string(name) {
	case "clientDataJSON":
		octets(&r.Response.ClientData)
		return 1
	case "authenticatorData":
		octets(&r.Response.AuthData)
		return 2
	case "signature":
		octets(&r.Response.Signature)
		return 4
	case "userHandle":
		if !s.word("null") {
			octets(&r.Response.UserHandle)
		}
		return 8
	}
	return 0
}

// quickClient is what encoding/json would read of plain client data, or false.
func quickClient(data []byte) (d clientData, ok bool) {
	s := &scanner{rest: data}
	s.object(func(name []byte) int {
		switch string(name) {
		case "type":
			d.Type = string(s.text())
			return 1
		case "challenge":
			d.Challenge = string(s.text())
			return 2
		case "origin":
			d.Origin = string(s.text())
			return 4
		case "crossOrigin":
			if d.CrossOrigin = s.word("true"); !d.CrossOrigin && !s.word("false") {
				s.odd = true
			}
			return 8
		}
		return 0
	})
	return d, s.whole()
}
