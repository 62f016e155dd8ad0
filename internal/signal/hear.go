package signal

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"

	"countersign/internal/assurance"
	"countersign/internal/audit"
	"countersign/internal/directory"
	"countersign/internal/failure"
	"countersign/internal/secevent"
	"countersign/internal/session"
	"countersign/internal/store"
)

// Hearing hears what sources say. It is safe for concurrent use.
type Hearing struct {
	db        *store.DB
	sources   *Sources
	people    *directory.Accounts
	roll      *directory.Roll
	externals *directory.Externals
	endings   *session.Endings
	keys      *keySets
	caller    caller
	now       func() time.Time
	log       *slog.Logger

	mu   sync.Mutex
	ears map[string]*ear // by the source's name
}

// ear is what this server knows of a source.
type ear struct {
	under   int       // requests under way
	problem string    // why it cannot be asked
	until   time.Time // when it is asked again
	pause   time.Duration
	noted   time.Time // when the log was last told of what it says of its stream
	has     []string  // tokens that it is told we have
	errs    map[string]refusal
}

func newHearing(p Parts, s *Sources) *Hearing {
	c := caller{p.Inside, p.CA}
	return &Hearing{db: p.DB, sources: s, people: p.Accounts, roll: p.Roll, externals: p.Externals, endings: p.Endings, keys: newKeySets(c, p.Now), caller: c, now: p.Now, log: p.Log, ears: map[string]*ear{}}
}

const (
	// heardKind is the kind of the ends by which tokens are obeyed once.
	heardKind = "signal-heard"
	// HeededEvent is the entry of a signal that was obeyed.
	HeededEvent = "signal.heeded"
	// mostUnder is how many requests of one source are served at once.
	mostUnder = 4
)

// ErrPaused says that a source is not heard at the moment, and ErrCrowded that it says too much at
// once. Both are over in a while, and the transmitter sends again.
var (
	ErrPaused  = failure.New(failure.Unavailable, "This receiver is paused; send again later.")
	ErrCrowded = failure.New(failure.Unavailable, "Too many signals at once; send one after the other.")
	// ErrStranger is a request without the right secret.
	ErrStranger = failure.Refuse("other-secret", "The secret is not the one for this address.")
)

// Pushed hears a token that was pushed. A [secevent.Fault] says what is wrong with it.
func (h *Hearing) Pushed(ctx context.Context, name, secret string, body func() ([]byte, error)) error {
	one, err := h.sources.Named(ctx, name)
	if err != nil && failure.ClassOf(err) != failure.NotFound {
		return err
	}
	if !same(one.Secret, secret) || one.Delivery != Push {
		return ErrStranger
	}
	done, err := h.enter(one)
	if err != nil {
		return err
	}
	defer done()
	text, err := body()
	if err != nil {
		return err
	}
	return h.hear(ctx, one, strings.TrimSpace(string(text)))
}

// same compares secrets; the empty one is nobody's.
func same(want, got string) bool {
	a, b := sha256.Sum256([]byte(want)), sha256.Sum256([]byte(got))
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1 && want != ""
}

// enter takes a place for a request of a source.
func (h *Hearing) enter(one Source) (done func(), err error) {
	if one.Status != Enabled {
		return nil, ErrPaused
	}
	e := h.ear(one.Name)
	h.mu.Lock()
	defer h.mu.Unlock()
	if e.under >= mostUnder {
		return nil, ErrCrowded
	}
	e.under++
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		e.under--
	}, nil
}

func (h *Hearing) ear(name string) *ear {
	h.mu.Lock()
	defer h.mu.Unlock()
	e, ok := h.ears[name]
	if !ok {
		e = &ear{}
		h.ears[name] = e
	}
	return e
}

// hear believes a token, and does what it comes to.
func (h *Hearing) hear(ctx context.Context, one Source, text string) error {
	token, err := h.believe(ctx, one, text)
	if err != nil {
		return err
	}
	for i, e := range token.Events {
		if e.Type == secevent.Verification || e.Type == secevent.StreamUpdated {
			if err := h.note(ctx, one, e); err != nil {
				return err
			}
			continue
		}
		if !slices.Contains(one.Events, e.Type) || !worse(e) {
			continue
		}
		if err := h.heed(ctx, one, token, i); err != nil {
			return err
		}
	}
	return nil
}

// believe verifies a token by the keys of its issuer. Keys that do not have the one by which it is
// signed are fetched anew, now and then.
func (h *Hearing) believe(ctx context.Context, one Source, text string) (secevent.Token, error) {
	want := secevent.Expected{Issuer: one.Issuer, Audience: one.Audience, Now: h.now(), Oldest: Keeps}
	for _, a := range one.Algorithms {
		want.Algorithms = append(want.Algorithms, jose.SignatureAlgorithm(a))
	}
	for _, anew := range []bool{false, true} {
		keys, fetched, err := h.keys.of(ctx, one, anew)
		if err != nil {
			return secevent.Token{}, err
		}
		want.Keys = keys
		token, err := secevent.Parse(text, want)
		if !errors.Is(err, secevent.ErrUnknownKey) || fetched {
			return token, err
		}
	}
	return secevent.Token{}, secevent.ErrUnknownKey
}

// worse reports whether an event says that something became worse. Nothing is done for one that
// says that all is well.
func worse(e secevent.Event) bool {
	switch e.Type {
	case secevent.AssuranceChange:
		return decreased(e)
	case secevent.RiskChange:
		return e.Text("current_level") == "HIGH"
	}
	return true
}

