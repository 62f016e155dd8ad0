// Package signal is the commands about shared signals: the streams on which we tell other systems
// what happens to people here, and the sources by which others tell us.
//
// It owns what of them is shown, how settings are read, and who may see which: a service account
// reaches only the streams whose receiver it is. Streams and sources are kept by
// countersign/internal/signal. Its one invariant: a secret that was given is never shown again, and
// never sent to another address than the one that it was given for.
package signal

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/url"
	"strings"
	"time"

	"countersign/internal/admin"
	"countersign/internal/assurance"
	"countersign/internal/directory"
	"countersign/internal/failure"
	"countersign/internal/secevent"
	signals "countersign/internal/signal"
	"countersign/internal/signin"
	"countersign/internal/store"
)

// Commands are those about signals, with what each answers and leaves in the log.
func Commands() []admin.Spec {
	return []admin.Spec{
		admin.Looks[ListStreams]("List the streams on which other systems are told what happens to people here.", []Stream{}),
		admin.Looks[ShowStream]("Show a stream: its settings, its state, and whether its receiver takes what is sent.", Stream{}),
		admin.Changes[CreateStream]("Make a stream to a receiver of signals.", Stream{}).
			Telling("stream.created", "{by} made the stream {detail.name}"),
		admin.Changes[UpdateStream]("Change the settings of a stream.", Stream{}).
			Telling("stream.updated", "{by} changed the stream {detail.name}"),
		admin.Changes[RemoveStream]("Remove a stream, and what waits on it.", map[string]string{}).
			Telling("stream.removed", "{by} removed the stream {detail.name}"),
		admin.Changes[SetStatus]("Enable, pause or disable a stream: one that is paused keeps what happens, one that is disabled does not.", Stream{}).
			Telling("stream.status-set", "{by} set the stream {detail.name} to {detail.status}: {detail.reason}"),
		admin.Changes[AddSubject]("Have a stream tell of somebody.", Stream{}).
			Telling("stream.subject-added", "{by} has the stream {detail.name} tell of {who}"),
		admin.Changes[RemoveSubject]("Have a stream be silent about somebody.", Stream{}).
			Telling("stream.subject-removed", "{by} has the stream {detail.name} be silent about {who}"),
		admin.Changes[Verify]("Send a verification on a stream, to see that its receiver takes it.", Stream{}).
			Telling(signals.VerifyEvent, "{by} asked for a verification on the stream {detail.name}"),
		admin.Changes[PollStream]("Take what waits on a stream that is polled, and acknowledge what was taken before.", Polled{}),
		admin.Looks[ListSources]("List the sources: the other systems whose signals are heard here.", []Source{}),
		admin.Looks[ShowSource]("Show a source: its settings, its state, and what it was obeyed for.", Source{}),
		admin.Changes[CreateSource]("Make a source, whose signals are heard from then on.", Source{}).
			Telling("source.created", "{by} made the source of signals {detail.name}"),
		admin.Changes[UpdateSource]("Change the settings of a source.", Source{}).
			Telling("source.updated", "{by} changed the source of signals {detail.name}"),
		admin.Changes[RenewSource]("Give a source that pushes a new secret; the former one is over at once.", Source{}).
			Telling("source.renewed", "{by} gave the source of signals {detail.name} a new secret"),
		admin.Changes[SetHeard]("Pause a source, so that nothing it says is heard, or hear it again.", Source{}).
			Telling("source.status-set", "{by} set the source of signals {detail.name} to {detail.status}: {detail.reason}"),
		admin.Changes[RemoveSource]("Remove a source; nothing that it says is heard any more.", map[string]string{}).
			Telling("source.removed", "{by} removed the source of signals {detail.name}"),
	}
}

// Parts are what the commands work on.
type Parts struct {
	DB          *store.DB
	Accounts    *directory.Accounts
	Streams     *signals.Streams
	Transmitter *signals.Transmitter
	Sources     *signals.Sources
	Hearing     *signals.Hearing
	PublicURL   *url.URL
	Now         func() time.Time
}

