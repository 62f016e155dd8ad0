package upstream

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"countersign/internal/certkey"
	"countersign/internal/failure"
	"countersign/internal/protocol/saml/message"
	"countersign/internal/ticket"
	"countersign/internal/upstream/oidc"
	"countersign/internal/upstream/said"
	"countersign/internal/upstream/saml"
)

// A response by SAML comes with a form from another site, to which browsers give no cookies. So it is
// read where it arrives, and the browser comes once more, with what was read sealed and with its
// cookies, which say whether it asked.

// Keys are what requests are signed with.
func Keys() certkey.Purpose {
	return certkey.Purpose{Name: "upstream", Algorithm: certkey.RSA, Says: "requests to identity providers"}
}

// answer is what was read of a response, as it travels sealed.
type answer struct {
	Upstream int64  `json:"u"`
	Answers  string `json:"a,omitempty"`
	Subject  string `json:"s,omitempty"`
	Class    string `json:"c,omitempty"`
	Mail     string `json:"m,omitempty"`
	Key      string `json:"k,omitempty"`
	Refused  string `json:"r,omitempty"`
	Detail   string `json:"d,omitempty"`
}

const (
	answerKind = "upstream-answer"
	answerLife = time.Minute
	// mostForm bounds a form that brings a response.
	mostForm = 256 << 10
)

// requestID is the ID of a visit's request.
func (g visit) requestID() string { return "_" + g.State }

// saml is an upstream as SAML has it, with what its metadata says where that is read from an address.
func (v *Visits) saml(ctx context.Context, u Upstream) (saml.Provider, error) {
	p := saml.Provider{Entity: u.Issuer, SignIn: u.SignIn, Certificates: u.Certificates, Mail: u.Mail}
	from, fetched := u.Fetched()
	if !fetched {
		return p, nil
	}
	d, err := v.fetched.Of(ctx, from)
	if err != nil {
		return p, err
	}
	return described(p, d.Covered)
}

// described is a provider as its metadata describes it.
func described(p saml.Provider, covered []byte) (saml.Provider, error) {
	is, err := message.ReadIdentity(covered)
	if err != nil {
		return p, err
	}
	if err := webAddress("address in the metadata", is.SignIn); err != nil {
		return p, err
	}
	p.SignIn, p.Certificates = is.SignIn, saml.PEM(is.Signing)
	_, err = saml.Certificates(p.Certificates)
	return p, err
}

// own is what we are to an upstream: no two know us by the same name.
func (v *Visits) own(u Upstream) saml.Own {
	return saml.Own{Entity: v.Entity(u.Name), Consumer: v.Redirect(u.Name)}
}

// Entity is our entity ID to an upstream by SAML, and where our metadata is.
func (v *Visits) Entity(name string) string { return v.Redirect(name) + "/metadata" }

// signs is what we sign with now, and all that is announced.
func (v *Visits) signs(ctx context.Context) (message.Credential, certkey.Set, error) {
	set, err := v.keys.Of(ctx, Keys().Name)
	if err != nil {
		return message.Credential{}, set, err
	}
	return message.Credential{Signer: set.Now.Signer, Certificate: set.Now.Certificate}, set, nil
}

func (v *Visits) beginSAML(ctx context.Context, u Upstream, going visit) (string, error) {
	by, _, err := v.signs(ctx)
	if err != nil {
		return "", err
	}
	var classes []string
	if u.Trust == said.Enforce {
		classes = u.Classes
	}
	p, err := v.saml(ctx, u)
	if err != nil {
		return "", unusable(err)
	}
	return saml.Begin(p, v.own(u), by, saml.Visit{ID: going.requestID(), Classes: classes}, v.now())
}

// ByForm takes a response by a form, and sends the browser on to come with its cookies.
func (v *Visits) ByForm(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	r.Body = http.MaxBytesReader(w, r.Body, mostForm)
	u, err := v.open(r.Context(), r.PathValue("name"))
	switch {
	case failure.ClassOf(err) == failure.NotFound, err == nil && u.Protocol != SAML:
		http.NotFound(w, r)
		return
	case err != nil:
		http.Error(w, "The sign-in service is not available. Try again soon.", http.StatusServiceUnavailable)
		return
	}
	if err := r.ParseForm(); err != nil || len(r.PostForm["SAMLResponse"]) != 1 {
		http.Error(w, "The form has no SAMLResponse, or two.", http.StatusBadRequest)
		return
	}
	p, err := v.saml(r.Context(), u)
	if err != nil {
		v.log.Warn("an identity provider cannot be used now", "upstream", u.Name, "error", failure.Public(err))
		http.Error(w, "The sign-in service is not available. Try again soon.", http.StatusServiceUnavailable)
		return
	}
	plain, err := json.Marshal(v.read(u, p, r.PostForm.Get("SAMLResponse")))
	code, fits := v.tickets.Sealed(ticket.Spec{Kind: answerKind, Payload: plain, Lifetime: answerLife})
	if err != nil || !fits {
		http.Error(w, "The response is too long to be taken.", http.StatusBadRequest)
		return
	}
	http.Redirect(w, r, v.Redirect(u.Name)+"?"+url.Values{"answer": {code}}.Encode(), http.StatusSeeOther)
}

