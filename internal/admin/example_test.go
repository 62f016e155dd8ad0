package admin_test

import (
	"context"
	"encoding/json"
	"fmt"

	"countersign/internal/admin"
	"countersign/internal/signin"
)

// Greet is a command. Its fields are those of a request to the API, the flags of the
// command line and the inputs of a form: the tags say which. A real one stands in the
// folder of its noun, with a line in that folder's Commands, from which the API's routes,
// the OpenAPI document, the command line, the pages and the actions of the policy are made.
type Greet struct {
	Name            string `json:"name" arg:"" help:"The account."`
	Text            string `json:"text" required:"" help:"What to say."`
	admin.AuditText `embed:""`
}

// Action is the name of the command, everywhere.
func (c *Greet) Action() string { return "account.greet" }

// About makes the account's kind known in the text that is approved.
func (c *Greet) About() *string { return &c.Name }

// Object is the exact text of what it is done to. The person who approves reads it, and a
// grant for another text is refused.
func (c *Greet) Object() string { return admin.WithReason(c.Of(c.Name), c.Text) }

// desk is where the commands of a noun are done: the handles that they use and no others.
// One that changes something embeds an [admin.Book], whose Change records the command in
// the same transaction.
type desk struct{ greeting string }

// Do does it, with a grant for exactly this action and object, at the desk that its second
// argument names.
func (c *Greet) Do(_ context.Context, d *desk, _ signin.Grant) (any, error) {
	return map[string]string{"to": c.Name, "said": d.greeting + " " + c.Name}, nil
}

var _ admin.DoneAt[*desk] = (*Greet)(nil)

// A command is a struct with its fields, an action, the text that is approved, and what
// it does. A request is its JSON.
func ExampleCommand() {
	spec := admin.Looks[Greet]("Say something to an account.", map[string]string{})
	c := spec.New()
	if err := json.Unmarshal([]byte(`{"name": "grace", "text": "welcome\nroot: approved"}`), c); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(c.Action())
	fmt.Println(c.Object())
	answer, err := c.(admin.DoneAt[*desk]).Do(context.Background(), &desk{"Hello"}, signin.Grant{})
	fmt.Println(answer, err)
	// Output:
	// account.greet
	// account grace: welcome\nroot: approved
	// map[said:Hello grace to:grace] <nil>
}
