// Package hostcodes is the commands about codes for local accounts of hosts.
//
// It owns how such a list is handed out, and what is taken over from a host that could not
// ask. The lists themselves belong to countersign/internal/hostcodes. Its commands and events
// are called offline, because policies, automation keys and existing logs name them. Its one
// invariant: the codes of a list are shown once, to the person who made it.
package hostcodes

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"

	"countersign/internal/admin"
	"countersign/internal/hostcodes"
	"countersign/internal/signin"
	"countersign/internal/store"
	"countersign/internal/text"
)

// Commands are those about lists of codes for hosts, with what each answers and leaves in the log.
func Commands() []admin.Spec {
	return []admin.Spec{
		admin.Looks[List]("List the lists of codes for local accounts of hosts.", []Codes{}),
		admin.Changes[Issue]("Make a list of codes for a local account of a host. It is shown once.", Handed{}).
			Telling("offline.issued", "{by} made a list of codes for {detail.login} on {detail.host}: {detail.note}"),
		admin.Changes[Reconcile]("Take over which codes were used on a host while it could not ask.", []Found{}).
			Telling("offline.used", "Code {detail.code} of {detail.login} was used on {detail.host} while it could not ask; {detail.left} are left").
			Telling("offline.unused", "No code of {detail.login} was used on {detail.host}").
			Telling("offline.unknown", "{detail.host} has an account {detail.login} for which there is no list").
			Telling("alarm.offline", "The list of {detail.login} on {detail.host} is not as it should be: {detail.wrong}"),
		admin.Changes[Revoke]("Forget a list of codes of a host.", map[string]string{}).
			Telling("offline.revoked", "{by} revoked the list of {detail.login} on {detail.host}: {detail.reason}"),
	}
}

// Parts are what the commands work on.
type Parts struct {
	DB        *store.DB
	HostCodes *hostcodes.Lists
}

// Desk is where the commands are done.
func Desk(p Parts) admin.Desk {
	return admin.At(&desk{admin.NewBook(p.DB), p.DB, p.HostCodes})
}

type desk struct {
	admin.Book
	db    *store.DB
	lists *hostcodes.Lists
}

// Issue makes a list of codes for a local account of a host.
type Issue struct {
	Host  string `json:"host" arg:"" help:"The host, as you call it."`
	Login string `json:"login" arg:"" help:"Its local account, such as root."`
	Codes int    `json:"codes,omitempty" help:"How many codes: 20 when left out, 50 at most."`
	Note  string `json:"note,omitempty" help:"Where the paper will be."`
}

// Handed is a list as it is handed out. Line and List are shown once.
type Handed struct {
	Host  string           `json:"host"`
	Login string           `json:"login"`
	Line  string           `json:"line"`
	List  []hostcodes.Code `json:"list"`
}

func (c *Issue) Action() string { return "offline.issue" }
func (c *Issue) Object() string {
	return admin.WithReason(fmt.Sprintf("a list of %d codes for %s on %s, in the place of any before", c.count(), text.Name(c.Login), text.Name(c.Host)), c.Note)
}

// Tell says how many codes there will be.
func (c *Issue) Tell(_ context.Context, _ *desk, s *admin.Sheet) error {
	s.Says("codes", strconv.Itoa(c.count()))
	return nil
}

func (c *Issue) count() int {
	if c.Codes == 0 {
		return 20
	}
	return c.Codes
}

func (c *Issue) Do(ctx context.Context, a *desk, g signin.Grant) (any, error) {
	var h hostcodes.Handed
	detail := map[string]string{"host": c.Host, "login": c.Login, "codes": strconv.Itoa(c.count()), "note": c.Note}
	err := a.Change(ctx, g, "offline.issued", detail, nil, func(tx *store.Tx) (err error) {
		h, err = a.lists.IssueTx(ctx, tx, c.Host, c.Login, c.count())
		return err
	})
	return Handed{h.Host, h.Login, h.Line, h.Numbered}, err
}

// List lists the lists.
type List struct{}

