package portal

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"html/template"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"countersign/internal/directory"
	"countersign/internal/enrollment"
	"countersign/internal/failure"
	"countersign/internal/language"
	"countersign/internal/prompt"
	"countersign/internal/session"
	"countersign/internal/signin"
	"countersign/internal/web/look"
)

const offerCookie, offerLife = "countersign-offer", 10 * time.Minute

// backField says on whose behalf somebody sets something up; afterwards are the pages where they
// go on then, other than their own.
const backField = "back"

var afterwards = map[string]string{"checklist": "/console"}

type offerView struct {
	Kind  string
	Title string // of the kind
	Who   string // whose it will be
	// Ripe is from when on it counts for administration, for whoever administers; Last says that
	// nobody can administer until then.
	Ripe   time.Time
	Last   bool
	Prompt prompt.Prompt
	URI    string
	Open   template.URL // the URI as a link, for who reads the page on the device
	Secret string
	Codes  []string
	Card   *look.Visit
	Back   string // a word of afterwards
	Shown  string // what came back from where the card was shown
}

// notTwice is said where the page asked for the same text twice.
var notTwice = language.Say("The two are not the same. Type it twice.")

// offers are the pages on which a person sets something up.
type offers struct {
	frame       *frame
	prospects   *signin.Prospects
	enrollments *enrollment.Enrollments
}

// begin offers a kind once the person has proved themselves.
func (of *offers) begin(w http.ResponseWriter, r *http.Request, g signin.Grant, e session.Continuation) error {
	offer, err := of.enrollments.Begin(r.Context(), g, e.Object)
	if err != nil {
		return err
	}
	of.frame.look.Set(w, offerCookie, offer.Ticket, offerLife)
	for back, path := range afterwards {
		if e.Back == path {
			return look.Go(w, r, "/account/setup?"+backField+"="+back)
		}
	}
	return look.Go(w, r, "/account/setup")
}

func (of *offers) offer(w http.ResponseWriter, r *http.Request) error {
	return of.showOffer(w, r, language.Sentence{})
}

// card shows an offer with the certificate that the browser brings back, to be
// added by a form of ours.
func (of *offers) card(w http.ResponseWriter, r *http.Request) error {
	if _, err := look.Shown(r); err != nil {
		return err
	}
	return of.showOffer(w, r, language.Sentence{})
}

func (of *offers) showOffer(w http.ResponseWriter, r *http.Request, problem language.Sentence) error {
	g, _, ok, err := of.frame.enter(w, r)
	if !ok {
		return err
	}
	o, err := of.enrollments.Resume(r.Context(), g, of.frame.look.Get(r, offerCookie))
	if err != nil {
		return err
	}
	last, err := of.last(r.Context(), g, o)
	if err != nil {
		return err
	}
	v := offerView{Back: r.FormValue(backField), Last: last, Kind: o.Kind, Title: of.title(o.Kind), Who: g.Name(), Prompt: o.Prompt}
	if slices.Contains(g.Groups(), directory.Administrators) {
		v.Ripe = o.Ripe
	}
	var shown struct {
		URI    string   `json:"uri"`
		Secret string   `json:"secret"`
		Codes  []string `json:"codes"`
	}
	switch {
	case o.Prompt.Kind == prompt.Certificate:
		if v.Card, err = look.VisitOf(o.Prompt); err != nil {
			return err
		}
		if v.Shown = r.Form.Get("data"); r.Method == http.MethodGet {
			a, _ := look.Shown(r)
			v.Shown = string(a.Data)
		}
	case o.Prompt.Kind != prompt.PublicKey && len(o.Prompt.Data) > 0:
		if err := json.Unmarshal(o.Prompt.Data, &shown); err != nil {
			return err
		}
		v.URI, v.Secret, v.Codes = shown.URI, shown.Secret, shown.Codes
		if strings.HasPrefix(v.URI, "otpauth://") || of.frame.look.Options.Kinds[o.Kind].Bound {
			v.Open = template.URL(v.URI)
		}
	}
	status := 0
	if !problem.IsZero() {
		status = http.StatusBadRequest
	}
	return of.frame.pages.Render(w, r, look.Page{Template: "offer", Title: "Set up", Shape: look.Card, Problem: problem, Status: status, Data: v})
}

