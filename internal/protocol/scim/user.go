package scim

import (
	"strings"
	"time"

	"countersign/internal/admin"
	"countersign/internal/admin/account"
	"countersign/internal/directory"
)

type command = admin.Command

// told is a text that a client asserts, or does not.
type told struct {
	given bool
	text  string
}

// user is what a client wants of a person. What it does not assert stays as it is (RFC 7644,
// section 3.5.1 leaves that to the server): who suspended somebody does not find them resumed by a
// client that knows nothing of it. null and an empty list take away.
type user struct {
	name           string // empty is not asserted
	display        told
	mail, external told
	active         struct{ given, yes bool }
}

// wantedUser reads a resource. Whole says that it came as one, and not by PATCH.
func wantedUser(o object, whole bool) (user, error) {
	var w user
	if whole && o["schemas"] != nil && !o.declares(userSchema) {
		return w, bad("invalidValue", "The resource is no User: name its schema in schemas.")
	}
	name, err := textOf(o, "username")
	if err != nil {
		return w, err
	}
	if w.name = strings.TrimSpace(name.text); w.name == "" {
		return w, bad("invalidValue", "userName is missing.")
	}
	if w.external, err = textOf(o, "externalid"); err != nil {
		return w, err
	}
	if w.display, err = displayOf(o); err != nil {
		return w, err
	}
	if w.mail, err = mailOf(o); err != nil {
		return w, err
	}
	if v, ok := o["active"]; ok && v != nil {
		w.active.given = true
		if w.active.yes, err = boolOf("active", v); err != nil {
			return w, err
		}
	}
	return w, nil
}

// textOf reads a text; null is an empty one.
func textOf(o object, name string) (told, error) {
	switch v := o[name].(type) {
	case nil:
		_, given := o[name]
		return told{given: given}, nil
	case string:
		return told{true, v}, nil
	}
	return told{}, bad("invalidValue", "%s is a text.", spelled(name))
}

// spelled writes a name as the standard does.
func spelled(name string) string {
	for _, k := range []kind{userKind, groupKind} {
		if a, ok := k.find(attrPath{name: name}); ok {
			return a.Name
		}
	}
	return "A value"
}

// boolOf reads a boolean, also as the text that Microsoft Entra sends: "False".
func boolOf(name string, v any) (bool, error) {
	switch v := v.(type) {
	case bool:
		return v, nil
	case string:
		switch strings.ToLower(v) {
		case "true":
			return true, nil
		case "false":
			return false, nil
		}
	}
	return false, bad("invalidValue", "%s is true or false.", spelled(name))
}

// displayOf reads what somebody is called: displayName, or name.formatted, or what givenName and
// familyName make up.
func displayOf(o object) (told, error) {
	display, err := textOf(o, "displayname")
	if err != nil || display.text != "" {
		return display, err
	}
	name, ok := o["name"].(object)
	if !ok {
		if o["name"] != nil {
			return display, bad("invalidValue", "name is an object.")
		}
		return display, nil
	}
	formatted, err := textOf(name, "formatted")
	if err != nil || formatted.text != "" {
		return formatted, err
	}
	given, err := textOf(name, "givenname")
	if err != nil {
		return display, err
	}
	family, err := textOf(name, "familyname")
	if err != nil {
		return display, err
	}
	if both := strings.TrimSpace(given.text + " " + family.text); both != "" {
		return told{true, both}, nil
	}
	return display, nil
}

// mailOf chooses the address that is kept: the primary one, or that of type work, or the first.
func mailOf(o object) (told, error) {
	v, given := o["emails"]
	if v == nil {
		return told{given: given}, nil
	}
	all, ok := v.([]any)
	if one, alone := v.(object); alone {
		all, ok = []any{one}, true
	}
	if !ok {
		return told{}, bad("invalidValue", "emails is a list of addresses.")
	}
	best, rank := "", -1
	for _, v := range all {
		address, n, err := mailIn(v)
		if err != nil {
			return told{}, err
		}
		if address != "" && n > rank {
			best, rank = address, n
		}
	}
	return told{true, best}, nil
}

// mailIn reads one address, and how much it is to be preferred.
func mailIn(v any) (address string, rank int, err error) {
	if s, ok := v.(string); ok {
		return s, 0, nil
	}
	o, ok := v.(object)
	if !ok {
		return "", 0, bad("invalidValue", "An address of emails is an object.")
	}
	value, err := textOf(o, "value")
	if err != nil {
		return "", 0, err
	}
	kind, err := textOf(o, "type")
	if err != nil {
		return "", 0, err
	}
	if strings.EqualFold(kind.text, "work") {
		rank = 1
	}
	if p := o["primary"]; p != nil {
		primary, err := boolOf("primary", p)
		if err != nil {
			return "", 0, err
		}
		if primary {
			rank = 2
		}
	}
	return value.text, rank, nil
}

// commands are what makes a person what is wanted, in an order in which each finds them.
func (w user) commands(u userOf, now time.Time) []command {
	var out []command
	a := u.account
	if w.external.given && w.external.text != u.external {
		out = append(out, &account.SetExternal{Name: a.Name, External: w.external.text})
	}
	if w.display.given && strings.TrimSpace(w.display.text) != a.Display {
		out = append(out, &account.SetDisplay{Name: a.Name, Display: w.display.text, Reason: reason})
	}
	if w.mail.given && !hasMail(a, w.mail.text) {
		out = append(out, &account.SetMail{Name: a.Name, Mail: w.mail.text, Reason: reason})
	}
	if w.active.given && w.active.yes != u.active(now) {
		if w.active.yes {
			out = append(out, &account.Resume{Name: a.Name, Reason: reason})
		} else if a.State == directory.Active { // and not ended
			out = append(out, &account.Suspend{Name: a.Name, Reason: reason})
		}
	}
	if name, err := directory.Canonical(w.name); w.name != "" && (err != nil || name != a.Name) {
		out = append(out, &account.Rename{Name: a.Name, To: w.name, Reason: reason})
	}
	return out
}

// hasMail reports whether an address is what the account has: none of none.
func hasMail(a directory.Account, typed string) bool {
	all := a.MailAddresses()
	if typed == "" {
		return len(all) == 0
	}
	address, err := directory.CheckMail(typed)
	if err != nil {
		return false // the command says what is wrong with it
	}
	for _, one := range all {
		if strings.EqualFold(one, address) {
			return true
		}
	}
	return false
}
