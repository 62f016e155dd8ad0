package signin

import (
	"context"
	"time"

	"countersign/internal/application"
	"countersign/internal/assurance"
	"countersign/internal/authenticator"
	"countersign/internal/failure"
	"countersign/internal/prompt"
	"countersign/internal/store"
)

// judge reads what a decision rests on, and has decide decide. It holds nothing
// of its own and writes nothing.
type judge struct {
	accounts     accounts
	applications *application.Catalogue
	rules        *Rules
	now          func() time.Time
	kinds        map[string]authenticator.Authenticator
	setting      *setting
	mandates     Mandates
}

func newJudge(p Parts, kinds map[string]authenticator.Authenticator) *judge {
	s := &setting{limits: p.Limits, reading: p.Reading, helping: p.Helping, lending: p.Lending, comprising: p.Comprising}
	for _, a := range p.Authenticators {
		_, remote := a.(authenticator.Approver)
		s.kinds = append(s.kinds, kind{a.Describe(), remote})
	}
	return &judge{accounts: p.accounts(), applications: p.Applications, rules: p.Rules, now: p.Now, kinds: kinds, setting: s, mandates: p.mandates()}
}

// decide decides over an attempt and what its session holds.
func (j *judge) decide(ctx context.Context, r store.Reader, at *attempt, app application.Application, held []assurance.Evidence) (decision, error) {
	m, err := j.gather(ctx, r, at, app, held)
	if err != nil {
		return decision{}, err
	}
	d := decide(&m)
	if d.public.IsZero() {
		d.public = lacking(&m, d)
	}
	return d, nil
}

// gather reads all that a decision rests on. Of somebody who has shown nothing
// nothing is read, whatever name was typed.
func (j *judge) gather(ctx context.Context, r store.Reader, at *attempt, app application.Application, held []assurance.Evidence) (matter, error) {
	m := j.matter(at, app)
	if at.Account == 0 {
		return m, nil
	}
	m.somebody, m.held = true, held
	var err error
	m.account, err = j.accounts.person(ctx, r, at)
	if failure.ClassOf(err) == failure.NotFound {
		return m, nil
	}
	if err != nil {
		return m, err
	}
	if m.policy, err = j.rules.Current(ctx); err != nil {
		return m, err
	}
	if m.credentials, err = j.accounts.credentialsOf(ctx, r, at, m.account.ID); err != nil || m.account.Partner == "" {
		return m, err
	}
	m.mandate, err = j.mandates.Of(ctx, r, m.account.ID)
	return m, err
}

// matter is what an attempt itself says.
func (j *judge) matter(at *attempt, app application.Application) matter {
	return matter{setting: j.setting, Request: at.Request, now: j.now(), application: app, shown: at.Evidence, delegated: at.Delegated, bound: at.bound || j.begins(at)}
}

// begins reports whether a session will come of an attempt in a browser, and whoever has that
// session is asked about it anew: only then can it be bound to its device.
func (j *judge) begins(at *attempt) bool {
	return at.ID != "" && at.SessionNumber == "" && at.Medium.Can(prompt.Browser) && at.act(j.setting.reading) == ""
}

// application returns what is to be signed in to; Countersign itself is built in.
func (j *judge) application(ctx context.Context, name string) (application.Application, error) {
	if name == Self {
		return ourselves(), nil
	}
	a, err := j.applications.Get(ctx, name)
	if failure.ClassOf(err) == failure.NotFound {
		return a, failure.Refuse("unknown-application", bland)
	}
	return a, err
}
