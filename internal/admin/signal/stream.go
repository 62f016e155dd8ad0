package signal

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"time"

	"countersign/internal/admin"
	"countersign/internal/assurance"
	"countersign/internal/directory"
	"countersign/internal/failure"
	"countersign/internal/secevent"
	signals "countersign/internal/signal"
	"countersign/internal/signin"
	"countersign/internal/signingkey"
	"countersign/internal/store"
	"countersign/internal/text"
)

// streamDesk is where streams are administered.
type streamDesk struct {
	admin.Book
	db          *store.DB
	people      *directory.Accounts
	streams     *signals.Streams
	transmitter *signals.Transmitter
	public      *url.URL
	now         func() time.Time
}

// Settings are those of a stream, as they are written in a file. What is left out is the default.
type Settings struct {
	Audience      []string `json:"audience,omitempty"`
	Delivery      string   `json:"delivery"`
	Endpoint      string   `json:"endpoint,omitempty"`
	Authorization string   `json:"authorization,omitempty"`
	Events        []string `json:"events,omitempty"`
	Requested     []string `json:"requested,omitempty"`
	Format        string   `json:"format,omitempty"`
	Subjects      string   `json:"subjects,omitempty"`
	Algorithm     string   `json:"algorithm,omitempty"`
	Description   string   `json:"description,omitempty"`
}

// Stream is a stream, as it is shown.
type Stream struct {
	Name string `json:"name"`
	// ID is what its receiver calls it (stream_id).
	ID string `json:"id"`
	// Receiver is the service account whose keys may manage and poll it, or empty.
	Receiver string `json:"receiver,omitempty"`
	// Poll is where its receiver polls, or empty.
	Poll     string   `json:"poll,omitempty"`
	Settings Settings `json:"settings"`
	Status   string   `json:"status"`
	Reason   string   `json:"reason,omitempty"`
	// Problem is why its receiver takes nothing, as the server that answers finds it.
	Problem string `json:"problem,omitempty"`
	// Added are those whom a stream of chosen people tells of; Removed those of whom it is silent.
	Added   []string  `json:"added,omitempty"`
	Removed []string  `json:"removed,omitempty"`
	Created time.Time `json:"created"`
}

// PollPath is where streams are polled, before their IDs.
const PollPath = "/signals/poll/"

// settingsShown are the settings of a stream, without its secret.
func settingsShown(one signals.Stream) Settings {
	return Settings{one.Audience, one.Delivery, one.Endpoint, hide(one.Authorization), shorts(one.Events), one.Requested, one.Format, one.Subjects, one.Algorithm, one.Description}
}

func (a *streamDesk) shown(ctx context.Context, r store.Reader, one signals.Stream) (Stream, error) {
	out := Stream{Name: one.Name, ID: one.ID, Status: one.Status, Reason: one.Reason, Problem: a.transmitter.Problem(one), Created: one.Created,
		Settings: settingsShown(one)}
	if one.Delivery == signals.Poll {
		out.Poll = a.public.JoinPath(PollPath, one.ID).String()
	}
	var err error
	if out.Receiver, err = nameOf(ctx, r, a.people, one.Receiver); err != nil {
		return out, err
	}
	for _, list := range []struct {
		from []assurance.AccountID
		to   *[]string
	}{{one.Added, &out.Added}, {one.Removed, &out.Removed}} {
		for _, id := range list.from {
			name, err := nameOf(ctx, r, a.people, id)
			if err != nil {
				return out, err
			}
			*list.to = append(*list.to, name)
		}
	}
	return out, nil
}

// own refuses a stream that is not the grant's service account's, as one that is not there.
func (a *streamDesk) own(ctx context.Context, r store.Reader, g signin.Grant, one signals.Stream) error {
	id, err := service(ctx, r, a.people, g)
	if err == nil && id != 0 && one.Receiver != id {
		err = failure.At("name", failure.New(failure.NotFound, "There is no stream named %q.", one.Name))
	}
	return err
}

// find returns a stream inside a change that the grant reaches.
func (a *streamDesk) find(ctx context.Context, tx *store.Tx, g signin.Grant, name string) (signals.Stream, error) {
	one, err := a.streams.Find(ctx, tx, name)
	if err != nil {
		return one, err
	}
	return one, a.own(ctx, tx, g, one)
}

