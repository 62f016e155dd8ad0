package signin

import (
	"context"
	"crypto/subtle"
	"encoding/base64"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/audit"
	"countersign/internal/authenticator"
	"countersign/internal/directory"
	"countersign/internal/failure"
	"countersign/internal/keyring"
	"countersign/internal/prompt"
	"countersign/internal/store"
)

// What the owner decides in the app.
const (
	Approved = "approve"
	Denies   = "deny"
	Disowns  = "not-me"
)

// AppProtocol is the app's word in the audit log.
const AppProtocol = "app"

// Disowned is an account whose owner said in the app that a sign-in was not
// theirs. Entry says where and of what.
type Disowned struct {
	Account directory.Account
	Entry   audit.Entry
}

// AppAddress is where an app can be woken.
type AppAddress = authenticator.Address

// AppCall is what the app says with every request: which one it is, the moment
// that the server gave it, and its signature over all that it asks for.
type AppCall struct {
	Kind      string
	App       string // the handle of its key
	Moment    string
	Signature []byte
	Source    netip.Addr
}

// AppAnswer is the owner's decision over one approval, with the number as they
// typed it and the text as they read it.
type AppAnswer struct {
	ID       int64
	Number   string
	Text     string
	Decision string
}

// momentLife is how long a moment is good for: the person reads and decides
// within it, and the app asks for another whenever it needs one.
const momentLife = 2 * time.Minute

// Moment is the server's time, which the app signs in place of its own clock.
func (e *Engine) Moment() string {
	now := e.Now().Unix()
	return strconv.FormatInt(now, 10) + "." + base64.RawURLEncoding.EncodeToString(e.Keys.MAC(keyring.Push, momentFields(now)))
}

func momentFields(unix int64) *keyring.Fields {
	return keyring.NewFields().String("moment").Int(unix)
}

// goodMoment reports whether a moment is ours and not over.
func (e *Engine) goodMoment(moment string) bool {
	text, sum, ok := strings.Cut(moment, ".")
	unix, err := strconv.ParseInt(text, 10, 64)
	mac, err2 := base64.RawURLEncoding.Strict().DecodeString(sum)
	if !ok || err != nil || err2 != nil || !e.Keys.VerifyMAC(keyring.Push, momentFields(unix), mac) {
		return false
	}
	age := e.Now().Sub(time.Unix(unix, 0))
	return age > -momentLife && age < momentLife
}

// host is the address that statements name, so that what was signed for one
// installation says nothing to another.
func (e *Engine) host() string {
	host, _, _ := strings.Cut(e.ApproveAt, "/")
	return host
}

// appCaller is an app whose signature was right.
type appCaller struct {
	account    directory.Account
	credential directory.Credential
	how        authenticator.Approver
}

func (c appCaller) actor() audit.Actor {
	return audit.Actor{Account: int64(c.account.ID), Name: c.account.Name, Via: AppProtocol}
}

// caller finds out which app calls and whether it signed these fields now. It
// returns the reason of a refusal.
func (e *Engine) caller(ctx context.Context, r store.Reader, call AppCall, verb string, fields ...string) (appCaller, string, error) {
	how, ok := e.kinds[call.Kind].(authenticator.Approver)
	if !ok {
		return appCaller{}, "unknown-kind", nil
	}
	c, err := e.Directory.CredentialByHandle(ctx, r, call.Kind, call.App)
	if failure.ClassOf(err) == failure.NotFound {
		return appCaller{}, "unknown-app", nil
	}
	if err != nil {
		return appCaller{}, "", err
	}
	statement := authenticator.Statement(append([]string{"countersign " + verb, e.host(), call.App, call.Moment}, fields...)...)
	q := question{credentials: []directory.Credential{c}, kind: call.Kind}
	signed, err := how.Check(ctx, q.comparable(), statement, answerOf(call), e.Now())
	if err != nil {
		return appCaller{}, "", err
	}
	if !signed.OK {
		return appCaller{}, signed.Reason, nil // whose it is was not proved, and is not told
	}
	if !e.goodMoment(call.Moment) {
		return appCaller{}, "stale", nil
	}
	out := appCaller{credential: c, how: how}
	if out.account, err = e.Directory.Get(ctx, r, c.Account); err != nil {
		return appCaller{}, "", err
	}
	if c.Status != directory.CredentialActive {
		return out, c.Status, nil
	}
	return out, e.judge.barred(out.account), nil
}

