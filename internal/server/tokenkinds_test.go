package server

import (
	"bytes"
	"testing"

	"countersign/internal/authenticator/hotp"
	"countersign/internal/authenticator/ocra"
	"countersign/internal/authenticator/totp"
	"countersign/internal/authenticator/yubicootp"
	hardware "countersign/internal/token"
)

// What a token's file says is its secret is what is known of it later, when it is assigned:
// or a second token of one secret would be taken once and not the other time.
func TestSecretOfATokenIsThatOfItsFile(t *testing.T) {
	all, err := EveryKind()
	if err != nil {
		t.Fatal(err)
	}
	tokens := all.Tokens()
	for _, seed := range []hardware.Seed{
		{Kind: hotp.Kind, Algorithm: "SHA1", Digits: 6, Secret: bytes.Repeat([]byte{7}, 20), Counter: 3},
		{Kind: totp.Kind, Algorithm: "SHA256", Digits: 8, Period: 60, Secret: bytes.Repeat([]byte{8}, 32)},
		{Kind: ocra.Kind, Suite: "OCRA-1:HOTP-SHA1-6:QN08", Secret: bytes.Repeat([]byte{9}, 20)},
		{Kind: yubicootp.Kind, Public: "cccccccbcjdi", Private: bytes.Repeat([]byte{1}, 6), Secret: bytes.Repeat([]byte{2}, 16)},
	} {
		made, err := tokens.Import(seed)
		if err != nil {
			t.Fatalf("%s: %v", seed.Kind, err)
		}
		kept, err := tokens.Secret(seed.Kind, made.State)
		if err != nil || !bytes.Equal(kept, seed.Secret) {
			t.Errorf("%s: the secret that is kept is another, %v", seed.Kind, err)
		}
	}
}
