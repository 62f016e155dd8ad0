package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/alecthomas/kong"
)

// manCommand writes the manual: a page for the program and one for each of its commands,
// with all that is under it. The pages are made from the grammar, so none can be missing.
type manCommand struct {
	Folder string `arg:"" type:"path" help:"Where the pages are written; it is made if it does not exist."`
}

// Run writes the pages, over those of an earlier version.
func (c *manCommand) Run(k *kong.Kong) error {
	if err := os.MkdirAll(c.Folder, 0o755); err != nil {
		return err
	}
	root := k.Model.Node
	if err := c.write(programPage(root)); err != nil {
		return err
	}
	for _, n := range shown(root) {
		if err := c.write(commandPage(n)); err != nil {
			return err
		}
	}
	return nil
}

// write puts a page into the file that man looks for.
func (c *manCommand) write(p *manual) error {
	return os.WriteFile(filepath.Join(c.Folder, p.name+".1"), []byte(p.text.String()), 0o644)
}

// manual is a page for man(1), in the macros of man(7).
type manual struct {
	name string
	text strings.Builder
}

func newManual(name, about string) *manual {
	m := &manual{name: name}
	fmt.Fprintf(&m.text, ".TH %s 1 \"\" \"countersign %s\" \"Countersign\"\n.SH NAME\n%s \\- %s\n", roff(strings.ToUpper(name)), roff(release()), roff(name), roff(strings.TrimSuffix(about, ".")))
	return m
}

// roff writes a text so that nothing in it is an instruction.
func roff(s string) string {
	s = strings.NewReplacer("\\", "\\e", "-", "\\-", "\n", " ", "\"", "\\(dq").Replace(s)
	if strings.HasPrefix(s, ".") || strings.HasPrefix(s, "'") {
		s = "\\&" + s
	}
	return s
}

func (m *manual) heading(s string)   { fmt.Fprintf(&m.text, ".SH %s\n", roff(s)) }
func (m *manual) paragraph(s string) { fmt.Fprintf(&m.text, ".PP\n%s\n", roff(s)) }

// term is a word with what it means.
func (m *manual) term(word, means string) {
	fmt.Fprintf(&m.text, ".TP\n\\fB%s\\fR\n%s\n", roff(word), roff(means))
}

// programPage is countersign(1).
func programPage(root *kong.Node) *manual {
	m := newManual("countersign", "multi-factor authentication on your own machine")
	m.heading("SYNOPSIS")
	m.paragraph(synopsis(root))
	for _, g := range groups {
		m.heading(strings.TrimSuffix(g.Title, ":"))
		for _, n := range shown(root) {
			if n.Group != nil && n.Group.Key == g.Key {
				m.term("countersign-"+n.Name+"(1)", n.Help)
			}
		}
	}
	m.flags("OPTIONS OF EVERY COMMAND", root.Flags)
	m.heading("EXIT STATUS")
	for _, e := range [][2]string{{"0", "It is done."}, {"1", "It was refused, or it failed; one sentence says why."}, {"2", "The command could not be read."}, {"3", "It waits for its approval (--no-wait)."}} {
		m.term(e[0], e[1])
	}
	m.heading("FILES")
	m.term("/etc/countersign/countersign.yaml", "The configuration of a server that the package installed; \"countersign config example\" prints one with every setting explained.")
	m.term("~/.config/countersign/login.json", "The session of \"countersign login\".")
	return m
}

// commandPage is the page of a command and of all that is under it.
func commandPage(n *kong.Node) *manual {
	m := newManual("countersign-"+n.Name, n.Help)
	leaves := n.Leaves(true)
	m.heading("SYNOPSIS")
	for _, l := range leaves {
		m.paragraph(synopsis(l))
	}
	for _, l := range leaves {
		if l != n {
			m.heading(strings.ToUpper(l.Path()))
			m.paragraph(l.Help)
		} else {
			m.heading("DESCRIPTION")
			m.paragraph(l.Help)
		}
		for _, p := range l.Positional {
			m.term(p.Summary(), p.Help)
		}
		m.flags("", l.Flags)
	}
	m.heading("SEE ALSO")
	m.paragraph("countersign(1), which has the options of every command and the exit status")
	return m
}

// flags lists flags under a heading, if there are any.
func (m *manual) flags(heading string, all []*kong.Flag) {
	if heading != "" {
		m.heading(heading)
	}
	for _, f := range all {
		if f.Hidden || f.Name == "help" && heading == "" {
			continue
		}
		m.term(f.String(), kong.DefaultHelpValueFormatter(f.Value))
	}
}

// shown are the commands that help lists.
func shown(n *kong.Node) []*kong.Node {
	var out []*kong.Node
	for _, kid := range n.Children {
		if !kid.Hidden {
			out = append(out, kid)
		}
	}
	return out
}
