package cli

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

type completionCommand struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"bash, zsh or fish."`
}

// Run prints a script that completes commands and flags. It is made from the
// grammar itself, so it knows every command there is.
func (c *completionCommand) Run(k *kong.Kong) error {
	words := map[string][]string{}
	gather(words, "", k.Model.Node)
	switch c.Shell {
	case "fish":
		return fish(words)
	case "zsh":
		fmt.Println("autoload -U +X bashcompinit && bashcompinit")
	}
	return bash(words)
}

// gather lists what may follow each command: its subcommands, or its flags.
func gather(words map[string][]string, path string, n *kong.Node) {
	for _, kid := range n.Children {
		if kid.Hidden {
			continue
		}
		words[path] = append(words[path], kid.Name)
		gather(words, strings.TrimSpace(path+" "+kid.Name), kid)
	}
	for _, f := range n.Flags {
		words[path] = append(words[path], "--"+f.Name)
	}
}

func sorted(words map[string][]string) []string {
	var paths []string
	for p := range words {
		paths = append(paths, p)
	}
	slices.Sort(paths)
	return paths
}

func bash(words map[string][]string) error {
	var b strings.Builder
	b.WriteString("_countersign() {\n\tlocal word path=\n\tfor word in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do\n\t\tcase $word in -*) ;; *) path=\"$path $word\" ;; esac\n\tdone\n\tcase \"${path# }\" in\n")
	for _, p := range sorted(words) {
		fmt.Fprintf(&b, "\t%q) COMPREPLY=($(compgen -W %q -- \"${COMP_WORDS[COMP_CWORD]}\")) ;;\n", p, strings.Join(words[p], " "))
	}
	b.WriteString("\tesac\n}\ncomplete -o default -F _countersign countersign\n")
	_, err := os.Stdout.WriteString(b.String())
	return err
}

func fish(words map[string][]string) error {
	var b strings.Builder
	b.WriteString("function __countersign_path\n\tset -l words (commandline -opc)\n\tstring match -v -- '-*' $words[2..] | string join ' '\nend\n")
	for _, p := range sorted(words) {
		fmt.Fprintf(&b, "complete -c countersign -n 'test \"$(__countersign_path)\" = %q' -a %q\n", p, strings.Join(words[p], " "))
	}
	_, err := os.Stdout.WriteString(b.String())
	return err
}