// answerOf is an app's call as its authenticator reads it.
func answerOf(call AppCall) prompt.Answer {
	b := `{"app":` + strconv.Quote(base64Safe(call.App)) + `,"signature":"` + base64.StdEncoding.EncodeToString(call.Signature) + `"}`
	return prompt.Answer{Authenticator: call.Kind, Data: []byte(b)}
}

// base64Safe keeps what a handle is made of.
func base64Safe(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '-' || r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
			return r
		}
		return -1
	}, s)
}

var appSentences = map[string]string{
	"stale":      "That took too long. Try again.",
	"revoked":    "This app was removed from your account. Add it again under Ways to sign in.",
	"disabled":   "There were too many wrong numbers, so this app is switched off. Sign in another way and set it up anew.",
	"quarantine": "This app was added a short while ago and cannot approve yet. Use another way today.",
}

// refuseApp records why an app was refused.
func (e *Engine) refuseApp(ctx context.Context, call AppCall, c appCaller, reason string) error {
	public := appSentences[reason]
	if public == "" {
		public = "This app is not known here. Add it under Ways to sign in."
	}
	actor := c.actor()
	if actor.Name == "" {
		actor.Name = "somebody"
	}
	err := e.DB.Change(ctx, actor, func(tx *store.Tx) error {
		return tx.Record(audit.Entry{Event: "app.refused", Outcome: "refused", Reason: reason, Account: int64(c.account.ID), AccountName: c.account.Name,
			Application: Self, Protocol: AppProtocol, Source: addrText(call.Source)})
	})
	if err != nil {
		return err
	}
	return failure.Refuse(reason, public)
}

// WaitingForApp is [Engine.WaitingFor] for an app: nothing is shown before the
// number was typed in it.
func (e *Engine) WaitingForApp(ctx context.Context, call AppCall, typed string) (Waiting, error) {
	c, reason, err := e.caller(ctx, e.DB, call, "look", typed)
	if err != nil {
		return Waiting{}, err
	}
	if reason == "" && e.Now().Before(c.credential.Quarantine) {
		reason = "quarantine"
	}
	if reason != "" {
		return Waiting{}, e.refuseApp(ctx, call, c, reason)
	}
	return e.waitingUnder(ctx, c.actor(), guesser{account: c.account.ID, app: &c.credential, protocol: AppProtocol, source: call.Source}, typed)
}

// AnswerByApp approves or refuses what waits. The app signed the number of the
// request, the digits, the text and the decision; all of it must be what waits
// here, for the app's own account.
func (e *Engine) AnswerByApp(ctx context.Context, call AppCall, a AppAnswer) error {
	if a.Decision != Approved && a.Decision != Denies && a.Decision != Disowns {
		return failure.New(failure.Invalid, "That is no decision.")
	}
	c, reason, err := e.caller(ctx, e.DB, call, "answer", strconv.FormatInt(a.ID, 10), a.Number, a.Text, a.Decision)
	if err != nil {
		return err
	}
	if reason == "" && a.Decision == Approved && e.Now().Before(c.credential.Quarantine) {
		reason = "quarantine"
	}
	if reason != "" {
		return e.refuseApp(ctx, call, c, reason)
	}
	return e.DB.Change(ctx, c.actor(), func(tx *store.Tx) error { return e.answerByApp(ctx, tx, call, a, c) })
}

