package signal

import (
	"cmp"
	"maps"
	"strconv"
	"strings"

	"countersign/internal/assurance"
	"countersign/internal/audit"
	"countersign/internal/secevent"
)

// said is one signal that an entry of the log comes to.
type said struct {
	event   string
	claims  map[string]any
	session string // the number of the session that it is about; empty is the person
}

// FarewellEvent is the entry that says how a person was called, who is being removed in the same
// change: afterwards nobody could tell a receiver.
const FarewellEvent = "stream.farewell"

// tell says what an entry comes to, in the order in which it is sent. What is not here is told to
// nobody: signals are a small part of the log.
func tell(e audit.Entry, w Words) []said {
	if e.Account == 0 {
		return nil
	}
	if to, ok := alarming[e.Event]; ok {
		return to(e, w)
	}
	if e.Outcome != audit.OK {
		return nil
	}
	if to, ok := telling[e.Event]; ok {
		return to(e, w)
	}
	return nil
}

type teller func(e audit.Entry, w Words) []said

// telling are the entries about something that was done.
var telling = map[string]teller{
	"session.ended":        sessionEnded,
	"session.raised":       raised,
	"account.suspended":    gone(secevent.AccountDisabled),
	FarewellEvent:          gone(secevent.AccountPurged, secevent.AccountDisabled),
	"account.risk-cleared": risk("LOW", "HIGH", "An administrator ended it"),
	"credential.enrolled":  enrolled,
	"credential.removed":   change("delete"),
	"credential.revoked":   change("revoke"),
	"credential.disabled":  change("revoke"),
	"credential.pin-set":   pin("update"),
	"certificate.assigned": changeOf("create", "x509"),
	"token.assigned":       changeOf("create", tokenType),
	"token.lost":           changeOf("revoke", tokenType),
	"token.returned":       changeOf("revoke", tokenType),
	"token.revoked":        changeOf("revoke", tokenType),
	"token.pin-given":      pin("update"),
	"token.pin-cleared":    pin("delete"),
	"pass.issued":          changeOf("create", passType),
	"recovery.collected":   recovered,
}

// alarming are the entries about a danger, whatever their outcome is.
var alarming = map[string]teller{
	"alarm.not-me":         disowned,
	"alarm.app-cloned":     cloned,
	"alarm.factor-missing": risk("MEDIUM", "", "The password was right and the second factor never came"),
	"alarm.push-flood":     risk("MEDIUM", "", "So many requests were left unanswered that no more are sent"),
}

// The types of credentials that CAEP has no word for.
const tokenType, passType = "hardware-token", "temporary-access-pass"

// Words are what CAEP calls a kind of authenticator, as its description says; empty for one that
// has no word of its own.
type Words func(kind string) string

// credentialType is what the authenticator of an entry is called (CAEP 1.0 section 3.3.1).
func (w Words) credentialType(e audit.Entry) string {
	kind, _, numbered := strings.Cut(e.Detail["authenticator"], "/")
	if !numbered {
		kind = e.Detail["kind"]
	}
	word := cmp.Or(w(kind), kind, "other")
	if word != "fido2" {
		return word
	}
	if strings.Contains(e.Detail["traits"], assurance.HardwareBound.String()) {
		return "fido2-roaming"
	}
	return "fido2-platform"
}

// about are the claims that all events of CAEP have.
func about(e audit.Entry, more map[string]any) map[string]any {
	out := map[string]any{"event_timestamp": e.At.Unix(), "initiating_entity": initiator(e)}
	maps.Copy(out, more)
	return out
}

// initiator is who invoked an event, in the words of CAEP.
func initiator(e audit.Entry) string {
	switch {
	case e.Actor.Account == 0 || strings.HasPrefix(e.Event, "alarm.") && e.Event != "alarm.not-me":
		return "system"
	case e.Actor.Account == e.Account:
		return "user"
	}
	return "admin"
}

func because(text string) map[string]string { return map[string]string{"en": text} }

func sessionEnded(e audit.Entry, _ Words) []said {
	claims := about(e, nil)
	if e.Reason != "" {
		claims["reason_admin"] = because(e.Reason)
	}
	return []said{{secevent.SessionRevoked, claims, e.Detail["session"]}}
}

// revoked is the end of all sessions of a person.
func revoked(e audit.Entry, why string) said {
	claims := about(e, nil)
	claims["reason_admin"] = because(why)
	return said{secevent.SessionRevoked, claims, ""}
}

// gone is somebody who can sign in no more.
func gone(events ...string) teller {
	return func(e audit.Entry, _ Words) []said {
		out := []said{revoked(e, "The account was switched off")}
		for _, event := range events {
			out = append(out, said{event, map[string]any{}, ""})
		}
		return out
	}
}

// change is a credential that was changed, of the kind that the entry says.
func change(how string) teller {
	return func(e audit.Entry, w Words) []said { return changeOf(how, w.credentialType(e))(e, w) }
}

func changeOf(how, what string) teller {
	return func(e audit.Entry, _ Words) []said {
		return []said{{secevent.CredentialChange, about(e, map[string]any{"credential_type": what, "change_type": how}), ""}}
	}
}

func pin(how string) teller { return changeOf(how, "pin") }

// enrolled is a new authenticator. A new password ends the risk that an account was at.
func enrolled(e audit.Entry, w Words) []said {
	out := change("create")(e, w)
	if e.Detail["risk"] == "ended" {
		out = append(out, risk("LOW", "HIGH", "A new password was set")(e, w)...)
	}
	return out
}

// recovered is somebody who came back by a recovery: what they had was revoked.
func recovered(e audit.Entry, w Words) []said {
	out := []said{revoked(e, "The account was recovered")}
	if e.Detail["revoked"] != "0" {
		out = append(out, changeOf("revoke", "other")(e, w)...)
	}
	return append(out, changeOf("create", passType)(e, w)...)
}

// raised is a session in which more was proved than before.
func raised(e audit.Entry, _ Words) []said {
	now, was := level(e.Detail["level"]), level(e.Detail["level-before"])
	if now == "" || was == "" || now == was {
		return nil
	}
	return []said{{secevent.AssuranceChange, about(e, map[string]any{"namespace": "NIST-AAL", "current_level": now, "previous_level": was, "change_direction": "increase"}), e.Detail["session"]}}
}

// level is a level of NIST SP 800-63B as CAEP writes one.
func level(n string) string {
	if aal, err := strconv.Atoi(n); err != nil || aal < 1 || aal > 3 {
		return ""
	}
	return "nist-aal" + n
}

// risk is how much danger an account is in.
func risk(now, was, why string) teller {
	return func(e audit.Entry, _ Words) []said {
		claims := about(e, map[string]any{"principal": "USER", "current_level": now, "risk_reason": why})
		if was != "" {
			claims["previous_level"] = was
		}
		return []said{{secevent.RiskChange, claims, ""}}
	}
}

// disowned is a person who says that something in their name was not them.
func disowned(e audit.Entry, w Words) []said {
	out := append([]said{revoked(e, "The person said that a sign-in was not theirs")}, risk("HIGH", "", "The person said that a sign-in was not theirs")(e, w)...)
	if e.Detail["password-disabled"] == "true" {
		out = append(out, changeOf("revoke", "password")(e, w)...)
	}
	return out
}

// cloned is an app whose key is used on two devices.
func cloned(e audit.Entry, w Words) []said {
	return append(changeOf("revoke", "app")(e, w), risk("HIGH", "", "A key of the account is used on two devices")(e, w)...)
}
