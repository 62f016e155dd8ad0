package entra

import (
	"log/slog"
	"maps"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"countersign/internal/clientaddr"
	"countersign/internal/failure"
	"countersign/internal/language"
	"countersign/internal/linked"
	"countersign/internal/protocol"
)

// mends says of each refusal that an administrator can mend what is wrong and what to do.
var mends = map[string]string{
	"no-such-application": "A request names an application that is not there; compare the discovery endpoint in the Entra admin center with the application's address here.",
	"no-such-client":      "A request names another client ID than the settings; type the same one in the Entra admin center and here.",
	"no-such-address":     "A request wants its answer at another address than the documented one of the tenant's cloud; compare the cloud of the settings. Somebody may be trying to get an answer that is not theirs.",
	"malformed":           "A request could not be read as Microsoft documents it; look whether something on the way changes what browsers send.",
	"bad-hint":            "A hint is not signed as Microsoft documents it (RS256, with the name of a key), or lacks a claim; somebody may have made it.",
	"unknown-key":         "A hint names a key that the tenant does not publish; compare the tenant ID and the cloud of the settings.",
	"wrong-signature":     "A hint is not signed by the tenant's key that it names; somebody tampered with it.",
	"other-tenant":        "A hint is of another tenant than that of the settings; compare the tenant ID.",
	"other-audience":      "A hint was made for another application of the tenant; compare the application ID of the settings.",
	"expired":             "A hint was made more than ten minutes ago, or by a clock that is ahead; set the clock of this server.",
	"no-hint":             "What came as a hint is an ID token that lets somebody sign in; somebody may be using one that was made for them.",
	"tenant-unreachable":  "The tenant's keys could not be fetched; let this server reach the sign-in host of Microsoft's cloud by HTTPS.",
}

// notes are what the log and administrators hear of requests.
type notes struct {
	ears    *protocol.Ears
	links   *linked.Links
	clients *clientaddr.Reader
	log     *slog.Logger
	now     func() time.Time
}

func (n *notes) source(r *http.Request) netip.Addr { return n.clients.Source(r) }

// hear notes that an application's tenant sent a request of its own.
func (n *notes) hear(of *party) { n.ears.Hear(of.app, n.now()) }

// miss tells administrators what was refused.
func (n *notes) miss(cause, app string, source netip.Addr) {
	mend, known := mends[cause]
	if !known {
		return
	}
	if n.ears.Miss(protocol.Trouble{Protocol: Protocol, Cause: cause, Mend: mend, Application: app, From: source.Unmap()}, n.now()) && n.log != nil {
		n.log.Warn("a request of Entra was refused: "+mend, "reason", cause, "application", app, "from", source)
	}
}

// meant is whom a request was about, as far as that was known; nobody is the zero value.
type meant struct {
	account linked.Account
	// verified says that the tenant signed the hint.
	verified bool
}

var nobody meant

// record records a refusal, and tells administrators.
func (n *notes) record(r *http.Request, q request, who meant, f fault) {
	n.miss(f.reason, q.of.app, n.source(r))
	err := n.links.Refused(r.Context(), linked.Refusal{Application: q.of.app, Protocol: Protocol, Reason: f.reason, Account: who.account, Source: n.source(r), Verified: who.verified, Detail: detailOf(q, nil)})
	if err != nil {
		n.fails(err)
	}
}

// stray records what came for a party and is not answered at its address.
func (n *notes) stray(r *http.Request, of *party, reason string) {
	n.record(r, request{of: of}, nobody, denies(reason))
}

// detailOf is what the log says of a request: Entra's name of it, for its own log, and that of the
// hint.
func detailOf(q request, more map[string]string) map[string]string {
	out := map[string]string{}
	if q.id != "" {
		out["client-request-id"] = q.id
	}
	if q.hint != "" {
		out["hint"] = numberOf(q.hint)
	}
	maps.Copy(out, more)
	return out
}

// refuse records a refusal and sends the browser back with it, in the documented form.
func (d *provider) refuse(w http.ResponseWriter, r *http.Request, q request, who meant, f fault) {
	d.notes.record(r, q, who, f)
	d.post(w, r, q, url.Values{"error": {f.code}})
}

// breaks tells Entra that something is wrong with us.
func (d *provider) breaks(w http.ResponseWriter, r *http.Request, q request, err error) {
	d.notes.fails(err)
	d.post(w, r, q, url.Values{"error": {errUnavailable.code}})
}

// unlinked tells a person for whom no account stands here, or that something is wrong with us.
func (d *provider) unlinked(w http.ResponseWriter, r *http.Request, q request, err error) {
	if failure.ClassOf(err) != failure.Refused {
		d.breaks(w, r, q, err)
		return
	}
	d.notes.record(r, q, meant{verified: true}, denies(failure.ReasonOf(err)))
	format, args := failure.Sentence(err)
	d.tellDenied(w, r, q, language.Say(format, args...))
}

func (n *notes) fails(err error) {
	if n.log != nil {
		n.log.Error("a request of Entra could not be answered", "error", err)
	}
}

func (d *provider) unavailable(w http.ResponseWriter, r *http.Request, err error) {
	d.notes.fails(err)
	d.pages.Unavailable(w, r)
}
