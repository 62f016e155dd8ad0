package look

import "net/http"

// Handler answers a request. An error that it returns becomes a page, in one
// place, if nothing was written before.
type Handler func(w http.ResponseWriter, r *http.Request) error

// Demand is what a route demands before it does anything. The zero Demand is
// refused when the routes are composed: a route must say.
type Demand struct{ word string }

// Public demands nothing: the sign-in pages themselves.
func Public() Demand { return Demand{"public"} }

// Session demands an active session that may sign in to Countersign.
func Session() Demand { return Demand{"session"} }

// Action demands a grant for this action.
func Action(name string) Demand { return Demand{"action " + name} }

func (d Demand) String() string { return d.word }

// Route is one page or one form.
type Route struct {
	// Pattern is "GET /path" or "POST /path" as [http.ServeMux] reads it.
	Pattern string
	Demand  Demand
	Handler Handler
	// Limit is the greatest body in bytes; zero is 64 KiB.
	Limit int64
	// File says that the form may bring a file (multipart/form-data).
	File bool
	// Bare says that a browser posts by itself, with an empty body: no page has a form for it,
	// and what it brings are headers that no other site can send.
	Bare bool
	// English says that the page and its errors are in English, whatever a browser asks for:
	// those for administrators.
	English bool
}

const defaultLimit = 64 << 10
