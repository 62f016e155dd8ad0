package signin

import (
	"context"
	"slices"

	"countersign/internal/assurance"
	"countersign/internal/directory"
	"countersign/internal/store"
	"countersign/internal/throttle"
)

// seen is what one transaction has read of an attempt's account, so that whose
// an answer is, what it is compared with and what is decided rest on one
// reading. It is nothing to any other transaction: a retry and another server
// read for themselves.
type seen struct {
	tx      *store.Tx
	name    string
	account directory.Account
	// credentials are read when known is set; wrote keeps them current.
	credentials []directory.Credential
	known       bool
	place       throttle.Place
}

// placeIn is what a transaction has found of the place, if this is that transaction.
func (s *seen) placeIn(tx *store.Tx) throttle.Place {
	if s.tx != tx {
		return throttle.Place{}
	}
	return s.place
}

// accounts reads whose an attempt is and what they have, once in a transaction.
type accounts struct {
	people      *directory.Accounts
	credentials *directory.Credentials
}

func (p Parts) accounts() accounts { return accounts{p.Accounts, p.Credentials} }

// person returns who the attempt is about so far: fixed by evidence, or named.
// Nobody is a NotFound failure, or the zero account where no name was given.
func (a accounts) person(ctx context.Context, r store.Reader, at *attempt) (directory.Account, error) {
	tx, inside := r.(*store.Tx)
	if s := at.seen; inside && s.tx == tx {
		if at.Account != 0 && s.account.ID == at.Account || at.Account == 0 && at.Name != "" && s.name == at.Name {
			return s.account, nil
		}
	}
	var account directory.Account
	var err error
	switch {
	case at.Account != 0:
		account, err = a.people.Get(ctx, r, at.Account)
	case at.Name != "":
		account, err = a.people.Find(ctx, r, at.Name)
	}
	if err == nil && inside && account.ID != 0 {
		at.seen = seen{tx: tx, name: at.Name, account: account}
		err = tx.About(int64(account.ID))
	}
	return account, err
}

// credentialsOf returns every authenticator of an account. Whoever asks shares them, and
// changes none.
func (a accounts) credentialsOf(ctx context.Context, r store.Reader, at *attempt, account assurance.AccountID) ([]directory.Credential, error) {
	tx, inside := r.(*store.Tx)
	ours := inside && at.seen.tx == tx && at.seen.account.ID == account
	if ours && at.seen.known {
		return at.seen.credentials, nil
	}
	if !ours {
		return a.credentials.All(ctx, r, account)
	}
	all, err := a.credentials.AllOf(ctx, r, at.seen.account)
	if err == nil {
		at.seen.credentials, at.seen.known = all, true
	}
	return all, err
}

// wrote keeps what this transaction has just made of a credential, so that it is
// not read again: writing it counts the version up and changes nothing else.
func (at *attempt) wrote(c directory.Credential) {
	c.Version++
	at.seen.credentials = slices.Clone(at.seen.credentials)
	for i := range at.seen.credentials {
		if at.seen.credentials[i].ID == c.ID {
			at.seen.credentials[i] = c
		}
	}
}
