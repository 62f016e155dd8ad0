package notify

import (
	"errors"
	"net/mail"
	"strings"

	"golang.org/x/net/idna"
)

// mailbox is an address as SMTP wants it: the domain in punycode (RFC 5890), the local part
// as it is.
type mailbox struct {
	header   string // for a header field, with the name
	envelope string // for MAIL and RCPT, without < and >
	// utf8 says that its local part is not ASCII: only servers with SMTPUTF8 (RFC 6531)
	// take it.
	utf8 bool
}

// readMailbox reads an address, or "Name <address>" (RFC 5322 section 3.4).
func readMailbox(text string) (mailbox, error) {
	a, err := mail.ParseAddress(text)
	if err != nil {
		return mailbox{}, errors.New("notify: that is no mail address") // the parser's text would repeat it
	}
	at := strings.LastIndexByte(a.Address, '@')
	domain, err := asciiDomain(a.Address[at+1:])
	if err != nil {
		return mailbox{}, errors.New("notify: the domain of a mail address is none")
	}
	a.Address = a.Address[:at+1] + domain
	bare := (&mail.Address{Address: a.Address}).String() // quotes a local part that needs it
	if strings.ContainsAny(bare, "\r\n\x00") {
		return mailbox{}, errors.New("notify: a mail address has control characters")
	}
	return mailbox{header: a.String(), envelope: bare[1 : len(bare)-1], utf8: !ascii(bare)}, nil
}

// readSender is readMailbox for the sender, who is named after the organisation if by nothing else.
func readSender(text, organisation string) (mailbox, error) {
	a, err := mail.ParseAddress(text)
	if err == nil && a.Name == "" && organisation != "" {
		a.Name = organisation
		return readMailbox(a.String())
	}
	return readMailbox(text)
}

func ascii(s string) bool { return strings.IndexFunc(s, func(r rune) bool { return r > 0x7e }) < 0 }

// asciiDomain is a domain in punycode; one in ASCII stays as it is.
func asciiDomain(name string) (string, error) {
	if ascii(name) {
		return name, nil
	}
	return idna.Lookup.ToASCII(name)
}
