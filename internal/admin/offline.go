package admin

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"time"

	"countersign/internal/offline"
	"countersign/internal/signin"
	"countersign/internal/store"
	"countersign/internal/text"
)

// offlineDesk is where the commands about codes for hosts are done.
type offlineDesk struct {
	Book
	db      *store.DB
	offline *offline.Lists
}

// OfflineIssue makes a list of codes for a local account of a host.
type OfflineIssue struct {
	Host  string `json:"host" arg:"" help:"The host, as you call it."`
	Login string `json:"login" arg:"" help:"Its local account, such as root."`
	Codes int    `json:"codes,omitempty" help:"How many codes: 20 when left out, 50 at most."`
	Note  string `json:"note,omitempty" help:"Where the paper will be."`
}

// OfflineHanded is a list as it is handed out. Line and List are shown once.
type OfflineHanded struct {
	Host  string         `json:"host"`
	Login string         `json:"login"`
	Line  string         `json:"line"`
	List  []offline.Code `json:"list"`
}

func (c *OfflineIssue) Action() string { return "offline.issue" }
func (c *OfflineIssue) Object() string {
	return WithReason(fmt.Sprintf("a list of %d codes for %s on %s, in the place of any before", c.count(), text.Name(c.Login), text.Name(c.Host)), c.Note)
}

func (c *OfflineIssue) count() int {
	if c.Codes == 0 {
		return 20
	}
	return c.Codes
}

func (c *OfflineIssue) Do(ctx context.Context, a *offlineDesk, g signin.Grant) (any, error) {
	var h offline.Handed
	detail := map[string]string{"host": c.Host, "login": c.Login, "codes": strconv.Itoa(c.count()), "note": c.Note}
	err := a.Change(ctx, g, "offline.issued", detail, nil, func(tx *store.Tx) (err error) {
		h, err = a.offline.IssueIn(ctx, tx, c.Host, c.Login, c.count())
		return err
	})
	return OfflineHanded{h.Host, h.Login, h.Line, h.Numbered}, err
}

// OfflineList lists the lists.
type OfflineList struct{}

// OfflineCodes is one list, without its codes.
type OfflineCodes struct {
	Host   string    `json:"host"`
	Login  string    `json:"login"`
	Left   int       `json:"left"`
	Issued time.Time `json:"issued"`
	// Used is when a code was used last, by the host's own clock.
	Used time.Time `json:"used,omitzero"`
}

func (c *OfflineList) Action() string { return "offline.list" }
func (c *OfflineList) Object() string { return "" }

func (c *OfflineList) Do(ctx context.Context, a *offlineDesk, _ signin.Grant) (any, error) {
	all, err := a.offline.All(ctx)
	out := make([]OfflineCodes, len(all))
	for i, l := range all {
		out[i] = OfflineCodes{l.Host, l.Login, l.Left(), l.Issued, l.At}
	}
	return out, err
}

// OfflineReconcile takes over what was used on a host while it could not ask.
type OfflineReconcile struct {
	Host string `json:"host" arg:"" help:"The host, as its lists were issued."`
	File string `json:"file" arg:"" type:"text-file" help:"Its users.oath; - reads standard input."`
}

// OfflineFound is what the file says of one list.
type OfflineFound struct {
	Login string `json:"login"`
	// Used is the number of the code that was used last; 0 for none since the last
	// time.
	Used int `json:"used"`
	Left int `json:"left"`
	// Wrong is why the line is not believed.
	Wrong string `json:"wrong,omitempty"`
}

func (c *OfflineReconcile) Action() string { return "offline.reconcile" }

// Object names the file by its digest: there are secrets in it.
func (c *OfflineReconcile) Object() string {
	sum := sha256.Sum256([]byte(c.File))
	return fmt.Sprintf("what was used on %s, file %s", text.Name(c.Host), hex.EncodeToString(sum[:16]))
}

func (c *OfflineReconcile) Do(ctx context.Context, a *offlineDesk, g signin.Grant) (any, error) {
	var out []OfflineFound
	err := a.db.Change(ctx, g.Actor(), func(tx *store.Tx) error {
		found, err := a.offline.ReconcileIn(ctx, tx, c.Host, c.File)
		if err != nil {
			return err
		}
		out = out[:0]
		for _, f := range found {
			out = append(out, OfflineFound{f.Login, f.Used, f.Left(), f.Wrong})
			if err := tx.Record(Entry(g, eventOf(f), "ok", map[string]string{"host": c.Host, "login": f.Login, "code": strconv.Itoa(f.Used),
				"left": strconv.Itoa(f.Left()), "at": f.At.Format(time.DateTime), "wrong": f.Wrong})); err != nil {
				return err
			}
		}
		return nil
	})
	return out, err
}

// eventOf is what a finding is in the log.
func eventOf(f offline.Finding) string {
	switch {
	case f.Wrong == "unknown":
		return "offline.unknown"
	case f.Wrong != "":
		return "alarm.offline"
	case f.Used > 0:
		return "offline.used"
	}
	return "offline.unused"
}

// OfflineRevoke forgets a list.
type OfflineRevoke struct {
	Host   string `json:"host" arg:"" help:"The host."`
	Login  string `json:"login" arg:"" help:"Its local account."`
	Reason string `json:"reason" required:"" help:"Why, for the log. Take the line out of the host's file as well."`
}

func (c *OfflineRevoke) Action() string { return "offline.revoke" }
func (c *OfflineRevoke) Object() string {
	return WithReason("the list of "+text.Name(c.Login)+" on "+text.Name(c.Host), c.Reason)
}

func (c *OfflineRevoke) Do(ctx context.Context, a *offlineDesk, g signin.Grant) (any, error) {
	detail := map[string]string{"host": c.Host, "login": c.Login, "reason": c.Reason}
	err := a.Change(ctx, g, "offline.revoked", detail, nil, func(tx *store.Tx) error { return a.offline.RevokeIn(ctx, tx, c.Host, c.Login) })
	return map[string]string{"revoked": c.Login + " on " + c.Host}, err
}
