package api

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"countersign/internal/admin"
	"countersign/internal/failure"
	"countersign/internal/language"
	"countersign/internal/prompt"
	"countersign/internal/session"
	"countersign/internal/signin"
	"countersign/internal/ticket"
	"countersign/internal/web/challenge"
	"countersign/internal/web/look"
)

// Approval says that a person must approve the command in their browser first.
type Approval struct {
	// Page is for the browser, Wait is what to ask the API with.
	Page string `json:"page"`
	Wait string `json:"wait"`
	// Text is what is approved, word for word, and Reading the same for people.
	Text    string          `json:"text"`
	Reading *prompt.Reading `json:"reading,omitempty"`
	Expires time.Time       `json:"expires"`
}

// ApprovalWait asks after an approval.
type ApprovalWait struct {
	Wait string `json:"wait" help:"What the approval was answered with."`
}

// ApprovalState is how an approval stands: waiting, done or refused.
type ApprovalState struct {
	State string `json:"state"`
	// Answer is the command's, when it was done; it is told once.
	Answer json.RawMessage `json:"answer,omitempty"`
	// Detail says why not.
	Detail string `json:"detail,omitempty"`
}

const (
	pendingKind = "api-pending" // what the browser approves
	waitingKind = "api-waiting" // that the client may still wait
	answerKind  = "api-answer"  // what the client gets
	approveLife = 10 * time.Minute
)

// pending is what waits behind the page: a command, or a sign-in.
type pending struct {
	Action, Object string
	Input          json.RawMessage `json:",omitempty"`
	// Reading is what the person reads of it; nil for a sign-in.
	Reading *prompt.Reading `json:",omitempty"`
	// Account is whose approval it must be; zero for anybody's own sign-in.
	Account int64
	// Wait is what the answer goes to. Challenge, Redirect and Agent are of a
	// sign-in.
	Wait                       string `json:",omitempty"`
	Challenge, Redirect, Agent string `json:",omitempty"`
	// From is where the client is, for the person to read.
	From string
}

// waiting keeps what a browser is to approve, and answers the client that waits for it.
type waiting struct {
	tickets   *ticket.Tickets
	admin     *admin.Admin
	caller    *caller
	publicURL *url.URL
	now       func() time.Time
}

// carried is keep for a sign-in, which anybody may begin: all of it is in the code, and
// nothing is kept. The code lets nobody in, however often it is brought: what it asks
// for takes a grant each time.
func (q *waiting) carried(r *http.Request, p pending) (string, error) {
	p.From = q.caller.from(r)
	b, err := json.Marshal(p)
	if err != nil {
		return "", err
	}
	code, fits := q.tickets.Sealed(ticket.Spec{Kind: pendingKind, Payload: b, Lifetime: approveLife})
	if !fits {
		return "", failure.New(failure.Invalid, "That is too long.")
	}
	return code, nil
}

func (q *waiting) keep(r *http.Request, p pending) (string, error) {
	p.From = q.caller.from(r)
	b, err := json.Marshal(p)
	if err != nil {
		return "", err
	}
	return q.tickets.Issue(r.Context(), ticket.Spec{Kind: pendingKind, Owner: p.Account, Payload: b, Lifetime: approveLife})
}

func (q *waiting) page(code string) string {
	return q.publicURL.JoinPath("approve").String() + "?code=" + code
}

// await keeps a command until the session's owner has approved it.
func (q *waiting) await(r *http.Request, s admin.Spec, cmd admin.Command) (any, error) {
	held, err := q.caller.session(r)
	if err != nil {
		return nil, signInNeeded
	}
	input, err := json.Marshal(cmd)
	if err != nil {
		return nil, err
	}
	reading, err := q.admin.Reading(r.Context(), cmd)
	if err != nil {
		return nil, err
	}
	wait := ticket.NewSecret()
	code, err := q.keep(r, pending{Action: s.Action, Object: cmd.Object(), Input: input, Reading: reading, Account: int64(held.Account), Wait: wait})
	if err != nil {
		return nil, err
	}
	_, err = q.tickets.Issue(r.Context(), ticket.Spec{Kind: waitingKind, Owner: int64(held.Account), Lifetime: approveLife, Secret: wait})
	return Approval{Page: q.page(code), Wait: wait, Text: s.Action + ": " + cmd.Object(), Reading: reading, Expires: q.now().Add(approveLife).Truncate(time.Second)}, err
}

