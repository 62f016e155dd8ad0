package signin

import (
	"context"
	"slices"
	"strings"
	"time"

	"countersign/internal/application"
	"countersign/internal/assurance"
	"countersign/internal/audit"
	"countersign/internal/directory"
	"countersign/internal/failure"
	"countersign/internal/notify"
	"countersign/internal/prompt"
	"countersign/internal/store"
)

// decision is what decide found. Its zero value denies.
type decision struct {
	state   State
	account directory.Account
	reason  string
	public  string
	fresh   bool // the account cannot show two factors yet

	requirement assurance.Requirement
	evidence    []assurance.Evidence // all that counted
	rules       []string

	// kinds to ask for, best first, and what each is asked about.
	kinds       []string
	credentials map[string][]directory.Credential
	partial     string
}

// decide is the one road to yes. Every verb ends here: who it is, what policy
// demands of them for this, what counts of what was shown, and what is still
// missing that this medium can play. It reads, and writes nothing.
func (e *Engine) decide(ctx context.Context, r store.Reader, at *attempt, app application.Application, held []assurance.Evidence) (decision, error) {
	if at.Account == 0 {
		return e.firstQuestions(at), nil
	}
	account, err := e.Directory.Get(ctx, r, at.Account)
	if err != nil {
		if failure.ClassOf(err) == failure.NotFound {
			return decision{reason: "no-account"}, nil
		}
		return decision{}, err
	}
	d := decision{account: account}
	if d.reason = e.barred(account); d.reason != "" {
		return d, nil
	}
	if app.Name == Self && administers(at.Action) && !slices.Contains(account.Groups, directory.Administrators) {
		d.reason = "not-administrator"
		return d, nil
	}
	credentials, err := e.Directory.Credentials(ctx, r, account.ID)
	if err != nil {
		return decision{}, err
	}
	credentials = slices.DeleteFunc(credentials, func(c directory.Credential) bool { return c.Status != directory.CredentialActive })
	refused, err := e.demand(ctx, at, app, account, credentials, &d)
	if err != nil {
		return decision{}, err
	}
	if why, no := d.requirement.Denied(); no {
		d.reason = "policy: " + why
		return d, nil
	}
	usable := e.usable(at, app, credentials, refused)
	d.evidence = counting(at, app, held, usable, refused)
	missing := d.requirement.Missing(d.evidence, e.Now())
	for _, m := range missing {
		if m.Met() {
			d.state = Granted
			return d, nil
		}
	}
	e.choose(at, missing, usable, &d)
	return d, nil
}

// barred says why an account gets nothing, whatever it shows and whatever
// policy says; empty when it may.
func (e *Engine) barred(a directory.Account) string {
	switch {
	case a.State != directory.Active:
		return "suspended"
	case a.Idle(e.Now()) > e.Limits.Dormant:
		return "dormant"
	}
	return ""
}

// own are the actions that people may do to their own account. Every other
// action in Countersign itself is administration.
var own = []string{SignIn, "authenticator.enroll", "authenticator.remove", "authenticator.rename", "report.not-me"}

func administers(action string) bool { return !slices.Contains(own, action) }

// OwnActions lists what people may do to their own account.
func OwnActions() []string { return slices.Clone(own) }

// demand asks policy, and adds what only raises: the client's wish, and for
// changing authenticators as much as the account can show already.
func (e *Engine) demand(ctx context.Context, at *attempt, app application.Application, account directory.Account, credentials []directory.Credential, d *decision) ([]string, error) {
	p, err := e.Rules.Current(ctx)
	if err != nil {
		return nil, err
	}
	d.fresh = e.lacksTwoFactors(credentials)
	verdict := p.Decide(e.facts(at, app, account, d.fresh))
	d.requirement = verdict.Requirement
	for _, r := range verdict.Reasons {
		d.rules = append(d.rules, r.Rule)
	}
	if at.Raise != nil {
		d.requirement = assurance.And(d.requirement, *at.Raise)
	}
	if changesAuthenticators(at.Action) {
		d.requirement = assurance.And(d.requirement, e.asMuchAsCanBeShown(credentials))
	}
	return verdict.Refuse, nil
}

// changesAuthenticators lists the actions after which somebody could sign in
// who could not before, or the other way round.
func changesAuthenticators(action string) bool {
	return action == "authenticator.enroll" || action == "authenticator.remove"
}

// lacksTwoFactors reports whether these authenticators together are not enough.
func (e *Engine) lacksTwoFactors(credentials []directory.Credential) bool {
	return !assurance.TwoFactors().Met(directory.CouldShow(credentials, e.Now()), e.Now())
}

