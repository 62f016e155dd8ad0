package upstream

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"log/slog"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"countersign/internal/audit"
	kind "countersign/internal/authenticator/upstream"
	"countersign/internal/certkey"
	"countersign/internal/failure"
	"countersign/internal/metadata"
	"countersign/internal/store"
	"countersign/internal/ticket"
	"countersign/internal/upstream/oidc"
	"countersign/internal/upstream/said"
)

// Visits send browsers to upstreams and take them back. They keep nothing: a visit is sealed in
// a cookie of the browser that began it.
type Visits struct {
	db        *store.DB
	catalogue *Catalogue
	links     *Links
	tickets   *ticket.Tickets
	openid    *oidc.Clients
	keys      *certkey.Keys
	fetched   *metadata.Kept
	publicURL *url.URL
	now       func() time.Time
	log       *slog.Logger
}

// Path is where browsers come back to; the name of the upstream follows.
const Path = "/sign-in/upstream/"

// Choice is a button of the sign-in page.
type Choice struct{ Name, Title string }

// Choices are those of everybody, by their titles. Homes says that names of some domain are an
// upstream's.
func (v *Visits) Choices(ctx context.Context) (out []Choice, homes bool, err error) {
	all, err := v.catalogue.All(ctx, v.db)
	if err != nil {
		return nil, false, err
	}
	for _, u := range all {
		homes = homes || !u.Off && len(u.Domains) > 0
		if !u.Off && !u.Hidden {
			out = append(out, Choice{u.Name, u.Title})
		}
	}
	slices.SortFunc(out, func(a, b Choice) int { return strings.Compare(a.Title, b.Title) })
	return out, homes, nil
}

// HomeOf is the upstream whose person a typed name is, by its domain; empty for nobody's.
func (v *Visits) HomeOf(ctx context.Context, typed string) (string, error) {
	typed = strings.TrimSpace(typed)
	local, domain, ok := strings.Cut(typed, "@")
	if !ok || local == "" || strings.Contains(domain, "@") {
		return "", nil
	}
	all, err := v.catalogue.All(ctx, v.db)
	if err != nil {
		return "", err
	}
	for _, u := range all {
		if !u.Off && slices.Contains(u.Domains, strings.ToLower(domain)) {
			return u.Name, nil
		}
	}
	return "", nil
}

// visit is what a browser keeps while it is away.
type visit struct {
	Upstream  int64  `json:"u"`
	Name      string `json:"n"`
	Challenge string `json:"c"`
	State     string `json:"s"`
	Nonce     string `json:"o,omitempty"`
	Verifier  string `json:"v,omitempty"`
}

const (
	visitKind = "upstream-visit"
	visitLife = 10 * time.Minute
)

