package signin

import (
	"testing"

	"countersign/internal/audit"
	"countersign/internal/failure"
	"countersign/internal/prompt"
	"countersign/internal/store"
)

// The promise: who comes back by another form of a name is the same account or is refused, and
// nothing is used up. A name that nobody has is taken for the same in the same way, so that it
// cannot be told from one that somebody has.
func TestNames(t *testing.T) {
	r, ada, _ := withAda(t)
	r.person("bob")
	r.change(func(tx *store.Tx) error {
		if err := r.people.AddMail(t.Context(), tx, ada.ID, "ada@corp.example"); err != nil {
			return err
		}
		return tx.Record(audit.Entry{Event: "test.mailed", Outcome: audit.OK})
	})
	for first, forms := range map[string]map[string]bool{
		"ada":        {"ada": true, "ADA": true, `CORP\ada`: true, "ada@corp.example": true, "Ada@CORP.example": true, "bob": false, `CORP\bob`: false, "ada@other.example": false, "nobody": false, "": false, "a b": false},
		`CORP\ada`:   {"ada": true, `OTHER\ada`: true, "bob": false},
		"nobody":     {"nobody": true, "NOBODY": true, `CORP\nobody`: true, "ada": false, "bob": false, "nobody@corp.example": false, "": false},
		`CORP\ghost`: {"ghost": true, `OTHER\ghost`: true, "ada": false},
	} {
		s := r.begin(Request{Application: "vpn", Name: first, Protocol: "radius", Medium: prompt.Line, Partner: "nas"})
		for name, same := range forms {
			err := r.Names(t.Context(), s.Ticket, name)
			if (err == nil) != same || err != nil && (failure.ClassOf(err) != failure.Refused || failure.Public(err) != bland) {
				t.Errorf("%q after %q: %v", name, first, err)
			}
		}
	}
	if err := r.Names(t.Context(), "nonsense", "ada"); err != nil {
		t.Errorf("a ticket that is none: %v", err)
	}
}
