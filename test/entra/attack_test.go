package entra

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"countersign/internal/servertest"
)

// The promise: nobody is asked for a second factor, and nothing is answered, for a hint that the
// configured tenant did not make lately for us; Entra gets the documented error, and the log says
// why.
func TestForgedHints(t *testing.T) {
	w, entra := newTenant(t, nil)
	w.EnrollCodes("ada")
	link(w, "ada", adaID)
	stranger, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(&entra.key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	ours := func(more ...any) string { return sign(t, entra.key, entra.hint(adaID, more...)) }
	now := w.Now().Unix()
	other := "https://login.microsoftonline.com/" + otherID + "/v2.0"
	whole := ours()
	for name, c := range map[string]struct{ hint, reason string }{
		"unsigned":                            {unsigned(t, entra.hint(adaID), "none", nil), "bad-hint"},
		"none by another spelling":            {unsigned(t, entra.hint(adaID), "None", nil), "bad-hint"},
		"signed by our public key as HMAC":    {unsigned(t, entra.hint(adaID), "HS256", public), "bad-hint"},
		"the same in PEM":                     {unsigned(t, entra.hint(adaID), "HS256", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public})), "bad-hint"},
		"signed by somebody":                  {sign(t, stranger, entra.hint(adaID)), "wrong-signature"},
		"signed by somebody, by another name": {sign(t, stranger, entra.hint(adaID), "kid", "theirs"), "unknown-key"},
		"a key in its own header":             {sign(t, stranger, entra.hint(adaID), "jwk", jwk(kid, &stranger.PublicKey)), "wrong-signature"},
		"an address of a key":                 {sign(t, stranger, entra.hint(adaID), "kid", "theirs", "jku", "https://evil.example/keys"), "unknown-key"},
		"without the name of a key":           {sign(t, entra.key, entra.hint(adaID), "kid", ""), "bad-hint"},
		"another type":                        {sign(t, entra.key, entra.hint(adaID), "typ", "at+jwt"), "bad-hint"},
		"without a signature":                 {whole[:strings.LastIndex(whole, ".")+1], "wrong-signature"},
		"of another body":                     {swapped(t, whole, entra.hint(bobID)), "wrong-signature"},
		"encrypted":                           {whole + ".a.b", "bad-hint"},
		"huge":                                {whole + strings.Repeat("A", 9000), "bad-hint"},
		"of another tenant":                   {ours("iss", other, "tid", otherID), "other-tenant"},
		"of another tenant's issuer":          {ours("iss", other), "other-tenant"},
		"of a guest of another tenant":        {ours("tid", otherID), "other-tenant"},
		"without a tenant":                    {ours("tid", nil), "other-tenant"},
		"of version 1.0":                      {ours("iss", "https://sts.windows.net/"+tenantID+"/", "ver", "1.0"), "other-tenant"},
		"for another application":             {ours("aud", "11111111-3766-4dc5-95a6-3c4a8dc31885"), "other-audience"},
		"for two applications":                {ours("aud", []string{appID, "11111111-3766-4dc5-95a6-3c4a8dc31885"}), "other-audience"},
		"without an audience":                 {ours("aud", nil), "bad-hint"},
		"without an object":                   {ours("oid", nil), "bad-hint"},
		"with a name for an object":           {ours("oid", "ada"), "bad-hint"},
		"without a subject":                   {ours("sub", nil), "bad-hint"},
		"without an end":                      {ours("exp", nil), "bad-hint"},
		"without a time":                      {ours("iat", nil), "bad-hint"},
		"made long ago":                       {ours("iat", now-13*60, "exp", now-13*60-1, "nbf", now-13*60), "expired"},
		"made tomorrow":                       {ours("iat", now+3600, "exp", now+3599, "nbf", now+3600), "expired"},
		"good later":                          {ours("nbf", now+3600), "expired"},
		"a token to sign in with":             {ours("exp", now+3900), "no-hint"},
	} {
		p := w.Person()
		w.Later(time.Minute) // strangers' refusals are recorded once a minute
		comes(p, entra.form(c.hint))
		refused(p, "access_denied", c.reason)
		if t.Failed() {
			t.Fatal(name)
		}
		if len(p.Client.Jar.Cookies(&url.URL{Scheme: "http", Host: "localhost"})) > 1 {
			t.Errorf("%s: the browser got a cookie", name)
		}
	}
	if n := w.Events("factor.told"); n != 0 {
		t.Errorf("%d were told", n)
	}
}

