// Package yubikey attacks applications that ask by Yubico's validation protocol, as the
// programs that ask and those on their way meet it.
//
// It owns a client of the protocol, a YubiKey in software, and how a canary gets one. It
// uses nothing of the server's own protocol, so that it would notice a mistake there. What
// the attacks are for, and what their results prove, is the drill's. Invariant: a try is open
// only if the server says OK, or an answer could be anybody's.
package yubikey

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	"countersign/internal/drill"
)

// Validation is an application of Yubico's protocol, as one of its programs meets it.
type Validation struct {
	// Application is its name.
	Application string
	// Server is the public URL of Countersign.
	Server string
	// Client and Key are the number of one of its programs, and what that signs with.
	Client int
	Key    []byte
	// Peers are other applications of the same server. Their programs' signatures and codes
	// are no good here.
	Peers []Validation

	heard *heard
	// owners are those of keys, by the play that they are made in: a token's row outlives its
	// owner, so that few are made.
	owners *owners
}

// Components are applications of one server, each with the others as its peers.
func Components(all ...Validation) []drill.Component {
	var out []drill.Component
	for i, s := range all {
		for k, peer := range all {
			if k != i {
				s.Peers = append(s.Peers[:len(s.Peers):len(s.Peers)], peer)
			}
		}
		out = append(out, s.Component())
	}
	return out
}

// Component is the application as a component of a stage. Who has a password and nothing else
// has nothing to send: it has no door.
func (s Validation) Component() drill.Component {
	s.owners = &owners{}
	return drill.Component{Kind: drill.Validation, Application: s.Application, Name: "the validation protocol for " + s.Application,
		Moves: map[drill.Move]drill.Attack{drill.Replay: s.replay, drill.RaceCodes: s.race, drill.GuessCodes: s.guess, drill.MadeUp: s.madeUp},
		Enter: s.enter, Check: s.check}
}

// Configured is an application by its name and settings.
type Configured struct {
	Application string
	Settings    json.RawMessage
}

// Here are the applications as the first program of each asks.
func Here(server string, all []Configured) (out []Validation, _ error) {
	for _, c := range all {
		var settings struct {
			Clients []struct {
				ID  int    `json:"id"`
				Key string `json:"key"`
			} `json:"clients"`
		}
		if err := json.Unmarshal(c.Settings, &settings); err != nil || len(settings.Clients) == 0 {
			return nil, fmt.Errorf("the settings of %s cannot be read", c.Application)
		}
		first := settings.Clients[0]
		key, err := base64.StdEncoding.DecodeString(first.Key)
		if err != nil {
			return nil, fmt.Errorf("the settings of %s cannot be read", c.Application)
		}
		out = append(out, Validation{Application: c.Application, Server: server, Client: first.ID, Key: key})
	}
	return out, nil
}

// check asks about what no key types, which is no guess.
func (s Validation) check(ctx context.Context) error {
	a, err := s.send(ctx, &drill.Play{}, s.query("check"))
	if err != nil {
		return fmt.Errorf("%s cannot be asked at %s (%w)", s.Application, s.Server+path, err)
	}
	if a.status != badOTP {
		return fmt.Errorf("%s at %s answers client %d with %s; the settings here are of another installation", s.Application, s.Server+path, s.Client, a.status)
	}
	return nil
}

// owner is somebody with a key.
type owner struct {
	*drill.Canary
	*key
	serial string
}

// owners are made once in each play.
type owners struct {
	mu  sync.Mutex
	all map[*drill.Play]*owner
}

// owner is the owner of a key in this play.
func (s Validation) owner(ctx context.Context, p *drill.Play) (*owner, error) {
	s.owners.mu.Lock()
	defer s.owners.mu.Unlock()
	if o := s.owners.all[p]; o != nil {
		return o, nil
	}
	o, err := stocked(ctx, p)
	if err != nil {
		return nil, err
	}
	if err := o.assigned(ctx, p); err != nil {
		return nil, err
	}
	s.owners.all = map[*drill.Play]*owner{p: o} // of those before nobody asks again
	return o, nil
}

// stocked is a person, and a key in stock that is nobody's yet. It is ended for good when the
// play is over.
func stocked(ctx context.Context, p *drill.Play) (*owner, error) {
	c, err := p.Person(ctx)
	if err != nil {
		return nil, err
	}
	o := &owner{c, newKey(), c.Name}
	row := map[string]any{"serial": o.serial, "kind": "yubico-otp", "public": o.public, "private": o.private, "secret": o.aes}
	upload := base64.RawURLEncoding.EncodeToString(random(24))
	var part struct{ Digest string }
	if err := p.Admin.Do(ctx, "token.stage", map[string]any{"upload": upload, "part": 0, "rows": []any{row}}, &part); err != nil {
		return nil, err
	}
	sum, err := hex.DecodeString(part.Digest)
	if err != nil {
		return nil, err
	}
	whole := sha256.Sum256(sum)
	p.Afterwards(func(ctx context.Context) {
		p.Admin.Do(ctx, "token.revoke", map[string]string{"serial": o.serial, "reason": "a drill is over"}, nil) //nolint:errcheck // its owner has ended
	})
	return o, p.Admin.Do(ctx, "token.import", map[string]any{"upload": upload, "parts": 1, "count": 1, "digest": hex.EncodeToString(whole[:]), "file": "a drill"}, nil)
}

// assigned gives the key to its owner.
func (o *owner) assigned(ctx context.Context, p *drill.Play) error {
	return p.Admin.Do(ctx, "token.assign", map[string]string{"serial": o.serial, "account": o.Name, "note": "a drill", "codes": o.touch() + " " + o.touch()}, nil)
}

var errNotIn = errors.New("a right touch of an owner's key is not OK")

// enters has somebody with a key touch it.
func (s Validation) enters(ctx context.Context, p *drill.Play, o *owner) (otp string, _ error) {
	otp = o.touch()
	a, err := s.send(ctx, p, s.query(otp))
	if err == nil && (a.status != isOK || a.fault != "") {
		err = fmt.Errorf("%w: %s %s", errNotIn, a.status, a.fault)
	}
	return otp, err
}

// enter has the owner of a key touch it.
func (s Validation) enter(ctx context.Context, p *drill.Play, _ *drill.Canary) error {
	o, err := s.owner(ctx, p)
	if err != nil {
		return err
	}
	_, err = s.enters(ctx, p, o)
	return err
}
