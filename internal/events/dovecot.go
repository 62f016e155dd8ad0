package events

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"countersign/internal/audit"
	"countersign/internal/failure"
	"countersign/internal/outside"
)

// Ending are the events after which a connection that somebody has open may not be theirs any
// more: the account, the session, what a client was given, or what was signed in with is over.
func Ending() []string {
	return []string{"account.suspended", "account.removed", "account.end-set", "session.ended", "client.ended", "alarm.not-me", "alarm.token-misused", "alarm.recovery-not-mine",
		"credential.removed", "credential.revoked", "recovery.collected"}
}

// Dovecot has a mail server close the connections of people whose entries it is handed, by the
// HTTP API of doveadm. Whoever may still come in connects anew, and is asked about again.
type Dovecot struct {
	// URL is that of the API, https, or http on loopback: https://mail.example.org:8080/doveadm/v1
	URL string
	// SecretFile has the API's key in its first line. It is read for each request.
	SecretFile string
	Inside     outside.Listed
	Files      Files
	// Name is what an account is called, where an entry has its number alone; nil knows none.
	Name  func(ctx context.Context, account int64) (string, error)
	Trace Trace

	poster *poster
}

// Close ends the connections.
func (d *Dovecot) Close() {
	if d.poster != nil {
		d.poster.close()
	}
}

// Take has the connections closed of everybody whom the entries concern.
func (d *Dovecot) Take(ctx context.Context, entries []audit.Entry) (int, error) {
	lines, err := secrets(d.SecretFile)
	if err != nil {
		return 0, err
	}
	names, err := d.names(ctx, entries)
	if err != nil || len(names) == 0 {
		return 0, err
	}
	if d.poster == nil {
		u, err := url.Parse(d.URL)
		if err != nil {
			return 0, failure.New(failure.Unavailable, "The url of doveadm cannot be used.")
		}
		d.poster = &poster{what: "mail server", files: d.Files, control: d.Inside.Control(u.Hostname()), trace: d.Trace}
	}
	var b bytes.Buffer
	if err := json.NewEncoder(&b).Encode(kicks(names)); err != nil {
		return 0, err
	}
	header := http.Header{}
	header.Set("Content-Type", "application/json")
	header.Set("Authorization", "X-Dovecot-API "+base64.StdEncoding.EncodeToString([]byte(lines[0])))
	said, err := d.poster.send(ctx, post{url: d.URL, header: header, body: b.Bytes(), hide: lines})
	if err != nil {
		return 0, err
	}
	return 0, kicked(said, len(names))
}

// names are whom the entries concern, each once.
func (d *Dovecot) names(ctx context.Context, entries []audit.Entry) ([]string, error) {
	var out []string
	for _, e := range entries {
		name := e.AccountName
		if name == "" && e.Account != 0 && d.Name != nil {
			var err error
			if name, err = d.Name(ctx, e.Account); err != nil {
				return nil, err
			}
		}
		if name != "" && !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	return out, nil
}

// kicks are doveadm's commands, one for each name: in one command a name without a connection
// would hide what became of the others.
func kicks(names []string) [][]any {
	var out [][]any
	for _, name := range names {
		out = append(out, []any{"kick", map[string][]string{"mask": {name}}, name})
	}
	return out
}

// nobodyThere is doveadm's exit status where nobody had a connection (EX_NOHOST of sysexits.h).
const nobodyThere = 68

// kicked reads what came of the commands: each was done, or there was nothing to do.
func kicked(said []byte, commands int) error {
	var all [][]json.RawMessage
	if json.Unmarshal(said, &all) != nil || len(all) != commands {
		return failure.New(failure.Unavailable, "The mail server answered what doveadm does not; check the url, which ends with /doveadm/v1.")
	}
	for _, one := range all {
		var word string
		var wrong struct {
			Type string `json:"type"`
			Exit int    `json:"exitCode"`
		}
		if len(one) < 2 || json.Unmarshal(one[0], &word) != nil {
			return failure.New(failure.Unavailable, "The mail server answered what doveadm does not.")
		}
		if word == "doveadmResponse" || json.Unmarshal(one[1], &wrong) == nil && wrong.Exit == nobodyThere {
			continue
		}
		return failure.New(failure.Unavailable, "The mail server could not close connections (%s, exit status %d); its own log says why.", strings.ToValidUTF8(clipped(wrong.Type), ""), wrong.Exit)
	}
	return nil
}

func clipped(s string) string { return s[:min(len(s), 40)] }