// unsigned is a hint by another algorithm; a key makes it an HMAC.
func unsigned(t *testing.T, says map[string]any, alg string, key []byte) string {
	t.Helper()
	head, _ := json.Marshal(map[string]any{"typ": "JWT", "alg": alg, "kid": kid})
	body, err := json.Marshal(says)
	if err != nil {
		t.Fatal(err)
	}
	text := encode(head) + "." + encode(body)
	if key == nil {
		return text + "."
	}
	m := hmac.New(sha256.New, key)
	m.Write([]byte(text))
	return text + "." + encode(m.Sum(nil))
}

// swapped is a hint with the claims of another.
func swapped(t *testing.T, hint string, says map[string]any) string {
	t.Helper()
	body, err := json.Marshal(says)
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(hint, ".")
	return parts[0] + "." + encode(body) + "." + parts[2]
}

// The promise: an answer goes to the one documented address of the tenant's cloud. Whatever else a
// request names, nothing is sent anywhere.
func TestAnswersGoToMicrosoftAlone(t *testing.T) {
	w, entra := newTenant(t, nil)
	w.EnrollCodes("ada")
	link(w, "ada", adaID)
	for _, to := range []string{"https://evil.example/common/federation/externalauthprovider", back + "/", back + "?x", back + "#x", strings.ToUpper(back), "http" + strings.TrimPrefix(back, "https"),
		"https://login.microsoftonline.com.evil.example/common/federation/externalauthprovider", "https://login.microsoftonline.com@evil.example/common/federation/externalauthprovider",
		`https://evil.example\@login.microsoftonline.com/common/federation/externalauthprovider`, "https://login.microsoftonline.com:444/common/federation/externalauthprovider",
		"https://login.microsoftonline.us/common/federation/externalauthprovider", "https://login.partner.microsoftonline.cn/common/federation/externalauthprovider",
		"https://login.microsoftonline.com/common/federation/../federation/externalauthprovider", " " + back, "javascript:alert(1)", ""} {
		p := w.Person()
		entra.asks(p, adaID, "redirect_uri", to)
		if p.Status != http.StatusBadRequest || strings.Contains(p.Page, "<form") && formTo.MatchString(p.Page) {
			t.Errorf("%q: status %d\n%s", to, p.Status, p.Page)
		}
	}
	logged(w, "no-such-address")
	for name, form := range map[string]url.Values{"another client": entra.form("x", "client_id", "other"), "two addresses": {"redirect_uri": {back, "https://evil.example/"}, "client_id": {"entra"}}} {
		p := w.Person()
		if comes(p, form); p.Status != http.StatusBadRequest || formTo.MatchString(p.Page) {
			t.Errorf("%s: status %d\n%s", name, p.Status, p.Page)
		}
	}
	// What is not as documented gets the documented error, at the documented address.
	for name, more := range map[string][]string{"another response": {"response_type", "id_token token"}, "a code": {"response_type", "code"}, "in an address": {"response_mode", "fragment"}, "no openid": {"scope", "profile"},
		"no nonce": {"nonce", ""}, "no hint": {"id_token_hint", ""}, "no claims": {"claims", ""}, "no amr": {"claims", `{"id_token":{"acr":{"values":["possessionorinherence"]}}}`},
		"no acr": {"claims", `{"id_token":{"amr":{"values":["otp"]}}}`}, "broken claims": {"claims", `{"id_token"`}, "words with markup": {"claims", `{"id_token":{"acr":{"values":["<b>"]},"amr":{"values":["otp"]}}}`}} {
		p := w.Person()
		entra.asks(p, adaID, more...)
		answer, ok := got(p)
		if !ok || answer.Get("error") != "invalid_request" || answer.Has("id_token") {
			t.Errorf("%s: %v", name, answer)
		}
	}
	// By an address nothing is asked at all.
	p := w.Person()
	p.Get("/entra/m365/authorize?" + entra.form("x").Encode())
	if p.Status != http.StatusMethodNotAllowed && p.Status != http.StatusNotFound {
		t.Errorf("by GET: status %d", p.Status)
	}
}

