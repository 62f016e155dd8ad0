package scim

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"countersign/internal/admin"
	"countersign/internal/admin/group"
	"countersign/internal/directory"
)

// maxChanged is how many people enter or leave a group by one request at most.
const maxChanged = 5000

// team is what a client wants of a group. What it does not assert stays as it is.
type team struct {
	display, external told
	// all says that the members are those that are named, and no others. Gone are those who
	// leave, and come after them.
	all           bool
	members, gone []string
}

// wantedGroup reads a resource.
func wantedGroup(r *request) (team, error) {
	var w team
	o := r.body
	if o["schemas"] != nil && !o.declares(groupSchema) {
		return w, bad("invalidValue", "The resource is no Group: name its schema in schemas.")
	}
	var err error
	if w.display, err = textOf(o, "displayname"); err != nil {
		return w, err
	}
	if w.display.text = strings.TrimSpace(w.display.text); w.display.text == "" {
		return w, bad("invalidValue", "displayName is missing.")
	}
	if w.external, err = textOf(o, "externalid"); err != nil {
		return w, err
	}
	if v, given := o["members"]; given {
		w.all = true
		w.members, err = membersOf(r, v)
	}
	return w, err
}

// membersOf reads who is named as a member.
func membersOf(r *request, v any) ([]string, error) {
	all, err := listOf(v)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, one := range all {
		o := one.(object)
		id, err := textOf(o, "value")
		if err != nil {
			return nil, err
		}
		if kind, _ := o["type"].(string); kind != "" && !strings.EqualFold(kind, "User") {
			return nil, bad("invalidValue", "The members of a group are people; groups in groups are not kept.")
		}
		value, err := r.resolved(id.text)
		if err != nil {
			return nil, err
		}
		if value == "" {
			return nil, bad("invalidValue", "A member has no value: the id of a User.")
		}
		out = append(out, value)
	}
	return out, nil
}

// patchGroup reads what operations make of a group. Members are not read for it: who enters and who
// leaves is enough.
func patchGroup(r *request, ops []operation) (team, error) {
	var w team
	for _, op := range ops {
		if err := w.patch(r, op); err != nil {
			return w, err
		}
	}
	if w.display.given && strings.TrimSpace(w.display.text) == "" {
		return w, bad("invalidValue", "displayName cannot be taken away.")
	}
	return w, nil
}

func (w *team) patch(r *request, op operation) error {
	a, ok := groupKind.find(attrPath{schema: op.path.schema, name: op.path.name})
	switch {
	case !ok:
		return bad("invalidPath", "The path names no attribute of a Group.")
	case a.Mutability == "readOnly" && op.whole:
		return nil
	case a.Mutability == "readOnly":
		return bad("mutability", "%s cannot be changed.", a.Name)
	case op.path.name == "members":
		return w.patchMembers(r, op)
	case op.path.where != nil || op.path.sub != "":
		return bad("invalidPath", "%s has one value and no filter.", a.Name)
	}
	to := &w.display
	if op.path.name == "externalid" {
		to = &w.external
	}
	*to = told{given: true}
	if op.op == "remove" {
		return nil
	}
	var err error
	*to, err = textOf(object{op.path.name: op.value}, op.path.name)
	return err
}

func (w *team) patchMembers(r *request, op operation) error {
	if op.path.sub != "" {
		return bad("mutability", "A member is added or taken out as a whole.")
	}
	if op.path.where != nil {
		id, ok := op.path.where.equals(kind{attributes: groupKind.inner("members")}, "value", "")
		if !ok || op.path.where.op != "eq" || op.op != "remove" {
			return bad("invalidPath", `A member is taken out by members[value eq "ID"], and added by its value.`)
		}
		id, err := r.resolved(id)
		w.leave(id)
		return err
	}
	if op.op == "remove" && op.value == nil {
		*w = team{display: w.display, external: w.external, all: true}
		return nil
	}
	ids, err := membersOf(r, op.value)
	if err != nil {
		return err
	}
	switch op.op {
	case "replace":
		*w = team{display: w.display, external: w.external, all: true, members: ids}
	case "add":
		w.enter(ids)
	case "remove": // as Microsoft Entra writes it
		w.leave(ids...)
	}
	return nil
}

func (w *team) enter(ids []string) {
	gone := map[string]bool{}
	for _, id := range ids {
		gone[id] = true
	}
	w.gone = without(w.gone, gone)
	w.members = append(w.members, ids...)
}

func (w *team) leave(ids ...string) { w.gone = append(w.gone, ids...) }

func without(all []string, these map[string]bool) []string {
	var out []string
	for _, one := range all {
		if !these[one] {
			out = append(out, one)
		}
	}
	return out
}

// inParts has people enter or leave a group by commands that each name as many as one may.
func inParts(name string, people []string, leave bool) []command {
	var out []command
	for len(people) > 0 {
		n := min(len(people), admin.MostSeveral)
		also := people[1:n]
		if n == 1 {
			also = nil
		}
		if leave {
			out = append(out, &group.MemberRemove{Group: name, Account: people[0], Also: also})
		} else {
			out = append(out, &group.MemberAdd{Group: name, Account: people[0], Also: also})
		}
		people = people[n:]
	}
	return out
}

// groupName makes the name of a group from what it is called: in lower case, without accents, with
// one - for each run of signs that no name may have. Policy and applications know the group by it.
// Where letters are left out, as those of other scripts are, a digest of all of them tells it from
// others.
func groupName(display string) (string, error) {
	var b strings.Builder
	lost := false
	for _, r := range norm.NFKD.String(strings.ToLower(display)) {
		plain, known := written[r]
		switch {
		case r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || strings.ContainsRune("._+@", r):
			b.WriteRune(r)
		case known:
			b.WriteString(plain)
		case unicode.Is(unicode.Mn, r):
		default:
			lost = lost || unicode.IsLetter(r) || unicode.IsDigit(r)
			if b.Len() > 0 && !strings.HasSuffix(b.String(), "-") {
				b.WriteByte('-')
			}
		}
	}
	name := strings.Trim(b.String(), "-.")
	if lost {
		sum := sha256.Sum256([]byte(norm.NFC.String(display)))
		name = strings.Trim(name+"-"+hex.EncodeToString(sum[:4]), "-")
	}
	name, err := directory.Canonical(name)
	if err != nil {
		return "", bad("invalidValue", "displayName has no letters or digits that the name of a group can be made from, or too many.")
	}
	return name, nil
}

// written are letters that have no accent to leave out, as they are written without them.
var written = map[rune]string{'ß': "ss", 'æ': "ae", 'œ': "oe", 'ø': "o", 'ł': "l", 'đ': "d", 'ð': "d", 'þ': "th", 'ı': "i"}