// asMuchAsCanBeShown is what changing authenticators demands beyond policy: the
// strongest that the account can show, or a pass that another person issued,
// with the password where there is one. Whoever has no two factors yet needs
// the pass.
func (e *Engine) asMuchAsCanBeShown(credentials []directory.Credential) assurance.Requirement {
	now := e.Now()
	settled := slices.DeleteFunc(slices.Clone(credentials), func(c directory.Credential) bool { return now.Before(c.Quarantine) })
	all := directory.CouldShow(settled, now)
	pass := assurance.AccessPass()
	if assurance.Union(all).Has(assurance.Known) {
		pass = assurance.And(pass, assurance.Need(assurance.Known))
	}
	for _, strong := range []assurance.Requirement{assurance.Phishing(), assurance.TwoFactors()} {
		if strong.Met(all, now) {
			return strong.Or(pass)
		}
	}
	return assurance.AccessPass()
}

// privileged says whether a new authenticator in quarantine counts: not for
// what changes the system or who can get in.
func privileged(at *attempt, app application.Application) bool {
	if app.Tier == application.ControlPlane {
		return true
	}
	return at.Action != SignIn
}

// usable are the credentials that could count here.
func (e *Engine) usable(at *attempt, app application.Application, credentials []directory.Credential, refused []string) []directory.Credential {
	now := e.Now()
	var out []directory.Credential
	for _, c := range credentials {
		if slices.Contains(refused, c.Kind) || privileged(at, app) && now.Before(c.Quarantine) {
			continue
		}
		out = append(out, c)
	}
	return out
}

// counting is the evidence that counts: of this account, from an authenticator
// that is still usable, not bound to another action, and what the application
// vouches for once something of ours was shown.
func counting(at *attempt, app application.Application, held []assurance.Evidence, usable []directory.Credential, refused []string) []assurance.Evidence {
	var out []assurance.Evidence
	for _, list := range [][]assurance.Evidence{held, at.Evidence} {
		for _, ev := range list {
			alive := slices.ContainsFunc(usable, func(c directory.Credential) bool { return c.ID == ev.Credential && c.Kind == ev.Kind })
			// A pass is used up by its one use; what it showed lives until its end.
			if ev.Account == at.Account && (alive || ev.Traits.Has(assurance.Vouched)) && !slices.Contains(refused, ev.Kind) {
				out = assurance.Append(out, ev)
			}
		}
	}
	if app.Vouches == application.VouchesPassword && len(at.Evidence) > 0 {
		out = assurance.Append(out, assurance.Evidence{
			Account: at.Account, Kind: "vouched-password", Traits: assurance.Known,
			Time: assurance.Latest(at.Evidence), Channel: at.Protocol, Bound: app.Name,
		})
	}
	return out
}

// firstQuestions are those for somebody who has shown nothing: the same for
// every name, whether anybody has it or not.
func (e *Engine) firstQuestions(at *attempt) decision {
	d := decision{reason: "nothing-to-ask"}
	for _, a := range e.Authenticators {
		desc := a.Describe()
		opens := desc.Traits&(assurance.Known|assurance.PhishingResistant|assurance.Vouched) != 0
		if desc.First && opens && at.Medium&desc.Media != 0 && (at.Name != "" || at.browser()) {
			d.kinds = append(d.kinds, desc.Kind)
		}
	}
	if !at.browser() && slices.Contains(d.kinds, "password") {
		d.kinds = []string{"password"} // a typed line asks for one thing
	}
	if len(d.kinds) > 0 && at.Medium&(prompt.Line|prompt.Browser) != 0 {
		d.state = Ask
	}
	return d
}

// choose picks what to ask for: every usable authenticator that helps on a way
// which can be walked to its end.
func (e *Engine) choose(at *attempt, missing []assurance.Missing, usable []directory.Credential, d *decision) {
	d.reason = "nothing-enrolled"
	d.public = "You need another way to sign in here, and none is set up. Ask an administrator for a temporary access pass."
	if at.Medium&(prompt.Line|prompt.Browser) == 0 {
		d.reason, d.public = "cannot-ask-here", ""
		return
	}
	playable := slices.DeleteFunc(slices.Clone(usable), func(c directory.Credential) bool {
		how := e.kinds[c.Kind]
		return how == nil || how.Describe().Media&at.Medium == 0
	})
	var could, want assurance.Trait
	for _, c := range playable {
		could |= c.Traits
	}
	for _, m := range missing {
		if lacks := m.Absent | m.Stale; could.Has(lacks) {
			want |= lacks
		}
	}
	if want == 0 {
		return
	}
	d.credentials = map[string][]directory.Credential{}
	for _, c := range playable {
		if c.Traits&want != 0 {
			d.credentials[c.Kind] = append(d.credentials[c.Kind], c)
		}
	}
	for _, a := range e.Authenticators {
		if kind := a.Describe().Kind; len(d.credentials[kind]) > 0 {
			d.kinds = append(d.kinds, kind)
		}
	}
	if len(d.kinds) > 0 {
		d.state, d.reason, d.public = Ask, "", ""
	}
}