// ListStreams lists streams.
type ListStreams struct{}

func (c *ListStreams) Action() string { return "stream.list" }
func (c *ListStreams) Object() string { return "" }

func (c *ListStreams) Do(ctx context.Context, a *streamDesk, g signin.Grant) (any, error) {
	id, err := service(ctx, a.db, a.people, g)
	if err != nil {
		return nil, err
	}
	all, err := a.streams.All(ctx)
	if err != nil {
		return nil, err
	}
	out := []Stream{}
	for _, one := range all {
		if id != 0 && one.Receiver != id {
			continue
		}
		s, err := a.shown(ctx, a.db, one)
		if err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, nil
}

// ShowStream shows a stream, without its secret.
type ShowStream struct {
	Name string `json:"name" arg:"" help:"The stream."`
}

func (c *ShowStream) Action() string { return "stream.show" }
func (c *ShowStream) Object() string { return "" }

func (c *ShowStream) Do(ctx context.Context, a *streamDesk, g signin.Grant) (any, error) {
	all, err := a.streams.All(ctx)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(all, func(one signals.Stream) bool { return one.Name == c.Name })
	if i < 0 {
		return nil, failure.At("name", failure.New(failure.NotFound, "There is no stream named %q.", c.Name))
	}
	if err := a.own(ctx, a.db, g, all[i]); err != nil {
		return nil, err
	}
	return a.shown(ctx, a.db, all[i])
}

// CreateStream makes a stream. A key makes one for its own service account.
type CreateStream struct {
	Name     string          `json:"name" arg:"" help:"What you call the stream: a-z, 0-9, dot and hyphen."`
	Receiver string          `json:"receiver,omitempty" help:"The service account whose keys may manage and poll it."`
	Settings json.RawMessage `json:"settings" required:"" type:"json-file" placeholder:"FILE" help:"Its settings, JSON (docs/signals.md); - reads standard input."`
}

func (c *CreateStream) Action() string { return "stream.create" }
func (c *CreateStream) Object() string { return c.Said() + digest(c.Settings) }

// Said is the text without the digest.
func (c *CreateStream) Said() string { return streamFor(c.Name, c.Receiver) + ", new" }

func streamFor(name, receiver string) string {
	what := "stream " + text.Name(name)
	if receiver != "" {
		what += " for the receiver " + text.Name(receiver)
	}
	return what
}

// Tell shows the settings, without the secret.
func (c *CreateStream) Tell(_ context.Context, _ *streamDesk, s *admin.Sheet) error {
	rows, err := admin.Values(nil, c.Settings, Secret)
	if err == nil {
		s.Rows("settings", rows...)
	}
	return nil //nolint:nilerr // what cannot be read is refused when it is done
}

// settingsOf are what a stream is to be set to, over what it is set to now.
func settingsOf(raw json.RawMessage, now signals.StreamSettings) (signals.StreamSettings, error) {
	var in Settings
	if err := decode(raw, &in); err != nil {
		return now, err
	}
	out := signals.StreamSettings{Audience: in.Audience, Delivery: in.Delivery, Endpoint: in.Endpoint, Events: typesOf(in.Events, secevent.Sent()), Requested: in.Requested, Description: in.Description,
		Format: cmp.Or(in.Format, secevent.IssSub), Subjects: cmp.Or(in.Subjects, signals.Everybody), Algorithm: cmp.Or(in.Algorithm, signingkey.ES256)}
	if len(out.Events) == 0 && len(in.Requested) == 0 {
		out.Events = []string{secevent.SessionRevoked, secevent.CredentialChange}
	}
	var err error
	out.Authorization, err = keptSecret(in.Authorization, in.Endpoint, now.Authorization, now.Endpoint)
	return out, err
}

func (c *CreateStream) Do(ctx context.Context, a *streamDesk, g signin.Grant) (any, error) {
	set, err := settingsOf(c.Settings, signals.StreamSettings{})
	if err != nil {
		return nil, err
	}
	var out Stream
	err = a.Change(ctx, g, "stream.created", map[string]string{"name": c.Name}, nil, func(tx *store.Tx) error {
		one := signals.Stream{Name: c.Name, StreamSettings: set}
		if one.Receiver, err = a.receiver(ctx, tx, g, c.Receiver); err != nil {
			return err
		}
		if one, err = a.streams.Create(ctx, tx, one); err != nil {
			return err
		}
		out, err = a.shown(ctx, tx, one)
		return err
	})
	return out, err
}

// receiver is the service account that a stream is for. A service account's own key makes it for
// nobody else.
func (a *streamDesk) receiver(ctx context.Context, tx *store.Tx, g signin.Grant, name string) (assurance.AccountID, error) {
	own, err := service(ctx, tx, a.people, g)
	if err != nil {
		return 0, err
	}
	id, err := found(ctx, tx, a.people, "receiver", name)
	if err != nil {
		return 0, err
	}
	if own != 0 && id != 0 && id != own {
		return 0, failure.At("receiver", failure.New(failure.Refused, "An automation key makes streams for its own account alone."))
	}
	return cmp.Or(own, id), nil
}

// UpdateStream changes the settings of a stream; its state and its subjects stay.
type UpdateStream struct {
	Name     string          `json:"name" arg:"" help:"The stream."`
	Settings json.RawMessage `json:"settings" required:"" type:"json-file" placeholder:"FILE" help:"All of its settings, JSON; an authorization that says (hidden) stays. - reads standard input."`
}

func (c *UpdateStream) Action() string { return "stream.update" }
func (c *UpdateStream) Object() string { return c.Said() + digest(c.Settings) }

// Said is the text without the digest.
func (c *UpdateStream) Said() string { return streamFor(c.Name, "") }

// Tell compares the settings with those that are there.
func (c *UpdateStream) Tell(ctx context.Context, a *streamDesk, s *admin.Sheet) error {
	all, err := a.streams.All(ctx)
	i := slices.IndexFunc(all, func(one signals.Stream) bool { return one.Name == c.Name })
	if err != nil || i < 0 {
		return err
	}
	was, err := a.shown(ctx, a.db, all[i])
	if err != nil {
		return err
	}
	before, err := json.Marshal(was.Settings)
	if err != nil {
		return err
	}
	if rows, err := admin.Values(before, c.Settings, Secret); err == nil {
		s.Rows("settings", rows...)
	}
	return nil
}

func (c *UpdateStream) Do(ctx context.Context, a *streamDesk, g signin.Grant) (any, error) {
	return a.change(ctx, g, changing{event: "stream.updated", name: c.Name, do: func(_ *store.Tx, one *signals.Stream) error {
		set, err := settingsOf(c.Settings, one.StreamSettings)
		if err == nil && !slices.Equal(set.Audience, one.Audience) {
			var own assurance.AccountID
			if own, err = service(ctx, a.db, a.people, g); err == nil && own != 0 {
				err = failure.At("audience", failure.New(failure.Refused, "The audience of a stream is its transmitter's to change."))
			}
		}
		one.StreamSettings = set
		return err
	}})
}

// changing is a change of one stream.
type changing struct {
	event, name string
	detail      map[string]string
	about       *directory.Account
	do          func(tx *store.Tx, one *signals.Stream) error
}

// change changes a stream, and has it tried at once.
func (a *streamDesk) change(ctx context.Context, g signin.Grant, c changing) (any, error) {
	detail := map[string]string{"name": c.name}
	for k, v := range c.detail {
		detail[k] = v
	}
	var out Stream
	var is signals.Stream
	err := a.Change(ctx, g, c.event, detail, c.about, func(tx *store.Tx) error {
		one, err := a.find(ctx, tx, g, c.name)
		if err != nil {
			return err
		}
		detail["stream"] = one.ID
		if err := c.do(tx, &one); err != nil {
			return err
		}
		if err := a.streams.Update(ctx, tx, one); err != nil {
			return err
		}
		is = one
		out, err = a.shown(ctx, tx, one)
		return err
	})
	if err == nil {
		a.transmitter.Wake(is)
	}
	return out, err
}

// RemoveStream removes a stream.
type RemoveStream struct {
	Name   string `json:"name" arg:"" help:"The stream."`
	Reason string `json:"reason,omitempty" help:"Why, for the log."`
}

func (c *RemoveStream) Action() string { return "stream.remove" }
func (c *RemoveStream) Object() string { return admin.WithReason(streamFor(c.Name, ""), c.Reason) }

func (c *RemoveStream) Do(ctx context.Context, a *streamDesk, g signin.Grant) (any, error) {
	err := a.Change(ctx, g, "stream.removed", map[string]string{"name": c.Name, "reason": c.Reason}, nil, func(tx *store.Tx) error {
		one, err := a.find(ctx, tx, g, c.Name)
		if err != nil {
			return err
		}
		return a.streams.Remove(ctx, tx, one)
	})
	return map[string]string{"removed": c.Name}, err
}

// SetStatus changes the state of a stream.
type SetStatus struct {
	Name   string `json:"name" arg:"" help:"The stream."`
	Status string `json:"status" arg:"" help:"enabled, paused or disabled."`
	Reason string `json:"reason,omitempty" help:"Why: for the log, and for its receiver."`
}

func (c *SetStatus) Action() string { return "stream.set-status" }
func (c *SetStatus) Object() string {
	return admin.WithReason(streamFor(c.Name, "")+" to "+text.Name(c.Status), c.Reason)
}

func (c *SetStatus) Do(ctx context.Context, a *streamDesk, g signin.Grant) (any, error) {
	own, err := service(ctx, a.db, a.people, g)
	if err != nil {
		return nil, err
	}
	return a.change(ctx, g, changing{event: "stream.status-set", name: c.Name, detail: map[string]string{"status": c.Status, "reason": c.Reason}, do: func(tx *store.Tx, one *signals.Stream) error {
		return a.streams.Set(ctx, tx, one, signals.Status{To: c.Status, Reason: c.Reason, Ours: own == 0})
	}})
}

// mostSubjects bounds whom a stream names one by one.
const mostSubjects = 1000

// AddSubject has a stream tell of somebody.
type AddSubject struct {
	Name            string `json:"name" arg:"" help:"The stream."`
	Account         string `json:"account" arg:"" help:"Of whom it tells."`
	admin.AuditText `embed:""`
}

func (c *AddSubject) Action() string { return "stream.add-subject" }
func (c *AddSubject) About() *string { return &c.Account }
func (c *AddSubject) Object() string { return streamFor(c.Name, "") + " tells of " + c.Of(c.Account) }

func (c *AddSubject) Do(ctx context.Context, a *streamDesk, g signin.Grant) (any, error) {
	return a.subject(ctx, g, "stream.subject-added", c.Name, c.Account, func(one *signals.Stream, id assurance.AccountID) {
		one.Removed = without(one.Removed, id)
		if one.Subjects == signals.Chosen {
			one.Added = append(without(one.Added, id), id)
		}
	})
}

// RemoveSubject has a stream be silent about somebody.
type RemoveSubject struct {
	Name            string `json:"name" arg:"" help:"The stream."`
	Account         string `json:"account" arg:"" help:"Of whom it tells no more."`
	admin.AuditText `embed:""`
}

func (c *RemoveSubject) Action() string { return "stream.remove-subject" }
func (c *RemoveSubject) About() *string { return &c.Account }
func (c *RemoveSubject) Object() string {
	return streamFor(c.Name, "") + " is silent about " + c.Of(c.Account)
}

func (c *RemoveSubject) Do(ctx context.Context, a *streamDesk, g signin.Grant) (any, error) {
	return a.subject(ctx, g, "stream.subject-removed", c.Name, c.Account, func(one *signals.Stream, id assurance.AccountID) {
		one.Added = without(one.Added, id)
		if one.Subjects != signals.Chosen {
			one.Removed = append(without(one.Removed, id), id)
		}
	})
}

func without(all []assurance.AccountID, id assurance.AccountID) []assurance.AccountID {
	return slices.DeleteFunc(slices.Clone(all), func(one assurance.AccountID) bool { return one == id })
}

func (a *streamDesk) subject(ctx context.Context, g signin.Grant, event, name, account string, do func(one *signals.Stream, id assurance.AccountID)) (any, error) {
	var d directory.Account
	return a.change(ctx, g, changing{event: event, name: name, about: &d, do: func(tx *store.Tx, one *signals.Stream) error {
		var err error
		if d, err = a.people.Find(ctx, tx, account); err != nil {
			return failure.At("account", err)
		}
		if d.Kind != directory.Person {
			return failure.At("account", failure.New(failure.Invalid, "%s is no person; signals are about people.", d.Name))
		}
		if do(one, d.ID); len(one.Added)+len(one.Removed) > mostSubjects {
			return failure.New(failure.Conflict, "A stream names %d people at most; have it tell of everybody, or make another one.", mostSubjects)
		}
		return nil
	}})
}

// verifyEvery is how often a verification can be asked for (min_verification_interval).
const verifyEvery = 5 * time.Second

// VerifySeconds is verifyEvery, for the receiver.
const VerifySeconds = int(verifyEvery / time.Second)

// ErrTooSoon says that a verification was asked for just before.
var ErrTooSoon = failure.New(failure.Unavailable, "A verification was asked for just now; wait %d seconds.", VerifySeconds)

// Verify sends a verification on a stream.
type Verify struct {
	Name  string `json:"name" arg:"" help:"The stream."`
	State string `json:"state,omitempty" help:"What the verification is to say, so that its receiver knows it again."`
}

func (c *Verify) Action() string { return "stream.verify" }
func (c *Verify) Object() string { return admin.WithReason(streamFor(c.Name, ""), c.State) }

func (c *Verify) Do(ctx context.Context, a *streamDesk, g signin.Grant) (any, error) {
	if len(c.State) > 255 || !text.Clean(c.State) {
		return nil, failure.At("state", failure.New(failure.Invalid, "The state has 255 bytes at most, all of them visible."))
	}
	return a.change(ctx, g, changing{event: signals.VerifyEvent, name: c.Name, detail: map[string]string{"state": c.State}, do: func(tx *store.Tx, one *signals.Stream) error {
		if tx.Now().Sub(one.Asked).Abs() < verifyEvery {
			return ErrTooSoon
		}
		if one.Status != signals.Enabled {
			return failure.New(failure.Conflict, "The stream %s is %s, so that nothing is sent on it; enable it first.", one.Name, one.Status)
		}
		one.Asked = tx.Now()
		return nil
	}})
}

// Polled is what a poll answers: tokens by their names, and whether there are more.
type Polled struct {
	Sets map[string]string `json:"sets"`
	More bool              `json:"more"`
}

// PollStream takes what waits on a stream.
type PollStream struct {
	Name    string            `json:"name" arg:"" help:"The stream."`
	Most    int               `json:"most,omitempty" default:"20" help:"How many tokens at most, 100 in all; 0 takes none."`
	Acked   []string          `json:"acknowledge,omitempty" name:"acknowledge" help:"The name of a token that was taken before, and is not given again; give it again for more."`
	Refused map[string]string `json:"refused,omitempty" kong:"-" help:"Names of tokens that could not be taken, with why."`
	Waits   bool              `json:"wait,omitempty" help:"Wait for a while where nothing is there."`
}

func (c *PollStream) Action() string { return "stream.poll" }
func (c *PollStream) Object() string {
	out := fmt.Sprintf("%s: at most %d tokens", streamFor(c.Name, ""), c.Most)
	if c.Waits {
		out += ", waiting for some"
	}
	for _, id := range c.Acked {
		out += ", taken: " + text.Name(id)
	}
	for _, id := range slices.Sorted(maps.Keys(c.Refused)) {
		out += ", not taken: " + text.Name(id) + " (" + text.Name(c.Refused[id]) + ")"
	}
	return out
}

func (c *PollStream) Do(ctx context.Context, a *streamDesk, g signin.Grant) (any, error) {
	all, err := a.streams.All(ctx)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(all, func(one signals.Stream) bool { return one.Name == c.Name })
	if i < 0 {
		return nil, failure.At("name", failure.New(failure.NotFound, "There is no stream named %q.", c.Name))
	}
	if err := a.own(ctx, a.db, g, all[i]); err != nil {
		return nil, err
	}
	got, err := a.transmitter.Poll(ctx, all[i], signals.Asked{Most: c.Most, Acked: c.Acked, Refused: c.Refused, Waits: c.Waits})
	return Polled{got.Sets, got.More}, err
}