func random() string {
	var b [32]byte
	rand.Read(b[:])
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// Begun is a visit that begins.
type Begun struct {
	// To is the address that the browser goes to, and Title whose.
	To, Title string
	// Cookie is what the browser keeps meanwhile, for Life at most.
	Cookie string
	Life   time.Duration
}

// Begin begins a visit for a question of the engine, whose challenge it is given. Hint is the
// name that was typed, or empty.
func (v *Visits) Begin(ctx context.Context, name, challenge, hint string) (Begun, error) {
	u, err := v.open(ctx, name)
	if err != nil {
		return Begun{}, err
	}
	going := visit{Upstream: u.ID, Name: u.Name, Challenge: challenge, State: random(), Nonce: random(), Verifier: random()}
	to, err := v.beginOf(ctx, u, going, hint)
	if err != nil {
		return Begun{}, v.unreachable(u, err)
	}
	plain, err := json.Marshal(going)
	if err != nil {
		return Begun{}, err
	}
	cookie, fits := v.tickets.Sealed(ticket.Spec{Kind: visitKind, Payload: plain, Lifetime: visitLife})
	if !fits {
		return Begun{}, failure.New(failure.Internal, "a visit does not fit in a cookie")
	}
	return Begun{To: to, Title: u.Title, Cookie: cookie, Life: visitLife}, nil
}

func (v *Visits) beginOf(ctx context.Context, u Upstream, going visit, hint string) (string, error) {
	if len(hint) > 128 {
		hint = ""
	}
	if u.Protocol == SAML {
		return v.beginSAML(ctx, u, going)
	}
	return v.openid.Begin(ctx, u.provider(), v.visitOf(u, going, hint))
}

// Redirect is where an upstream sends browsers back to: no two have the same.
func (v *Visits) Redirect(name string) string { return v.publicURL.JoinPath(Path, name).String() }

// visitOf is a visit as OpenID Connect has it.
func (v *Visits) visitOf(u Upstream, going visit, hint string) oidc.Visit {
	out := oidc.Visit{Redirect: v.Redirect(u.Name), State: going.State, Nonce: going.Nonce, Verifier: going.Verifier, Hint: hint,
		MaxAge: time.Duration(u.MaxAge) * time.Second}
	if u.Trust != said.Reject {
		out.Classes, out.Essential = u.Classes, u.Trust == said.Enforce
	}
	return out
}

// provider is an upstream as OpenID Connect has it.
func (u Upstream) provider() oidc.Provider {
	return oidc.Provider{Version: strconv.FormatInt(u.ID, 10) + "/" + u.Changed.String() + "/" + u.Issuer, Issuer: u.Issuer, Client: u.Client, Secret: u.Secret, Algorithms: u.Algorithms, Inside: u.Inside, Authority: u.Authority}
}

// open returns an upstream that people come in by.
func (v *Visits) open(ctx context.Context, name string) (Upstream, error) {
	u, err := v.catalogue.Get(ctx, v.db, name)
	if err == nil && u.Off {
		err = ErrNone
	}
	return u, err
}

// Terms are those on which an upstream is heard now.
func (c *Catalogue) Terms(ctx context.Context, name string) (said.Terms, error) {
	u, err := c.Get(ctx, c.db, name)
	if failure.ClassOf(err) == failure.NotFound || err == nil && u.Off {
		return said.Terms{}, kind.ErrNoUpstream
	}
	return u.Terms(), err
}

// ErrNone is the failure of a name that no upstream has.
var ErrNone = &failure.Error{Class: failure.NotFound, Public: "There is no such identity provider.", Reason: "no-upstream"}

// errStray says that what came back was not begun here.
var errStray = failure.Refuse("stray-visit", "That was begun too long ago, or in another browser. Begin again at the sign-in page.")

// unreachable tells whoever runs the server what an upstream does not do, and a person that it
// cannot be reached.
func (v *Visits) unreachable(u Upstream, err error) error {
	if failure.ClassOf(err) != failure.Internal {
		return err
	}
	v.log.Warn("an identity provider cannot be used now", "upstream", u.Name, "error", err)
	return &failure.Error{Class: failure.Unavailable, Reason: "upstream-unreachable", Public: "The other organisation's sign-in does not answer. Try again soon, or sign in here by another way."}
}

// Finish takes a browser back from an upstream, with what it kept and the parameters that came
// back, and returns what is to be answered to the engine, sealed. What was not begun in this
// browser is a Refused failure; what the upstream says and is not taken is a statement that says why.
func (v *Visits) Finish(ctx context.Context, name, cookie string, q url.Values) (string, error) {
	plain, err := v.tickets.OpenSealed(visitKind, cookie)
	if err != nil {
		return "", errStray
	}
	var going visit
	if json.Unmarshal(plain, &going) != nil || going.Name != name {
		return "", errStray
	}
	u, err := v.open(ctx, name)
	if err != nil {
		return "", err
	}
	switch {
	case u.ID != going.Upstream:
		return "", errStray
	case u.Protocol == SAML:
		return v.finishSAML(ctx, u, going, q)
	case len(q["state"]) != 1 || subtle.ConstantTimeCompare([]byte(q.Get("state")), []byte(going.State)) != 1:
		return "", errStray
	}
	person, err := v.openid.Finish(ctx, u.provider(), v.visitOf(u, going, ""), q)
	s := said.Statement{Subject: person.Subject, Class: person.Class, Mail: person.Mail}
	if err == nil {
		err = v.watch(ctx, u, person.Key)
	}
	return v.state(ctx, u, going.Challenge, s, err)
}

// state makes the statement of a visit: of a person, or of why there is none.
func (v *Visits) state(ctx context.Context, u Upstream, challenge string, s said.Statement, cause error) (string, error) {
	s.Upstream, s.Name, s.Issuer, s.Time = u.ID, u.Name, u.Issuer, v.now().UnixMilli()
	s.Detail = "upstream " + u.Name + ", subject " + s.Subject
	if s.Class != "" {
		s.Detail += ", class " + s.Class
	}
	var no *said.Refusal
	switch {
	case errors.As(cause, &no):
		s = said.Statement{Upstream: u.ID, Name: u.Name, Issuer: u.Issuer, Time: s.Time, Refused: no.Reason, Detail: "upstream " + u.Name + ": " + no.Detail}
	case cause != nil:
		return "", v.unreachable(u, cause)
	default:
		if err := v.links.firstSight(ctx, u, s, challenge); err != nil {
			return "", err
		}
	}
	return said.Write(v.catalogue.Seals(), challenge, s)
}

// mostKeys bounds the keys that are remembered of an upstream.
const mostKeys = 50

// watch raises an alarm for a key that an upstream has not signed with before. The first one
// is learned; where keys are pinned, one that nobody accepted is refused.
func (v *Visits) watch(ctx context.Context, u Upstream, key string) error {
	if slices.Contains(u.Keys, key) {
		return nil
	}
	refused := &said.Refusal{Reason: "unaccepted-key", Detail: "the token is signed by the key " + key + ", which nobody accepted"}
	told := slices.Contains(u.Strange, key)
	if u.Pinned && told {
		return refused
	}
	err := v.db.Change(ctx, audit.System("upstream"), func(tx *store.Tx) error {
		now, err := v.catalogue.Get(ctx, tx, u.Name)
		if err != nil {
			return err
		}
		if now.ID != u.ID || slices.Contains(now.Keys, key) || slices.Contains(now.Strange, key) {
			tx.Unrecorded() // another server was first
			return nil
		}
		en := audit.Entry{Event: "alarm.upstream-key", Outcome: audit.OK, Detail: map[string]string{"upstream": u.Name, "key": key}}
		switch {
		case now.Pinned:
			now.Strange = newest(now.Strange, key)
			en.Outcome, en.Reason = audit.Refused, refused.Reason
		default:
			if len(now.Keys) == 0 {
				en.Event = "upstream.key-learned"
			}
			now.Keys = newest(now.Keys, key)
		}
		if _, err := v.catalogue.keepTx(ctx, tx, now); err != nil {
			return err
		}
		return tx.Record(en)
	})
	if err == nil && u.Pinned {
		return refused
	}
	return err
}

func newest(keys []string, key string) []string {
	keys = append(slices.Clone(keys), key)
	return keys[max(0, len(keys)-mostKeys):]
}

// Try tests an upstream as it is saved.
func (v *Visits) Try(ctx context.Context, u Upstream) oidc.Trial {
	if u.Protocol == SAML {
		return v.trySAML(ctx, u)
	}
	return v.openid.Try(ctx, u.provider())
}