// Codes is one list, without its codes.
type Codes struct {
	Host   string    `json:"host"`
	Login  string    `json:"login"`
	Left   int       `json:"left"`
	Issued time.Time `json:"issued"`
	// Used is when a code was used last, by the host's own clock.
	Used time.Time `json:"used,omitzero"`
}

func (c *List) Action() string { return "offline.list" }
func (c *List) Object() string { return "" }

func (c *List) Do(ctx context.Context, a *desk, _ signin.Grant) (any, error) {
	all, err := a.lists.All(ctx)
	out := make([]Codes, len(all))
	for i, l := range all {
		out[i] = Codes{l.Host, l.Login, l.Left(), l.Issued, l.At}
	}
	return out, err
}

// Reconcile takes over what was used on a host while it could not ask.
type Reconcile struct {
	Host string `json:"host" arg:"" help:"The host, as its lists were issued."`
	File string `json:"file" arg:"" type:"text-file" help:"Its users.oath; - reads standard input."`
}

// Found is what the file says of one list.
type Found struct {
	Login string `json:"login"`
	// Used is the number of the code that was used last; 0 for none since the last
	// time.
	Used int `json:"used"`
	Left int `json:"left"`
	// Wrong is why the line is not believed.
	Wrong string `json:"wrong,omitempty"`
}

func (c *Reconcile) Action() string { return "offline.reconcile" }

// Object names the file by its digest: there are secrets in it.
func (c *Reconcile) Object() string {
	sum := sha256.Sum256([]byte(c.File))
	return c.Said() + ", file " + hex.EncodeToString(sum[:16])
}

// Said is the text without the digest.
func (c *Reconcile) Said() string { return "what was used on " + text.Name(c.Host) }

// Tell says how long the file is: there are secrets in it.
func (c *Reconcile) Tell(_ context.Context, _ *desk, s *admin.Sheet) error {
	s.Says("file", fmt.Sprintf("%d lines, which hold secrets", strings.Count(strings.TrimRight(c.File, "\n"), "\n")+1))
	return nil
}

func (c *Reconcile) Do(ctx context.Context, a *desk, g signin.Grant) (any, error) {
	var out []Found
	err := a.db.Change(ctx, g.Actor(), func(tx *store.Tx) error {
		found, err := a.lists.ReconcileTx(ctx, tx, c.Host, c.File)
		if err != nil {
			return err
		}
		out = out[:0]
		for _, f := range found {
			out = append(out, Found{f.Login, f.Used, f.Left(), f.Wrong})
			if err := tx.Record(admin.Entry(g, eventOf(f), "ok", map[string]string{"host": c.Host, "login": f.Login, "code": strconv.Itoa(f.Used),
				"left": strconv.Itoa(f.Left()), "at": f.At.Format(time.DateTime), "wrong": f.Wrong})); err != nil {
				return err
			}
		}
		return nil
	})
	return out, err
}

// eventOf is what a finding is in the log.
func eventOf(f hostcodes.Finding) string {
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

// Revoke forgets a list.
type Revoke struct {
	Host   string `json:"host" arg:"" help:"The host."`
	Login  string `json:"login" arg:"" help:"Its local account."`
	Reason string `json:"reason" required:"" help:"Why, for the log. Take the line out of the host's file as well."`
}

func (c *Revoke) Action() string { return "offline.revoke" }
func (c *Revoke) Object() string {
	return admin.WithReason("the list of "+text.Name(c.Login)+" on "+text.Name(c.Host), c.Reason)
}

func (c *Revoke) Do(ctx context.Context, a *desk, g signin.Grant) (any, error) {
	detail := map[string]string{"host": c.Host, "login": c.Login, "reason": c.Reason}
	err := a.Change(ctx, g, "offline.revoked", detail, nil, func(tx *store.Tx) error { return a.lists.RevokeTx(ctx, tx, c.Host, c.Login) })
	return map[string]string{"revoked": c.Login + " on " + c.Host}, err
}
