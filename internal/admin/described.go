package admin

import "encoding/json"

// Described is one thing of a noun, as a file describes it: by its name and its settings.
type Described struct {
	Name string
	// Owner is whose it is, of what is somebody's; empty for nobody's.
	Owner string
	// Settings are JSON. Of what is kept they hold the secrets, and are not to be shown; of what
	// is to be kept a secret that says [Hidden] stays.
	Settings json.RawMessage
}

// Kept is what became of a thing that was kept: the event for the log, with its details.
type Kept struct {
	Event  string
	Detail map[string]string
}
