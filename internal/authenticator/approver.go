package authenticator

import (
	"encoding/json"
	"strconv"
)

// Approver is an Authenticator on a device of its own. It is never asked where
// the person signs in: it signs a statement about an approval that waits there.
type Approver interface {
	Authenticator
	// Address returns where the device can be woken; false when it gave none.
	Address(c Credential) (Address, bool)
	// Move returns the credential's state with another address; the zero one
	// means that it is not to be woken.
	Move(c Credential, to Address) ([]byte, error)
	// Scan returns {"uri": "..."} to be shown as a picture beside a number: scanned
	// by the device it fills the number in, and says nothing else.
	Scan(number string) (json.RawMessage, error)
}

// Address is a push subscription of a browser.
type Address struct {
	Endpoint string `json:"endpoint"`
	Public   []byte `json:"p256dh"`
	Secret   []byte `json:"auth"`
}

// Binder is an Enroller whose device is bound by a code that it was shown, at an
// address where nobody is signed in.
type Binder interface {
	Enroller
	// Code returns the code that an offer's memo holds.
	Code(memo Memo) (code string, err error)
	// Proposes reports whether a device signed this code.
	Proposes(code string, proposal []byte) bool
}

// Statement is what a device signs: fields in a form in which no two lists of
// fields are the same bytes.
func Statement(fields ...string) Memo {
	var b []byte
	for _, f := range fields {
		b = strconv.AppendInt(b, int64(len(f)), 10)
		b = append(append(append(b, ':'), f...), '\n')
	}
	return b
}
