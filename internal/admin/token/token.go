// Package token is the commands about hardware tokens.
//
// It owns what is asked and recorded when tokens come into stock, go to people and come
// back, and says who may be given one (admin/guard). What is done with them is the room
// token's. Its one invariant: whose token it is, is whom the change is recorded about.
package token

import (
	"context"
	"time"

	"countersign/internal/admin"
	"countersign/internal/admin/guard"
	"countersign/internal/assurance"
	"countersign/internal/directory"
	"countersign/internal/enrollment"
	"countersign/internal/failure"
	"countersign/internal/prompt"
	"countersign/internal/signin"
	"countersign/internal/store"
	"countersign/internal/text"
	tokens "countersign/internal/token"
)

// Commands are those about hardware tokens, with what each answers and leaves in the log.
func Commands() []admin.Spec {
	return []admin.Spec{
		admin.Looks[List]("List hardware tokens by serial number.", Page{}).AlsoLent(),
		admin.Looks[Stage]("Send a part of a token file; it changes nothing before token.import.", Staged{}),
		admin.Looks[Preview]("Say what importing the sent token file would do.", Previewed{}),
		admin.Changes[Import]("Put the tokens of a sent file into stock: all of them, or none.", Imported{}).
			Telling("token.imported", "{by} imported {detail.count} tokens"),
		admin.Changes[Assign]("Make a token from stock an authenticator of somebody else's.", Token{}).
			Telling("token.assigned", "{by} assigned token {detail.serial} to {who}: {detail.note}"),
		admin.Changes[Resync]("Put a token right by two of its codes in a row.", Token{}).
			Telling("token.resynchronised", "{by} put token {detail.serial} right by two codes"),
		admin.Changes[PIN]("Give somebody's token a new first PIN, which its owner must change, or take the PIN away.", PINGiven{}).
			Telling("token.pin-given", "{by} gave token {detail.serial} of {who} a new first PIN").
			Telling("token.pin-cleared", "{by} took away the PIN of token {detail.serial} of {who}"),
		admin.Changes[Lost]("Switch off a token that its owner cannot find.", Token{}).
			Telling("token.lost", "{by} switched off token {detail.serial}, which is lost: {detail.reason}"),
		admin.Changes[Return]("Take a token back from its owner.", Token{}).
			Telling("token.returned", "{by} took token {detail.serial} back: {detail.reason}"),
		admin.Changes[Revoke]("End a token for good.", Token{}).
			Telling("token.revoked", "{by} ended token {detail.serial} for good: {detail.reason}"),
	}
}

// Parts are what the commands work on.
type Parts struct {
	DB       *store.DB
	Accounts *directory.Accounts
	Stock    *tokens.Stock
	Files    *tokens.Files
	Hands    *tokens.Hands
	Engine   *signin.Engine
	PINs     *enrollment.PINs
	Dormant  time.Duration
	Now      func() time.Time
}

// Desks are where the commands are done.
func Desks(p Parts) []admin.Desk {
	b, g := admin.NewBook(p.DB), guard.New(p.Accounts, p.Engine)
	return []admin.Desk{
		admin.At(&desk{b, guard.NewGiving(g, p.Dormant, p.Now), g, p.DB, p.Accounts, p.Stock, p.Hands, p.Engine, p.PINs, p.Now}),
		admin.At(&fileDesk{b, p.Files}),
	}
}

// desk is where hardware tokens go to people and come back.
type desk struct {
	admin.Book
	guard.Giving
	guard  guard.Guard
	db     store.Reader
	people *directory.Accounts
	stock  *tokens.Stock
	hands  *tokens.Hands
	engine *signin.Engine
	given  *enrollment.PINs
	now    func() time.Time
}

// spare refuses, before anybody approves it, the loss of what a token shows of these traits
// after which nobody could administer.
func (a *desk) spare(ctx context.Context, serial string, traits assurance.Trait) error {
	t, err := a.stock.Get(ctx, a.db, serial)
	if err != nil || t.State != tokens.Assigned {
		return err
	}
	return a.guard.SpareLoss(ctx, a.db, signin.Without(t.Account, t.Credential, traits))
}

