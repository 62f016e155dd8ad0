package policy

// DeniesEverybody reports whether a rule denies a request whoever makes it, as one about the
// address or the time does, and its words. A rule about accounts or sessions is about somebody, so it says
// nothing of a request that nobody signs in for. Facts that this document was not made for, and a
// method or path that is not known, are denied.
//
// Two rules that deny everybody only together, such as one about members of a group and one about
// all others, are not found.
func (p *Policy) DeniesEverybody(f Facts) (why string, denies bool) {
	if why, ok := p.vet(&f); !ok {
		return why, true
	}
	if f.Path == AnyPath || f.Method == AnyMethod {
		return "the request can be read in several ways", true
	}
	for _, r := range p.rules {
		if why, no := r.demand.Denied(); r.demands && no && r.isAbout(&f, p) {
			return why, true
		}
	}
	return "", false
}

// isAbout reports whether a rule applies to these facts whatever the account is.
func (r *rule) isAbout(f *Facts, p *Policy) bool {
	return r.shape == nil || r.shape.settle(f, p.zone, func(a *atom) bool { return a.fact <= accountSuspended || a.fact == sessionBound }) == yes
}
