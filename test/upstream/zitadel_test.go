package upstream

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/zitadel/oidc/v3/example/server/storage"
	zitadel "github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"

	"countersign/internal/servertest"
)

// issuer is an OpenID provider by zitadel/oidc, with the storage of its own examples, and people
// who sign in at it by a password. It shows its page to every browser, as no stand-in of ours does.
type issuer struct {
	w      *servertest.World
	server *httptest.Server
	people map[string]*storage.User // by the names that they type
	secret string

	mu     sync.Mutex
	front  http.Handler // the provider as it is now
	class  string       // that its ID tokens state
	closed bool         // it lets nobody in
}

const issuerPassword = "a password at the partner"

// newIssuer starts one for our client. What it is given as a secret may be another one than ours.
func newIssuer(w *servertest.World, secret string) *issuer {
	w.T.Helper()
	i := &issuer{w: w, secret: secret, people: map[string]*storage.User{
		"ada@partner.example": {ID: "upstream-ada", Username: "ada@partner.example", Password: issuerPassword, Email: "ada@partner.example", EmailVerified: true},
		"eve@partner.example": {ID: "upstream-eve", Username: "eve@partner.example", Password: issuerPassword, Email: "bob@ours.example", EmailVerified: true},
	}}
	i.server = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		i.mu.Lock()
		front := i.front
		i.mu.Unlock()
		front.ServeHTTP(rw, r)
	}))
	w.T.Cleanup(i.server.Close)
	i.rolls()
	return i
}

// rolls has it begin anew at its address, with another key.
func (i *issuer) rolls() {
	i.w.T.Helper()
	config := &op.Config{CodeMethodS256: true, AuthMethodPost: true}
	rand.Read(config.CryptoKey[:])
	ours := storage.WebClient(clientID, i.secret, i.w.Base+"/sign-in/upstream/partner")
	store := storage.NewStorageWithClients(i, map[string]*storage.Client{clientID: ours})
	provider, err := op.NewProvider(config, shelf{store, i}, op.StaticIssuer(i.server.URL), op.WithAllowInsecure())
	if err != nil {
		i.w.T.Fatal(err)
	}
	onward := op.AuthCallbackURL(provider)
	mux := http.NewServeMux()
	mux.Handle("/", provider)
	mux.HandleFunc("GET /login/username", func(rw http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(rw, `<title>Partner</title><form><input name="id" value="%s"></form>`, r.FormValue("authRequestID"))
	})
	mux.Handle("POST /login/username", op.NewIssuerInterceptor(provider.IssuerFromRequest).HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if store.CheckUsernamePassword(r.FormValue("username"), r.FormValue("password"), r.FormValue("id")) != nil {
			http.Error(rw, "The partner does not know you", http.StatusUnauthorized)
			return
		}
		http.Redirect(rw, r, onward(r.Context(), r.FormValue("id")), http.StatusFound)
	}))
	i.mu.Lock()
	i.front = mux
	i.mu.Unlock()
}

func (i *issuer) states(class string, closed bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.class, i.closed = class, closed
}

// GetUserByID and what follows are the example's UserStore.
func (i *issuer) GetUserByID(id string) *storage.User {
	for _, u := range i.people {
		if u.ID == id {
			return u
		}
	}
	return nil
}

func (i *issuer) GetUserByUsername(name string) *storage.User { return i.people[name] }
func (i *issuer) ExampleClientID() string                     { return "service" }

// shelf is the store of the examples, by the clock and the will of the test.
type shelf struct {
	*storage.Storage
	i *issuer
}

// client is ours, told by the world's clock: the library knows the machine's alone. It has the
// mail address in ID tokens, where Countersign reads it.
type client struct {
	op.Client
	ahead time.Duration
}

func (c client) ClockSkew() time.Duration             { return -c.ahead }
func (c client) IDTokenLifetime() time.Duration       { return 5*time.Minute + 2*c.ahead }
func (c client) IDTokenUserinfoClaimsAssertion() bool { return true }

// classed is a request whose ID token states a class.
type classed struct {
	op.AuthRequest
	class string
}

func (c classed) GetACR() string { return c.class }

func (s shelf) GetClientByClientID(ctx context.Context, id string) (op.Client, error) {
	c, err := s.Storage.GetClientByClientID(ctx, id)
	if err != nil {
		return nil, err
	}
	return client{c, time.Until(s.i.w.Now())}, nil
}

func (s shelf) CreateAuthRequest(ctx context.Context, r *zitadel.AuthRequest, user string) (op.AuthRequest, error) {
	s.i.mu.Lock()
	closed := s.i.closed
	s.i.mu.Unlock()
	if closed {
		return nil, zitadel.ErrAccessDenied()
	}
	return s.Storage.CreateAuthRequest(ctx, r, user)
}

func (s shelf) AuthRequestByCode(ctx context.Context, code string) (op.AuthRequest, error) {
	r, err := s.Storage.AuthRequestByCode(ctx, code)
	if err != nil {
		return nil, err
	}
	s.i.mu.Lock()
	defer s.i.mu.Unlock()
	return classed{r, s.i.class}, nil
}

var loginID = regexp.MustCompile(`name="id" value="([^"]+)"`)

// typesThere has a browser that is at the partner's page type a name and a password there.
func (i *issuer) typesThere(p *servertest.Person, name, password string) {
	i.w.T.Helper()
	m := loginID.FindStringSubmatch(p.Page)
	if m == nil {
		i.w.T.Fatalf("the browser is not at the partner's page:\n%s", p.Page)
	}
	p.Take(p.Client.PostForm(i.server.URL+"/login/username", url.Values{"id": {m[1]}, "username": {name}, "password": {password}}))
}

