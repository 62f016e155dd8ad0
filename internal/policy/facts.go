package policy

import (
	"net/netip"
	"time"
)

// Facts is one request as a condition sees it.
type Facts struct {
	Account     Account
	Application Application
	// Protocol is the channel that the request came by: "browser", "radius".
	Protocol string
	// Action is what is to be done: "sign-in", "authenticator.enroll". It is
	// never empty; an unknown one is denied.
	Action string
	// Reads says that the action only looks and changes nothing. It is set by
	// who knows the actions; an action that nobody said it of counts as a change.
	Reads bool
	// Method and Path are an HTTP request's: the method in capitals, the path
	// decoded and cleaned as the application will see it. Empty otherwise. The
	// method is AnyMethod where the application may take another one from it, and the
	// path is AnyPath where programs may read it in several ways.
	Method, Path string
	// Source is where the person is. The zero Addr is unknown, and in no network.
	Source netip.Addr
	// Bound says that the session is bound to the device that it is used from, by a key that does
	// not leave it. Where there is no session in a browser it is false.
	Bound bool
	// Now is the moment of the request. A document that reads the time denies
	// a request without one.
	Now time.Time
}

// Account is who asks.
type Account struct {
	Name string
	// Kind is "person" or "service".
	Kind   string
	Groups []string
	// Privileged holds a role that changes what others may do.
	Privileged bool
	// Dormant was unused for longer than the dormancy limit.
	Dormant bool
	// AtRisk said that a sign-in was not theirs, and has set no new password since.
	AtRisk bool
	// New cannot show two factors yet: its first authenticators are still to be
	// enrolled.
	New bool
	// Suspended was switched off by an administrator.
	Suspended bool
}

// Application is what is to be signed in to.
type Application struct {
	Name, Kind, Tier string
	// Protocol is the one that it is set up for.
	Protocol string
}

// Known is the names that exist when a document is compiled. A document that
// mentions another name is refused, and so is, for everything but groups and
// applications, a request that carries one: those two come and go, so a name
// that no rule mentions is an ordinary one.
type Known struct {
	// Groups are the names of all groups.
	Groups []string
	// Kinds are the authenticators' kinds: "password", "totp", "passkey".
	Kinds []string
	// Actions are all actions, "sign-in" among them.
	Actions []string
	// Reading are those of Actions that only look.
	Reading []string
	// Applications are the applications' names.
	Applications []string
	// ApplicationKinds and Tiers are what an application can be.
	ApplicationKinds, Tiers []string
	// Protocols are the channels that a request can come by.
	Protocols []string
	// AccountKinds are what an account can be.
	AccountKinds []string
}

// fact numbers one thing that a condition can read.
type fact uint8

const (
	accountName fact = iota
	accountKind
	accountGroups
	accountPrivileged
	accountDormant
	accountAtRisk
	accountNew
	accountSuspended
	applicationName
	applicationKind
	applicationTier
	applicationProtocol
	requestProtocol
	requestAction
	requestReads
	requestMethod
	requestPath
	requestSource
	sessionBound
	nowHour
	nowWeekday
	nowTime

	factCount
)

// sort is what kind of value a fact has.
type sort uint8

const (
	text sort = iota
	yesNo
	number
	moment
	address
	groupSet
)

var sortWords = [...]string{"a text", "yes or no", "a number", "a time", "an address", "a set of groups"}

var factTable = [factCount]struct {
	name string
	sort sort
}{
	accountName:         {"account.name", text},
	accountKind:         {"account.kind", text},
	accountGroups:       {"account.groups", groupSet},
	accountPrivileged:   {"account.privileged", yesNo},
	accountDormant:      {"account.dormant", yesNo},
	accountAtRisk:       {"account.at_risk", yesNo},
	accountNew:          {"account.new", yesNo},
	accountSuspended:    {"account.suspended", yesNo},
	applicationName:     {"application.name", text},
	applicationKind:     {"application.kind", text},
	applicationTier:     {"application.tier", text},
	applicationProtocol: {"application.protocol", text},
	requestProtocol:     {"protocol", text},
	requestAction:       {"action", text},
	requestReads:        {"reads", yesNo},
	requestMethod:       {"method", text},
	requestPath:         {"path", text},
	requestSource:       {"source", address},
	sessionBound:        {"session.bound", yesNo},
	nowHour:             {"now.hour", number},
	nowWeekday:          {"now.weekday", text},
	nowTime:             {"now.time", moment},
}

func (f fact) String() string { return factTable[f].name }

var factByName = func() map[string]fact {
	m := make(map[string]fact, factCount)
	for f := range factCount {
		m[f.String()] = f
	}
	return m
}()

// weekdays are the values of now.weekday, by time.Weekday.
var weekdays = []string{"sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"}

// textOf returns a fact of sort text.
func (f *Facts) textOf(which fact, zone *time.Location) string {
	switch which {
	case accountName:
		return f.Account.Name
	case accountKind:
		return f.Account.Kind
	case applicationName:
		return f.Application.Name
	case applicationKind:
		return f.Application.Kind
	case applicationTier:
		return f.Application.Tier
	case applicationProtocol:
		return f.Application.Protocol
	case requestProtocol:
		return f.Protocol
	case requestAction:
		return f.Action
	case requestMethod:
		return f.Method
	case requestPath:
		return f.Path
	case nowWeekday:
		return weekdays[f.Now.In(zone).Weekday()]
	}
	return ""
}

// flagOf returns a fact of sort yesNo.
func (f *Facts) flagOf(which fact) bool {
	switch which {
	case accountPrivileged:
		return f.Account.Privileged
	case accountDormant:
		return f.Account.Dormant
	case accountAtRisk:
		return f.Account.AtRisk
	case accountNew:
		return f.Account.New
	case accountSuspended:
		return f.Account.Suspended
	case requestReads:
		return f.Reads
	case sessionBound:
		return f.Bound
	}
	return false
}
