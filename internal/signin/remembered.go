package signin

import (
	"context"
	"encoding/base64"
	"strconv"
	"strings"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/failure"
	"countersign/internal/keyring"
)

// BrowserLife is how long a browser is remembered after its owner was let in there.
const BrowserLife = 30 * day

// Remember returns what a browser keeps in which an account was let in, for
// [Request.Browser]. It shows nothing and lets nobody in: it says that this browser is
// no stranger to this account, as an address does from which it was let in, wherever
// the browser is by now. So a flood of guesses from everywhere does not keep a person
// who travels from typing their password.
func (e *Engine) Remember(g Grant) string {
	return e.guesses.browserOf(g.Account())
}

func encodeMAC(mac []byte) string { return base64.RawURLEncoding.EncodeToString(mac) }

func browserFields(account, unix int64) *keyring.Fields {
	return keyring.NewFields().Int(account).Int(unix)
}

// remembers reports whether an attempt comes by a browser in which this account was
// let in.
func (g *guesses) remembers(at *attempt, account assurance.AccountID) bool {
	parts := strings.Split(at.Browser, ".")
	if len(parts) != 3 || account == 0 {
		return false
	}
	whose, err := strconv.ParseInt(parts[0], 10, 64)
	unix, err2 := strconv.ParseInt(parts[1], 10, 64)
	mac, err3 := base64.RawURLEncoding.Strict().DecodeString(parts[2])
	if err != nil || err2 != nil || err3 != nil || assurance.AccountID(whose) != account || !g.keys.VerifyMAC(keyring.Browser, browserFields(whose, unix), mac) {
		return false
	}
	age := g.now().Sub(time.Unix(unix, 0))
	return age >= -time.Minute && age < BrowserLife
}

// placeOf is where whoever makes an attempt stands in the line for slow checks.
func (x *examiner) placeOf(ctx context.Context, at *attempt) (place, error) {
	p, err := x.guesses.place(ctx, x.db, at)
	if err != nil || at.Browser == "" || p.standing == known {
		return p, err
	}
	account, err := x.accounts.person(ctx, x.db, at)
	if failure.ClassOf(err) == failure.NotFound {
		return p, nil
	}
	if err == nil && x.guesses.remembers(at, account.ID) {
		p.standing = known
	}
	return p, err
}
