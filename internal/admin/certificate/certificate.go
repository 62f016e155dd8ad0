// Package certificate is the command that makes a card's certificate somebody's
// authenticator.
//
// It owns the text by which a certificate is approved, and that nobody gives somebody all
// that they sign in with alone. What a certificate is worth is authenticator/certificate's.
// Its one invariant: nobody assigns a card to themselves.
package certificate

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"
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
)

// Commands are those about certificates of cards, with what each answers and leaves in the log.
func Commands() []admin.Spec {
	return []admin.Spec{
		admin.Changes[Assign]("Make a card's certificate an authenticator of somebody else's.", enrollment.Authenticator{}).
			Telling("certificate.assigned", "{by} assigned the card {detail.label} to {who}"),
	}
}

// Parts are what the commands work on.
type Parts struct {
	DB          *store.DB
	Accounts    *directory.Accounts
	Credentials *directory.Credentials
	Engine      *signin.Engine
	Enrollments *enrollment.Enrollments
	Listing     *enrollment.Listing
	Dormant     time.Duration
	Now         func() time.Time
}

// Desk is where the commands are done.
func Desk(p Parts) admin.Desk {
	return admin.At(&desk{admin.NewBook(p.DB), guard.NewGiving(guard.New(p.Accounts, p.Engine), p.Dormant, p.Now), p.DB, p.Accounts, p.Credentials, p.Enrollments, p.Listing, p.Now})
}

type desk struct {
	admin.Book
	guard.Giving
	db          store.Reader
	people      *directory.Accounts
	credentials *directory.Credentials
	enrollments *enrollment.Enrollments
	listing     *enrollment.Listing
	now         func() time.Time
}

// Assign makes the certificate of a card an authenticator of somebody
// else's, so that the card works on the day it is handed over.
type Assign struct {
	Certificate     string `json:"certificate" arg:"" type:"text-file" name:"file" help:"The card's certificate, PEM; - reads standard input."`
	Account         string `json:"account" arg:"" help:"Whose card it is; never your own."`
	Note            string `json:"note,omitempty" help:"How you made sure whose card it is."`
	admin.AuditText `embed:""`
}

func (c *Assign) Action() string { return "certificate.assign" }

func (c *Assign) About() *string { return &c.Account }

// Object names the certificate by its subject, issuer and number, and by its whole
// content.
func (c *Assign) Object() string {
	sum := sha256.Sum256([]byte(c.Certificate))
	return admin.WithReason("certificate "+hex.EncodeToString(sum[:16])+" of "+certificateText(c.Certificate)+" to "+c.Of(c.Account), c.Note)
}

// Said is the text without the digest.
func (c *Assign) Said() string {
	return admin.WithReason("certificate of "+certificateText(c.Certificate)+" to "+c.Of(c.Account), c.Note)
}

// Tell says whose the certificate is.
func (c *Assign) Tell(_ context.Context, _ *desk, s *admin.Sheet) error {
	s.Rows("certificate", prompt.Field{Name: "Certificate", After: certificateText(c.Certificate)})
	return nil
}

// certificateText names what a certificate says.
func certificateText(written string) string {
	block, _ := pem.Decode([]byte(written))
	if block == nil {
		return "something that is no certificate"
	}
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return "something that is no certificate"
	}
	return fmt.Sprintf("%s from %s, serial %X", text.Quote(leaf.Subject.String()), text.Quote(leaf.Issuer.String()), leaf.SerialNumber)
}

// Preflight says what keeps the certificate from being of use here.
func (c *Assign) Preflight(ctx context.Context, a *desk) error {
	d, err := a.people.Find(ctx, a.db, c.Account)
	if err != nil {
		return err
	}
	enrolled, err := a.enrollments.Assignable(a.listing.Assigned(), []byte(c.Certificate))
	if err != nil {
		return err
	}
	return a.mayHandOver(ctx, a.db, d, enrolled.Traits)
}

func (c *Assign) Do(ctx context.Context, a *desk, g signin.Grant) (any, error) {
	enrolled, err := a.enrollments.Assignable(a.listing.Assigned(), []byte(c.Certificate))
	if err != nil {
		return nil, err
	}
	var d directory.Account
	var out enrollment.Authenticator
	detail := map[string]string{"note": c.Note, "label": enrolled.Label, "certificate": enrolled.Detail}
	err = a.Change(ctx, g, "certificate.assigned", detail, &d, func(tx *store.Tx) (err error) {
		if d, err = a.Assignee(ctx, tx, g, c.Account); err != nil {
			return err
		}
		if err := a.mayHandOver(ctx, tx, d, enrolled.Traits); err != nil {
			return err
		}
		assigned, err := a.enrollments.AssignTx(ctx, tx, d, directory.Credential{Kind: a.listing.Assigned(), Label: enrolled.Label, Handle: enrolled.Handle, Traits: enrolled.Traits, State: enrolled.State, Assigned: g.Account()})
		out = a.listing.Describe(assigned)
		return err
	})
	return out, err
}

// mayHandOver keeps what is two factors by itself from replacing all that somebody signs
// in with: like a pass it is for who has nothing that could be asked for beside it.
func (a *desk) mayHandOver(ctx context.Context, r store.Reader, to directory.Account, traits assurance.Trait) error {
	if !assurance.TwoFactors().Met([]assurance.Evidence{{Account: to.ID, Traits: traits, Time: a.now()}}, a.now()) {
		return nil
	}
	credentials, err := a.credentials.All(ctx, r, to.ID)
	if err != nil || directory.ProofRequired(credentials, a.now(), a.now()) == directory.ProofNone {
		return err
	}
	return failure.At("account", failure.Refuse(signin.NeedsSecond, fmt.Sprintf("%s has, or had, ways to sign in, and a card is both factors at once: nobody gives somebody all of that alone. They add it by themselves, under Ways to sign in; who lost everything needs a recovery that a second person confirms.", to.Name)))
}
