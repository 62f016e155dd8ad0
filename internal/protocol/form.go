package protocol

import "countersign/internal/application"

// Group is a part of the form that the console has for an application's settings.
// What settings hold and no group names stays as it is stored.
type Group struct {
	// Legend is what stands above it, and Help one sentence on it.
	Legend, Help string
	Fields       []Field
	// Folded is for what few need.
	Folded bool
	// List is the setting that is a list of objects: the fields are asked for each of
	// them, in a row that begins with Row in the names of its inputs. Empty where the
	// fields are settings themselves.
	List, Row string
	// Abreast is how many fields of a row stand beside each other; zero for all.
	Abreast int
	// Add is on the button that makes room for one more, and Remove beside the box
	// that takes one away. Objects with a Remove have a field "name", keep under
	// their name what the form does not have, and keep their secrets. Those without
	// are removed by emptying them.
	Add, Remove string
}

// Kind says how a field is typed and what it is in the settings.
type Kind int

// The kinds of fields.
const (
	Text    Kind = iota // a text
	Number              // a whole number
	Lines               // texts, one a line
	Words               // texts, separated by commas
	Numbers             // whole numbers, separated by commas
	Secret              // a text that is never shown
	// Vouches is no setting: what the application checks itself before it asks us.
	Vouches
)

// Field is one setting on the form. One that is left empty is not set.
type Field struct {
	// Name is the setting's, and ends that of its input.
	Name, Label, Help string
	Kind              Kind
	// Choices are what it can be, where that is a list.
	Choices []Choice
	// Missing is said where it was left empty, which it may be when this is empty.
	Missing string
	// Wrong is said of what is no number; there is a sentence where it is empty.
	Wrong string
	// Rows is how many lines are shown of a field of kind Lines.
	Rows int
	// Spelled changes what was typed, such as to capitals; nil leaves it.
	Spelled func(string) string
}

// Choice is one value of a list, with its words.
type Choice struct{ Value, Text string }

// SessionChoices are those of the setting sessions ([application.CheckSessions]).
func SessionChoices() []Choice {
	return []Choice{{Value: "", Text: "May be of every browser"}, {Value: application.BoundSessions, Text: "Must be bound to the person's device (DBSC)"}}
}
