package approval

import (
	"bytes"
	"context"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
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
	Kind   string
	App    string // the handle of its key
	Moment string
	// Count is how often the app has spoken, this time included: from 1.
	Count     int64
	Signature []byte
	// Gesture is its owner's, over the same bytes, as the browser answered it;
	// empty is none.
	Gesture []byte
	Source  netip.Addr
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
func (a *Apps) Moment() string {
	now := a.now().Unix()
	return strconv.FormatInt(now, 10) + "." + base64.RawURLEncoding.EncodeToString(a.keys.MAC(keyring.Push, momentFields(now)))
}

func momentFields(unix int64) *keyring.Fields {
	return keyring.NewFields().String("moment").Int(unix)
}

// goodMoment reports whether a moment is ours and not over.
func (a *Apps) goodMoment(moment string) bool {
	text, sum, ok := strings.Cut(moment, ".")
	unix, err := strconv.ParseInt(text, 10, 64)
	mac, err2 := base64.RawURLEncoding.Strict().DecodeString(sum)
	if !ok || err != nil || err2 != nil || !a.keys.VerifyMAC(keyring.Push, momentFields(unix), mac) {
		return false
	}
	age := a.now().Sub(time.Unix(unix, 0))
	return age > -momentLife && age < momentLife
}

// host is the address that statements name, so that what was signed for one
// installation says nothing to another.
func (a *Apps) host() string {
	host, _, _ := strings.Cut(a.approveAt, "/")
	return host
}

// Apps is what an app may ask of its server. It is safe for concurrent use.
type Apps struct {
	db             *store.DB
	keys           *keyring.Keyring
	people         *directory.Accounts
	credentials    *directory.Credentials
	owners         owners
	now            func() time.Time
	approveAt      string                                                    // see Parts.ApproveAt
	disowned       func(ctx context.Context, tx *store.Tx, d Disowned) error // see Parts.Disown
	kinds          map[string]authenticator.Authenticator
	bars           func(account directory.Account, now time.Time) string
	approvals      *Approvals
	countStranger  func(en audit.Entry)
	recordStranger func(tx *store.Tx, en audit.Entry) error
	spoke          spoke
}

// appCaller is an app whose signature was right.
type appCaller struct {
	account    directory.Account
	credential directory.Credential
	how        authenticator.Approver
	// shown is what it showed with this call.
	shown authenticator.Result
	heard bool // all of the log was heard
}

func (c appCaller) actor() audit.Actor {
	return audit.Actor{Account: int64(c.account.ID), Name: c.account.Name, Via: AppProtocol}
}

// statement is what an app signs to ask for something.
func (a *Apps) statement(call AppCall, verb string, fields []string) authenticator.Memo {
	return authenticator.Statement(append([]string{"countersign " + verb, a.host(), call.App, call.Moment, strconv.FormatInt(call.Count, 10)}, fields...)...)
}

// caller finds out which app calls and whether it signed this statement now. It
// returns the reason of a refusal.
func (a *Apps) caller(ctx context.Context, call AppCall, statement authenticator.Memo) (appCaller, string, error) {
	how, ok := a.kinds[call.Kind].(authenticator.Approver)
	if !ok {
		return appCaller{}, "unknown-kind", nil
	}
	c, err := a.credentials.ByHandle(ctx, a.db, call.Kind, call.App)
	if failure.ClassOf(err) == failure.NotFound {
		return appCaller{}, "unknown-app", nil
	}
	if err != nil {
		return appCaller{}, "", err
	}
	answer, err := answerOf(call)
	if err != nil {
		return appCaller{}, "", err
	}
	signed, err := how.Check(ctx, []authenticator.Credential{Given(c)}, statement, answer, a.now())
	if err != nil {
		return appCaller{}, "", err
	}
	if !signed.OK && signed.Credential == 0 {
		return appCaller{}, signed.Reason, nil // whose it is was not proved, and is not told
	}
	if !a.goodMoment(call.Moment) {
		return appCaller{}, "stale", nil
	}
	out := appCaller{credential: c, how: how, shown: signed}
	if out.account, err = a.people.Get(ctx, a.db, c.Account); err != nil {
		return appCaller{}, "", err
	}
	switch {
	case c.Status != directory.CredentialActive:
		return out, c.Status, nil
	case !signed.OK:
		return out, signed.Reason, nil
	}
	return out, a.bars(out.account, a.now()), nil
}

// answerOf is an app's call as its authenticator reads it.
func answerOf(call AppCall) (prompt.Answer, error) {
	b, err := json.Marshal(struct {
		App       string `json:"app"`
		Signature []byte `json:"signature"`
		Gesture   []byte `json:"gesture"`
	}{call.App, call.Signature, call.Gesture})
	return prompt.Answer{Authenticator: call.Kind, Data: b}, err
}

var appSentences = map[string]string{
	"stale":         "That took too long. Try again.",
	"replayed":      "This was already sent. Try again.",
	"cloned":        "The key of this app is on two devices, so it is switched off. Sign in another way and set it up anew.",
	"uncounted":     "This page is out of date. Close the app, open it again, and try once more.",
	"revoked":       "This app was removed from your account. Add it again under Ways to sign in.",
	"disabled":      "This app is switched off: there were too many wrong numbers, or its key is on two devices. Sign in another way and set it up anew.",
	"wrong-gesture": "Your device did not confirm that it is you. Try again, or use another way.",
	"no-gesture":    "This app was set up to check that it is you before it approves. Try again, or use another way.",
	"quarantine":    "This app was added a short while ago and cannot approve yet. Use another way today.",
}

// admit is caller for those who may go on; who may not leaves an entry, and is only
// counted where no app of ours signed. ripe says that an app in quarantine may not.
func (a *Apps) admit(ctx context.Context, call AppCall, ripe bool, verb string, fields ...string) (appCaller, error) {
	c, reason, err := a.caller(ctx, call, a.statement(call, verb, fields))
	if err != nil {
		return appCaller{}, err
	}
	if reason == "" && call.Count < 1 {
		reason = "uncounted"
	}
	if reason == "" {
		if reason, err = a.checkSignatureCounter(ctx, c, call); err != nil {
			return appCaller{}, err
		}
	}
	if reason == "" && ripe && a.now().Before(c.credential.Quarantine) {
		reason = "quarantine"
	}
	if reason == "" {
		return c, nil
	}
	public := appSentences[reason]
	if public == "" {
		public = "This app is not known here. Add it under Ways to sign in."
	}
	if c.account.ID == 0 {
		a.countStranger(c.refusal(call, reason))
		return appCaller{}, failure.Refuse(reason, public)
	}
	return appCaller{}, a.db.Change(ctx, c.actor(), func(tx *store.Tx) error {
		if reason == "cloned" {
			if err := a.cloned(ctx, tx, c, call); err != nil {
				return err
			}
		}
		// Whoever saw one call can send it again and again.
		if err := a.recordStranger(tx, c.refusal(call, reason)); err != nil {
			return err
		}
		return store.Keep(failure.Refuse(reason, public))
	})
}

// WaitingFor is [Approvals.WaitingFor] for an app: nothing is shown before the
// number was typed in it.
func (a *Apps) WaitingFor(ctx context.Context, call AppCall, typed string) (Waiting, error) {
	c, err := a.admit(ctx, call, true, "look", typed)
	if err != nil {
		return Waiting{}, err
	}
	return a.approvals.under(ctx, c.actor(), guesser{account: c.account.ID, app: &c.credential, protocol: AppProtocol, source: call.Source}, typed)
}

// Waits reports to an app that is open whether a sign-in waits for its owner, where a
// push may not have reached it. It tells no more than the push does, and nothing of
// what no push is sent for: quiet hours and the ladder hold here as well.
func (a *Apps) Waits(ctx context.Context, call AppCall) (bool, error) {
	c, err := a.admit(ctx, call, true, "waits")
	if err != nil {
		return false, err
	}
	var pushed int64
	err = a.db.QueryRow(ctx, `select count(*) from wake w join approval on approval.id = w.approval where w.account = $1 and w.state in ('waiting', 'sent')
		and approval.state = 'waiting' and approval.expires > $2 and not `+replaced,
		int64(c.account.ID), store.Unix(a.now())).Scan(&pushed)
	return pushed > 0, err
}

// Answer approves or refuses what waits. The app signed the number of the
// request, the digits, the text and the decision; all of it must be what waits
// here, for the app's own account. What the app could show when it was bound it
// must show with every approval, so that nobody takes the gesture out; to refuse
// takes none.
func (a *Apps) Answer(ctx context.Context, call AppCall, said AppAnswer) error {
	if said.Decision != Approved && said.Decision != Denies && said.Decision != Disowns {
		return failure.New(failure.Invalid, "Unknown decision.")
	}
	c, err := a.admit(ctx, call, said.Decision == Approved, "answer", strconv.FormatInt(said.ID, 10), said.Number, said.Text, said.Decision)
	if err != nil {
		return err
	}
	return a.approvals.throttle.Confirm(ctx, func(heard bool) error {
		c.heard = heard
		return a.db.Change(ctx, c.actor(), func(tx *store.Tx) error { return a.answer(ctx, tx, call, said, c) })
	})
}

func (a *Apps) answer(ctx context.Context, tx *store.Tx, call AppCall, said AppAnswer, c appCaller) error {
	g := guesser{account: c.account.ID, app: &c.credential, protocol: AppProtocol, source: call.Source, heard: c.heard}
	budget, over, err := a.approvals.budget(ctx, tx, g)
	if err != nil {
		return err
	}
	credential, err := a.credentials.Get(ctx, tx, c.account.ID, c.credential.ID) // it may have been revoked meanwhile
	if err != nil {
		return err
	}
	row, err := a.approvals.rows.waiting(ctx, tx, c.account.ID, said.ID)
	if failure.ClassOf(err) == failure.NotFound {
		return c.refused(tx, call, "late", noApproval.Public)
	}
	if err != nil {
		return err
	}
	number, _ := readNumber(said.Number)
	text := row.body.Waiting.Text()
	switch {
	case credential.Status != directory.CredentialActive:
		return c.refused(tx, call, credential.Status, appSentences[credential.Status])
	case said.Decision == Approved && !c.shown.Traits.Has(credential.Traits):
		return c.refused(tx, call, "no-gesture", appSentences["no-gesture"])
	case c.shown.Next != nil && !bytes.Equal(credential.State, c.credential.State):
		return c.refused(tx, call, "changed", appSentences["stale"]) // and Next would undo it
	case over != "" || subtle.ConstantTimeCompare([]byte(number), []byte(row.body.Number)) != 1:
		return a.approvals.wrong(ctx, tx, g)
	case row.state != "waiting":
		return c.refused(tx, call, "answered", "This request was already answered.")
	case said.Text != text:
		return c.refused(tx, call, "other-text", "The request is not the one that was shown. Type the number again.")
	}
	en := audit.Entry{AccountName: c.account.Name, Protocol: AppProtocol, Source: audit.AddressText(call.Source),
		Detail: map[string]string{"authenticator": credential.Kind + "/" + strconv.FormatInt(int64(credential.ID), 10), "traits": c.shown.Traits.String()}}
	if said.Decision != Approved {
		return a.decline(ctx, tx, row, said.Decision, c, en)
	}
	shown := assurance.Evidence{Account: c.account.ID, Kind: credential.Kind, Credential: credential.ID, Traits: c.shown.Traits &^ assurance.PhishingResistant,
		Time: a.now(), Channel: AppProtocol, Bound: text}
	if err := a.approvals.rows.settle(ctx, tx, row, &shown, en); err != nil {
		return err
	}
	tx.Anchor("app_count", int64(credential.ID), call.Count) // so that all servers know
	if err := a.approvals.throttle.Refund(ctx, tx, budget, credential.ID, false); err != nil {
		return err
	}
	credential.Used = a.now()
	if c.shown.Next != nil {
		credential.State = c.shown.Next
	}
	return a.credentials.Update(ctx, tx, credential)
}

// refused records a refusal in a change that is kept.
func (c appCaller) refused(tx *store.Tx, call AppCall, reason, public string) error {
	if err := tx.Record(c.refusal(call, reason)); err != nil {
		return err
	}
	return store.Keep(failure.Refuse(reason, public))
}

// refusal is the entry of a call that was refused.
func (c appCaller) refusal(call AppCall, reason string) audit.Entry {
	en := audit.Entry{Event: "app.refused", Outcome: "refused", Reason: reason, Account: int64(c.account.ID), AccountName: c.account.Name,
		Application: audit.Self, Protocol: AppProtocol, Source: audit.AddressText(call.Source)}
	if c.shown.Detail != "" {
		en.Detail = map[string]string{"detail": c.shown.Detail}
	}
	return en
}

// decline refuses what waits; "not me" ends what the account has standing and
// closes pushes for a day besides.
func (a *Apps) decline(ctx context.Context, tx *store.Tx, row *Request, decision string, c appCaller, en audit.Entry) error {
	if err := a.approvals.rows.settle(ctx, tx, row, nil, en); err != nil || decision != Disowns {
		return err
	}
	return a.disown(ctx, tx, row, c, en.Source)
}

// disown closes pushes for a day and ends what the account has standing.
func (a *Apps) disown(ctx context.Context, tx *store.Tx, row *Request, c appCaller, source string) error {
	err := a.approvals.rows.wakes.disown(ctx, tx, queuedPush{approval: row.id, account: row.account})
	if err == nil {
		err = tally(ctx, tx, row.account, promptDisowned, a.now())
	}
	if err != nil || a.disowned == nil {
		return err
	}
	return a.disowned(ctx, tx, Disowned{Account: c.account, Entry: audit.Entry{Protocol: AppProtocol, Source: source, Attempt: row.body.Attempt,
		Detail: map[string]string{"request": row.body.Waiting.Text()}}})
}

// disownable is for how long a sign-in that nobody answered can be disowned.
const disownable = time.Hour

// NotMe refuses all that waits, without a number: who is woken for a sign-in
// that somebody else began sees no number. It shows nothing of what waits, and is
// refused where nothing did in the last hour.
func (a *Apps) NotMe(ctx context.Context, call AppCall) error {
	c, err := a.admit(ctx, call, true, "disown")
	if err != nil {
		return err
	}
	return a.db.Change(ctx, c.actor(), func(tx *store.Tx) error { return a.disownAll(ctx, tx, call, c) })
}

// left are the account's approvals of the last hour that nobody answered.
func (a *Apps) left(ctx context.Context, r store.Reader, account assurance.AccountID) ([]*Request, error) {
	rows, err := r.Query(ctx, `select `+approvalColumns+` from approval where account = $1 and state = 'waiting' and created > $2 order by id`,
		int64(account), store.Unix(a.now().Add(-disownable)))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []*Request
	for rows.Next() {
		row, err := a.approvals.rows.scan(ctx, rows)
		if failure.ClassOf(err) == failure.NotFound {
			continue // it is not as it was left
		}
		if err != nil {
			return nil, err
		}
		out = append(out, row)
	}
	return out, rows.Err()
}

func (a *Apps) disownAll(ctx context.Context, tx *store.Tx, call AppCall, c appCaller) error {
	waiting, err := a.left(ctx, tx, c.account.ID)
	if err != nil {
		return err
	}
	if len(waiting) == 0 {
		return c.refused(tx, call, "nothing-waits", "Nobody began a sign-in as you in the last hour that waits for you.")
	}
	source := audit.AddressText(call.Source)
	for _, row := range waiting {
		if err := a.approvals.rows.settle(ctx, tx, row, nil, audit.Entry{AccountName: c.account.Name, Protocol: AppProtocol, Source: source, Detail: map[string]string{}}); err != nil {
			return err
		}
	}
	return a.disown(ctx, tx, waiting[len(waiting)-1], c, source)
}

// Move keeps where an app can be woken; an empty endpoint is nowhere. Where it is known
// already nothing is written.
func (a *Apps) Move(ctx context.Context, call AppCall, to authenticator.Address) error {
	enc := base64.RawURLEncoding.EncodeToString
	c, err := a.admit(ctx, call, false, "move", to.Endpoint, enc(to.Public), enc(to.Secret))
	if err != nil {
		return err
	}
	err = a.db.Change(ctx, c.actor(), func(tx *store.Tx) error { return c.move(ctx, tx, a.credentials, to) })
	if errors.Is(err, errSameAddress) {
		return nil
	}
	return err
}

// errSameAddress ends a change that would change nothing: an app says where it is at each start.
var errSameAddress = errors.New("approval: the app is where it was")

// move keeps the address, and an entry that says only whether there is one.
func (c appCaller) move(ctx context.Context, tx *store.Tx, all *directory.Credentials, to authenticator.Address) error {
	credential, err := all.Get(ctx, tx, c.account.ID, c.credential.ID)
	if err != nil {
		return err
	}
	if is, ok := c.how.Address(Given(credential)); ok && is.Endpoint == to.Endpoint && bytes.Equal(is.Public, to.Public) && bytes.Equal(is.Secret, to.Secret) {
		return errSameAddress
	}
	if credential.State, err = c.how.Move(Given(credential), to); err != nil {
		return err
	}
	if err := all.Update(ctx, tx, credential); err != nil {
		return err
	}
	return tx.Record(audit.Entry{Event: "app.address", Outcome: "ok", Account: int64(c.account.ID), AccountName: c.account.Name, Application: audit.Self, Protocol: AppProtocol,
		Detail: map[string]string{"authenticator": credential.Kind + "/" + strconv.FormatInt(int64(credential.ID), 10), "woken": strconv.FormatBool(to.Endpoint != "")}})
}
