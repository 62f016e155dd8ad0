package slowhash

// Full reports whether the next one to come would be turned away.
func (g *Gate) Full() bool { return len(g.line) == cap(g.line) }
