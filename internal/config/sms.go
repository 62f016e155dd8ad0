package config

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
)

func (c File) checkSMS() error {
	s := c.SMS
	if s.URL == "" {
		if len(s.Fields) > 0 || s.Header != "" || s.Value != "" || s.SecretFile != "" {
			return errors.New("sms.url must be the address of the gateway, or leave all of sms out")
		}
		return nil
	}
	u, err := url.Parse(s.URL)
	if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" || u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Host)) {
		return errors.New("sms.url must be a https address, or http on loopback")
	}
	whole := ""
	for _, v := range s.Fields {
		whole += v
	}
	switch {
	case !strings.Contains(whole, "{number}") || !strings.Contains(whole, "{text}"):
		return errors.New("sms.fields must name what is sent, with {number} and {text} among the values: {to: \"{number}\", message: \"{text}\"}")
	case (s.Header == "") != (s.Value == ""):
		return errors.New("sms.header and sms.value must be set both or neither")
	case strings.Contains(s.Value, "{secret}") != (s.SecretFile != ""):
		return errors.New("sms.secret_file must be set, and {secret} be in sms.value, both or neither")
	case strings.ContainsAny(s.Header+s.Value, "\r\n") || strings.ContainsAny(s.Header, " :"):
		return fmt.Errorf("sms.header must be the name of a header, such as Authorization, not %q", s.Header)
	}
	return word("sms.format", s.Format, "json", "form")
}
