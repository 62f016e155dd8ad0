// Package hostcodes makes and keeps lists of one-time codes for local accounts of
// hosts, for when the network is away: ATT&CK T1078.003.
//
// It owns the table offline_list and the form of the file that a host keeps, which
// is that of liboath's PAM module (usersfile of pam_oath). It checks no code: the
// host does, by itself, because nobody else can be asked then. It grants nothing and
// knows no account of ours. Its neighbours are admin, which does the commands, and
// authenticator/otp, which is HOTP (RFC 4226). Its one invariant: a list is handed
// out once, and what a host says was used is believed only where the code that it
// names is that list's, and never moves a list back.
package hostcodes

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"time"

	"countersign/internal/authenticator/otp"
	"countersign/internal/failure"
	"countersign/internal/keyring"
	"countersign/internal/store"
)

// Digits is how long a code is: at 20 codes ahead a guess is right once in five
// million.
const Digits = 8

// MostCodes bounds a list: pam_oath looks for a code that far ahead (its "window").
const MostCodes = 50

// Parts are what Lists are made of.
type Parts struct {
	DB   *store.DB
	Keys *keyring.Keyring
}

// Lists keeps lists. It is safe for concurrent use.
type Lists struct {
	db   *store.DB
	keys *keyring.Keyring
}

// New makes Lists.
func New(p Parts) *Lists { return &Lists{db: p.DB, keys: p.Keys} }

// List is one list.
type List struct {
	ID    int64
	Host  string
	Login string
	Codes int
	// Next is the first code that is not known to be used, from 0.
	Next   int
	At     time.Time // when the one before it was used; zero for none
	Issued time.Time

	key     otp.Key
	version int64 // counts what was written
}

// Left is how many codes are not known to be used or passed over.
func (l List) Left() int { return l.Codes - l.Next }

// names are hosts and local accounts: what stands in a file whose fields are apart
// by blanks, and in a sentence.
var names = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]{0,62}$`)

func check(host, login string, codes int) error {
	switch {
	case !names.MatchString(host):
		return failure.At("host", failure.New(failure.Invalid, "Write the host's name in letters, digits, dots and hyphens: gate1.example.org."))
	case !names.MatchString(login):
		return failure.At("login", failure.New(failure.Invalid, "Write the local account as the host has it: root."))
	case codes < 1 || codes > MostCodes:
		return failure.At("codes", failure.New(failure.Invalid, "A list has 1 to %d codes.", MostCodes))
	}
	return nil
}

// Handed is a list as it is handed out, once.
type Handed struct {
	List
	// Line is for the host's file, Numbered are the codes for the paper. Both are
	// secret.
	Line     string
	Numbered []Code
}

// Code is one line of the paper.
type Code struct {
	Number int    `json:"number"` // from 1
	Code   string `json:"code"`   // in two groups of four
}

// IssueTx makes a list inside a change that records it, in the place of one that the
// account had.
func (k *Lists) IssueTx(ctx context.Context, tx *store.Tx, host, login string, codes int) (Handed, error) {
	if err := check(host, login, codes); err != nil {
		return Handed{}, err
	}
	if _, err := k.removeTx(ctx, tx, host, login); err != nil {
		return Handed{}, err
	}
	l := List{version: 1, Host: host, Login: login, Codes: codes, Issued: tx.Now().Truncate(time.Microsecond), key: otp.Key{Algorithm: otp.SHA1, Digits: Digits, Secret: make([]byte, 20)}}
	rand.Read(l.key.Secret)
	err := tx.QueryRow(ctx, `insert into offline_list (host, login, secret, codes, issued, mac) values ($1,$2,$3,$4,$5,$6) returning id`,
		host, login, []byte{}, codes, store.Unix(l.Issued), []byte{}).Scan(&l.ID)
	if err != nil {
		return Handed{}, err
	}
	if err := numbers.Fresh(k.db.View(), l.ID); err != nil {
		return Handed{}, err
	}
	if err := k.writeTx(ctx, tx, l, k.keys.Seal(keyring.HostCodes, l.aad(), l.key.Secret)); err != nil {
		return Handed{}, err
	}
	h := Handed{List: l, Line: fmt.Sprintf("HOTP %s - %s", login, hex.EncodeToString(l.key.Secret))}
	for i := range codes {
		code := l.key.Code(uint64(i))
		h.Numbered = append(h.Numbered, Code{i + 1, code[:4] + " " + code[4:]})
	}
	return h, nil
}

// RevokeTx forgets a list inside a change that records it. The host's file must be
// changed there.
func (k *Lists) RevokeTx(ctx context.Context, tx *store.Tx, host, login string) error {
	there, err := k.removeTx(ctx, tx, host, login)
	if err == nil && !there {
		return failure.New(failure.NotFound, "%s has no list for %s.", host, login)
	}
	return err
}

// All returns every list that is believed, by host and local account.
func (k *Lists) All(ctx context.Context) (all []List, err error) {
	for range mostReads {
		if all, err = k.all(ctx); !errors.Is(err, errOvertaken) {
			return all, err
		}
	}
	return nil, fmt.Errorf("%w: %w", store.ErrUnavailable, err)
}

func (k *Lists) all(ctx context.Context) ([]List, error) {
	rows, err := k.db.Query(ctx, `select `+columns+` from offline_list order by host, login`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []List
	for rows.Next() {
		l, _, err := k.scan(ctx, rows)
		if errors.Is(err, errTampered) && !errors.Is(err, errOvertaken) {
			continue
		}
		if err != nil {
			return nil, err
		}
		out = append(out, l)
	}
	return out, rows.Err()
}