// grant makes the yes. It is the only place that fills one in.
func (e *Engine) grant(ctx context.Context, tx *store.Tx, at *attempt, d decision) (Grant, error) {
	g, err := e.fill(ctx, tx, at, d)
	if err != nil {
		return Grant{}, err
	}
	en := e.entry(at, d.account, "signin.granted", "ok", "")
	en.Detail["shown"] = shown(d.evidence)
	en.Detail["acr"] = assurance.ACR(d.evidence)
	en.Detail["rules"] = strings.Join(d.rules, ", ")
	tx.Record(en)
	if err := e.Directory.Used(ctx, tx, d.account, e.Now()); err != nil {
		return Grant{}, err
	}
	if err := e.noteSource(ctx, tx, at, d.account); err != nil {
		return Grant{}, err
	}
	return g, e.forgetAttempt(ctx, tx, at)
}

func (e *Engine) fill(ctx context.Context, r store.Reader, at *attempt, d decision) (Grant, error) {
	if d.state != Granted || d.account.ID == 0 {
		return Grant{}, failure.New(failure.Internal, "a grant was asked for that was not decided")
	}
	mails, err := e.Directory.Mails(ctx, r, d.account.ID)
	if err != nil {
		return Grant{}, err
	}
	now := e.Now()
	g := &grant{
		account: d.account.ID, name: d.account.Name, display: d.account.Display, groups: d.account.Groups,
		application: at.Application, action: at.Action, object: at.Object, protocol: at.Protocol,
		source: at.Source, session: at.SessionNumber, attempt: at.ID, evidence: d.evidence, at: now,
		lapses: d.requirement.Lapses(d.evidence, now),
	}
	if len(mails) > 0 {
		g.mail = mails[0]
	}
	return Grant{g: g}, nil
}

func shown(evidence []assurance.Evidence) string {
	kinds := make([]string, len(evidence))
	for i, ev := range evidence {
		kinds[i] = ev.Kind
	}
	return strings.Join(kinds, ", ")
}

// factorMissing is the event that an alert is made of: something was right, and
// the rest never came. Its owner is told, at most once an hour.
func (e *Engine) factorMissing(ctx context.Context, tx *store.Tx, at *attempt, account directory.Account, reason string) error {
	en := e.entry(at, account, "alarm.factor-missing", "refused", reason)
	en.Detail["shown"] = shown(at.Evidence)
	tx.Record(en)
	if !slices.ContainsFunc(at.Evidence, func(ev assurance.Evidence) bool { return ev.Traits.Has(assurance.Known) }) {
		return nil
	}
	return e.tellOwner(ctx, tx, account, noticeFactorMissing(at, e.Now()))
}

// tellOwner queues a notice to every verified address of the account, unless
// the same one went out within the hour.
func (e *Engine) tellOwner(ctx context.Context, tx *store.Tx, account directory.Account, n notice) error {
	if account.ID == 0 {
		return nil
	}
	var recent int64
	err := tx.QueryRow(ctx, `select count(*) from notice where account = $1 and subject = $2 and created > $3`,
		int64(account.ID), n.subject, store.Unix(e.Now().Add(-time.Hour))).Scan(&recent)
	if err != nil || recent > 0 {
		return err
	}
	mails, err := e.Directory.Mails(ctx, tx, account.ID)
	if err != nil {
		return err
	}
	for _, m := range mails {
		err := notify.Queue(ctx, tx, notify.Notice{Account: int64(account.ID), Address: m, Subject: n.subject, Body: n.body})
		if err != nil {
			return err
		}
	}
	return nil
}

// Sweep ends attempts whose time is over, and raises the alarm for those where
// something was right. It returns how many ended.
func (e *Engine) Sweep(ctx context.Context) (int, error) {
	rows, err := e.DB.Query(ctx, `select handle, account, payload from attempt where expires < $1 order by expires limit 500`, store.Unix(e.Now()))
	if err != nil {
		return 0, err
	}
	var late []*lateAttempt
	for rows.Next() {
		l := &lateAttempt{}
		if err := rows.Scan(&l.hash, &l.account, &l.sealed); err != nil {
			rows.Close()
			return 0, err
		}
		late = append(late, l)
	}
	rows.Close()
	if err := rows.Err(); err != nil {
		return 0, err
	}
	for _, l := range late {
		if err := e.sweepOne(ctx, l); err != nil {
			return 0, err
		}
	}
	return len(late), nil
}

type lateAttempt struct {
	hash    []byte
	account int64
	sealed  []byte
}

func (e *Engine) sweepOne(ctx context.Context, l *lateAttempt) error {
	drop := func(tx *store.Tx) error {
		_, err := tx.Exec(ctx, `delete from attempt where handle = $1 and expires < $2`, l.hash, store.Unix(e.Now()))
		return err
	}
	at := e.openLate(l)
	if at == nil || len(at.Evidence) == 0 {
		return e.DB.Housekeep(ctx, "attempt.sweep", drop)
	}
	return e.DB.Change(ctx, audit.Actor{Name: "system", Via: "sweep"}, func(tx *store.Tx) error {
		if err := drop(tx); err != nil {
			return err
		}
		account, err := e.Directory.Get(ctx, tx, at.Account)
		if err != nil {
			return err
		}
		return e.factorMissing(ctx, tx, at, account, "abandoned")
	})
}
