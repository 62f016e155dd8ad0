package store

import (
	"bytes"
	"context"
	"encoding/base64"
	"strconv"

	"countersign/internal/audit"
)

// AcceptedEvent is the entry with an administrator's reason why the log differs from what
// a server left. What is missing or altered before it stays so; the log continues from
// the tree in the entry.
const AcceptedEvent = "audit.accepted"

// edgePart is the number of bytes of a tree in one detail of an entry.
const edgePart = audit.MaxValue / 4 * 3

var edgeNames = [...]string{"edge", "edge-2", "edge-3", "edge-4", "edge-5", "edge-6"}

// putEdge writes a tree into the details of an entry.
func putEdge(d map[string]string, edge []byte) {
	for i := 0; len(edge) > 0 && i < len(edgeNames); i++ {
		n := min(len(edge), edgePart)
		d[edgeNames[i]] = base64.StdEncoding.EncodeToString(edge[:n])
		edge = edge[n:]
	}
}

// getEdge reads what putEdge wrote.
func getEdge(d map[string]string) (*audit.Tree, error) {
	var edge []byte
	for _, name := range edgeNames {
		part, err := base64.StdEncoding.DecodeString(d[name])
		if err != nil {
			return nil, err
		}
		edge = append(edge, part...)
	}
	t := new(audit.Tree)
	return t, t.UnmarshalBinary(edge)
}

// acceptance is what an entry accepts.
type acceptance struct {
	audit.Tree       // the log continues from it
	covers     int64 // number of entries that were known
	at         int64 // when, in microseconds
}

// acceptances is the kind under which the time of the last acceptance is anchored: an
// earlier one excuses nothing.
const acceptances = "audit_accepted"

// coversName is the detail with the number of known entries.
const coversName = "covers"

// lastAccepted returns what an administrator accepted last, or nil. It reads the log from
// its end, as a whole if there is no acceptance.
func lastAccepted(ctx context.Context, run runner, auth *audit.Authenticator, before int64) (last *acceptance, err error) {
	for before > 0 {
		from := max(0, before-page)
		t, err := acceptedIn(ctx, run, auth, from, before)
		if t != nil || err != nil {
			return t, err
		}
		before = from
	}
	return nil, nil
}

// acceptedIn searches the entries from one number up to another.
func acceptedIn(ctx context.Context, run runner, auth *audit.Authenticator, from, before int64) (last *acceptance, err error) {
	rows, err := run.QueryContext(ctx, "select seq, body, mac from audit_entry where seq >= $1 and seq < $2 order by seq", from, before)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var seq int64
		var body, mac []byte
		if err := rows.Scan(&seq, &body, &mac); err != nil {
			return nil, err
		}
		if a := acceptedBy(auth, seq, body, mac); a != nil {
			last = a
		}
	}
	return last, rows.Err()
}

// acceptedBy returns what an entry accepts, or nil. An entry accepts only what is before it.
func acceptedBy(auth *audit.Authenticator, seq int64, body, mac []byte) *acceptance {
	if !bytes.Contains(body, []byte(AcceptedEvent)) || !auth.Check(seq, body, mac) {
		return nil
	}
	e, err := audit.Decode(body)
	if err != nil || e.Event != AcceptedEvent {
		return nil
	}
	t, err := getEdge(e.Detail)
	if err != nil || t.Size() > seq {
		return nil
	}
	covers, err := strconv.ParseInt(e.Detail[coversName], 10, 64)
	if err != nil {
		return nil
	}
	return &acceptance{*t, covers, Unix(e.At)}
}