// last reports whether what is offered replaces what the only administrator administers with, and
// does not count for it yet.
func (of *offers) last(ctx context.Context, g signin.Grant, o enrollment.Offer) (bool, error) {
	if o.Ripe.IsZero() || !slices.ContainsFunc(of.frame.listing.Kinds(), func(k enrollment.Kind) bool { return k.Kind == o.Kind && k.Single }) {
		return false, nil
	}
	all, err := of.frame.listing.List(ctx, g.Account())
	if err != nil {
		return false, err
	}
	for _, a := range all {
		if a.Kind == o.Kind {
			if last, err := of.prospects.LastWithout(ctx, g.Account(), a.ID); last || err != nil {
				return last, err
			}
		}
	}
	return false, nil
}

// download hands the codes of an offer out as a file, to the browser and session that have it on
// their page. It takes a form, so that no address leads to them.
func (of *offers) download(w http.ResponseWriter, r *http.Request) error {
	g, _, ok, err := of.frame.enter(w, r)
	if !ok {
		return err
	}
	o, err := of.enrollments.Resume(r.Context(), g, of.frame.look.Get(r, offerCookie))
	if err != nil {
		return err
	}
	var shown struct {
		Codes []string `json:"codes"`
	}
	if err := json.Unmarshal(o.Prompt.Data, &shown); err != nil || len(shown.Codes) == 0 {
		return failure.New(failure.NotFound, "There are no codes to download.")
	}
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Content-Disposition", `attachment; filename="countersign-recovery-codes.txt"`)
	_, err = io.WriteString(w, strings.Join(shown.Codes, "\r\n")+"\r\n")
	return err
}

// title is what people call a kind.
func (of *offers) title(kind string) string {
	for _, k := range of.frame.listing.Kinds() {
		if k.Kind == kind {
			return k.Title
		}
	}
	return kind
}

func (of *offers) finish(w http.ResponseWriter, r *http.Request) error {
	g, limited, ok, err := of.frame.enter(w, r)
	if !ok {
		return err
	}
	f := r.PostForm
	if again, typed := f["again"]; typed && again[0] != f.Get("text") {
		return of.showOffer(w, r, notTwice)
	}
	a, err := of.enrollments.Finish(r.Context(), g, of.frame.look.Get(r, offerCookie), prompt.Answer{Authenticator: f.Get("authenticator"), Text: f.Get("text"), Data: []byte(f.Get("data"))}, f.Get("label"))
	if errors.Is(err, enrollment.ErrAnother) {
		return look.Go(w, r, "/account/setup")
	}
	if failure.ClassOf(err) == failure.Invalid {
		return of.showOffer(w, r, look.Problem(err))
	}
	if err != nil {
		return err
	}
	of.frame.look.Drop(w, offerCookie)
	next, err := of.next(r, g, limited)
	if err != nil {
		return err
	}
	return of.frame.look.Done(w, r, cmp.Or(afterwards[f.Get(backField)], next), language.Say("Added: %s.", language.Word(a.Title)))
}

// next is where somebody goes on who set something up: a new administrator who has enough by now
// to what is left to do, and everybody else to their own page.
func (of *offers) next(r *http.Request, g signin.Grant, limited bool) (string, error) {
	if !limited || !slices.Contains(g.Groups(), directory.Administrators) {
		return "/account", nil
	}
	o, err := of.prospects.Outlook(r.Context(), g.Account(), g.Source(), nil)
	if err != nil || !o.Ready {
		return "/account", err
	}
	return afterwards["checklist"], nil
}
