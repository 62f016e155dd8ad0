package scim

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// How many resources an answer has: when nothing is said, and at most.
const (
	usualCount = 100
	maxCount   = 200
)

// What a search without an index reads at most: rows, and those that it keeps to sort.
const (
	maxScan    = 50_000
	maxSorted  = 20_000
	maxIndexed = 1000
)

// query is what resources a client wants (RFC 7644, section 3.4.2).
type query struct {
	filter    *filter // nil is all
	sortBy    attrPath
	backwards bool
	start     int // from 1
	count     int
	selection
}

// readQuery reads the query of an address.
func readQuery(k kind, v url.Values) (query, error) {
	for name, values := range v {
		if len(values) > 1 {
			return query{}, bad("invalidValue", "%s is given twice.", known(name))
		}
	}
	return makeQuery(k, asked{v.Get("filter"), v.Get("sortBy"), v.Get("sortOrder"), v.Get("startIndex"), v.Get("count"), listed(v.Get("attributes")), listed(v.Get("excludedAttributes"))})
}

// known quotes none but our own words.
func known(name string) string {
	if slices.Contains([]string{"filter", "sortBy", "sortOrder", "startIndex", "count", "attributes", "excludedAttributes"}, name) {
		return name
	}
	return "A parameter"
}

// searchQuery reads the query of a search by POST (RFC 7644, section 3.4.3).
func searchQuery(k kind, o object) (query, error) {
	if !o.declares(searchMessage) {
		return query{}, bad("invalidSyntax", "The message is no SearchRequest: name its schema in schemas.")
	}
	var a asked
	for name, to := range map[string]*string{"filter": &a.filter, "sortby": &a.sortBy, "sortorder": &a.order, "startindex": &a.start, "count": &a.count} {
		switch v := o[name].(type) {
		case nil:
		case string:
			*to = v
		case json.Number:
			*to = v.String()
		default:
			return query{}, bad("invalidValue", "A parameter of the search is none.")
		}
	}
	for name, to := range map[string]*[]string{"attributes": &a.only, "excludedattributes": &a.without} {
		switch v := o[name].(type) {
		case nil:
		case string:
			*to = listed(v)
		case []any:
			for _, one := range v {
				s, ok := one.(string)
				if !ok {
					return query{}, bad("invalidValue", "An attribute is named by a text.")
				}
				*to = append(*to, s)
			}
		default:
			return query{}, bad("invalidValue", "The attributes are a list of names.")
		}
	}
	return makeQuery(k, a)
}

// asked is a query as it is written.
type asked struct {
	filter, sortBy, order, start, count string
	only, without                       []string
}

func listed(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(s, ",")
}

func makeQuery(k kind, a asked) (q query, err error) {
	if q.selection, err = readSelection(a.only, a.without); err != nil {
		return q, err
	}
	if a.filter != "" {
		if q.filter, err = parseFilter(a.filter); err != nil {
			return q, err
		}
		if err := k.check(q.filter); err != nil {
			return q, err
		}
	}
	if a.sortBy != "" {
		p, ok := readPath(a.sortBy)
		if _, there := k.find(k.simple(p)); !ok || !there || p.name == "members" {
			return q, bad("invalidValue", "Resources are not sorted by that.")
		}
		q.sortBy = p
	}
	switch strings.ToLower(a.order) {
	case "", "ascending":
	case "descending":
		q.backwards = true
	default:
		return q, bad("invalidValue", "sortOrder is ascending or descending.")
	}
	if q.start, err = counted("startIndex", a.start, 1, 1, 1<<31-1); err != nil {
		return q, err
	}
	q.count, err = counted("count", a.count, usualCount, 0, maxCount)
	return q, err
}

// counted reads a number. One below the least is the least, and one above the most is the most (RFC
// 7644, section 3.4.2.4).
func counted(name, s string, usual, least, greatest int) (int, error) {
	if s == "" {
		return usual, nil
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return 0, bad("invalidValue", "%s is a whole number.", name)
	}
	return int(min(max(n, int64(least)), int64(greatest))), nil
}

// page is which of the resources that a query chooses are answered.
func (q query) page(n int) (from, to int) {
	from = min(q.start-1, n)
	return from, min(from+q.count, n)
}

// answered is a page of resources.
func (q query) answered(total int, resources []map[string]any) *answer {
	l := list{Schemas: []string{listMessage}, TotalResults: total, StartIndex: q.start, ItemsPerPage: len(resources), Resources: []any{}}
	for _, one := range resources {
		l.Resources = append(l.Resources, q.of(one))
	}
	return &answer{status: http.StatusOK, body: l}
}

// equals finds a value that each resource which a filter chooses must have: that of a comparison by
// eq which stands by itself or in an and. It is what is looked up by an index.
func (f *filter) equals(k kind, name, sub string) (string, bool) {
	switch {
	case f == nil:
		return "", false
	case f.op == "and":
		if v, ok := f.left.equals(k, name, sub); ok {
			return v, true
		}
		return f.right.equals(k, name, sub)
	case f.op == "has" && f.path.name == name:
		if _, ok := k.find(f.path); !ok {
			return "", false
		}
		return f.left.equals(kind{attributes: k.inner(name)}, sub, "")
	case f.op != "eq":
		return "", false
	}
	p := k.simple(f.path)
	s, ok := f.value.(string)
	if _, there := k.find(p); !ok || !there || p.name != name || p.sub != sub {
		return "", false
	}
	return s, true
}

func (k kind) inner(name string) []attribute {
	a, _ := named(k.attributes, name)
	return a.SubAttrs
}

// either are the alternatives of a filter, each of which is looked up by itself.
func (f *filter) either() []*filter {
	if f.op == "or" {
		return append(f.left.either(), f.right.either()...)
	}
	return []*filter{f}
}
