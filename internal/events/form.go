package events

import (
	"encoding/json"
	"strconv"
	"strings"

	"countersign/internal/audit"
)

// body is the entry as the log has it, byte for byte, for comparison with an export. An
// entry that the log could not read has no such form; its substitute is written alike.
func body(e audit.Entry) json.RawMessage { return e.Body() }

// numbered is an entry with its number, as lines and webhooks have it.
type numbered struct {
	Seq   int64           `json:"seq"`
	Entry json.RawMessage `json:"entry"`
}

func number(e audit.Entry) numbered { return numbered{Seq: e.Seq, Entry: body(e)} }

// field is one fact of an entry under the name that receivers know it by.
type field struct{ name, value string }

// fields are the facts of an entry that have a value, without its details. Versions are left
// out: they are the store's own.
func fields(e audit.Entry) []field {
	all := []field{{"event", e.Event}, {"outcome", e.Outcome}, {"reason", e.Reason}, {"actor", e.Actor.Name}, {"via", e.Actor.Via}, {"account", e.AccountName},
		{"accountId", id(e.Account)}, {"application", e.Application}, {"protocol", e.Protocol}, {"source", e.Source}, {"action", e.Action}, {"attempt", e.Attempt}}
	out := all[:0]
	for _, f := range all {
		if f.value != "" {
			out = append(out, f)
		}
	}
	return out
}

func id(n int64) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatInt(n, 10)
}

// sentence is an entry on one line, for people who read a log as it comes.
func sentence(e audit.Entry) string {
	s := e.Event + " " + e.Outcome
	for _, f := range []field{{"account", e.AccountName}, {"application", e.Application}, {"source", e.Source}, {"by", e.Actor.Name}, {"action", e.Action}, {"reason", e.Reason}} {
		if f.value != "" {
			s += ", " + f.name + " " + f.value
		}
	}
	return s
}

// weight is how serious an entry is.
type weight int

// The weights, the least serious first.
const (
	usual weight = iota
	refusal
	failing
	alarming
)

// alarms are events that are alarms though their name does not begin with alarm.
var alarms = []string{"database.tampered", "audit.forged", "audit.unreadable"}

func weigh(e audit.Entry) weight {
	switch {
	case within(e.Event, append([]string{"alarm"}, alarms...)):
		return alarming
	case e.Outcome == audit.Failed:
		return failing
	case e.Outcome == audit.Refused:
		return refusal
	}
	return usual
}

// within reports whether an event is one of these words or begins with one and a dot.
func within(event string, words []string) bool {
	for _, w := range words {
		if event == w || strings.HasPrefix(event, w+".") {
			return true
		}
	}
	return false
}

// Which selects entries by their event: "signin" is all that begin with "signin.".
type Which struct {
	// Only are the events that are sent; empty is all.
	Only []string
	// Except are those that are not sent although Only has them.
	Except []string
}

func (w Which) takes(e audit.Entry) bool {
	return (len(w.Only) == 0 || within(e.Event, w.Only)) && !within(e.Event, w.Except)
}
