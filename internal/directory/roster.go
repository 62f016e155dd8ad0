package directory

import (
	"cmp"
	"encoding/binary"
	"errors"
	"slices"

	"countersign/internal/assurance"
	"countersign/internal/store"
)

// roster is what hangs from an account: its groups, its authenticators, its addresses and
// the spellings that lead to it. It is a column of the account's row, so that reading that
// reads it too, and it holds: the rows that it tells of are for finding and for listing.
// So what somebody removes of them still counts, and what they put back does not.
type roster struct {
	groups []joined  // by number
	held   []holding // by number
	mails  []mailbox // by address
	names  []int64   // of spellings, see [store.NumberOf], sorted
	// former are those of names that it had before, also of names; moved is when its
	// addresses were last replaced, 0 for never.
	former []int64
	moved  int64
}

// joined is a group that the account is in. Neither its name nor what it is ever changes,
// so that they hold also where the group's own row does not.
type joined struct {
	team       int64
	at         int64
	name       string
	privileged bool
}

// holding is an authenticator. Its power counts what makes it powerful, and not each of
// its answers.
type holding struct {
	id     assurance.CredentialID
	power  int64
	traits []byte // their words
}

// mailbox is an address for notices, and when it was found to be the account's.
type mailbox struct {
	address  string
	verified int64
}

// join adds a group, and reports whether it was not there.
func (r *roster) join(g Group, at int64) bool {
	i, there := slices.BinarySearchFunc(r.groups, g.ID, func(j joined, team int64) int { return cmp.Compare(j.team, team) })
	if !there {
		r.groups = slices.Insert(r.groups, i, joined{g.ID, at, g.Name, g.Privileged})
	}
	return !there
}

// in reports whether the account is in a group.
func (r *roster) in(team int64) bool {
	return slices.ContainsFunc(r.groups, func(j joined) bool { return j.team == team })
}

// leave takes a group away, and reports whether it was there. So is one of the same name
// that is there no more: nobody could take that away otherwise.
func (r *roster) leave(g Group) bool {
	before := len(r.groups)
	r.groups = slices.DeleteFunc(r.groups, func(j joined) bool { return j.team == g.ID || j.name == g.Name })
	return len(r.groups) < before
}

// hold notes a change of what makes an authenticator powerful, and returns how many there
// were.
func (r *roster) hold(c Credential) int64 {
	i, there := slices.BinarySearchFunc(r.held, c.ID, func(h holding, id assurance.CredentialID) int { return cmp.Compare(h.id, id) })
	if !there {
		r.held = slices.Insert(r.held, i, holding{id: c.ID})
	}
	h := &r.held[i]
	h.power, h.traits = max(h.power, c.power)+1, []byte(c.Traits.String())
	return h.power
}

// holding returns what there is of an authenticator; the zero holding is none.
func (r *roster) holding(id assurance.CredentialID) holding {
	for _, h := range r.held {
		if h.id == id {
			return h
		}
	}
	return holding{}
}

// receive adds an address, and reports whether it was not there.
func (r *roster) receive(address string, at int64) bool {
	i, there := slices.BinarySearchFunc(r.mails, address, func(m mailbox, a string) int { return cmp.Compare(m.address, a) })
	if !there {
		r.mails = slices.Insert(r.mails, i, mailbox{address, at})
	}
	return !there
}

// keepMail takes away every address but this one.
func (r *roster) keepMail(address string) {
	r.mails = slices.DeleteFunc(r.mails, func(m mailbox) bool { return m.address != address })
}

// call adds a spelling.
func (r *roster) call(name string) {
	n := store.NumberOf(name)
	if i, there := slices.BinarySearch(r.names, n); !there {
		r.names = slices.Insert(r.names, i, n)
	}
}

// uncall takes a spelling away.
func (r *roster) uncall(name string) {
	if i, there := slices.BinarySearch(r.names, store.NumberOf(name)); there {
		r.names = slices.Delete(r.names, i, i+1)
	}
}

// retire notes a name that the account had.
func (r *roster) retire(name string) {
	if !r.had(name) {
		r.former = append(r.former, store.NumberOf(name))
	}
}

// had reports whether the account had a name before.
func (r *roster) had(name string) bool { return slices.Contains(r.former, store.NumberOf(name)) }

// called reports whether a spelling leads to the account.
func (r *roster) called(name string) bool {
	_, there := slices.BinarySearch(r.names, store.NumberOf(name))
	return there
}

