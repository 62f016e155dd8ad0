package look

import (
	"net/http"
	"time"
)

// Jar sets and reads cookies. Over https every name has the __Host- prefix, so
// that no other host and no plain connection can set one (RFC 6265bis section
// 4.1.3.2); on a plain loopback address, where browsers refuse the prefix, the
// name is bare.
type Jar struct{ Secure bool }

// name returns the cookie's full name.
func (j Jar) name(name string) string {
	if j.Secure {
		return "__Host-countersign-" + name
	}
	return "countersign-" + name
}

// Set gives the browser a cookie that no script reads and no other site's form
// sends. Life zero is until the browser closes.
func (j Jar) Set(w http.ResponseWriter, name, value string, life time.Duration) {
	j.set(w, j.name(name), value, life)
}

// SetNamed is [Jar.Set] for a cookie whose full name another room has fixed.
func (j Jar) SetNamed(w http.ResponseWriter, name, value string, life time.Duration) {
	j.set(w, name, value, life)
}

func (j Jar) set(w http.ResponseWriter, name, value string, life time.Duration) {
	http.SetCookie(w, &http.Cookie{
		Name: name, Value: value, Path: "/", MaxAge: int(life / time.Second),
		Secure: j.Secure, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
}

// Get returns the cookie's value, or nothing. A name that comes twice is
// nothing: one of the two is not ours.
func (j Jar) Get(r *http.Request, name string) string { return j.GetNamed(r, j.name(name)) }

// GetNamed is [Jar.Get] for a full name.
func (j Jar) GetNamed(r *http.Request, name string) string {
	found := r.CookiesNamed(name)
	if len(found) != 1 {
		return ""
	}
	return found[0].Value
}

// Drop takes the cookie away.
func (j Jar) Drop(w http.ResponseWriter, name string) { j.DropNamed(w, j.name(name)) }

// DropNamed is [Jar.Drop] for a full name.
func (j Jar) DropNamed(w http.ResponseWriter, name string) {
	http.SetCookie(w, &http.Cookie{Name: name, Path: "/", MaxAge: -1, Secure: j.Secure, HttpOnly: true, SameSite: http.SameSiteLaxMode})
}