func (e *Engine) answerByApp(ctx context.Context, tx *store.Tx, call AppCall, a AppAnswer, c appCaller) error {
	g := guesser{account: c.account.ID, app: &c.credential, protocol: AppProtocol, source: call.Source}
	subjects := e.numberSubjects(g)
	over, err := e.guesses.read(ctx, tx, &attempt{}, c.account, subjects)
	if err != nil {
		return err
	}
	credential, err := e.Directory.Credential(ctx, tx, c.account.ID, c.credential.ID) // it may have been revoked meanwhile
	if err != nil {
		return err
	}
	row, err := e.waitingRow(ctx, tx, c.account.ID, a.ID)
	if failure.ClassOf(err) == failure.NotFound {
		return c.refused(tx, call, "late", noApproval.Public)
	}
	if err != nil {
		return err
	}
	number, _ := readNumber(a.Number)
	text := row.body.Waiting.Text()
	switch {
	case credential.Status != directory.CredentialActive:
		return c.refused(tx, call, credential.Status, appSentences[credential.Status])
	case over != "" || subtle.ConstantTimeCompare([]byte(number), []byte(row.body.Number)) != 1:
		return e.wrongNumber(ctx, tx, g)
	case row.state != "waiting":
		return c.refused(tx, call, "answered", "That was answered already.")
	case a.Text != text:
		return c.refused(tx, call, "other-text", "What waits is something else than what was shown. Type the number again.")
	}
	en := audit.Entry{AccountName: c.account.Name, Protocol: AppProtocol, Source: addrText(call.Source),
		Detail: map[string]string{"authenticator": credential.Kind + "/" + strconv.FormatInt(int64(credential.ID), 10)}}
	if a.Decision != Approved {
		return e.refuseByApp(ctx, tx, row, a.Decision, c, en)
	}
	shown := assurance.Evidence{Account: c.account.ID, Kind: credential.Kind, Credential: credential.ID, Traits: credential.Traits &^ assurance.PhishingResistant,
		Time: e.Now(), Channel: AppProtocol, Bound: text}
	if err := e.settleWaiting(ctx, tx, row, &shown, en); err != nil {
		return err
	}
	if err := e.guesses.refund(ctx, tx, subjects, credential.ID, false); err != nil {
		return err
	}
	credential.Used = e.Now()
	return e.Directory.UpdateCredential(ctx, tx, credential)
}

// refused records a refusal in a change that is kept.
func (c appCaller) refused(tx *store.Tx, call AppCall, reason, public string) error {
	tx.Record(audit.Entry{Event: "app.refused", Outcome: "refused", Reason: reason, Account: int64(c.account.ID), AccountName: c.account.Name,
		Application: Self, Protocol: AppProtocol, Source: addrText(call.Source)})
	return store.Keep(failure.Refuse(reason, public))
}

// refuseByApp refuses what waits; "not me" ends what the account has standing and
// closes pushes for a day besides.
func (e *Engine) refuseByApp(ctx context.Context, tx *store.Tx, row *approval, decision string, c appCaller, en audit.Entry) error {
	if err := e.settleWaiting(ctx, tx, row, nil, en); err != nil || decision != Disowns {
		return err
	}
	return e.disown(ctx, tx, row, c, en.Source)
}

// disown closes pushes for a day and ends what the account has standing.
func (e *Engine) disown(ctx context.Context, tx *store.Tx, row *approval, c appCaller, source string) error {
	_, err := tx.Exec(ctx, `insert into wake (approval, account, state, created) values ($1,$2,'disowned',$3)
		on conflict (approval) do update set state = 'disowned', created = excluded.created`, row.id, int64(row.account), store.Unix(e.Now()))
	if err != nil || e.Disown == nil {
		return err
	}
	return e.Disown(ctx, tx, Disowned{Account: c.account, Entry: audit.Entry{Protocol: AppProtocol, Source: source, Attempt: row.body.Attempt,
		Detail: map[string]string{"request": row.body.Waiting.Text()}}})
}

