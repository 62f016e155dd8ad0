package cli

import (
	"bytes"
	"errors"
	"io"
	"reflect"
	"strings"

	"github.com/alecthomas/kong"
)

// helpCommand is --help in the words of those who ask for it first.
type helpCommand struct {
	Command []string `arg:"" optional:"" help:"The command, such as account create; all of them when left out."`
}

// Run prints the help, which ends the program.
func (c helpCommand) Run(k *kong.Kong) error {
	_, err := k.Parse(append(c.Command, "--help"))
	return usageError{err}
}

// usageError is a command that could not be read.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// see says which help explains what could not be read.
func see(err error) string {
	path := "countersign"
	var parsing *kong.ParseError
	if errors.As(err, &parsing) && parsing.Context != nil {
		for _, p := range parsing.Context.Path {
			if p.Command != nil {
				path += " " + p.Command.Name
			}
		}
	}
	return "See: " + path + " --help"
}

// synopsis is how a command is typed: its arguments in order, then the flags that it needs.
func synopsis(n *kong.Node) string {
	out := "countersign"
	if n.Type == kong.CommandNode {
		out += " " + n.Path()
	}
	if len(n.Children) > 0 && n.DefaultCmd == nil {
		out += " COMMAND"
	} else if len(n.Children) > 0 {
		out += " [COMMAND]"
	}
	for _, p := range n.Positional {
		out += " " + p.Summary()
	}
	for _, f := range n.Flags {
		if f.Required {
			out += " " + f.Summary()
		}
	}
	return out + " [flags]"
}

// printHelp is the parser's own help with the synopsis in the place of its own, which has
// the flags before the arguments.
func printHelp(options kong.HelpOptions, ctx *kong.Context) error {
	out := ctx.Kong.Stdout
	var b bytes.Buffer
	ctx.Kong.Stdout = &b
	err := kong.DefaultHelpPrinter(options, ctx)
	ctx.Kong.Stdout = out
	if err != nil {
		return err
	}
	n := ctx.Selected()
	if n == nil {
		n = ctx.Model.Node
	}
	_, rest, _ := strings.Cut(b.String(), "\n\n")
	_, err = io.WriteString(out, "Usage: "+synopsis(n)+"\n\n"+rest)
	return err
}

// name says of each command of admin what admin's list says of it, and of each flag what
// is typed there. A command that has words of its own does more here than ask the server.
func name(n *kong.Node, path string, summaries map[string]string) {
	for _, f := range n.Flags {
		if f.Name == "help" {
			f.Help = "Explain the command."
		}
		if said := f.Tag.Get("said"); said != "" {
			f.Help = said
		}
		if f.PlaceHolder == "" {
			f.PlaceHolder = placeholder(f.Value)
		}
	}
	for _, kid := range n.Children {
		action := strings.TrimPrefix(path+"."+kid.Name, ".")
		if kid.Help == "" {
			kid.Help = summaries[action]
		}
		name(kid, action, summaries)
	}
}

// placeholder names what a flag takes.
func placeholder(v *kong.Value) string {
	switch {
	case v.Tag.Type == "days":
		return "90d"
	case v.Tag.Type == "hours":
		return "24h"
	case v.Tag.Type == "seconds":
		return "1h"
	case v.IsBool():
		return ""
	case v.Enum != "" && len(v.Enum) < 40:
		return strings.ReplaceAll(strings.Trim(v.Enum, ","), ",", "|")
	case v.Target.Kind() == reflect.Slice:
		return strings.ToUpper(v.Name)
	case v.Target.CanInt():
		return "NUMBER"
	}
	return "TEXT"
}
