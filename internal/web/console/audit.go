package console

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"countersign/internal/admin/audit"
	"countersign/internal/failure"
	"countersign/internal/web/look"
)

const auditPath = "/console/audit"

// auditPages search the audit log and hand it out.
type auditPages struct {
	desk *desk
	log  *audit.Log
}

func (p *auditPages) routes() []look.Route {
	return []look.Route{
		p.desk.page(auditPath, "audit.search", p.search),
		p.desk.page(auditPath+"/export", "audit.search", p.export),
	}
}

type auditView struct {
	Form    *form
	Entries []told
	Next    string
	Later   bool
	Zone    string
}

// Outcomes and Events are what can be chosen; an event is the beginning of one.
func (auditView) Outcomes() []choice {
	return choices("", "Any", "ok", "Done", "refused", "Refused", "failed", "Failed")
}

// Events are the kinds of events, by their beginning.
func (auditView) Events() []choice {
	return choices("", "Everything", "alarm", "Alarms", "signin", "Sign-ins", "session", "Sessions", "credential", "Authenticators", "account", "Accounts",
		"pass", "Passes", "key", "Keys", "group", "Groups", "application", "Applications", "policy", "Policy", "coverage", "Coverage", "audit", "The log itself")
}

// searched are the fields of the search, in the address of a page.
var searched = []string{"account", "actor", "application", "event", "outcome", "text", "since", "until"}

func (p *auditPages) search(v *visit) error {
	q := v.r.URL.Query()
	f := typed(q)
	before, _ := strconv.ParseInt(q.Get("before"), 10, 64) // what is no number is the newest
	page, err := read[audit.Page](v, &audit.Search{Account: f.text("account"), Actor: f.text("actor"), Application: f.text("application"), Event: f.text("event"),
		Outcome: f.text("outcome"), Text: f.text("text"), Since: f.text("since"), Until: f.text("until"), Before: before})
	switch failure.ClassOf(err) {
	case failure.Invalid, failure.NotFound:
		f.wrong(failure.FieldOf(err), failure.Public(err))
	default:
		if err != nil {
			return err
		}
	}
	view := auditView{Form: f, Entries: tellAll(v.desk.look, page.Entries), Later: before != 0, Zone: v.desk.look.Zone()}
	if page.Next > 0 {
		next := url.Values{"before": {strconv.FormatInt(page.Next, 10)}}
		for _, name := range searched {
			if s := f.text(name); s != "" {
				next.Set(name, s)
			}
		}
		view.Next = auditPath + "?" + next.Encode()
	}
	return v.show(sheet{template: "audit", title: "Audit log", here: auditPath, problem: f.problem("account", "since", "until"), data: view})
}

// export streams the whole log. When it breaks off in the midst, the connection
// does too, so that a part is never taken for the whole.
func (p *auditPages) export(v *visit) error {
	g, err := v.admit(&audit.Search{})
	if err != nil {
		return err
	}
	out := &download{w: v.w}
	if err := p.log.Export(v.r.Context(), g, out); err != nil {
		if !out.begun {
			return err
		}
		v.desk.look.Log.Error("an export of the audit log broke off", "error", err)
		panic(http.ErrAbortHandler)
	}
	return nil
}

// download sends its headers with its first byte, so that what fails before is
// still a page.
type download struct {
	w     http.ResponseWriter
	begun bool
}

func (d *download) Write(b []byte) (int, error) {
	if !d.begun {
		d.begun = true
		h := d.w.Header()
		h.Set("Content-Type", "application/jsonl; charset=utf-8")
		h.Set("Content-Disposition", `attachment; filename="countersign-audit.jsonl"`)
	}
	// Each part has a time of its own, so that a whole log can be fetched and nobody
	// holds a connection by not reading it.
	err := http.NewResponseController(d.w).SetWriteDeadline(time.Now().Add(partLife))
	if err != nil && !errors.Is(err, http.ErrNotSupported) {
		return 0, err
	}
	return d.w.Write(b)
}

// partLife is how long a part of a download may take to be read.
const partLife = time.Minute
