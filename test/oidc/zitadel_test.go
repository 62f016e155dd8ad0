package oidc

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/zitadel/oidc/v3/pkg/client/rp"
	httphelper "github.com/zitadel/oidc/v3/pkg/http"
	zitadel "github.com/zitadel/oidc/v3/pkg/oidc"

	"countersign/internal/servertest"
)

// shop is an application that signs people in by zitadel/oidc, as its examples write it: the
// library's handlers make and check state, PKCE, tokens and userinfo. Its own are the pages, and
// its sessions, which end when a logout token says so.
type shop struct {
	w      *servertest.World
	server *httptest.Server
	keys   zitadel.KeySet

	mu       sync.Mutex
	usual    rp.RelyingParty
	strict   rp.RelyingParty // which takes no ID token but one that says phr
	sessions map[string]*zitadel.Tokens[*zitadel.IDTokenClaims]
	ended    []string // sids, as logout tokens said
}

const strictClass = "phr"

// newShop registers the application and starts it; more are settings besides the usual ones.
func newShop(w *servertest.World, more map[string]any) *shop {
	w.T.Helper()
	s := &shop{w: w, sessions: map[string]*zitadel.Tokens[*zitadel.IDTokenClaims]{}}
	s.server = httptest.NewServer(s)
	w.T.Cleanup(s.server.Close)
	settings := map[string]any{"client_id": "shop", "client_secret": clientSecret, "redirect_uris": []string{s.server.URL + "/callback", s.server.URL + "/strict/callback"},
		"post_logout_redirect_uris": []string{s.server.URL + "/goodbye"}, "backchannel_logout_uri": s.server.URL + "/backchannel", "inside": []string{"127.0.0.1"}, "refresh": "session"}
	for k, v := range more {
		settings[k] = v
	}
	register(w, "shop", settings)
	s.usual = s.party("/callback")
	s.strict = s.party("/strict/callback", rp.WithACRVerifier(zitadel.DefaultACRVerifier([]string{strictClass})))
	s.keys = rp.NewRemoteKeySet(http.DefaultClient, w.Base+"/oidc/keys")
	return s
}

func (s *shop) party(callback string, checks ...rp.VerifierOption) rp.RelyingParty {
	s.w.T.Helper()
	hash, encryption := make([]byte, 32), make([]byte, 32)
	rand.Read(hash)
	rand.Read(encryption)
	cookies := httphelper.NewCookieHandler(hash, encryption, httphelper.WithUnsecure())
	out, err := rp.NewRelyingPartyOIDC(s.w.T.Context(), s.w.Base, "shop", clientSecret, s.server.URL+callback, []string{"openid", "profile"},
		rp.WithPKCE(cookies), rp.WithVerifierOpts(checks...))
	if err != nil {
		s.w.T.Fatal(err)
	}
	return out
}

// now has the library, which knows no clock but the machine's, tell the world's time.
func (s *shop) now() {
	for _, p := range []rp.RelyingParty{s.usual, s.strict} {
		p.IDTokenVerifier().Offset = time.Until(s.w.Now()) + time.Second
	}
}

func (s *shop) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now()
	state := func() string { return rand.Text() }
	switch r.URL.Path {
	case "/login":
		rp.AuthURLHandler(state, s.usual)(w, r)
	case "/silent":
		rp.AuthURLHandler(state, s.usual, rp.WithPromptURLParam("none"))(w, r)
	case "/strict":
		rp.AuthURLHandler(state, s.strict, rp.WithURLParam("acr_values", strictClass))(w, r)
	case "/lax": // wants more of the token than it asked for
		rp.AuthURLHandler(state, s.strict)(w, r)
	case "/callback":
		rp.CodeExchangeHandler(rp.UserinfoCallback(s.welcome), s.usual)(w, r)
	case "/strict/callback":
		rp.CodeExchangeHandler(rp.UserinfoCallback(s.welcome), s.strict)(w, r)
	case "/backchannel":
		s.told(w, r)
	case "/logout":
		s.leaves(w, r)
	case "/goodbye":
		io.WriteString(w, "<p>Goodbye from the shop</p>") //nolint:errcheck // the browser went away
	default:
		s.home(w, r)
	}
}

