package language

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"golang.org/x/text/language"
)

// rightToLeft are the scripts that run from the right, of those that languages of today use.
var rightToLeft = []string{"Adlm", "Arab", "Hebr", "Mand", "Nkoo", "Rohg", "Samr", "Syrc", "Thaa"}

// Blank writes a catalogue to fill in: every text with the plural forms of the language, and what
// a catalogue has already. An empty text stays English.
func Blank(w io.Writer, tag string, have *Language) error {
	parsed, err := language.Parse(tag)
	if err != nil {
		return fmt.Errorf("%q is no language tag of BCP 47, such as fr or pt-BR", tag)
	}
	if have == nil {
		script, _ := parsed.Script()
		have = &Language{tag: parsed, name: tag, rtl: slices.Contains(rightToLeft, script.String())}
	}
	forms := formsOf(parsed)
	var b strings.Builder
	fmt.Fprintf(&b, "# Texts of Countersign for people. Each stands under its English one; write yours between the\n"+
		"# quotation marks. A text that is left empty stays English. %%s, %%d and %%q are filled in, and must\n"+
		"# stand in yours as well; %%[2]s is the second of them. A line break is \\n.\n"+
		"language: %s\nname: %s # what the language calls itself\ndirection: %s\ntexts:\n", parsed, quoted(have.name), have.Direction())
	keys, counted := German().Keys()
	for _, key := range keys {
		if !counted[key] {
			fmt.Fprintf(&b, "  %s: %s\n", quoted(key), quoted(have.texts[key]))
			continue
		}
		fmt.Fprintf(&b, "  %s:\n", quoted(key))
		for _, form := range forms {
			fmt.Fprintf(&b, "    %s: %s\n", form, quoted(have.plurals[key][form]))
		}
	}
	_, err = io.WriteString(w, b.String())
	return err
}

// quoted is a text as YAML has it in double quotes, on one line. A catalogue has no control
// character but the line break.
func quoted(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(s) + `"`
}
