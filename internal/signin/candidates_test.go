package signin

import (
	"slices"
	"testing"

	"countersign/internal/assurance"
	"countersign/internal/authenticator"
	"countersign/internal/prompt"
)

// Where one line is typed, whoever has shown nothing is asked for what is only known, whatever
// its kind is called, and for that alone. A page offers all.
func TestALineAsksForOneThingFirst(t *testing.T) {
	of := func(name string, traits assurance.Trait) kind {
		return kind{authenticator.Description{Kind: name, Traits: traits, Media: prompt.Line | prompt.Browser, First: true}, false}
	}
	slip, phrase := of("slip", assurance.Vouched), of("phrase", assurance.Known)
	for _, c := range []struct {
		kinds  []kind
		medium prompt.Medium
		want   []string
	}{
		{[]kind{slip, phrase}, prompt.Line, []string{"phrase"}},
		{[]kind{slip, phrase}, prompt.Browser, []string{"slip", "phrase"}},
		{[]kind{slip}, prompt.Line, []string{"slip"}},
		{[]kind{of("token", assurance.Held|assurance.Known), slip}, prompt.Line, []string{"slip"}},
	} {
		m := matter{setting: &setting{kinds: c.kinds}, Request: Request{Action: SignIn, Name: "ada", Medium: c.medium}}
		if d := m.firstQuestions(); d.state != Ask || !slices.Equal(d.kinds, c.want) {
			t.Errorf("by %v: %v %q, want %q", c.medium, d.state, d.kinds, c.want)
		}
	}
}