// poll answers once, and says in between that it is still waiting.
func (q *waiting) poll(_ http.ResponseWriter, r *http.Request) (any, error) {
	var in ApprovalWait
	if err := read(r, &in); err != nil {
		return nil, err
	}
	t, err := q.tickets.Take(r.Context(), answerKind, in.Wait)
	if err == nil {
		return json.RawMessage(t.Payload), nil
	}
	if failure.ClassOf(err) != failure.Refused {
		return nil, err
	}
	if _, err := q.tickets.Peek(r.Context(), waitingKind, in.Wait); err != nil {
		return nil, err
	}
	return ApprovalState{State: "waiting"}, nil
}

// answer leaves the outcome for the client that waits.
func (q *waiting) answer(r *http.Request, p pending, s ApprovalState) error {
	b, err := json.Marshal(s)
	if err != nil {
		return err
	}
	if len(b) > 1<<16 {
		b, _ = json.Marshal(ApprovalState{State: s.State, Detail: "It was done; its answer is too long to be handed over."})
	}
	_, err = q.tickets.Issue(r.Context(), ticket.Spec{Kind: answerKind, Owner: p.Account, Payload: b, Lifetime: approveLife, Secret: p.Wait})
	return err
}

// approvals are the pages on which a person reads what a client asks for, and approves or
// refuses it.
type approvals struct {
	browser  challenge.Browser
	look     *look.Look
	pages    *look.Set
	log      *slog.Logger
	waiting  *waiting
	commands *commands
	logins   *logins
}

// Routes lists the pages on which a person approves.
func (a *API) Routes() []look.Route {
	return []look.Route{
		{Pattern: "GET " + approvePath, Demand: look.Session(), Handler: a.approvals.show},
		{Pattern: "POST " + approvePath, Demand: look.Action("the request's"), Handler: a.approvals.approve},
		{Pattern: "POST " + donePath, Demand: look.Action("the request's"), Handler: a.approvals.approved},
	}
}

const (
	approvePath = "/approve"
	donePath    = "/approve/done"
	codeField   = "code"
)

// mine reads what waits behind a code, for whoever is signed in: what somebody's own
// command line asks for is nobody else's to see or to answer. Without a session they
// sign in first, and ok is false.
func (a *approvals) mine(w http.ResponseWriter, r *http.Request, code string) (p pending, ok bool, err error) {
	step, err := a.browser.Check(r, signin.SignIn, "")
	switch {
	case err != nil:
		return p, false, err
	case step.State == signin.Ask:
		return p, false, a.browser.SignIn(w, r, approvePath+"?"+url.Values{codeField: {code}}.Encode())
	case step.State != signin.Granted:
		return p, false, step.Refusal()
	}
	if p, err = a.waiting.pending(r, code); err != nil {
		return p, false, err
	}
	if p.Account != 0 && p.Account != int64(step.Grant.Account()) {
		return p, false, failure.Refuse("other-account", "That was asked for by somebody else; only they can approve it.")
	}
	return p, true, nil
}

// pending is what a code stands for: of a sign-in all of it is in the code, and of a
// command it is kept.
func (q *waiting) pending(r *http.Request, code string) (pending, error) {
	var p pending
	if payload, err := q.tickets.OpenSealed(pendingKind, code); err == nil {
		return p, json.Unmarshal(payload, &p)
	}
	t, err := q.tickets.Peek(r.Context(), pendingKind, code)
	if err != nil {
		return pending{}, err
	}
	return p, json.Unmarshal(t.Payload, &p)
}

// end uses up what is kept of what was answered.
func (q *waiting) end(r *http.Request, p pending, code string) error {
	if p.Action == loginAction {
		return nil
	}
	_, err := q.tickets.Take(r.Context(), pendingKind, code)
	return err
}

type approveView struct {
	pending
	Code  string
	Login bool
}

func (a *approvals) show(w http.ResponseWriter, r *http.Request) error {
	code := r.URL.Query().Get(codeField)
	p, ok, err := a.mine(w, r, code)
	if !ok {
		return err
	}
	return a.pages.Render(w, r, look.Page{Template: "approve", Title: "Approve", Shape: look.Card, Data: approveView{p, code, p.Action == loginAction}})
}

