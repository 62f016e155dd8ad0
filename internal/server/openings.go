package server

import (
	"time"

	"countersign/internal/attack"
	"countersign/internal/config"
	"countersign/internal/signin"
)

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