// The promise: a hint is good once, and for the browser that brought it. Whoever has it besides, or
// the address that follows it, gets nothing, and neither does whoever is signed in as somebody else.
func TestAHintIsOneBrowsers(t *testing.T) {
	w, entra := newTenant(t, nil)
	ada, bob := w.EnrollCodes("ada"), w.EnrollCodes("bob")
	link(w, "ada", adaID)
	hint := sign(t, entra.key, entra.hint(adaID))
	mallory, victim := w.Person(), w.Person()
	comes(mallory, entra.form(hint))
	mallory.Sees("Sign in")
	// The same hint once more, in whatever browser.
	for _, p := range []*servertest.Person{mallory, w.Person()} {
		comes(p, entra.form(hint))
		refused(p, "access_denied", "replayed")
	}
	// Mallory sends on the address that is to be completed: ada's own browser, signed in or not,
	// does not.
	mallory = w.Person()
	mallory.Client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	r, err := mallory.Client.PostForm(w.Base+"/entra/m365/authorize", entra.form(sign(t, entra.key, entra.hint(adaID))))
	if err != nil {
		t.Fatal(err)
	}
	r.Body.Close()
	onwards := r.Header.Get("Location")
	victim.Get("/sign-in")
	victim.SignIn("ada", ada.Code())
	for _, p := range []*servertest.Person{victim, w.Person()} {
		p.Get(onwards)
		p.Sees("This was begun in another browser.")
		logged(w, "other-browser")
		if formTo.MatchString(p.Page) {
			t.Error("another browser completes")
		}
	}
	// Bob, in his own browser with a hint for ada, does not answer for her.
	p := w.Person()
	p.Get("/sign-in")
	p.SignIn("bob", bob.Code())
	entra.asks(p, adaID)
	p.Sees("Somebody else is signed in here")
	refused(p, "access_denied", "other-account")
	// And whoever signs in as bob on the way neither.
	p = w.Person()
	entra.asks(p, adaID)
	w.Later(time.Minute)
	signIn(p, "bob", bob.Code())
	refused(p, "access_denied", "other-account")
	if n := w.Events("factor.told"); n != 0 {
		t.Errorf("%d were told", n)
	}
	// A request is answered once.
	p = w.Person()
	entra.asks(p, adaID)
	w.Later(time.Minute)
	p.Post("/sign-in", "name", "ada", "authenticator", "password", "text", servertest.Passphrase)
	p.Post("/sign-in", "authenticator", "totp", "text", ada.Code())
	again := onward.FindStringSubmatch(p.Page)
	follow(p)
	if answer, _ := got(p); answer == nil {
		t.Fatalf("no answer:\n%s", p.Page)
	}
	if again == nil {
		t.Fatal("no address to go on by")
	}
	p.Get(strings.ReplaceAll(again[1], "&amp;", "&"))
	p.Sees("This began too long ago, or was answered already.")
}

