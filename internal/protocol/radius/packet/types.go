package packet

import "strconv"

// Code is the kind of a packet: RFC 2865 section 3 and its successors.
type Code byte

// The codes of RFC 2865, 2866, 5997 and 5176.
const (
	AccessRequest      Code = 1
	AccessAccept       Code = 2
	AccessReject       Code = 3
	AccountingRequest  Code = 4
	AccountingResponse Code = 5
	AccessChallenge    Code = 11
	StatusServer       Code = 12
	DisconnectRequest  Code = 40
	DisconnectACK      Code = 41
	DisconnectNAK      Code = 42
	CoARequest         Code = 43
	CoAACK             Code = 44
	CoANAK             Code = 45
)

var codeWords = map[Code]string{
	AccessRequest:      "Access-Request",
	AccessAccept:       "Access-Accept",
	AccessReject:       "Access-Reject",
	AccountingRequest:  "Accounting-Request",
	AccountingResponse: "Accounting-Response",
	AccessChallenge:    "Access-Challenge",
	StatusServer:       "Status-Server",
	DisconnectRequest:  "Disconnect-Request",
	DisconnectACK:      "Disconnect-ACK",
	DisconnectNAK:      "Disconnect-NAK",
	CoARequest:         "CoA-Request",
	CoAACK:             "CoA-ACK",
	CoANAK:             "CoA-NAK",
}

func (c Code) String() string {
	if w, ok := codeWords[c]; ok {
		return w
	}
	return "code " + strconv.Itoa(int(c))
}

// Type is the kind of an attribute.
type Type byte

// The attributes that Countersign reads or writes: RFC 2865 section 5, RFC 2868
// (66), RFC 2869 (76, 79, 80) and RFC 3162 (95).
const (
	UserName             Type = 1
	UserPassword         Type = 2
	CHAPPassword         Type = 3
	NASIPAddress         Type = 4
	ServiceType          Type = 6
	FramedIPAddress      Type = 8
	FramedIPNetmask      Type = 9
	FilterID             Type = 11
	ReplyMessage         Type = 18
	State                Type = 24
	Class                Type = 25
	VendorSpecific       Type = 26
	SessionTimeout       Type = 27
	IdleTimeout          Type = 28
	CallingStationID     Type = 31
	NASIdentifier        Type = 32
	ProxyState           Type = 33
	TunnelClientEndpoint Type = 66
	ARAPPassword         Type = 70
	Prompt               Type = 76
	EAPMessage           Type = 79
	MessageAuthenticator Type = 80
	NASIPv6Address       Type = 95
)
