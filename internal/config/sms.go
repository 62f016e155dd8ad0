package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
)

func (c File) checkSMS() error {
	s := c.SMS
	if s.URL == "" {
		if len(s.Fields) > 0 || s.Body != "" || s.Accepted != "" || s.Header != "" || s.Value != "" || s.SecretFile != "" {
			return errors.New("sms.url must be the address of the gateway, or leave all of sms out")
		}
		return nil
	}
	u, err := url.Parse(s.URL)
	if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" || u.Scheme != "https" && (u.Scheme != "http" || !Loopback(u.Host)) {
		return errors.New("sms.url must be a https address, or http on loopback")
	}
	return errors.Join(s.checkSent(), s.checkAuthentication(), word("sms.method", s.Method, "POST", "GET"), word("sms.format", s.Format, "json", "form"), word("sms.number", s.Number, "plus", "zeros", "digits"))
}

// sent is all that is filled in and sent in the body or the query.
func (s SMS) sent() string {
	whole := s.Body
	for _, v := range s.Fields {
		whole += v
	}
	return whole
}

func (s SMS) checkSent() error {
	whole := s.sent()
	_, err := regexp.Compile(s.Accepted)
	switch {
	case err != nil:
		return fmt.Errorf("sms.accepted must be a regular expression: %w", err)
	case s.Body != "" && len(s.Fields) > 0:
		return errors.New("sms.fields and sms.body must not be set together: body is sent in place of fields")
	case s.Body != "" && (s.Method != "POST" || s.Format != "json"):
		return errors.New("sms.body must be sent with method POST and format json")
	case s.Body != "" && !json.Valid([]byte(s.Body)):
		return errors.New("sms.body must be a JSON document, with {number} and {text} inside of its texts")
	case !strings.Contains(whole, "{number}") || !strings.Contains(whole, "{text}"):
		return errors.New("sms.fields (or sms.body) must name what is sent, with {number} and {text} among the values: {to: \"{number}\", message: \"{text}\"}")
	}
	return nil
}

func (s SMS) checkAuthentication() error {
	switch {
	case (s.Header == "") != (s.Value == ""):
		return errors.New("sms.header and sms.value must be set both or neither")
	case strings.Contains(s.Value+s.sent(), "{secret}") != (s.SecretFile != ""):
		return errors.New("sms.secret_file must be set, and {secret} be in sms.value, sms.fields or sms.body, both or neither")
	case strings.ContainsAny(s.Header+s.Value, "\r\n") || strings.ContainsAny(s.Header, " :"):
		return fmt.Errorf("sms.header must be the name of a header, such as Authorization, not %q", s.Header)
	}
	return nil
}
