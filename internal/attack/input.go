package attack

import "time"

// Self is the kind of Countersign's own portal, console and admin API, which is
// an application like others here.
const Self = "countersign"

// Input is what is known of one installation at one moment. What is left out
// counts as not so.
type Input struct {
	// Now is the moment, Name the installation's name for titles.
	Now  time.Time
	Name string
	// Applications are all that Countersign guards, itself with kind [Self]
	// among them.
	Applications []Application
	// Classes say the least that policy demands, for every kind of account and
	// every application. A class that is missing is a gap.
	Classes []Class
	// People are the accounts that fall short in a way that policy allows.
	People []Person
	// Dormant are accounts that nobody used for so long that they get nothing: no
	// gap, and said in the rows that are about them. Lacks says who and what.
	Dormant []Person
	// Keys are the automation keys that policy lets do something in Countersign
	// itself.
	Keys []Key
	// Drills are results, any number per row; the latest counts.
	Drills []Drill
	// NotHere are rows that this organisation has nothing for.
	NotHere []Declaration
	// Exceptions are everything that was loosened for a time.
	Exceptions []Exception

	// byApplication are the classes again, made once so that many of them cost
	// no more for each row.
	byApplication map[string][]Class
}

// Application is one thing that Countersign guards.
type Application struct {
	Name, Kind, Protocol string
	// OpenDoors are ways in that are known not to pass Countersign, in words:
	// "IMAP with a password on port 143".
	OpenDoors []string
	// Caveats are weaknesses that leave the second factor in place: "the
	// equipment checks the password itself".
	Caveats []string
	// Doors are its entrances, as a drill calls them: each must have been attacked before a
	// row is proven here. Depends is what a drill's outcome depends on, by its word, and
	// which version of it is in force.
	Doors   []string
	Depends map[string]string
	// Unruled says that no rule of the policy is about signing in here, so that
	// nobody gets in: safe, and not what anybody meant.
	Unruled bool
}

// Class is the weakest that some kind of account gets at one application.
type Class struct {
	// Accounts says who: "administrators", "everybody else"; Count how many.
	Accounts string
	Count    int
	// Privileged classes hold a role that changes what others may do.
	Privileged  bool
	Application string
	// Action is what is asked for; [SignIn] for an ordinary sign-in.
	Action string
	// Weakest is the Requirement in words, Strength and Within what it comes
	// to; Within zero means any time in the session.
	Weakest  string
	Strength Strength
	Within   time.Duration
	// Denial says why, where Strength is [Denied]; empty where nothing does.
	Denial string
	// Witness says how to get it: "from 203.0.113.9 by radius".
	Witness string
	// Reads says that the action only looks: what a row wants of how strong it
	// is holds, and how fresh it must be is for what changes something.
	Reads bool
	// Entrance says that the action is one more way into the application, so that
	// what a row wants of signing in it wants of this.
	Entrance bool
	// Exact says that it can really be had; otherwise it is a floor, because
	// rules compare what cannot be listed.
	Exact bool
}

// Person is one account, or all that share a weakness, which policy lets in
// weaker than it seems or which cannot show what policy wants.
type Person struct {
	// Name is what a sentence begins with: "eve", or "eve, bob and 40 more".
	Name string
	// Names are the accounts one by one, as far as they are listed, and Count how
	// many there are. Both may be left out for one.
	Names []string
	Count int
	// Lacks says what, in words: "holds only SMS, which can be taken over".
	Lacks string
	// Applications are where it matters; none means everywhere.
	Applications []string
}

// Key is an automation key: what it may do takes no approval of its own, which is
// less than any row demands of an action.
type Key struct {
	// Account is whose it is, Number its number there, Note what it is for.
	Account string    `json:"account"`
	Number  int64     `json:"number"`
	Note    string    `json:"note,omitempty"`
	Expires time.Time `json:"expires"`
	// Actions are those that it may do; in a report, those alone that open rows.
	Actions []string `json:"actions"`
	// Opens are the rows that are open for it. A report has them.
	Opens []string `json:"opens,omitempty"`
}

// Drill is what one attack met.
type Drill struct {
	// Row is the technique's ID. Application is what was attacked. One without counts
	// for all of them if it failed, and for none if it passed.
	Row, Application string
	// Passed says that the attack failed and the honest person got in.
	Passed bool
	Time   time.Time
	// Detail is one sentence about what happened.
	Detail string
	// Doors are those that it attacked, and Found is the application as it was then.
	Doors []string
	Found Attacked
}

// Fresh is how long a passed drill proves its row.
const Fresh = 30 * 24 * time.Hour

// Declaration says that there is nothing here for a row to be about.
type Declaration struct {
	Row, Reason, By string
	Expires         time.Time
}

// Exception is one thing that was loosened.
type Exception struct {
	// What it is, in words: "the VPN at 192.0.2.7 may leave out its
	// Message-Authenticator". Reason says why, By who allowed it.
	What, Reason, By string
	// Application or Protocol say where; with neither it is everywhere.
	Application, Protocol string
	// FailOpen says that while Countersign cannot be asked, this lets people in.
	FailOpen bool
	// Expires is when it ends by itself; zero for never, which is told.
	Expires time.Time
}

// Over reports whether the exception has ended.
func (e Exception) Over(now time.Time) bool { return !e.Expires.IsZero() && !now.Before(e.Expires) }

func (e Exception) touches(a Application) bool {
	return (e.Application == "" || e.Application == a.Name) && (e.Protocol == "" || e.Protocol == a.Protocol)
}
