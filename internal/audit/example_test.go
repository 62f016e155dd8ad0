package audit_test

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"time"

	"countersign/internal/audit"

	"golang.org/x/mod/sumdb/note"
)

// A log that countersign audit export wrote is read and verified without a server, with
// the public key that countersign keys show prints.
func ExampleReadLog() {
	export, verifier := exported()

	log, err := audit.ReadLog(export)
	if err != nil {
		fmt.Println(err)
		return
	}
	var leaves []audit.Leaf
	for leaf, err := range log.Entries() {
		if err != nil {
			fmt.Println(err)
			return
		}
		entry, err := audit.Decode(leaf.Body)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(leaf.Seq, entry.At.Format(time.DateOnly), entry.Event, entry.Outcome, entry.AccountName)
		leaves = append(leaves, leaf)
	}

	each := func(yield func(audit.Leaf, error) bool) {
		for _, leaf := range leaves {
			if !yield(leaf, nil) {
				return
			}
		}
	}
	report, err := audit.Verify(each, audit.Check{Origin: log.Origin, Verifier: verifier, Checkpoints: log.Checkpoints})
	fmt.Println("entries:", report.Entries, "signed:", report.Signed, "faults:", len(report.Faults), err)
	// Output:
	// 0 2026-03-01 signin.granted ok ada
	// 1 2026-03-01 signin.refused refused grace
	// entries: 2 signed: 2 faults: 0 <nil>
}

// exported is a small log as an installation exports it, and the key of its checkpoints.
func exported() (*bytes.Buffer, note.Verifier) {
	const origin = "log.example/countersign"
	private, public, _ := note.GenerateKey(rand.Reader, origin)
	signer, _ := note.NewSigner(private)
	verifier, _ := note.NewVerifier(public)
	macs, tree := audit.NewAuthenticator(make([]byte, 32)), new(audit.Tree)
	var leaves []audit.Leaf
	for _, e := range []audit.Entry{
		{At: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), Actor: audit.System("radius"), Event: "signin.granted", Outcome: audit.OK, AccountName: "ada"},
		{At: time.Date(2026, 3, 1, 12, 0, 9, 0, time.UTC), Actor: audit.System("radius"), Event: "signin.refused", Outcome: audit.Refused, AccountName: "grace", Reason: "wrong"},
	} {
		body, _ := e.Encode()
		seq := tree.Append(body)
		leaves = append(leaves, audit.Leaf{Seq: seq, Body: body, MAC: macs.Append(nil, seq, body)})
	}
	checkpoint, _ := tree.Checkpoint(origin).Sign(signer)
	out := new(bytes.Buffer)
	w, _ := audit.NewWriter(out, origin, []string{checkpoint})
	for _, leaf := range leaves {
		w.Write(leaf)
	}
	return out, verifier
}
