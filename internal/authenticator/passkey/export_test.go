package passkey

// Loaded returns which BLOB is in use, if any is.
func (m *Metadata) Loaded() (Loaded, bool) {
	if c := m.current.Load(); c != nil {
		return c.loaded, true
	}
	return Loaded{}, false
}