// Token is one hardware token as administrators see it; never its secret.
type Token struct {
	Serial       string    `json:"serial"`
	Manufacturer string    `json:"manufacturer,omitempty"`
	Kind         string    `json:"kind"`
	Detail       string    `json:"detail"`
	State        string    `json:"state"`
	Owner        string    `json:"owner,omitempty"` // whose it is, or was last
	Issued       time.Time `json:"issued,omitzero"`
	Created      time.Time `json:"created"`
}

// Page is a page of tokens. Next is where to go on, or empty.
type Page struct {
	Tokens []Token `json:"tokens"`
	Next   string  `json:"next,omitempty"`
}

// List lists tokens by serial.
type List struct {
	Serial string `json:"serial,omitempty" arg:"" optional:"" help:"A part of the serial number."`
	State  string `json:"state,omitempty" help:"stock, assigned, returned, lost or revoked."`
	Owner  string `json:"owner,omitempty" help:"Whose tokens."`
	After  string `json:"after,omitempty" help:"Go on after this serial."`
	Limit  int    `json:"limit,omitempty" help:"How many: 100 when left out, 1000 at most."`
}

func (c *List) Action() string { return "token.list" }
func (c *List) Object() string { return "" }

func (c *List) Do(ctx context.Context, a *desk, _ signin.Grant) (any, error) {
	which := tokens.Which{Serial: c.Serial, State: c.State}
	if c.Owner != "" {
		owner, err := a.people.Find(ctx, a.db, c.Owner)
		if err != nil {
			return nil, err
		}
		which.Owner = owner.ID
	}
	limit := min(max(c.Limit, 0), 1000)
	if limit == 0 {
		limit = 100
	}
	all, err := a.stock.List(ctx, a.db, which, c.After, limit)
	out := Page{Tokens: []Token{}}
	for _, t := range all {
		shown, err := a.shownToken(ctx, a.db, t)
		if err != nil {
			return nil, err
		}
		out.Tokens = append(out.Tokens, shown)
	}
	if len(all) == limit {
		out.Next = all[limit-1].Serial
	}
	return out, err
}

func (a *desk) shownToken(ctx context.Context, r store.Reader, t tokens.Token) (Token, error) {
	out := Token{Serial: t.Serial, Manufacturer: t.Manufacturer, Kind: t.Kind, Detail: t.Detail, State: t.State, Issued: t.Issued, Created: t.Created}
	if t.Account == 0 {
		return out, nil
	}
	owner, err := a.people.Get(ctx, r, t.Account)
	if failure.ClassOf(err) == failure.NotFound {
		out.Owner = "(removed)"
		return out, nil
	}
	out.Owner = owner.Name
	return out, err
}

// Assign makes a token from stock an authenticator of somebody else's.
type Assign struct {
	Serial          string `json:"serial" arg:"" help:"The serial number, as it is printed on the token."`
	Account         string `json:"account" arg:"" help:"Whom it is for; never yourself."`
	Note            string `json:"note,omitempty" help:"How you made sure who it is."`
	Codes           string `json:"codes,omitempty" help:"Of a token with a button: two codes that it shows now, one after the other, such as \"123456 654321\". What anybody noted before is dead with them."`
	admin.AuditText `embed:""`
}

func (c *Assign) Action() string { return "token.assign" }
func (c *Assign) About() *string { return &c.Account }
func (c *Assign) Object() string {
	return admin.WithReason("token "+text.Name(c.Serial)+" to "+c.Of(c.Account), c.Note)
}

// Tell says where the token is until now. Codes that open something are shown to nobody.
func (c *Assign) Tell(ctx context.Context, a *desk, s *admin.Sheet) error {
	if c.Codes != "" {
		s.Says("codes", "two codes that it shows now")
	}
	return a.tell(ctx, c.Serial, tokens.Assigned, s)
}

