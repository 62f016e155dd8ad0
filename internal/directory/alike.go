package directory

import (
	"context"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"countersign/internal/failure"
	"countersign/internal/store"
	"countersign/internal/text"
)

// looks are letters that look like others: of other scripts, and of our own in most
// typefaces. It is short on purpose: what is not in it is one script and no word that
// anybody administers by.
var looks = strings.NewReplacer(
	"\u0430", "a", "\u0435", "e", "\u043e", "o", "\u0440", "p", "\u0441", "c", "\u0443", "y", "\u0445", "x", "\u0456", "i", "\u0458", "j", "\u0455", "s", "\u04bb", "h", "\u0501", "d", "\u051b", "q", "\u051d", "w", "\u043a", "k", "\u043c", "m", "\u0442", "t", "\u0432", "b", "\u043d", "h", "\u0433", "r", "\u043f", "n",
	"\u03b1", "a", "\u03bf", "o", "\u03c1", "p", "\u03bd", "v", "\u03c5", "u", "\u03b9", "i", "\u03ba", "k", "\u03c4", "t", "\u03c7", "x", "\u03b3", "y", "\u03b5", "e", "\u03b7", "n", "\u03c9", "w",
	"\u0131", "i", "\u0261", "g", "\u00f8", "o", "\u0142", "l", "\u0111", "d", "\u0127", "h",
	"rn", "m", "vv", "w", "cl", "d", "0", "o", "1", "l", "|", "l", "i", "l", "5", "s", "-", "", "_", "", ".", "", "+", "", " ", "")

// skeleton is what a name looks like: two names of one skeleton are taken for each
// other. It is for comparing and never for looking anybody up.
func skeleton(s string) string {
	folded, err := Canonical(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		folded = strings.ToLower(s)
	}
	bare := strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Mn, r) {
			return -1
		}
		return r
	}, norm.NFD.String(folded))
	return looks.Replace(looks.Replace(bare))
}

// mostDisplay is the longest display name, in characters.
const mostDisplay = 100

// CheckDisplay returns a display name as it is kept: composed, on one line, with
// nothing in it that is not seen.
func CheckDisplay(s string) (string, error) {
	s = norm.NFC.String(strings.TrimSpace(s))
	switch {
	case utf8.RuneCountInString(s) > mostDisplay:
		return "", failure.New(failure.Invalid, "A name that people read may have %d characters at most.", mostDisplay)
	case strings.ContainsFunc(s, text.Blank) || !text.Clean(s) || strings.Contains(s, "  "):
		return "", failure.New(failure.Invalid, "A name that people read is one line, without characters that are not seen or that turn the line.")
	}
	for word := range strings.FieldsSeq(s) {
		if mixed(word) {
			return "", failure.New(failure.Invalid, "The word %q mixes letters of several scripts that look alike; use one script.", word)
		}
	}
	return s, nil
}

// mixed reports whether a word mixes scripts whose letters look alike.
func mixed(word string) bool {
	scripts := 0
	for _, table := range lookalike {
		if strings.ContainsFunc(word, func(r rune) bool { return unicode.Is(table, r) }) {
			scripts++
		}
	}
	return scripts > 1
}

// checkDisplay is CheckDisplay for an account: what people call somebody may not be
// another account's name, nor look like what a privileged group or somebody in one
// is called.
func (d *Accounts) checkDisplay(ctx context.Context, r store.Reader, display, name string) (string, error) {
	display, err := CheckDisplay(display)
	if err != nil || display == "" {
		return display, err
	}
	other, err := d.Find(ctx, r, display)
	if err == nil && other.Name != name {
		return "", failure.New(failure.Conflict, "%q is the name of another account; nobody else may be called so.", display)
	}
	if err != nil && failure.ClassOf(err) != failure.NotFound {
		return "", err
	}
	return display, d.posing(ctx, r, display, name)
}

// posing refuses what looks like the name of a privileged group, or like what one of
// its members is named or called, or was named before. Those of the names in selves are
// not compared with.
func (d *Accounts) posing(ctx context.Context, r store.Reader, s string, selves ...string) error {
	groups, err := d.teams.uncounted(ctx, r)
	if err != nil {
		return err
	}
	like := skeleton(s)
	for _, g := range groups {
		if g.Privileged && (like == skeleton(g.Name) || g.Display != "" && like == skeleton(g.Display)) {
			return failure.New(failure.Conflict, "That looks like the group %q, which is privileged.", g.Name)
		}
	}
	rows, err := r.Query(ctx, `select t.name, a.name, a.display, n.alias from team t join membership m on m.team = t.id
		join account a on a.id = m.account join account_alias n on n.account = a.id where t.privileged = 1`)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var group, name, display, spelling string
		if err := rows.Scan(&group, &name, &display, &spelling); err != nil {
			return err
		}
		if !slices.Contains(selves, name) && (like == skeleton(name) || like == skeleton(spelling) || display != "" && like == skeleton(display)) {
			return failure.New(failure.Conflict, "That looks like %q, who is in the privileged group %q.", name, group)
		}
	}
	return rows.Err()
}

// unlike refuses an account's new name that looks like that of somebody privileged,
// and one of other letters that looks like a name in Latin ones. The account's name until
// now is empty for a new one.
func (d *Accounts) unlike(ctx context.Context, r store.Reader, name, now string) error {
	if latin := letters.Replace(name); latin != name {
		other, err := d.Find(ctx, r, latin)
		if err == nil && other.Name != now {
			return failure.New(failure.Conflict, "That looks like the name of another account, %q, in other letters.", other.Name)
		}
		if err != nil && failure.ClassOf(err) != failure.NotFound {
			return err
		}
	}
	return d.posing(ctx, r, name, name, now) // the same name is found by its row
}

// letters are the letters of other scripts that look like Latin ones.
var letters = strings.NewReplacer(
	"\u0430", "a", "\u0435", "e", "\u043e", "o", "\u0440", "p", "\u0441", "c", "\u0443", "y", "\u0445", "x", "\u0456", "i", "\u0458", "j", "\u0455", "s", "\u04bb", "h", "\u0501", "d",
	"\u03b1", "a", "\u03bf", "o", "\u03c1", "p", "\u03bd", "v", "\u03b9", "i", "\u03ba", "k")

// checkName says what is wrong with a new group's name: policies and headers carry
// it, so that it is plain ASCII and looks like no other group's.
func (gs *Groups) checkName(ctx context.Context, r store.Reader, name string) error {
	for i := range len(name) {
		if c := name[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && !strings.ContainsRune("._-+@", rune(c)) {
			return failure.New(failure.Invalid, "A group's name has the letters a to z, digits, and . _ - + @ only; what people call it is its display name.")
		}
	}
	groups, err := gs.teams.uncounted(ctx, r)
	if err != nil {
		return err
	}
	for _, g := range groups {
		if g.Name != name && (g.Privileged || !ascii(g.Name)) && skeleton(g.Name) == skeleton(name) {
			return failure.New(failure.Conflict, "That looks like the group %q.", g.Name)
		}
	}
	return nil
}

func ascii(s string) bool { return !strings.ContainsFunc(s, func(r rune) bool { return r > 0x7e }) }