// Desks are where the commands are done.
func Desks(p Parts) []admin.Desk {
	return []admin.Desk{
		admin.At(&streamDesk{admin.NewBook(p.DB), p.DB, p.Accounts, p.Streams, p.Transmitter, p.PublicURL, p.Now}),
		admin.At(&sourceDesk{admin.NewBook(p.DB), p.DB, p.Accounts, p.Sources, p.Hearing, p.PublicURL}),
	}
}

// Secret reports whether a setting is a secret, by its name.
func Secret(setting string) bool { return setting == "authorization" }

// digest stands for settings in the exact text of a command, so that an approval of some settings
// serves no others and shows no secret.
func digest(settings json.RawMessage) string {
	sum := sha256.Sum256(settings)
	return ", settings " + hex.EncodeToString(sum[:16])
}

// decode reads settings strictly: an unknown one is refused.
func decode(settings json.RawMessage, into any) error {
	d := json.NewDecoder(bytes.NewReader(settings))
	d.DisallowUnknownFields()
	err := d.Decode(into)
	if err == nil && d.More() {
		return failure.At("settings", failure.New(failure.Invalid, "The settings are one JSON object."))
	}
	if err != nil {
		return failure.At("settings", failure.New(failure.Invalid, "The settings cannot be read: %s.", strings.TrimPrefix(err.Error(), "json: ")))
	}
	return nil
}

// typesOf are the types of events that were written by their words or their URIs.
func typesOf(words, among []string) []string {
	out := []string{}
	for _, w := range words {
		if uri, ok := secevent.Named(w, among); ok {
			w = uri
		}
		out = append(out, w)
	}
	return out
}

// shorts are events as people write them.
func shorts(uris []string) []string {
	out := []string{}
	for _, uri := range uris {
		out = append(out, secevent.Short(uri))
	}
	return out
}

// keptSecret is the authorization that is to be saved: the stored one where it is said to be hidden,
// and only for the address that it was given for.
func keptSecret(now, endpoint, stored, storedEndpoint string) (string, error) {
	switch {
	case now != admin.Hidden:
		return now, nil
	case stored == "":
		return "", failure.At("settings", failure.New(failure.Invalid, "There is no stored authorization to keep; write a new one."))
	case endpoint != storedEndpoint:
		return "", failure.At("settings", failure.New(failure.Invalid, "The endpoint is another one: write its authorization, because the stored one is for the former endpoint."))
	}
	return stored, nil
}

// hide stands for a secret that is there.
func hide(secret string) string {
	if secret == "" {
		return ""
	}
	return admin.Hidden
}

// service returns the account of a grant if it is a service's, which reaches only what is its own.
func service(ctx context.Context, r store.Reader, people *directory.Accounts, g signin.Grant) (assurance.AccountID, error) {
	d, err := people.Get(ctx, r, g.Account())
	if err != nil || d.Kind != directory.Service {
		return 0, err
	}
	return d.ID, nil
}

// nameOf is what an account is called; empty for none.
func nameOf(ctx context.Context, r store.Reader, people *directory.Accounts, id assurance.AccountID) (string, error) {
	if id == 0 {
		return "", nil
	}
	d, err := people.Get(ctx, r, id)
	if failure.ClassOf(err) == failure.NotFound {
		return "", nil
	}
	return d.Name, err
}

// found is a service account by its name; the empty name is none.
func found(ctx context.Context, r store.Reader, people *directory.Accounts, field, name string) (assurance.AccountID, error) {
	if name == "" {
		return 0, nil
	}
	d, err := people.Find(ctx, r, name)
	if err != nil {
		return 0, failure.At(field, err)
	}
	if d.Kind != directory.Service {
		return 0, failure.At(field, failure.New(failure.Invalid, "%s is no service account.", d.Name))
	}
	return d.ID, nil
}