// tell says what becomes of a token.
func (a *desk) tell(ctx context.Context, serial, state string, s *admin.Sheet) error {
	t, err := a.stock.Get(ctx, a.db, serial)
	if err == nil {
		s.Adds(prompt.Field{Name: "State", Before: t.State, After: state})
	}
	return err
}

func (c *Assign) Do(ctx context.Context, a *desk, g signin.Grant) (any, error) {
	var d directory.Account
	var out Token
	err := a.Change(ctx, g, "token.assigned", map[string]string{"serial": c.Serial, "note": c.Note}, &d, func(tx *store.Tx) (err error) {
		if d, err = a.Assignee(ctx, tx, g, c.Account); err != nil {
			return err
		}
		t, err := a.hands.AssignTx(ctx, tx, tokens.Assignment{Serial: c.Serial, To: d, By: g.Account(), Codes: c.Codes})
		if err != nil {
			return err
		}
		out, err = a.shownToken(ctx, tx, t)
		return err
	})
	return out, err
}

// ownerOf tells whose a token is.
func (a *desk) ownerOf(ctx context.Context, serial string) (string, error) {
	t, err := a.stock.Get(ctx, a.db, serial)
	if err != nil || t.State != tokens.Assigned {
		return "", err
	}
	d, err := a.people.Get(ctx, a.db, t.Account)
	if err != nil {
		return "", err
	}
	return "of " + d.Kind + " " + text.Name(d.Name), nil
}

// Revoke ends a token for good and erases its seed.
type Revoke struct {
	Serial          string `json:"serial" arg:"" help:"The serial number."`
	Reason          string `json:"reason,omitempty" help:"Why, for the log."`
	admin.AuditText `embed:""`
}

func (c *Revoke) Action() string { return "token.revoke" }
func (c *Revoke) Thing(ctx context.Context, a *desk) (string, error) {
	return a.ownerOf(ctx, c.Serial)
}
func (c *Revoke) Object() string {
	return admin.WithReason(named(c.Serial, c.AuditText)+", for good", c.Reason)
}

// Tell says what becomes of the token.
func (c *Revoke) Tell(ctx context.Context, a *desk, s *admin.Sheet) error {
	return a.tell(ctx, c.Serial, tokens.Revoked, s)
}

func (c *Revoke) Preflight(ctx context.Context, a *desk) error {
	return a.spare(ctx, c.Serial, signin.Everything)
}

func (c *Revoke) Do(ctx context.Context, a *desk, g signin.Grant) (any, error) {
	return a.move(ctx, g, movement{serial: c.Serial, event: "token.revoked", reason: c.Reason, state: tokens.Revoked})
}

// Lost switches off a token that its owner cannot find.
type Lost struct {
	Serial          string `json:"serial" arg:"" help:"The serial number."`
	Reason          string `json:"reason,omitempty" help:"What happened, for the log."`
	admin.AuditText `embed:""`
}

func (c *Lost) Action() string { return "token.lost" }
func (c *Lost) Thing(ctx context.Context, a *desk) (string, error) {
	return a.ownerOf(ctx, c.Serial)
}
func (c *Lost) Object() string {
	return admin.WithReason(named(c.Serial, c.AuditText)+" is lost", c.Reason)
}

// Tell says what becomes of the token.
func (c *Lost) Tell(ctx context.Context, a *desk, s *admin.Sheet) error {
	return a.tell(ctx, c.Serial, tokens.Lost, s)
}

func (c *Lost) Preflight(ctx context.Context, a *desk) error {
	return a.spare(ctx, c.Serial, signin.Everything)
}

func (c *Lost) Do(ctx context.Context, a *desk, g signin.Grant) (any, error) {
	return a.move(ctx, g, movement{serial: c.Serial, event: "token.lost", reason: c.Reason, state: tokens.Lost})
}

// Return takes a token back from its owner. It cannot be assigned before two
// of its codes were shown, see [Resync].
type Return struct {
	Serial          string `json:"serial" arg:"" help:"The serial number."`
	Reason          string `json:"reason,omitempty" help:"Why, for the log."`
	admin.AuditText `embed:""`
}

