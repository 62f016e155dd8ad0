package policy

// Alike returns a key for who asks and for what: two requests whose keys are
// equal, and whose other facts are too, get one Decision from this Policy,
// whatever those others are. It is shorter than the facts: it holds how each
// comparison with an account or an application comes out, so that ten thousand
// accounts fall into as many classes as the rules can tell apart.
//
// An account of a kind, or an application of a kind, tier or protocol, that the
// document does not know is denied by its own key.
func (p *Policy) Alike(f Facts) string {
	if p == nil {
		return ""
	}
	var key []byte
	for _, which := range closed {
		if s := f.textOf(which, p.zone); fixed(which) && s != "" {
			key = append(key, bit(p.known.byFact[which][s]))
		}
	}
	for _, r := range p.rules {
		r.shape.atoms(func(a *atom) {
			if fixed(a.fact) {
				key = append(key, bit(a.holds(&f, p.zone)))
			}
		})
	}
	return string(key)
}

// fixed facts are those of the account and the application.
func fixed(which fact) bool { return which <= applicationProtocol }
