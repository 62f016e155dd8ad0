package signal

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"countersign/internal/assurance"
	"countersign/internal/audit"
	"countersign/internal/directory"
	"countersign/internal/failure"
	"countersign/internal/secevent"
	"countersign/internal/signingkey"
	"countersign/internal/store"
)

// Keeps is how long a signal waits for its receiver: by then sessions are over anyhow. What is
// older is not sent any more.
const Keeps = 7 * 24 * time.Hour

// VerifyEvent is the entry of a verification that was asked for.
const VerifyEvent = "stream.verification-asked"

// writer makes the tokens of streams.
type writer struct {
	db      *store.DB
	people  *directory.Accounts
	signing *signingkey.Keys
	words   Words
	issuer  string
	host    string
	now     func() time.Time
}

// waiting is a token that waits for a receiver.
type waiting struct {
	id   string // its jti
	seq  int64  // of the entry that it comes of
	at   time.Time
	text string // empty before it is signed
	says secevent.Statement
}

// stretch is a part of the log as a stream sees it.
type stretch struct {
	// from is its first entry, next the entry after its last one, and more says that there is more
	// of the log.
	from, next int64
	more       bool
	waiting    []waiting
}

// looked is how many entries are looked through at a time.
const looked = 500

// stretch reads the log from a number on: up to [looked] entries, or until there are so many
// signals. The entries come in order and without a gap.
func (w *writer) stretch(ctx context.Context, one Stream, from int64, most int) (stretch, error) {
	out := stretch{from: from, next: from}
	read, err := w.db.AuditLog().Entries(ctx, store.Filter{From: from, Limit: looked})
	if err != nil {
		return out, err
	}
	people := map[int64]*secevent.Subject{}
	for i, e := range read {
		if e.Seq < 0 {
			break // it has no number yet
		}
		if len(out.waiting) >= most {
			out.more = true
			return out, nil
		}
		out.next = e.Seq + 1
		out.more = i == looked-1
		if w.now().Sub(e.At) > Keeps {
			continue
		}
		all, err := w.of(ctx, one, e, people)
		if err != nil {
			return out, err
		}
		out.waiting = append(out.waiting, all...)
	}
	return out, nil
}

// of are the tokens that an entry comes to on a stream.
func (w *writer) of(ctx context.Context, one Stream, e audit.Entry, people map[int64]*secevent.Subject) ([]waiting, error) {
	if e.Event == VerifyEvent && e.Detail["stream"] == one.ID {
		claims := map[string]any{}
		if state := e.Detail["state"]; state != "" {
			claims["state"] = state
		}
		return []waiting{w.waits(one, e, 0, said{secevent.Verification, claims, ""}, streamSubject(one))}, nil
	}
	var out []waiting
	for i, s := range tell(e, w.words) {
		if !slices.Contains(one.Events, s.event) || !one.tells(e) {
			continue
		}
		who, known := people[e.Account]
		if !known || e.Event == FarewellEvent {
			var err error
			if who, err = w.subject(ctx, one, e); err != nil {
				return nil, err
			}
			people[e.Account] = who
		}
		if who != nil {
			out = append(out, w.waits(one, e, i, s, inSession(*who, s.session)))
		}
	}
	return out, nil
}

// tells reports whether the stream's receiver is told of an entry's person.
func (s Stream) tells(e audit.Entry) bool {
	if id := assurance.AccountID(e.Account); s.Subjects != Chosen {
		return !slices.Contains(s.Removed, id)
	} else if slices.Contains(s.Added, id) {
		return true
	}
	return e.Event == FarewellEvent && slices.Contains(strings.Fields(e.Detail["streams"]), s.ID)
}

// subject is what an entry's person is called on a stream; nil is nobody who is told of: a service,
// or somebody who is gone, of whom the farewell tells.
func (w *writer) subject(ctx context.Context, one Stream, e audit.Entry) (*secevent.Subject, error) {
	if e.Event == FarewellEvent {
		s := w.called(one.Format, e.AccountName, e.Detail["subject"], e.Detail["mail"])
		return &s, nil
	}
	d, err := w.people.Get(ctx, w.db, assurance.AccountID(e.Account))
	if failure.ClassOf(err) == failure.NotFound {
		return nil, nil
	}
	if err != nil || d.Kind != directory.Person {
		return nil, err
	}
	s := w.called(one.Format, d.Name, signingkey.Subject(d.Handle), d.Mail)
	return &s, nil
}

// called is what somebody is called (RFC 9493). Who has no mail address is called by issuer and
// subject.
func (w *writer) called(format, name, subject, mail string) secevent.Subject {
	switch {
	case format == secevent.Account:
		return secevent.Subject{Format: format, URI: secevent.AccountURI(name, w.host)}
	case format == secevent.Email && mail != "":
		return secevent.Subject{Format: format, Email: mail}
	case format == secevent.Opaque:
		return secevent.Subject{Format: format, ID: subject}
	}
	return secevent.Subject{Format: secevent.IssSub, Iss: w.issuer, Sub: subject}
}

// inSession is somebody in one session.
func inSession(who secevent.Subject, session string) secevent.Subject {
	if session == "" {
		return who
	}
	return secevent.Subject{Format: secevent.Complex, User: &who, Session: &secevent.Subject{Format: secevent.Opaque, ID: signingkey.SessionName(session)}}
}

// streamSubject is the subject of what a stream says of itself (SSF 1.0).
func streamSubject(one Stream) secevent.Subject {
	return secevent.Subject{Format: secevent.Opaque, ID: one.ID}
}

// waits is a token, unsigned. Its name is made of its place in the log, so that it is the same one
// however often it is sent, and by whichever server.
func (w *writer) waits(one Stream, e audit.Entry, i int, s said, about secevent.Subject) waiting {
	seq := strconv.FormatInt(e.Seq, 10)
	id := named(one.ID, seq, strconv.Itoa(i), s.event)
	return waiting{id: id, seq: e.Seq, at: e.At, says: secevent.Statement{Issuer: w.issuer, ID: id, Transaction: named(one.ID, "txn", seq), Audience: one.Audience, Issued: e.At, Subject: about, Event: s.event, Claims: s.claims}}
}

// named is a name that says nothing, of what makes it the only one.
func named(parts ...string) string {
	sum := sha256.Sum256([]byte("countersign signal\x00" + strings.Join(parts, "\x00")))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}

// updated is the token that says that we changed the state of a stream.
func (w *writer) updated(one Stream) waiting {
	id := named(one.ID, "status", strconv.FormatInt(one.Changes, 10))
	claims := map[string]any{"status": one.Status}
	if one.Reason != "" {
		claims["reason"] = one.Reason
	}
	return waiting{id: id, at: w.now(), says: secevent.Statement{Issuer: w.issuer, ID: id, Transaction: id, Audience: one.Audience, Issued: w.now(), Subject: streamSubject(one), Event: secevent.StreamUpdated, Claims: claims}}
}

// sign signs a token.
func (w *writer) sign(ctx context.Context, one Stream, t *waiting) error {
	key, err := w.signing.Signer(ctx, one.Algorithm)
	if err != nil {
		return err
	}
	by, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.SignatureAlgorithm(key.Algorithm), Key: jose.JSONWebKey{Key: key.Private, KeyID: key.ID}}, (&jose.SignerOptions{}).WithType(secevent.Type))
	if err != nil {
		return err
	}
	t.text, err = secevent.Sign(t.says, by)
	return err
}
