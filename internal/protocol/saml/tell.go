package saml

import (
	"crypto/rand"
	"encoding/base64"
	"slices"
	"strconv"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/certkey"
	"countersign/internal/failure"
	"countersign/internal/participant"
	"countersign/internal/protocol/saml/message"
	"countersign/internal/signin"
)

func base64Of(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

// nameOf is what an application calls the grant's account.
func (d *provider) nameOf(to *party, a asked, g signin.Grant, set certkey.Set) (message.NameID, error) {
	kind, _ := a.named(to)
	n := message.NameID{Format: formats[kind]}
	switch kind {
	case NamePersistent:
		n.Value, n.By, n.For = set.Pairwise(to.settings.Entity, strconv.FormatInt(int64(g.Account()), 10)), d.entity(), to.settings.Entity
	case NameTransient:
		var b [20]byte
		rand.Read(b[:])
		n.Value, n.By, n.For = base64.RawURLEncoding.EncodeToString(b[:]), d.entity(), to.settings.Entity
	case NameMail:
		n.Value = g.Mail()
	default:
		n.Value = g.Name()
	}
	if n.Value == "" {
		return n, failure.Refuse("no-mail", "This application calls people by their mail address, and your account has none. Ask your administrator.")
	}
	return n, nil
}

// named is what the application is told a person by: as its settings say, or as its request
// asks where that tells no more.
func (a asked) named(to *party) (kind string, ok bool) {
	kind = to.settings.name()
	if a.Qualifier != "" && a.Qualifier != to.settings.Entity {
		return kind, false
	}
	switch a.Format {
	case "", message.FormatUnspecified, formats[kind]:
		return kind, true
	case message.FormatPersistent:
		return NamePersistent, true
	case message.FormatTransient:
		return NameTransient, true
	case message.FormatMail:
		return NameMail, slices.ContainsFunc(to.settings.Attributes, func(a Attribute) bool { return a.What == AttributeMail })
	}
	return kind, false
}

// attributesOf are what the settings release of a grant, and nothing else.
func attributesOf(s *Settings, g signin.Grant) []message.Attribute {
	var out []message.Attribute
	for _, a := range s.Attributes {
		one := message.Attribute{Name: a.as(), Friendly: usual[a.What][1]}
		switch a.What {
		case AttributeMail:
			one.Values = []string{g.Mail()}
		case AttributeDisplay:
			one.Values = []string{g.Display()}
		case AttributeAccount:
			one.Values = []string{g.Name()}
		case AttributeGroups:
			one.Values = released(s.Groups, g.Groups())
		}
		one.Values = slices.DeleteFunc(one.Values, func(v string) bool { return v == "" })
		if len(one.Values) > 0 {
			out = append(out, one)
		}
	}
	return out
}

// released are the groups that may be told; all where the settings name none.
func released(only, groups []string) []string {
	return slices.DeleteFunc(slices.Clone(groups), func(g string) bool { return len(only) > 0 && !slices.Contains(only, g) })
}

// authenticated is when a factor was shown last.
func authenticated(g signin.Grant) time.Time { return assurance.Latest(g.Evidence()) }

// joining is what participant keeps of what is told.
func joining(to *party, a asked, name message.NameID, class string) participant.Joining {
	kind, _ := a.named(to)
	return participant.Joining{Name: name.Value, Format: name.Format, Once: a.ID, Fresh: fresh + drift + requestLife, Lasts: to.settings.lasts(),
		Detail: map[string]string{"class": class, "named": kind}}
}

// requestLife is how long a request is under way at most.
const requestLife = 15 * time.Minute
