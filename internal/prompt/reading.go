package prompt

// Reading is what a person reads of an action before they approve it. Action and Object are
// what it is of: under another action or another exact text it is shown to nobody.
type Reading struct {
	Action string `json:"action"`
	Object string `json:"object"`
	// Title says in a sentence what the action does, and Text what it is done to: the object
	// without the digests that only machines compare.
	Title string `json:"title"`
	Text  string `json:"text"`
	// Fields are what is set, each with what it is until then.
	Fields []Field `json:"fields,omitempty"`
}

// Field is one row of a Reading. The texts are escaped, so that nothing in them is invisible
// or changes what stands beside it; only the lines of a document are kept apart.
type Field struct {
	Name string `json:"name"`
	// Before is what it is until then; empty where it is not there, or where nothing was
	// there to compare with.
	Before string `json:"before,omitempty"`
	// After is what it is from then on; empty where it is taken away.
	After string `json:"after,omitempty"`
}

// Of reports whether it is the reading of this action and this exact text.
func (r *Reading) Of(action, object string) bool {
	return r != nil && r.Action == action && r.Object == object
}

// Compares reports whether any row has something before.
func (r *Reading) Compares() bool {
	for _, f := range r.Fields {
		if f.Before != "" {
			return true
		}
	}
	return false
}
