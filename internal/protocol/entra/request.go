package entra

import (
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"countersign/internal/language"
	"countersign/internal/linked"
)

const (
	// requestMost is how long a request may be, in bytes, and valueMost how long its state and
	// its nonce may each be.
	requestMost, valueMost = 64 << 10, 8 << 10
	// life is how long Entra remembers that it asked, about.
	life = 10 * time.Minute
)

// request is what Entra asks of a browser, understood (Microsoft's "Microsoft Entra ID call to the
// external identity provider").
type request struct {
	of           *party
	state, nonce string
	// classes and methods are those of which it wants one.
	classes, methods []string
	hint             string
	// id is the client-request-id, a GUID, or empty.
	id string
}

// params are the parameters that Microsoft's table lists; all others are ignored.
var params = []string{"scope", "response_type", "response_mode", "client_id", "redirect_uri", "nonce", "state", "id_token_hint", "claims", "client-request-id"}

// readForm reads the parameters of the body. What is there twice is nobody's.
func readForm(w http.ResponseWriter, r *http.Request) (map[string]string, bool) {
	r.Body = http.MaxBytesReader(w, r.Body, requestMost)
	if media, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";"); !strings.EqualFold(strings.TrimSpace(media), "application/x-www-form-urlencoded") || r.ParseForm() != nil {
		return nil, false
	}
	out := map[string]string{}
	for _, name := range params {
		if len(r.PostForm[name]) > 1 {
			return nil, false
		}
		out[name] = r.PostForm.Get(name)
	}
	return out, true
}

// fault is why a request is not answered as it wants: the word of the log, and that of OAuth for
// Entra (RFC 6749 section 4.2.2.1). The zero value is none.
type fault struct{ reason, code string }

func (f fault) is() bool { return f.reason != "" }

var (
	errMalformed   = fault{"malformed", "invalid_request"}
	errUnavailable = fault{"breakdown", "temporarily_unavailable"}
)

func denies(reason string) fault { return fault{reason, "access_denied"} }

// understand reads what follows once the party and where its answers go are known.
func understand(of *party, v map[string]string) (request, fault) {
	q := request{of: of, state: v["state"], nonce: v["nonce"], hint: v["id_token_hint"]}
	if guidForm.MatchString(strings.ToLower(v["client-request-id"])) {
		q.id = strings.ToLower(v["client-request-id"])
	}
	switch {
	case len(q.state) > valueMost:
		q.state = ""
		return q, errMalformed
	case v["response_type"] != "id_token", v["response_mode"] != "form_post", !slices.Contains(strings.Fields(v["scope"]), "openid"):
		return q, errMalformed
	case q.nonce == "" || len(q.nonce) > valueMost, q.hint == "":
		return q, errMalformed
	}
	var f fault
	q.classes, q.methods, f = wanted(v["claims"])
	return q, f
}

// wordForm is what a word of acr or amr looks like.
var wordForm = regexp.MustCompile(`^[a-z0-9]{1,64}$`)

// wanted reads the parameter claims (OpenID Connect Core section 5.5): of which classes and of
// which methods one is wanted. Entra asks for both. A list with anything else than words is refused.
func wanted(text string) (classes, methods []string, f fault) {
	type claim struct {
		Value  string   `json:"value"`
		Values []string `json:"values"`
	}
	var all struct {
		Token map[string]*claim `json:"id_token"`
	}
	if json.Unmarshal([]byte(text), &all) != nil {
		return nil, nil, errMalformed
	}
	list := func(name string) []string {
		c := all.Token[name]
		switch {
		case c == nil:
			return nil
		case c.Value != "":
			return append(c.Values, c.Value)
		}
		return c.Values
	}
	classes, methods = list("acr"), list("amr")
	for _, word := range slices.Concat(classes, methods) {
		if !wordForm.MatchString(word) {
			return nil, nil, errMalformed
		}
	}
	if len(classes) == 0 || len(methods) == 0 || len(classes)+len(methods) > 100 {
		return nil, nil, errMalformed
	}
	return classes, methods, fault{}
}

// authorize is where Entra sends browsers. Until the client and where the answer goes are the
// party's own, what is wrong is said on a page of ours.
func (d *provider) authorize(w http.ResponseWriter, r *http.Request) {
	private(w)
	of, err := d.parties.named(r.Context(), r.PathValue("app"))
	if err != nil {
		d.unavailable(w, r, err)
		return
	}
	v, ok := readForm(w, r)
	switch {
	case of == nil:
		d.notes.miss("no-such-application", "", d.notes.source(r))
		d.stop(w, r, language.Say("The application that sent you is not known here."))
		return
	case !ok:
		d.notes.miss(errMalformed.reason, of.app, d.notes.source(r))
		d.stop(w, r, language.Say("The request cannot be read."))
		return
	case v["client_id"] != of.ClientID:
		d.notes.stray(r, of, "no-such-client")
		d.stop(w, r, language.Say("The application that sent you is not known here."))
		return
	case v["redirect_uri"] != of.redirect():
		d.notes.stray(r, of, "no-such-address")
		d.stop(w, r, language.Say("The address that %s wants you to be sent back to is not one of its own.", of.called()))
		return
	}
	q, f := understand(of, v)
	if f.is() {
		d.refuse(w, r, q, nobody, f)
		return
	}
	d.take(w, r, q)
}

// take believes the hint, or does not, and sends the browser on with what is asked.
func (d *provider) take(w http.ResponseWriter, r *http.Request, q request) {
	about, f := d.believe(r.Context(), q)
	if f.is() {
		d.refuse(w, r, q, meant{verified: about.verified}, f)
		return
	}
	d.notes.hear(q.of)
	first, err := d.once.UseOnce(r.Context(), "entra-hint", q.of.app, q.hint, about.issued.Add(life+skew))
	if err != nil {
		d.breaks(w, r, q, err)
		return
	}
	if !first {
		d.refuse(w, r, q, meant{verified: true}, denies("replayed"))
		return
	}
	who, err := d.links.Of(r.Context(), q.of.links(), linked.Somebody{ID: about.tenant + ":" + about.object, External: about.object})
	if err != nil {
		d.unlinked(w, r, q, err)
		return
	}
	if classOf(q.classes) == "" {
		d.refuse(w, r, q, meant{who, true}, denies("no-such-class"))
		return
	}
	d.send(w, r, asked{App: q.of.app, Number: q.of.number, State: q.state, Nonce: q.nonce, Class: classOf(q.classes), Methods: q.methods, Subject: about.subject,
		Account: who, ID: q.id, Begun: d.now()})
}