// The promise: who is linked is decided by the tenant's immutable identifier and by an
// administrator, and never by a name; suspension, the end of the link and another application of
// the same name end it.
func TestWhoIsLinked(t *testing.T) {
	w, entra := newTenant(t, nil)
	ada := w.EnrollCodes("ada")
	w.EnrollCodes("bob")
	// The names say ada, and nobody linked her.
	p := w.Person()
	comes(p, entra.form(sign(t, entra.key, entra.hint(adaID, "preferred_username", "ada", "name", "ada", "email", "ada@example.org"))))
	p.Sees("No account here is linked to yours there.")
	refused(p, "access_denied", "not-linked")
	link(w, "ada", adaID)
	desk := servertest.OfficeOf(w, "ruth")[0]
	err := desk.Do(t.Context(), "account.link", map[string]any{"name": "bob", "application": "m365", "identifier": adaID, "reason": "he said so"}, nil)
	if err == nil || !strings.Contains(err.Error(), "Another account is linked") {
		t.Errorf("bob was linked to whom ada is: %v", err)
	}
	if err := desk.Do(t.Context(), "account.link", map[string]any{"name": "bob", "application": "m365", "identifier": "bob@example.org", "reason": "x"}, nil); err == nil {
		t.Error("bob was linked by a name")
	}
	var all []struct{ Application, Identifier string }
	if err := desk.Do(t.Context(), "account.links", map[string]any{"name": "ada"}, &all); err != nil || len(all) != 1 || all[0].Application != "m365" || all[0].Identifier != tenantID+":"+adaID {
		t.Errorf("%+v, %v", all, err)
	}
	// Whoever is suspended on the way gets nothing.
	p = w.Person()
	entra.asks(p, adaID)
	w.Suspend("ada")
	signIn(p, "ada", ada.Code())
	if answer, _ := got(p); answer.Has("id_token") {
		t.Error("a suspended account answers")
	}
	if err := desk.Do(t.Context(), "account.unlink", map[string]any{"name": "ada", "application": "m365", "reason": "left"}, nil); err != nil {
		t.Fatal(err)
	}
	p = w.Person()
	entra.asks(p, adaID)
	refused(p, "access_denied", "not-linked")
}

// The promise: while the tenant's keys cannot be had, nobody is believed, and Entra is told that it
// is for a while; a key that nobody knows does not have them fetched over and over.
func TestTheTenantsKeys(t *testing.T) {
	w, entra := newTenant(t, nil)
	ada := w.EnrollCodes("ada")
	link(w, "ada", adaID)
	entra.down.Store(true)
	p := w.Person()
	entra.asks(p, adaID)
	refused(p, "temporarily_unavailable", "tenant-unreachable")
	entra.down.Store(false)
	w.Later(time.Minute)
	p = w.Person()
	entra.asks(p, adaID)
	signIn(p, "ada", ada.Code())
	if answer, _ := got(p); answer.Get("id_token") == "" {
		t.Fatalf("no answer:\n%s", p.Page)
	}
	before := entra.fetched.Load()
	w.Later(2 * time.Minute)
	for range 20 {
		comes(w.Person(), entra.form(sign(t, entra.key, entra.hint(adaID), "kid", rand.Text())))
	}
	if n := entra.fetched.Load() - before; n != 2 {
		t.Errorf("the keys were asked for %d times", n)
	}
	// A key for another issuer, one that does not sign, and one that is too short are none.
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	theirs, encrypts := jwk("theirs", &entra.key.PublicKey), jwk("encrypts", &entra.key.PublicKey)
	theirs["issuer"], encrypts["use"] = "https://login.microsoftonline.com/"+otherID+"/v2.0", "enc"
	entra.published = func() any { return map[string]any{"keys": []any{theirs, encrypts, jwk("small", &small.PublicKey)}} }
	w.Later(25 * time.Hour)
	for name, by := range map[string]*rsa.PrivateKey{"theirs": entra.key, "encrypts": entra.key, "small": small, kid: entra.key} {
		p := w.Person()
		w.Later(time.Minute)
		comes(p, entra.form(sign(t, by, entra.hint(adaID), "kid", name)))
		refused(p, "access_denied", "unknown-key")
	}
}
