package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"countersign/internal/admin"
	"countersign/internal/application"
	"countersign/internal/attack"
	"countersign/internal/config"
	"countersign/internal/prompt"
	"countersign/internal/protocol/forwardauth"
	"countersign/internal/protocol/radius"
	"countersign/internal/protocol/yubico"
	"countersign/internal/signin"
)

// openings asks the protocol whose settings they are what they leave open.
func openings(app application.Application) (admin.Openings, error) {
	var o admin.Openings
	switch app.Protocol {
	case forwardauth.Protocol:
		o.Web, o.Actions = true, forwardauth.Actions(app.Settings)
	case radius.Protocol:
		var s radius.Settings
		if err := json.Unmarshal(app.Settings, &s); err != nil {
			return o, fmt.Errorf("the settings of %s cannot be read", app.Name) // what was written may be a secret
		}
		o.Medium, o.Groups = s.Mode.Plays(), radius.Groups(app.Settings)
		for _, c := range s.Clients {
			if e := c.Exception; e != nil {
				o.Exceptions = append(o.Exceptions, attack.Exception{
					What:   fmt.Sprintf("%s at %s may leave out its Message-Authenticator", c.Name, strings.Join(c.Networks, ", ")),
					Reason: e.Reason, Application: app.Name, Protocol: app.Protocol, Expires: e.Expires})
			}
		}
	case yubico.Protocol:
		o.Medium = prompt.Single
	}
	if app.Vouches == application.VouchesPassword {
		o.Caveats = append(o.Caveats, "the equipment checks the password itself and is believed; Countersign asks for the rest")
	}
	return o, nil
}

// hurried is the exception of people who are let back in without a waiting time.
func hurried(wait time.Duration) []attack.Exception {
	if wait > 0 {
		return nil
	}
	return []attack.Exception{{What: "recovery.wait is 0, so that whoever talks the help desk into a recovery has the account before its owner reads of it",
		By: "the configuration file", Application: signin.Self}}
}

// loosened is what the configuration loosens for a time, beside the settings of
// applications.
func loosened(recovery func() config.LocalRecovery) []attack.Exception {
	if recovery == nil {
		return nil
	}
	l := recovery()
	if l.Until == "" {
		return nil
	}
	return []attack.Exception{{What: "local_recovery lets whoever holds the server's machine issue a pass for an administrator without signing in",
		Reason: l.Reason, By: "the configuration file", Application: signin.Self, Expires: l.End()}}
}
