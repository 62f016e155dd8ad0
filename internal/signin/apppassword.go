package signin

import (
	"context"
	"net/netip"
	"strings"
	"time"

	"countersign/internal/application"
	"countersign/internal/approval"
	"countersign/internal/assurance"
	"countersign/internal/audit"
	"countersign/internal/authenticator"
	"countersign/internal/directory"
	"countersign/internal/language"
	"countersign/internal/prompt"
	"countersign/internal/store"
)

// AppPassword is the action of a device that comes to an application with an app password. It is
// an action of its own so that policy says of it, as of nothing else, whether it is enough there.
const AppPassword = "app-password"

// makingAppPassword begins the object of an enrollment that makes an app password.
const makingAppPassword = "app password for "

// MakingAppPassword is the object of an enrollment that makes an app password for a device, by its
// owner's own name for it, at one service of an application.
func MakingAppPassword(application, service, device string) string {
	return makingAppPassword + Served(application, service) + ": " + device
}

// makesAppPassword reports whether a request makes an app password.
func (r Request) makesAppPassword() bool {
	return r.Application == Self && r.Action == "authenticator.enroll" && strings.HasPrefix(r.Object, makingAppPassword)
}

// forAppPassword is what making an app password demands beside what every new authenticator does:
// two factors, shown just now. A pass is not enough.
func forAppPassword() assurance.Requirement { return assurance.TwoFactors().Within(approval.Fresh) }

// hasAppPassword reports whether this is about an app password and the account has any.
func hasAppPassword(m *matter) bool {
	return m.Action == AppPassword && m.account.Kind == directory.Person && union(active(m.credentials)).Has(assurance.AppPassword)
}

// TakesAppPasswords says of each application whether policy would accept an app password of an
// account there, from an address, if it had one.
func (p *Prospects) TakesAppPasswords(ctx context.Context, id assurance.AccountID, source netip.Addr, apps []application.Application) ([]application.Application, error) {
	m, err := p.judge.gather(ctx, p.view, &attempt{Account: id}, ourselves(), nil)
	if err != nil {
		return nil, err
	}
	var out []application.Application
	for _, k := range m.kinds {
		if !k.Traits.Has(assurance.AppPassword) {
			continue
		}
		for _, app := range apps {
			one := *adding(&m, k.Kind)
			one.application, one.delegated = app, true
			one.Request = Request{Application: app.Name, Action: AppPassword, Source: source, Protocol: app.Protocol, Medium: prompt.API}
			made := one.credentials[len(one.credentials)-1]
			one.shown = []assurance.Evidence{{Account: id, Kind: k.Kind, Credential: made.ID, Traits: made.Traits, Time: one.now}}
			if decide(&one).state == Granted {
				out = append(out, app)
			}
		}
	}
	return out, nil
}

// Placed is an Authenticator that remembers from where each credential was used.
type Placed interface {
	// Seen returns the state to keep after a use from an address, nil where that is nothing new,
	// and whether it was the first use.
	Seen(c authenticator.Credential, from netip.Addr) (next []byte, first bool, err error)
}

// noteUse keeps when and from where what came with a request was used, where its kind remembers
// that, and tells its owner of what is new.
func (k *keys) noteUse(ctx context.Context, tx *store.Tx, at *attempt, account directory.Account) error {
	kind := at.Evidence[0].Kind
	places, ok := k.examiner.kinds[kind].(Placed)
	if !ok {
		return nil
	}
	c, err := k.examiner.credentials.Get(ctx, tx, account.ID, at.Evidence[0].Credential)
	if err != nil {
		return err
	}
	next, first, err := places.Seen(approval.Given(c), at.Source)
	if err != nil || next == nil && k.now().Sub(c.Used) < usedOften {
		return err
	}
	c.Used = k.now().Truncate(time.Microsecond)
	if next != nil {
		c.State = next
		en := at.entry(account, "credential.new-place", audit.OK, "")
		if first {
			en.Reason = "first-use"
		}
		en.Detail["label"], en.Detail["authenticator"] = c.Label, kind
		tx.Record(en)
		if err := k.endings.owners.tell(ctx, tx, account, noticeUsed(c.Label, at, first, k.now())); err != nil {
			return err
		}
	}
	if err := k.examiner.credentials.Answered(ctx, tx, c); err != nil {
		return err
	}
	at.wrote(c)
	return nil
}

// usedOften is how exactly it is kept when something was used that comes with each request.
const usedOften = time.Hour

func noticeUsed(label string, at *attempt, first bool, now time.Time) notice {
	from := any(audit.AddressText(at.Source))
	if from == "" {
		from = language.Word("an unknown address")
	}
	n := notice{subject: language.Say("Your app password was used from a new address"),
		body: language.Say("At %s the app password %q was used at %s from %s for the first time.\n\nIf that was not you, sign in now, end the app password under \"App passwords\", and choose \"This was not me\" in your history.\n",
			language.At(now), language.Word(label), at.Application, from)}
	if first {
		n.subject = language.Say("Your app password was used for the first time")
	}
	return n
}