// visit has a browser sign in there as ada, and come back.
func (i *issuer) visit(p *servertest.Person) {
	i.w.T.Helper()
	visits(p)
	i.typesThere(p, "ada@partner.example", issuerPassword)
}

func (i *issuer) settings(more map[string]any) map[string]any {
	return (&provider{server: i.server}).settings(more)
}

// The promise: somebody signs in at a provider that we did not write and shows her own factor here,
// and is in. Who does not get in there, whom nobody linked, and whoever brings another browser's
// answer is not.
func TestAForeignProvider(t *testing.T) {
	w, ada, desk := office(t)
	w.EnrollCodes("bob")
	mailOf(w, "bob", "bob@ours.example")
	partner := newIssuer(w, clientSecret)
	register(desk, "partner", partner.settings(map[string]any{"link": "domain"}))
	var tested struct{ Works bool }
	if err := desk.Do(t.Context(), "upstream.test", map[string]any{"name": "partner"}, &tested); err != nil || !tested.Works {
		t.Errorf("the test says %+v, %v", tested, err)
	}

	p := w.Person()
	visits(p)
	partner.typesThere(p, "ada@partner.example", "another password")
	p.Sees("The partner does not know you")
	if in(p) {
		t.Error("who is not known there is in here")
	}
	partner.visit(p)
	p.Sees("Code from your authenticator app")
	if in(p) {
		t.Error("the partner's word alone let somebody in")
	}
	partner.visit(p)
	p.Post("/sign-in", "authenticator", "totp", "text", "000000")
	if in(p) {
		t.Error("she is in by a wrong code")
	}
	w.Later(time.Minute)
	partner.visit(p)
	p.Post("/sign-in", "authenticator", "totp", "text", ada.Code())
	p.Sees("Where you are signed in")
	if all := links(w, "ada"); w.Events("upstream.first-sight") == 0 || w.Events("upstream.confirmed") != 1 || len(all) != 1 {
		t.Errorf("the log has %d first sights and %d confirmations, and the links are %+v", w.Events("upstream.first-sight"), w.Events("upstream.confirmed"), all)
	}

	// Eve is one of its people, and says there that bob's address is hers.
	eve := w.Person()
	visits(eve)
	partner.typesThere(eve, "eve@partner.example", issuerPassword)
	if heard(eve) || in(eve) || len(links(w, "bob")) != 0 {
		t.Error("a mail address of ours let somebody of theirs in")
	}

	// Her answer in another browser, and twice in her own.
	w.Later(time.Minute)
	q, thief := w.Person(), w.Person()
	back := ""
	q.Client.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
		if strings.HasPrefix(r.URL.Path, "/sign-in/upstream/") {
			back = r.URL.String()
			return http.ErrUseLastResponse
		}
		return nil
	}
	partner.visit(q)
	q.Client.CheckRedirect = nil
	visits(thief)
	if thief.Get(back); heard(thief) {
		t.Error("another browser came back in her place")
	}
	if q.Get(back); !heard(q) {
		t.Fatal("her own answer is not taken")
	}
	if q.Get(back); heard(q) {
		t.Error("an answer was taken twice")
	}
}

// What a foreign provider refuses is refused here, with a sentence: it lets nobody in, does not take
// our secret, states another class than is demanded, or signs with a key that nobody accepted.
func TestAForeignProviderRefuses(t *testing.T) {
	w, ada, desk := office(t)
	partner := newIssuer(w, clientSecret)
	register(desk, "partner", partner.settings(nil))
	if err := link(desk, "ada", "upstream-ada"); err != nil {
		t.Fatal(err)
	}
	p := w.Person()
	partner.visit(p)
	p.Post("/sign-in", "authenticator", "totp", "text", ada.Code())
	p.Sees("Where you are signed in")

	shut := func(what, reason string, visit func(p *servertest.Person)) {
		t.Helper()
		stranger := w.Person()
		if visit(stranger); heard(stranger) || in(stranger) {
			t.Errorf("%s: somebody came", what)
		}
		if got := lastRefused(w).Reason; got != reason {
			t.Errorf("%s: refused because of %q", what, got)
		}
	}
	partner.states("", true)
	shut("it lets nobody in", "upstream-refused", visits)
	partner.states("urn:partner:pwd", false)
	if err := set(desk, "partner", versionOf(desk), partner.settings(map[string]any{"trust": "enforce", "classes": []string{"urn:partner:mfa"}})); err != nil {
		t.Fatal(err)
	}
	shut("another class", "class-missing", partner.visit)
	partner.states("urn:partner:mfa", false)
	ours := w.Person()
	if partner.visit(ours); !heard(ours) || in(ours) {
		t.Error("with the class that is demanded our own factor is not asked for")
	}
	if err := set(desk, "partner", versionOf(desk), partner.settings(map[string]any{"pinned_keys": true})); err != nil {
		t.Fatal(err)
	}
	if partner.visit(ours); !heard(ours) {
		t.Error("with the key that is known she does not come")
	}
	partner.rolls()
	w.Later(11 * time.Minute)
	shut("another key", "unaccepted-key", partner.visit)
	if n := w.Events("alarm.upstream-key"); n != 1 {
		t.Errorf("%d alarms", n)
	}
	other := newIssuer(w, "a-secret-that-only-the-partner-knows-of")
	if err := set(desk, "partner", versionOf(desk), other.settings(nil)); err != nil {
		t.Fatal(err)
	}
	stranger := w.Person()
	if other.visit(stranger); heard(stranger) || in(stranger) {
		t.Error("somebody came without our secret")
	}
}
