package admin

import (
	"context"
	"encoding/json"
	"fmt"

	"countersign/internal/signin"
)

// accountGreet is a command. Its fields are those of a request to the API, the flags of
// the command line and the inputs of a form: the tags say which. A real one is a file in
// this package and a line in Commands, from which the API's routes, the OpenAPI document,
// the command line and the actions of the policy are made.
type accountGreet struct {
	Name string `json:"name" arg:"" help:"The account."`
	Text string `json:"text" required:"" help:"What to say."`
	Told `embed:""`
}

// Action is the name of the command, everywhere.
func (c *accountGreet) Action() string { return "account.greet" }

// account makes the account's kind known in the text that is approved.
func (c *accountGreet) account() *string { return &c.Name }

// Object is the exact text of what it is done to. The person who approves reads it, and a
// grant for another text is refused.
func (c *accountGreet) Object() string { return withReason(c.of(c.Name), c.Text) }

// do does it, with a grant for exactly this action and object, at the desk that its second
// argument names: a type with the handles that the commands about one thing use. One that
// changes something calls a.change, which records the command in the same transaction.
func (c *accountGreet) do(context.Context, *Admin, signin.Grant) (any, error) {
	return map[string]string{"to": c.Name}, nil
}

var _ doneAt[*Admin] = (*accountGreet)(nil)

// A command is a struct with its fields, an action, the text that is approved, and what
// it does. A request is its JSON.
func ExampleCommand() {
	spec := Spec{"account.greet", "Say something to an account.", false, func() Command { return &accountGreet{} }}
	c := spec.New()
	if err := json.Unmarshal([]byte(`{"name": "grace", "text": "welcome\nroot: approved"}`), c); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(c.Action())
	fmt.Println(c.Object())
	answer, err := c.(doneAt[*Admin]).do(context.Background(), nil, signin.Grant{})
	fmt.Println(answer, err)
	// Output:
	// account.greet
	// account grace: welcome\nroot: approved
	// map[to:grace] <nil>
}