// decreased reports whether a level fell, by its word or by its levels. Levels of a namespace that
// is unknown here say nothing.
func decreased(e secevent.Event) bool {
	if e.Text("change_direction") != "" {
		return e.Text("change_direction") == "decrease"
	}
	now, was := e.Text("current_level"), e.Text("previous_level")
	return e.Text("namespace") == "NIST-AAL" && was != "" && strings.HasPrefix(now, "nist-aal") && strings.HasPrefix(was, "nist-aal") && now < was
}

// risky are the events after which an account is at risk: somebody else may have what signs in.
func risky(event string) bool {
	return event == secevent.CredentialCompromise || event == secevent.RiskChange
}

// heed does what an event comes to: it ends all sessions of its subject, so that they have to sign
// in again, and it may put the account at risk. It is done once, however often it comes.
func (h *Hearing) heed(ctx context.Context, one Source, token secevent.Token, i int) error {
	who, err := h.subject(ctx, one, token.Subject)
	if err != nil || who == 0 {
		return err
	}
	id := heardName(one, token, i)
	return h.db.Change(ctx, audit.System("signals"), func(tx *store.Tx) error {
		is, err := h.sources.Find(ctx, tx, one.Name)
		if err != nil {
			return err
		}
		if is.party.id != one.party.id || is.Status != Enabled {
			return ErrPaused
		}
		if h.db.Over(heardKind, id) || slices.ContainsFunc(is.Acts, func(a act) bool { return a.ID == id }) {
			tx.Unrecorded()
			return nil
		}
		if over := h.spend(&is, id); over {
			return h.pause(ctx, tx, is)
		}
		if err := h.sources.parties.update(ctx, tx, is.party, is); err != nil {
			return err
		}
		tx.End(heardKind, id, token.Issued.Add(Keeps+time.Hour))
		return h.end(ctx, tx, is, token, i, who)
	})
}

// heardName names an event of a token of a source, for good.
func heardName(one Source, token secevent.Token, i int) string {
	sum := sha256.Sum256([]byte(strconv.FormatInt(one.party.id, 10) + "\x00" + token.ID + "\x00" + token.Events[i].Type))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}

// spend takes an act from the budget of the hour, and reports whether none was left.
func (h *Hearing) spend(one *Source, id string) (over bool) {
	since := store.Unix(h.now().Add(-time.Hour))
	one.Acts = slices.DeleteFunc(one.Acts, func(a act) bool { return a.At <= since })
	if len(one.Acts) >= one.Most {
		return true
	}
	one.Acts = append(one.Acts, act{store.Unix(h.now()), id})
	return false
}

// pause stops hearing a source that says more than it may, until an administrator looks at it.
func (h *Hearing) pause(ctx context.Context, tx *store.Tx, one Source) error {
	one.Status, one.Reason = Paused, "It said more in an hour than it is obeyed for."
	if err := h.sources.parties.update(ctx, tx, one.party, one); err != nil {
		return err
	}
	if err := tx.Record(audit.Entry{Event: "alarm.source-paused", Outcome: audit.Refused, Application: audit.Self, Detail: map[string]string{"source": one.Name, "most": strconv.Itoa(one.Most)}}); err != nil {
		return err
	}
	return store.Keep(ErrPaused)
}

// end ends what somebody has here.
func (h *Hearing) end(ctx context.Context, tx *store.Tx, one Source, token secevent.Token, i int, who assurance.AccountID) error {
	d, err := h.people.Get(ctx, tx, who)
	if err != nil {
		return err
	}
	ended, err := h.endings.EndAllTx(ctx, tx, who, "")
	if err != nil {
		return err
	}
	event := token.Events[i]
	detail := map[string]string{"source": one.Name, "event": secevent.Short(event.Type), "signal": token.ID, "sessions": strconv.Itoa(ended)}
	if token.Transaction != "" {
		detail["transaction"] = token.Transaction
	}
	if risky(event.Type) && d.Risk.IsZero() {
		d.Risk = h.now().Truncate(time.Microsecond)
		detail["risk"] = "begun"
		if err := h.people.Update(ctx, tx, d); err != nil {
			return err
		}
	}
	return tx.Record(audit.Entry{Event: HeededEvent, Outcome: audit.OK, Account: int64(d.ID), AccountName: d.Name, Application: audit.Self, Detail: detail})
}

// noteEvery is how often the log is told of what a source says of its stream.
const noteEvery = time.Minute

// note writes down what a source says of its own stream: that it is heard, or that it is paused.
func (h *Hearing) note(ctx context.Context, one Source, e secevent.Event) error {
	ear := h.ear(one.Name)
	h.mu.Lock()
	told := h.now().Sub(ear.noted) < noteEvery
	if !told {
		ear.noted = h.now()
	}
	h.mu.Unlock()
	if told {
		return nil
	}
	en := audit.Entry{Event: "source.verified", Outcome: audit.OK, Application: audit.Self, Detail: map[string]string{"source": one.Name}}
	if e.Type == secevent.StreamUpdated {
		en.Event, en.Detail["status"] = "source.stream-updated", e.Text("status")
	}
	return h.db.Change(ctx, audit.System("signals"), func(tx *store.Tx) error { return tx.Record(en) })
}

// says is what an administrator is told of sources.
func (h *Hearing) says(ctx context.Context) []string {
	all, err := h.sources.All(ctx)
	if err != nil {
		return nil
	}
	var out []string
	for _, one := range all {
		if one.Status != Enabled {
			out = append(out, "The source of signals "+one.Name+" is not heard: "+one.Reason)
		} else if why := h.Problem(one); why != "" {
			out = append(out, "The source of signals "+one.Name+" cannot be asked: "+why)
		}
	}
	return out
}

// Problem is why a source cannot be asked, as this server finds it.
func (h *Hearing) Problem(one Source) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	if e := h.ears[one.Name]; e != nil {
		return e.problem
	}
	return ""
}
