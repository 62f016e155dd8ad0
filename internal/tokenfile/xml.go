package tokenfile

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
)

// node is one element, with all that is in it.
type node struct {
	space, name string
	attributes  []xml.Attr
	text        string
	kids        []*node
}

// kid returns the first child of a name, or nil; on nil it is nil.
func (n *node) kid(path ...string) *node {
	for _, name := range path {
		if n == nil {
			return nil
		}
		var found *node
		for _, k := range n.kids {
			if k.name == name {
				found = k
				break
			}
		}
		n = found
	}
	return n
}

// value returns the text without spaces around it; of nil it is empty.
func (n *node) value() string {
	if n == nil {
		return ""
	}
	return strings.TrimSpace(n.text)
}

// attribute returns an attribute without a namespace; of nil it is empty.
func (n *node) attribute(name string) string {
	if n == nil {
		return ""
	}
	for _, a := range n.attributes {
		if a.Name.Space == "" && a.Name.Local == name {
			return strings.TrimSpace(a.Value)
		}
	}
	return ""
}

// Bounds of one element of the container.
const (
	maxNodes = 500
	maxDepth = 24
)

// document reads XML piece by piece. It takes no document type, so that there are
// no entities to expand, and no processing instructions.
type document struct {
	decoder *xml.Decoder
	pace    *paced
	fold    bool // names are compared in lower case
}

func (x *reading) newDocument(r io.Reader) *document {
	p := &paced{r: r}
	d := xml.NewDecoder(p)
	d.CharsetReader = x.charset
	return &document{decoder: d, pace: p, fold: x.Format == "privacyidea"}
}

func (d *document) line() int {
	line, _ := d.decoder.InputPos()
	return line
}

// next returns the next start, end or text. io.EOF is the end of the file.
func (d *document) next() (xml.Token, error) {
	for {
		d.pace.since = 0
		t, err := d.decoder.Token()
		var s *stop
		var syntax *xml.SyntaxError
		switch {
		case errors.As(err, &s):
			return nil, s
		case errors.As(err, &syntax):
			return nil, fatal(syntax.Line, "that is not well-formed XML")
		case errors.Is(err, io.EOF), err != nil && d.pace.err != nil:
			return nil, err
		case err != nil:
			return nil, fatal(d.line(), "that is not well-formed XML")
		}
		switch t := t.(type) {
		case xml.Directive:
			return nil, fatal(d.line(), "the file has a document type; such files are refused, because a few lines of them can fill any memory")
		case xml.ProcInst:
			if t.Target != "xml" {
				return nil, fatal(d.line(), "the file has processing instructions")
			}
		case xml.Comment:
		default:
			return t, nil
		}
	}
}

// element reads the rest of an element whose start was read.
func (d *document) element(start xml.StartElement) (*node, error) {
	left := maxNodes
	return d.read(start, &left, 1)
}

func (d *document) read(start xml.StartElement, left *int, depth int) (*node, error) {
	if *left--; *left < 0 || depth > maxDepth || len(start.Attr) > 32 {
		return nil, fatal(d.line(), "an element is too large or too deep")
	}
	n := &node{space: start.Name.Space, name: d.spell(start.Name.Local), attributes: start.Attr}
	if d.fold {
		for i := range n.attributes {
			n.attributes[i].Name.Local = d.spell(n.attributes[i].Name.Local)
		}
	}
	for {
		t, err := d.next()
		if errors.Is(err, io.EOF) {
			return nil, fatal(d.line(), "the file ends too early")
		}
		if err != nil {
			return nil, err
		}
		switch t := t.(type) {
		case xml.StartElement:
			kid, err := d.read(t, left, depth+1)
			if err != nil {
				return nil, err
			}
			n.kids = append(n.kids, kid)
		case xml.EndElement:
			return n, nil
		case xml.CharData:
			if n.text += string(t); len(n.text) > maxRecord {
				return nil, fatal(d.line(), "an element is too large")
			}
		}
	}
}

func (d *document) spell(name string) string {
	if d.fold {
		return strings.ToLower(name)
	}
	return name
}

// paced refuses a piece of XML without end: the decoder keeps the whole of a piece
// in memory. since is how much was read since the last piece began.
type paced struct {
	r     io.Reader
	since int
	err   error // of the reader, other than its end
}

func (p *paced) Read(b []byte) (int, error) {
	if p.since > 4*maxRecord {
		return 0, fatal(0, "the file has a piece of XML that is longer than %d bytes", 4*maxRecord)
	}
	n, err := p.r.Read(b[:min(len(b), maxRecord)])
	p.since += n
	if err != nil && !errors.Is(err, io.EOF) {
		p.err = err
	}
	return n, err
}