// read reads a response: whom it is about, or why it is not taken.
func (v *Visits) read(u Upstream, by saml.Provider, form string) answer {
	p, err := saml.Finish(by, v.own(u), form, time.Duration(u.MaxAge)*time.Second, v.now())
	var no *said.Refusal
	switch {
	case errors.As(err, &no):
		return answer{Upstream: u.ID, Refused: no.Reason, Detail: no.Detail}
	case err != nil:
		return answer{Upstream: u.ID, Refused: "malformed", Detail: "its certificates cannot be read"}
	}
	return answer{Upstream: u.ID, Answers: p.Answers, Subject: p.Subject, Class: p.Class, Mail: p.Mail, Key: p.Key}
}

// finishSAML finds what was read to be the answer to what this browser asked.
func (v *Visits) finishSAML(ctx context.Context, u Upstream, going visit, q url.Values) (string, error) {
	plain, err := v.tickets.OpenSealed(answerKind, q.Get("answer"))
	if err != nil {
		return "", errStray
	}
	var a answer
	if json.Unmarshal(plain, &a) != nil || a.Upstream != u.ID {
		return "", errStray
	}
	switch {
	case a.Refused != "":
		err = &said.Refusal{Reason: a.Refused, Detail: a.Detail}
	case subtle.ConstantTimeCompare([]byte(a.Answers), []byte(going.requestID())) != 1:
		err = &said.Refusal{Reason: "replayed", Detail: "it answers another request (InResponseTo)"}
	default:
		err = v.watch(ctx, u, a.Key)
	}
	return v.state(ctx, u, going.Challenge, said.Statement{Subject: a.Subject, Class: a.Class, Mail: a.Mail}, err)
}

// Metadata tells an upstream by SAML of us.
func (v *Visits) Metadata(w http.ResponseWriter, r *http.Request) {
	u, err := v.open(r.Context(), r.PathValue("name"))
	if failure.ClassOf(err) == failure.NotFound || err == nil && u.Protocol != SAML {
		http.NotFound(w, r)
		return
	}
	var b []byte
	if err == nil {
		b, err = v.metadata(r.Context(), u)
	}
	if err != nil {
		v.log.Error("metadata for an identity provider cannot be made", "error", err)
		http.Error(w, "The sign-in service is not available. Try again soon.", http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "application/samlmetadata+xml")
	_, _ = w.Write(b) // the other side may be gone
}

func (v *Visits) metadata(ctx context.Context, u Upstream) ([]byte, error) {
	by, set, err := v.signs(ctx)
	if err != nil {
		return nil, err
	}
	var announced [][]byte
	for _, k := range set.Announced() {
		announced = append(announced, k.Certificate)
	}
	return saml.Metadata(v.own(u), by, announced, v.now())
}

// unusable is a breakdown: what its metadata says is not for people to read.
func unusable(err error) error {
	return fmt.Errorf("its metadata cannot be used: %s", failure.Public(err))
}

// trySAML says what can be said of a provider that only browsers ask. Metadata at an address is read
// now, and kept.
func (v *Visits) trySAML(ctx context.Context, u Upstream) oidc.Trial {
	var t oidc.Trial
	p := saml.Provider{Entity: u.Issuer, SignIn: u.SignIn, Certificates: u.Certificates}
	if from, fetched := u.Fetched(); fetched {
		d, err := v.fetched.Refresh(ctx, from)
		if err == nil {
			p, err = described(p, d.Covered)
		}
		if err != nil {
			t.Findings = append(t.Findings, oidc.Finding{Says: "Its metadata cannot be used: " + failure.Public(err)})
			return t
		}
		t.Findings = append(t.Findings, oidc.Finding{Works: true, Says: "Its metadata was read, and is signed by a key that is pinned."})
	}
	all, err := saml.Certificates(p.Certificates)
	if err != nil {
		t.Findings = append(t.Findings, oidc.Finding{Says: failure.Public(err)})
		return t
	}
	for _, c := range all {
		t.Keys = append(t.Keys, saml.Thumbprint(c))
	}
	t.Findings = append(t.Findings, oidc.Finding{Works: true, Says: "Its certificates can be read. Only browsers ask it: sign in once by its button, and look at the log."},
		oidc.Finding{Works: true, Says: "It has to know us as " + v.Entity(u.Name) + ", where our metadata is."})
	return t
}
