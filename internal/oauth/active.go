package oauth

import (
	"context"
	"encoding/base64"
	"strings"

	"countersign/internal/failure"
	"countersign/internal/keyring"
	"countersign/internal/signin"
)

// referenceMark begins a reference. No cookie can hold one: it has a space in it, and what
// follows is authenticated.
const referenceMark = "(client) "

// Reference is how a grant is handed to the engine in the place of a session's secret. It stays
// in this process: whoever had it would have what the client has.
func (gs *Grants) Reference(g *Given) string {
	if g.reference == "" {
		mac := gs.keys.MAC(keyring.OAuth, referenceFields(g.ID))
		g.reference = referenceMark + number(g.ID) + " " + base64.RawURLEncoding.EncodeToString(mac)
	}
	return g.reference
}

func referenceFields(id []byte) *keyring.Fields {
	return keyring.NewFields().String("reference").Bytes(id)
}

// Active returns what a reference holds, or the session of a secret: the engine asks it for
// both ([signin.ActiveSessions]).
func (gs *Grants) Active(ctx context.Context, reference string) (signin.Held, error) {
	rest, ours := strings.CutPrefix(reference, referenceMark)
	if !ours {
		return gs.sessions.Active(ctx, reference)
	}
	text, mac, _ := strings.Cut(rest, " ")
	id, ok := parseNumber(text)
	raw, err := base64.RawURLEncoding.Strict().DecodeString(mac)
	if !ok || err != nil || !gs.keys.VerifyMAC(keyring.OAuth, referenceFields(id), raw) {
		return signin.Held{}, over
	}
	g, err := gs.read(ctx, gs.db, id)
	if err != nil {
		return signin.Held{}, err
	}
	return gs.held(ctx, g)
}

// held is what a grant holds: what was shown when it began, while what it hangs from stands.
// The engine drops what ended since with its authenticator.
func (gs *Grants) held(ctx context.Context, g *Given) (signin.Held, error) {
	held := signin.Held{Account: g.Account, Number: g.Session, Own: g.Number(), Evidence: g.Evidence(), Expires: g.Expires}
	if gs.sessions.AllEnded(g.Account, g.Created) {
		return signin.Held{}, over
	}
	if g.Offline && g.Used() {
		return held, nil
	}
	standing, err := gs.sessions.Standing(ctx, g.Session)
	if err != nil {
		return signin.Held{}, err
	}
	if standing.Account != g.Account {
		return signin.Held{}, failure.Refuse("other-account", over.Public)
	}
	if standing.Expires.Before(held.Expires) {
		held.Expires = standing.Expires
	}
	held.Bound = standing.Bound
	return held, nil
}