// approve does what was shown, goes on to prove who approves it, or refuses for good.
func (a *approvals) approve(w http.ResponseWriter, r *http.Request) error {
	code := r.PostForm.Get(codeField)
	p, ok, err := a.mine(w, r, code)
	if !ok {
		return err
	}
	if r.PostForm.Get("refuse") != "" {
		return a.refuse(w, r, p, code)
	}
	step, err := a.browser.Check(r, p.Action, p.Object)
	if err != nil {
		return err
	}
	switch step.State {
	case signin.Granted:
		return a.approvedBy(w, r, step.Grant, p, code)
	case signin.Ask:
		return a.browser.Prove(w, r, session.Continuation{Action: p.Action, Object: p.Object, Reading: p.Reading, Back: approvePath + "?" + url.Values{codeField: {code}}.Encode(), Form: url.Values{codeField: {code}}, Return: donePath})
	}
	return step.Refusal()
}

func (a *approvals) refuse(w http.ResponseWriter, r *http.Request, p pending, code string) error {
	if err := a.waiting.end(r, p, code); err != nil {
		return err
	}
	if p.Wait != "" {
		if err := a.waiting.answer(r, p, ApprovalState{State: "refused", Detail: "It was refused in the browser."}); err != nil {
			return err
		}
	}
	return a.render(w, r, approvedView{Refused: true})
}

type approvedView struct {
	Refused bool
	Text    language.Sentence
	// Code is shown where no page of the client's waits for it.
	Code string
}

// approved does what was kept, under the grant for exactly that.
func (a *approvals) approved(w http.ResponseWriter, r *http.Request) error {
	e, err := a.browser.Kept(w, r)
	if err != nil {
		return err
	}
	code := e.Form.Get(codeField)
	p, ok, err := a.mine(w, r, code)
	if !ok {
		return err
	}
	if e.Return != donePath || e.Action != p.Action || e.Object != p.Object {
		return failure.Refuse("other-errand", "This was started for another purpose. Start again.")
	}
	g, err := a.browser.Claim(w, r, e)
	if err != nil {
		return err
	}
	return a.approvedBy(w, r, g, p, code)
}

// approvedBy does it once, as the account that asked for it.
func (a *approvals) approvedBy(w http.ResponseWriter, r *http.Request, g signin.Grant, p pending, code string) error {
	if p.Account != 0 && p.Account != int64(g.Account()) {
		return failure.Refuse("other-account", "That was asked for by somebody else; only they can approve it.")
	}
	if err := a.waiting.end(r, p, code); err != nil {
		return err
	}
	if p.Action == loginAction {
		return a.handOver(w, r, g, p)
	}
	return a.carryOut(w, r, g, p)
}

// handOver starts the session of a command line and sends the browser, or the person, back
// to it with a code.
func (a *approvals) handOver(w http.ResponseWriter, r *http.Request, g signin.Grant, p pending) error {
	code, err := a.logins.handOver(r, g, p)
	if err != nil {
		return err
	}
	if p.Redirect != "" {
		return a.look.Leave(w, r, p.Redirect+"?code="+code)
	}
	return a.render(w, r, approvedView{Code: code})
}

func (a *approvals) carryOut(w http.ResponseWriter, r *http.Request, g signin.Grant, p pending) error {
	cmd, err := again(p.Action, p.Input, p.Object)
	if err != nil {
		return err
	}
	outcome, view := ApprovalState{State: "done"}, approvedView{}
	result, err := a.commands.do(r, g, cmd)
	if err != nil {
		if failure.ClassOf(err) == failure.Internal {
			a.log.Error("an approved command failed", "action", p.Action, "error", err)
		}
		outcome = ApprovalState{State: "refused", Detail: failure.Public(err)}
		view = approvedView{Refused: true, Text: look.Problem(err)}
	} else if outcome.Answer, err = json.Marshal(result); err != nil {
		return err
	}
	if err := a.waiting.answer(r, p, outcome); err != nil {
		return err
	}
	return a.render(w, r, view)
}

func (a *approvals) render(w http.ResponseWriter, r *http.Request, v approvedView) error {
	title := "Done"
	if v.Refused {
		title = "Not done"
	}
	return a.pages.Render(w, r, look.Page{Template: "approved", Title: title, Shape: look.Card, Data: v})
}