func (c *Return) Action() string { return "token.return" }
func (c *Return) Thing(ctx context.Context, a *desk) (string, error) {
	return a.ownerOf(ctx, c.Serial)
}
func (c *Return) Object() string {
	return admin.WithReason(named(c.Serial, c.AuditText)+" comes back", c.Reason)
}

// Tell says what becomes of the token.
func (c *Return) Tell(ctx context.Context, a *desk, s *admin.Sheet) error {
	return a.tell(ctx, c.Serial, tokens.Returned, s)
}

func (c *Return) Preflight(ctx context.Context, a *desk) error {
	return a.spare(ctx, c.Serial, signin.Everything)
}

func (c *Return) Do(ctx context.Context, a *desk, g signin.Grant) (any, error) {
	return a.move(ctx, g, movement{serial: c.Serial, event: "token.returned", reason: c.Reason, state: tokens.Returned})
}

// movement is a token that goes elsewhere, the entry that says so, and why.
type movement struct{ serial, event, reason, state string }

// move ends what a token lets its owner do and puts it elsewhere.
func (a *desk) move(ctx context.Context, g signin.Grant, m movement) (any, error) {
	var out Token
	var about directory.Account
	err := a.Change(ctx, g, m.event, map[string]string{"serial": m.serial, "reason": m.reason}, &about, func(tx *store.Tx) error {
		var t tokens.Token
		var err error
		if t, about, err = a.hands.TakeBackTx(ctx, tx, m.serial, g.Account()); err != nil {
			return err
		}
		if err := a.guard.PersonMust(ctx, tx, g.Account(), about.Guarded()); err != nil {
			return err
		}
		if t, err = a.hands.PutTx(ctx, tx, t, m.state); err != nil {
			return err
		}
		out, err = a.shownToken(ctx, tx, t)
		return err
	})
	return out, err
}

// Resync puts a token right by two of its codes in a row. One that came back
// is in stock again with it.
type Resync struct {
	Serial string `json:"serial" arg:"" help:"The serial number."`
	Codes  string `json:"codes" arg:"" help:"Two codes that the token showed one after the other, such as \"123456 654321\"; of a challenge token a number and its answer, twice."`
	// Received is when the server got them: an approval may take minutes, and the
	// token's clock is judged by this moment. What a client sends here is not kept.
	Received        time.Time `json:"received,omitzero" kong:"-"`
	admin.AuditText `embed:""`
}

func (c *Resync) Action() string { return "token.resync" }
func (c *Resync) Thing(ctx context.Context, a *desk) (string, error) {
	return a.ownerOf(ctx, c.Serial)
}

// Tell leaves out when the codes came, and shows no code.
func (c *Resync) Tell(_ context.Context, _ *desk, s *admin.Sheet) error {
	s.Rows("received")
	s.Says("codes", "two codes that it showed one after the other")
	return nil
}

func (c *Resync) Object() string { return named(c.Serial, c.AuditText) + ", by two of its codes" }

func (c *Resync) Receive(now time.Time) { c.Received = now.UTC().Truncate(time.Second) }

func (c *Resync) Do(ctx context.Context, a *desk, g signin.Grant) (any, error) {
	if c.Received.IsZero() {
		c.Receive(a.now())
	}
	var out Token
	var about directory.Account
	err := a.Change(ctx, g, "token.resynchronised", map[string]string{"serial": c.Serial}, &about, func(tx *store.Tx) error {
		var t tokens.Token
		var err error
		if t, about, err = a.hands.ResyncTx(ctx, tx, c.Serial, c.Codes, c.Received); err != nil {
			return err
		}
		out, err = a.shownToken(ctx, tx, t)
		return err
	})
	return out, err
}

// named names a token and whose it is.
func named(serial string, of admin.AuditText) string {
	out := "token " + text.Name(serial)
	if of.What != "" {
		out += " " + of.What
	}
	return out
}
