package admin

import (
	"context"
	"crypto/rand"

	"countersign/internal/audit"
	"countersign/internal/authenticator"
	"countersign/internal/authenticator/hotp"
	"countersign/internal/authenticator/otp"
	"countersign/internal/servertest"
	"countersign/internal/store"
	hardware "countersign/internal/token"
)

// plantTokens puts code tokens into stock, as an import does.
func plantTokens(w *servertest.World, serials ...string) {
	w.T.Helper()
	err := w.DB.Change(context.Background(), audit.System("test"), func(tx *store.Tx) error {
		var tokens []hardware.Token
		for _, serial := range serials {
			e, err := new(hotp.Authenticator).Import(authenticator.Seed{Algorithm: string(otp.SHA1), Digits: 6, Secret: []byte(rand.Text()[:20])})
			if err != nil {
				return err
			}
			tokens = append(tokens, hardware.Token{Serial: serial, Manufacturer: "Feitian", Kind: hotp.Kind, Detail: "SHA1, 6 digits", Seed: e.State})
		}
		if err := w.Hardware.Add(context.Background(), tx, tokens); err != nil {
			return err
		}
		return tx.Record(audit.Entry{Event: "token.imported", Outcome: audit.OK, Detail: map[string]string{"count": "2", "digest": "b9a282462cf19535b8e821cd26109e01fa56cd3098faed5dfe0e21c53756d36a"}})
	})
	if err != nil {
		w.T.Fatal(err)
	}
}