// disownable is for how long a sign-in that nobody answered can be disowned.
const disownable = time.Hour

// DisownByApp refuses all that waits, without a number: who is woken for a sign-in
// that somebody else began sees no number. It shows nothing of what waits, and is
// refused where nothing did in the last hour.
func (e *Engine) DisownByApp(ctx context.Context, call AppCall) error {
	c, reason, err := e.caller(ctx, e.DB, call, "disown")
	if err != nil {
		return err
	}
	if reason == "" && e.Now().Before(c.credential.Quarantine) {
		reason = "quarantine"
	}
	if reason != "" {
		return e.refuseApp(ctx, call, c, reason)
	}
	return e.DB.Change(ctx, c.actor(), func(tx *store.Tx) error { return e.disownAll(ctx, tx, call, c) })
}

// left are the account's approvals of the last hour that nobody answered.
func (e *Engine) left(ctx context.Context, r store.Reader, account assurance.AccountID) ([]int64, error) {
	rows, err := r.Query(ctx, `select id from approval where account = $1 and state = 'waiting' and created > $2 order by id`,
		int64(account), store.Unix(e.Now().Add(-disownable)))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []int64
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		out = append(out, id)
	}
	return out, rows.Err()
}

func (e *Engine) disownAll(ctx context.Context, tx *store.Tx, call AppCall, c appCaller) error {
	ids, err := e.left(ctx, tx, c.account.ID)
	if err != nil {
		return err
	}
	var waiting []*approval
	for _, id := range ids {
		row, err := e.approvals.scan(tx.QueryRow(ctx, `select `+approvalColumns+` from approval where id = $1`, id))
		if err != nil {
			return err
		}
		waiting = append(waiting, row)
	}
	if len(waiting) == 0 {
		return c.refused(tx, call, "nothing-waits", "Nobody began a sign-in as you in the last hour that waits for you.")
	}
	source := addrText(call.Source)
	for _, row := range waiting {
		if err := e.settleWaiting(ctx, tx, row, nil, audit.Entry{AccountName: c.account.Name, Protocol: AppProtocol, Source: source, Detail: map[string]string{}}); err != nil {
			return err
		}
	}
	return e.disown(ctx, tx, waiting[len(waiting)-1], c, source)
}

// MoveApp keeps where an app can be woken; an empty endpoint is nowhere.
func (e *Engine) MoveApp(ctx context.Context, call AppCall, to authenticator.Address) error {
	enc := base64.RawURLEncoding.EncodeToString
	c, reason, err := e.caller(ctx, e.DB, call, "move", to.Endpoint, enc(to.Public), enc(to.Secret))
	if err != nil {
		return err
	}
	if reason != "" {
		return e.refuseApp(ctx, call, c, reason)
	}
	return e.DB.Change(ctx, c.actor(), func(tx *store.Tx) error { return e.moveApp(ctx, tx, c, to) })
}

func (e *Engine) moveApp(ctx context.Context, tx *store.Tx, c appCaller, to authenticator.Address) error {
	credential, err := e.Directory.Credential(ctx, tx, c.account.ID, c.credential.ID)
	if err != nil {
		return err
	}
	q := question{credentials: []directory.Credential{credential}, kind: credential.Kind}
	if credential.State, err = c.how.Move(q.comparable()[0], to); err != nil {
		return err
	}
	if err := e.Directory.UpdateCredential(ctx, tx, credential); err != nil {
		return err
	}
	return tx.Record(audit.Entry{Event: "app.address", Outcome: "ok", Account: int64(c.account.ID), AccountName: c.account.Name, Application: Self, Protocol: AppProtocol,
		Detail: map[string]string{"authenticator": credential.Kind + "/" + strconv.FormatInt(int64(credential.ID), 10), "woken": strconv.FormatBool(to.Endpoint != "")}})
}
