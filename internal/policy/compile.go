package policy

// Compile reads a document and checks all of it: form, names, types. Its error
// is always [Problems], everything that is wrong and where. The Policy is nil
// then: there is no such thing as half a policy.
func Compile(document []byte, known Known) (*Policy, error) {
	return compileWith(document, newVocabulary(known))
}

// Load is Compile for a document that is in force already. A name that it mentions and
// that nobody has any more - a group that was removed while the document was saved, an
// application, an action that an application no longer gives - is that of nobody: a
// rule reads it as it stands, so that it applies to no request by being about it, and
// to all by being about everything else. The rest of the document is in force as
// before. [Policy.Gone] lists such names.
func Load(document []byte, known Known) (*Policy, error) {
	v := newVocabulary(known)
	v.tolerant = true
	return compileWith(document, v)
}

func compileWith(document []byte, known vocabulary) (*Policy, error) {
	r := &reader{}
	p := &Policy{known: known}
	root := r.tree(document)
	if root == nil {
		return nil, r.problems
	}
	d := r.read(root, &p.known)
	if len(r.problems) == 0 {
		compileRules(r, d, &p.known)
	}
	if len(r.problems) > 0 {
		return nil, r.problems.sorted()
	}
	p.complete(d)
	if r.timeless(p); len(r.problems) > 0 {
		return nil, r.problems.sorted()
	}
	return p, nil
}

// complete takes over what the draft holds.
func (p *Policy) complete(d *draft) {
	p.zone, p.networks, p.tests = d.zone, d.networks, d.tests
	for _, rd := range d.rules {
		kept := rd.rule
		p.rules = append(p.rules, &kept)
	}
	p.reads = p.readSet()
}

func compileRules(r *reader, d *draft, known *vocabulary) {
	env, err := newEnvironment(d.networks)
	if err != nil {
		r.problems = append(r.problems, Problem{Line: 1, Sentence: "the condition language cannot be initialised: " + err.Error()})
		return
	}
	c := &conditions{env: env, reader: r, known: known, nets: d.networks}
	for _, rd := range d.rules {
		if rd.node != nil {
			c.compile(rd)
		}
	}
}
