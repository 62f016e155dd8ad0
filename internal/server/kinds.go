package server

import (
	"net/url"

	"countersign/internal/assurance"
	"countersign/internal/authenticator"
	"countersign/internal/authenticator/accesspass"
	"countersign/internal/authenticator/apikey"
	"countersign/internal/authenticator/apppassword"
	smartcard "countersign/internal/authenticator/certificate"
	"countersign/internal/authenticator/hotp"
	"countersign/internal/authenticator/mailcode"
	"countersign/internal/authenticator/ocra"
	"countersign/internal/authenticator/passkey"
	"countersign/internal/authenticator/password"
	"countersign/internal/authenticator/pin"
	"countersign/internal/authenticator/push"
	"countersign/internal/authenticator/recoverycode"
	"countersign/internal/authenticator/slowhash"
	"countersign/internal/authenticator/smscode"
	"countersign/internal/authenticator/totp"
	identityprovider "countersign/internal/authenticator/upstream"
	"countersign/internal/authenticator/yubicootp"
	"countersign/internal/directory"
	"countersign/internal/keyring"
	"countersign/internal/upstream"
	"countersign/internal/web/app"
	"countersign/internal/web/look"
)

// Kind is one kind of authenticator.
type Kind struct {
	authenticator.Authenticator
	// lacking says that this server has not what it takes: a mail server, a gateway,
	// authorities. A policy may speak of it, and a log holds it, all the same.
	lacking bool
}

// KindList is every kind there is, in the order in which they are offered.
type KindList []Kind

// EveryKind makes every kind for where only the kinds matter, and none of them is used.
func EveryKind() (KindList, error) {
	return Kinds(Settings{PublicURL: &url.URL{Scheme: "http", Host: "localhost"}}, nil, nil)
}

// Kinds makes every kind: who adds one adds its line at the end. Without keys
// nothing of theirs can be checked, and without upstreams no identity provider is known.
func Kinds(s Settings, keys *keyring.Keyring, upstreams *upstream.Catalogue) (KindList, error) {
	service, host := "Countersign", s.PublicURL.Hostname()
	s.Passkeys.RPID, s.Passkeys.RPName, s.Passkeys.Origins = host, service, []string{s.PublicURL.Scheme + "://" + s.PublicURL.Host}
	passkeys, err := passkey.New(s.Passkeys)
	if err != nil {
		return nil, err
	}
	var pins pin.Keys
	if keys != nil {
		pins = pinKeys{keys}
	}
	issuer := service + " (" + host + ")"
	codes, err := totp.New(totp.Options{Issuer: issuer, PINs: pins})
	if err != nil {
		return nil, err
	}
	tokens, err := hotp.New(hotp.Options{Issuer: issuer, PINs: pins})
	if err != nil {
		return nil, err
	}
	challenges, err := ocra.New(pins)
	if err != nil {
		return nil, err
	}
	gate := slowhash.NewGate(0, 0)
	passwords, err := password.New(slowhash.Default(), gate, service, host)
	if err != nil {
		return nil, err
	}
	saved, err := recoverycode.New(slowhash.Default(), gate)
	if err != nil {
		return nil, err
	}
	return append(KindList{
		{Authenticator: passkeys},
		{Authenticator: cardKind(s.Cards, keys), lacking: s.Cards == nil}, // as strong, and needs more than the browser
		{Authenticator: passwords},
		{Authenticator: elsewhere(upstreams)},
		{Authenticator: push.New(s.PublicURL.JoinPath(app.Path).String(), passkeys)},
		{Authenticator: codes},
		{Authenticator: tokens},
		{Authenticator: challenges},
		{Authenticator: yubicootp.Authenticator{}},
		{Authenticator: smscode.New(serviceName(s), host), lacking: s.SMS == nil}, // the weakest that people add themselves
		{Authenticator: saved},
		{Authenticator: mailcode.New(serviceName(s), directory.CheckMail), lacking: !s.Mails},
		{Authenticator: accesspass.Authenticator{}},
		{Authenticator: apikey.Authenticator{}},
		{Authenticator: apppassword.Authenticator{}},
	}, s.More...), nil
}

// cardKind is smart cards; without authorities it takes none.
func cardKind(c *Cards, keys *keyring.Keyring) *smartcard.Authenticator {
	if c == nil {
		return &smartcard.Authenticator{}
	}
	return smartcard.New(smartcard.Options{Authorities: c.Authorities, Seals: cardSeals{keys}, URL: c.URL})
}

// elsewhere is other organisations' identity providers; without a catalogue it takes none.
func elsewhere(c *upstream.Catalogue) *identityprovider.Authenticator {
	if c == nil {
		return identityprovider.New(identityprovider.Options{})
	}
	return identityprovider.New(identityprovider.Options{Seals: c.Seals(), Terms: c.Terms})
}

// here are those that this server has what it takes for.
func (l KindList) here() []authenticator.Authenticator {
	var out []authenticator.Authenticator
	for _, k := range l {
		if !k.lacking {
			out = append(out, k.Authenticator)
		}
	}
	return out
}

// Tokens are those that hardware tokens are.
func (l KindList) Tokens() tokenKinds {
	out := tokenKinds{}
	for _, k := range l {
		if t, ok := k.Authenticator.(authenticator.Token); ok {
			out[k.Describe().Kind] = t
		}
	}
	return out
}

// words are what pages say and know of each kind, and of the password that an application
// vouched for, which the engine writes down by a word of its own.
func (l KindList) words() map[string]look.Kind {
	out := map[string]look.Kind{"vouched-password": {Noun: "password", Mark: string(authenticator.MarkDots)}}
	for _, k := range l {
		d := k.Describe()
		_, approves := k.Authenticator.(authenticator.Approver)
		_, bound := k.Authenticator.(authenticator.Binder)
		token, is := k.Authenticator.(authenticator.Token)
		out[d.Kind] = look.Kind{Noun: d.Noun, Mark: string(d.Mark), Known: d.Traits.OnlyKnown() && !d.Traits.Has(assurance.Foreign), Vouched: d.Traits.Has(assurance.Vouched),
			Approves: approves, Bound: bound, Carrier: string(d.Carrier), Noted: is && token.Shown()}
	}
	return out
}