// welcome begins a session at the application.
func (s *shop) welcome(w http.ResponseWriter, r *http.Request, tokens *zitadel.Tokens[*zitadel.IDTokenClaims], _ string, _ rp.RelyingParty, info *zitadel.UserInfo) {
	id := rand.Text()
	s.sessions[id] = tokens
	http.SetCookie(w, &http.Cookie{Name: "shop", Value: id, Path: "/", HttpOnly: true})
	fmt.Fprintf(w, "<p>The shop knows %s by %s</p>", info.PreferredUsername, tokens.IDTokenClaims.AuthenticationContextClassReference)
}

// home shows who is signed in to the application, as it finds by the access token.
func (s *shop) home(w http.ResponseWriter, r *http.Request) {
	tokens := s.of(r)
	if tokens == nil {
		http.Error(w, "The shop knows nobody", http.StatusUnauthorized)
		return
	}
	info, err := rp.Userinfo[*zitadel.UserInfo](r.Context(), tokens.AccessToken, tokens.Type(), tokens.IDTokenClaims.Subject, s.usual)
	if err != nil {
		http.Error(w, "The shop cuts you off", http.StatusForbidden)
		return
	}
	fmt.Fprintf(w, "<p>The shop still knows %s</p>", info.PreferredUsername)
}

func (s *shop) of(r *http.Request) *zitadel.Tokens[*zitadel.IDTokenClaims] {
	c, err := r.Cookie("shop")
	if err != nil {
		return nil
	}
	return s.sessions[c.Value]
}

// leaves ends the application's session and sends the browser where the library is told to.
func (s *shop) leaves(w http.ResponseWriter, r *http.Request) {
	tokens := s.of(r)
	if tokens == nil {
		http.Error(w, "The shop knows nobody", http.StatusUnauthorized)
		return
	}
	to, err := rp.EndSession(r.Context(), s.usual, tokens.IDToken, s.server.URL+"/goodbye", "a-state", "", nil)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	c, _ := r.Cookie("shop")
	delete(s.sessions, c.Value)
	http.Redirect(w, r, to.String(), http.StatusFound)
}

// told ends the application's sessions of a logout token, which the library reads and verifies.
func (s *shop) told(w http.ResponseWriter, r *http.Request) {
	sid, err := s.farewell(r.Context(), r.FormValue("logout_token"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	for id, tokens := range s.sessions {
		if said, _ := tokens.IDTokenClaims.Claims["sid"].(string); said == sid {
			delete(s.sessions, id)
		}
	}
	s.ended = append(s.ended, sid)
}

func (s *shop) farewell(ctx context.Context, token string) (string, error) {
	var said zitadel.LogoutTokenClaims
	if _, err := zitadel.ParseToken(token, &said); err != nil {
		return "", err
	}
	signed, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		return "", err
	}
	plain, err := s.keys.VerifySignature(ctx, signed)
	if err != nil {
		return "", err
	}
	if err := json.Unmarshal(plain, &said); err != nil {
		return "", err
	}
	if said.Issuer != s.usual.Issuer() || !strings.Contains(strings.Join(said.Audience, " "), "shop") || said.SessionID == "" || said.Events["http://schemas.openid.net/event/backchannel-logout"] == nil {
		return "", errors.New("no logout token of this application")
	}
	return said.SessionID, nil
}

// holds are the tokens of the one session that the application has.
func (s *shop) holds(t testing.TB) *zitadel.Tokens[*zitadel.IDTokenClaims] {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.sessions) != 1 {
		t.Fatalf("the application has %d sessions", len(s.sessions))
	}
	for _, tokens := range s.sessions {
		return tokens
	}
	return nil
}

func (s *shop) farewells() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.ended)
}

