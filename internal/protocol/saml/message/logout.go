package message

import (
	"net/url"
	"time"

	"github.com/beevik/etree"
)

// LogoutRequest ends the sessions of somebody (SAML core, section 3.7.1).
type LogoutRequest struct {
	Heading
	Name, Format string
	// Indexes are of the sessions; none is all of them.
	Indexes []string
	// Until is until when it is good; zero where it does not say.
	Until time.Time
}

// mostIndexes bounds the sessions of a request.
const mostIndexes = 20

// LogoutRequest reads the message as a request to sign out, as [Incoming.AuthnRequest] does.
func (in Incoming) LogoutRequest(of Certificates) (LogoutRequest, error) {
	root, h, err := in.open("LogoutRequest", of)
	r := LogoutRequest{Heading: h}
	if err != nil {
		return r, err
	}
	if err := onlyHas(root, [2]string{nsAssertion, "Issuer"}, [2]string{nsSignature, "Signature"}, [2]string{nsProtocol, "Extensions"}, [2]string{nsAssertion, "NameID"}, [2]string{nsProtocol, "SessionIndex"}); err != nil {
		return r, err
	}
	name, err := child(root, nsAssertion, "NameID")
	if err != nil || name == nil {
		return r, malformed("The request to sign out does not name anybody, or names somebody encrypted.")
	}
	r.Format = attribute(name, "Format")
	if r.Name, err = text(name); err != nil {
		return r, err
	}
	for _, el := range children(root, nsProtocol, "SessionIndex") {
		index, err := text(el)
		if err != nil {
			return r, err
		}
		r.Indexes = append(r.Indexes, index)
	}
	if len(r.Indexes) > mostIndexes || r.Name == "" {
		return r, malformed("The request to sign out names nobody, or more than %d sessions.", mostIndexes)
	}
	if until := attribute(root, "NotOnOrAfter"); until != "" {
		r.Until, err = instant(until)
	}
	return r, err
}

// LogoutResponse answers a LogoutRequest (SAML core, section 3.7.2).
type LogoutResponse struct {
	Heading
	InResponseTo string
	// Code is the status of the top level.
	Code string
}

// LogoutResponse reads the message as the answer to a request to sign out.
func (in Incoming) LogoutResponse(of Certificates) (LogoutResponse, error) {
	root, h, err := in.open("LogoutResponse", of)
	r := LogoutResponse{Heading: h}
	if err != nil {
		return r, err
	}
	r.InResponseTo = attribute(root, "InResponseTo")
	status, err := child(root, nsProtocol, "Status")
	if err != nil || status == nil {
		return r, malformed("The response has no status.")
	}
	code, err := child(status, nsProtocol, "StatusCode")
	if err != nil || code == nil {
		return r, malformed("The response has no status.")
	}
	r.Code = attribute(code, "Value")
	return r, nil
}

// Outgoing is a message to an application, not yet sent.
type Outgoing struct {
	el *etree.Element
	// parameter is the one that carries it.
	parameter string
}

func outgoing(tag, parameter, id, issuer, destination string, at time.Time) Outgoing {
	el := element("samlp", tag, "samlp", "saml")
	el.CreateAttr("ID", id)
	el.CreateAttr("Version", "2.0")
	el.CreateAttr("IssueInstant", moment(at))
	if destination != "" { // which is no address of its own in the answer to a request by SOAP
		el.CreateAttr("Destination", destination)
	}
	addText(el, "saml", "Issuer", issuer)
	return Outgoing{el, parameter}
}

// AskLogout is a request to an application to sign somebody out of one session.
func AskLogout(id, issuer, destination string, at time.Time, name NameID, index string) Outgoing {
	o := outgoing("LogoutRequest", "SAMLRequest", id, issuer, destination, at)
	o.el.CreateAttr("NotOnOrAfter", moment(at.Add(Late)))
	name.add(o.el)
	if index != "" {
		addText(o.el, "samlp", "SessionIndex", index)
	}
	return o
}

// AnswerLogout is the answer to an application's request to sign somebody out.
func AnswerLogout(id, issuer, destination string, at time.Time, inResponseTo string, status Status) Outgoing {
	o := outgoing("LogoutResponse", "SAMLResponse", id, issuer, destination, at)
	o.el.CreateAttr("InResponseTo", inResponseTo)
	addStatus(o.el, status)
	return o
}

// Form are the parameter and its value, signed within (HTTP POST binding).
func (o Outgoing) Form(by Credential) (name, value string, err error) {
	if err := sign(o.el, by); err != nil {
		return "", "", err
	}
	b, err := write(o.el)
	return o.parameter, base64Of(b), err
}

// Address is the destination with the message in its query, signed there (HTTP Redirect
// binding).
func (o Outgoing) Address(by Credential, relay string) (string, error) {
	b, err := write(o.el)
	if err != nil {
		return "", err
	}
	packed, err := deflate(b)
	if err != nil {
		return "", err
	}
	query := o.parameter + "=" + url.QueryEscape(packed)
	if relay != "" {
		query += "&RelayState=" + url.QueryEscape(relay)
	}
	query += "&SigAlg=" + url.QueryEscape(rsaSHA256)
	signature, err := signQuery(query, by)
	if err != nil {
		return "", err
	}
	to, err := url.Parse(attribute(o.el, "Destination"))
	if err != nil {
		return "", err
	}
	query += "&Signature=" + url.QueryEscape(signature)
	if to.RawQuery != "" {
		query = to.RawQuery + "&" + query
	}
	to.RawQuery = query
	return to.String(), nil
}