// rosterForm is the first octet of a roster: how the rest is written. The authenticators
// come first, for whoever wants nothing else.
const rosterForm = 1

func (r *roster) bytes() []byte {
	b := append(make([]byte, 0, 128), rosterForm)
	b = binary.AppendUvarint(b, uint64(len(r.held)))
	for _, h := range r.held {
		b = appendText(binary.AppendVarint(binary.AppendVarint(b, int64(h.id)), h.power), h.traits)
	}
	b = binary.AppendUvarint(b, uint64(len(r.groups)))
	for _, j := range r.groups {
		b = appendText(binary.AppendVarint(binary.AppendVarint(b, j.team), j.at), j.name)
		b = append(b, byte(store.Bit(j.privileged)))
	}
	b = binary.AppendUvarint(b, uint64(len(r.mails)))
	for _, m := range r.mails {
		b = appendText(binary.AppendVarint(b, m.verified), m.address)
	}
	b = binary.AppendUvarint(b, uint64(len(r.names)))
	for _, n := range r.names {
		b = binary.BigEndian.AppendUint64(b, uint64(n))
	}
	return r.appendChanges(b)
}

// appendChanges writes what only an account has that was renamed or whose addresses were
// replaced, so that every other roster is written as before.
func (r *roster) appendChanges(b []byte) []byte {
	if len(r.former) == 0 && r.moved == 0 {
		return b
	}
	b = binary.AppendUvarint(binary.AppendVarint(b, r.moved), uint64(len(r.former)))
	for _, n := range r.former {
		b = binary.BigEndian.AppendUint64(b, uint64(n))
	}
	return b
}

func (r *roster) readChanges(in *rosterReader) {
	if in.bad || len(in.rest) == 0 {
		return
	}
	r.moved = in.number()
	for range in.count() {
		r.former = append(r.former, in.long())
	}
}

func appendText[T string | []byte](b []byte, s T) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

var errRoster = errors.New("directory: a roster that nobody wrote")

// readRoster reads what [roster.bytes] wrote.
func readRoster(b []byte) (*roster, error) {
	in, r, err := readHeld(b)
	if err != nil {
		return nil, err
	}
	for range in.count() {
		r.groups = append(r.groups, joined{team: in.number(), at: in.number(), name: in.text(), privileged: in.octet() == 1})
	}
	for range in.count() {
		r.mails = append(r.mails, mailbox{verified: in.number(), address: in.text()})
	}
	n := in.count()
	r.names = make([]int64, 0, n)
	for range n {
		r.names = append(r.names, in.long())
	}
	r.readChanges(in)
	if in.bad || len(in.rest) > 0 {
		return nil, errRoster
	}
	return r, nil
}

// readHeld reads the authenticators only, and what to go on with.
func readHeld(b []byte) (*rosterReader, *roster, error) {
	if len(b) == 0 || b[0] != rosterForm {
		return nil, nil, errRoster
	}
	in, r := &rosterReader{rest: b[1:]}, &roster{}
	n := in.count()
	r.held = make([]holding, 0, n)
	for range n {
		r.held = append(r.held, holding{id: assurance.CredentialID(in.number()), power: in.number(), traits: in.take(in.count())})
	}
	if in.bad {
		return nil, nil, errRoster
	}
	return in, r, nil
}

// rosterReader reads from the beginning of rest. What is not there is zero, and bad.
type rosterReader struct {
	rest []byte
	bad  bool
}

func (in *rosterReader) count() uint64 {
	n, size := binary.Uvarint(in.rest)
	if size <= 0 || n > uint64(len(in.rest)) { // each of them takes an octet at least
		in.bad, in.rest = true, nil
		return 0
	}
	in.rest = in.rest[size:]
	return n
}

func (in *rosterReader) number() int64 {
	n, size := binary.Varint(in.rest)
	if size <= 0 {
		in.bad, in.rest = true, nil
		return 0
	}
	in.rest = in.rest[size:]
	return n
}

func (in *rosterReader) take(n uint64) []byte {
	if uint64(len(in.rest)) < n {
		in.bad, in.rest = true, nil
		return make([]byte, n)
	}
	out := in.rest[:n]
	in.rest = in.rest[n:]
	return out
}

func (in *rosterReader) text() string { return string(in.take(in.count())) }
func (in *rosterReader) octet() byte  { return in.take(1)[0] }
func (in *rosterReader) long() int64  { return int64(binary.BigEndian.Uint64(in.take(8))) }
