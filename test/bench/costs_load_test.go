package bench

import (
	"context"
	"crypto/hmac"
	"crypto/md5"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"net"
	"slices"
	"strconv"
	"testing"
	"time"

	"countersign/internal/audit"
	"countersign/internal/authenticator"
	"countersign/internal/authenticator/hotp"
	"countersign/internal/authenticator/otp"
	"countersign/internal/directory"
	"countersign/internal/servertest"
	"countersign/internal/store"
)

// asker is one RADIUS client with a socket of its own.
type asker struct {
	conn   *net.UDPConn
	secret []byte
	id     byte
	out    []byte
	in     [4096]byte
	// unsigned leaves the Message-Authenticator out.
	unsigned bool
}

func newAsker(b testing.TB, to, secret string) *asker {
	b.Helper()
	addr, err := net.ResolveUDPAddr("udp", to)
	if err != nil {
		b.Fatal(err)
	}
	conn, err := net.DialUDP("udp", nil, addr)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { conn.Close() })
	return &asker{conn: conn, secret: []byte(secret)}
}

// ask sends one Access-Request and returns the code of the reply.
func (a *asker) ask(name, password string) (byte, error) {
	return a.once(name, password, 5*time.Second)
}

// once is ask with another patience for each of three datagrams, since one may be lost.
func (a *asker) once(name, password string, patience time.Duration) (byte, error) {
	a.id++
	p := a.request(name, password)
	for range 3 {
		if _, err := a.conn.Write(p); err != nil {
			return 0, err
		}
		a.conn.SetReadDeadline(time.Now().Add(patience))
		n, err := a.conn.Read(a.in[:])
		if err == nil && n >= 20 && a.in[1] == a.id {
			return a.in[0], nil
		}
	}
	return 0, fmt.Errorf("no answer")
}

// request makes the Access-Request with the asker's identifier.
func (a *asker) request(name, password string) []byte {
	p := append(a.out[:0], 1, a.id, 0, 0)
	var authenticator [16]byte
	rand.Read(authenticator[:])
	p = append(p, authenticator[:]...)
	if !a.unsigned {
		p = append(append(p, 80, 18), make([]byte, 16)...)
	}
	p = append(append(p, 1, byte(len(name)+2)), name...)
	hidden := make([]byte, 16)
	copy(hidden, password)
	pad := md5.Sum(append(slices.Clone(a.secret), authenticator[:]...))
	for i := range hidden {
		hidden[i] ^= pad[i]
	}
	p = append(append(p, 2, 18), hidden...)
	binary.BigEndian.PutUint16(p[2:], uint16(len(p)))
	if !a.unsigned {
		m := hmac.New(md5.New, a.secret)
		m.Write(p)
		copy(p[22:38], m.Sum(nil))
	}
	a.out = p
	return p
}

// window is how many codes the server looks at from the next one on.
const window = 10

// holder is an account with a code generator.
type holder struct {
	name  string
	key   otp.Key
	next  uint64   // the counter that the server expects
	codes []string // from next on, as far as they are computed
}

// code returns the next code, but not one that comes again within the window: of
// two equal codes the server takes the later, and would be ahead of this generator.
func (h *holder) code() string {
	for len(h.codes) < window {
		h.codes = append(h.codes, h.key.Code(h.next+uint64(len(h.codes))))
	}
	at := 0
	for slices.Contains(h.codes[at+1:], h.codes[at]) {
		at++
	}
	code := h.codes[at]
	h.next, h.codes = h.next+uint64(at)+1, slices.Delete(h.codes, 0, at+1)
	return code
}

// signIn signs in by the next code.
func (h *holder) signIn(a *asker) error {
	code, err := a.ask(h.name, h.code())
	if err == nil && code != accept {
		err = fmt.Errorf("%s was answered with %d", h.name, code)
	}
	return err
}

// accept is the code of an Access-Accept.
const accept = 2

// spread are so many of these people, as far from each other in the tables as in life.
func spread(people []*holder, n int) []*holder {
	out := make([]*holder, n)
	for i := range out {
		out[i] = people[i*(len(people)/n)]
	}
	return out
}

// populate makes accounts, the first of them with a code generator.
func populate(b *testing.B, w *servertest.World, accounts, holders int) []*holder {
	b.Helper()
	var out []*holder
	ctx := context.Background()
	for at := 0; at < accounts; at += 100 {
		err := w.DB.Change(ctx, audit.System("bench"), func(tx *store.Tx) error {
			for i := at; i < min(at+100, accounts); i++ {
				name := "person-" + strconv.Itoa(i)
				d, err := w.Accounts.Create(ctx, tx, directory.NewAccount{Name: name})
				if err != nil {
					return err
				}
				if i >= holders {
					continue
				}
				key := otp.Key{Algorithm: otp.SHA1, Digits: 6, Secret: []byte(rand.Text()[:20])}
				e, err := new(hotp.Authenticator).Import(authenticator.Seed{Secret: key.Secret, Algorithm: string(key.Algorithm), Digits: key.Digits})
				if err != nil {
					return err
				}
				if _, err := w.Credentials.Add(ctx, tx, directory.Credential{Account: d.ID, Kind: hotp.Kind, Label: e.Label, Traits: e.Traits, State: e.State}); err != nil {
					return err
				}
				out = append(out, &holder{name: name, key: key})
			}
			return tx.Record(audit.Entry{Event: "bench.accounts", Outcome: audit.OK})
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	err := w.DB.Change(ctx, audit.System("bench"), func(tx *store.Tx) error {
		if _, err := w.Catalogue.Set(ctx, tx, codeOnly()); err != nil {
			return err
		}
		return tx.Record(audit.Entry{Event: "bench.application", Outcome: audit.OK})
	})
	if err != nil {
		b.Fatal(err)
	}
	return out
}