// The promise: an application by zitadel/oidc signs people in, has them stepped up, hears of
// refusals by their codes, signs them out here, is told when they signed out elsewhere, and is
// cut off where its tokens are revoked.
func TestAnApplicationByZitadel(t *testing.T) {
	w := servertest.NewWorld(t)
	working(t, w)
	ada := w.EnrollCodes("ada")
	key := servertest.GetsPasskey(ada)
	shop := newShop(w, nil)
	at := shop.server.URL
	p := w.Person()

	p.Get(at + "/silent")
	p.Sees("login_required")
	p.Get(at + "/login")
	signIn(p, "ada", ada.Code())
	p.Sees("The shop knows ada by urn:countersign:aal2")
	p.Get(at)
	p.Sees("The shop still knows ada")

	// A token of less than the application wants is refused by its library; asked for, it is had.
	p.Get(at + "/lax")
	p.Sees("acr is invalid")
	p.Get(at + "/strict")
	p.UsePasskey(key)
	follow(p)
	p.Sees("The shop knows ada by phr")

	// Who has no passkey does not get there.
	bob := w.EnrollCodes("bob")
	other := w.Person()
	other.Get(at + "/login")
	signIn(other, "bob", bob.Code())
	other.Get(at + "/strict")
	if strings.Contains(other.Page, "The shop knows bob") {
		t.Error("bob has shown no passkey, and is let in")
	}
	other.Get(at) // and is signed in as he was
	other.Sees("The shop still knows bob")

	// Signing out at the application is signing out here; it comes back to the application.
	p.Get(at + "/logout")
	p.Sees("Goodbye from the shop")
	if isSignedIn(p) {
		t.Error("who signed out at the application is signed in here")
	}
	until(t, func() bool { return shop.farewells() > 0 })
	p.Get(at)
	p.Sees("The shop knows nobody")

	// Signing out here is signing out there, by the back channel.
	n := shop.farewells()
	other.Get("/account")
	other.Post("/sign-out")
	until(t, func() bool { return shop.farewells() > n })
	other.Get(at)
	other.Sees("The shop knows nobody")
}

// Whose token is revoked is cut off at once, and the refresh token with it; and what a thief
// brings from elsewhere gets him nothing of this library.
func TestZitadelIsCutOff(t *testing.T) {
	w := servertest.NewWorld(t)
	ada := w.EnrollCodes("ada")
	shop := newShop(w, nil)
	at := shop.server.URL
	signsIn := func() *servertest.Person {
		t.Helper()
		p := w.Person()
		p.Get(at + "/login")
		signIn(p, "ada", ada.Code())
		p.Sees("The shop knows ada")
		w.Later(time.Minute)
		return p
	}
	p := signsIn()
	tokens := shop.holds(t)
	shop.now()
	renewed, err := rp.RefreshTokens[*zitadel.IDTokenClaims](t.Context(), shop.usual, tokens.RefreshToken, "", "")
	if err != nil || renewed.RefreshToken == tokens.RefreshToken {
		t.Fatalf("the tokens are not renewed: %v", err)
	}
	if err := rp.RevokeToken(t.Context(), shop.usual, renewed.RefreshToken, "refresh_token"); err != nil {
		t.Fatal(err)
	}
	p.Get(at)
	p.Sees("The shop cuts you off")
	if _, err := rp.RefreshTokens[*zitadel.IDTokenClaims](t.Context(), shop.usual, renewed.RefreshToken, "", ""); err == nil || !strings.Contains(err.Error(), "invalid_grant") {
		t.Errorf("a revoked token is renewed: %v", err)
	}
	if _, err := rp.Userinfo[*zitadel.UserInfo](t.Context(), renewed.AccessToken, "Bearer", renewed.IDTokenClaims.Subject, shop.usual); err == nil {
		t.Error("the access token of a revoked one is good")
	}

	// A code of his own that a thief has ada's browser bring is not redeemed in it.
	bob := w.EnrollCodes("bob")
	thief := w.Person()
	thief.Get("/sign-in")
	thief.SignIn("bob", bob.Code())
	started := where(thief, at+"/login")
	brought := where(thief, started.String())
	victim := w.Person()
	victim.Get(at + "/login") // she began as well
	victim.Get(brought.String())
	victim.Sees("failed to get state")
	victim.Get(at + "/login")
	w.Later(time.Minute)
	signIn(victim, "ada", ada.Code())
	victim.Sees("The shop knows ada")
}
