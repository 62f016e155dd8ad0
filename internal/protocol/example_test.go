package protocol_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"

	"countersign/internal/application"
	"countersign/internal/failure"
	"countersign/internal/prompt"
	"countersign/internal/protocol"
	"countersign/internal/signin"
)

// knock describes a protocol that sends a name and a code in a query. The server's list
// gets the line knock().
func knock() protocol.Description {
	return protocol.Description{
		Name: "knock", Way: "by knocking", Document: "knock.md", Plays: prompt.Single,
		CheckSettings: func(raw json.RawMessage) error {
			var settings struct {
				Door string `json:"door"`
			}
			if err := application.ReadSettings(raw, &settings); err != nil {
				return err
			}
			if settings.Door == "" {
				return failure.New(failure.Invalid, "Name the door.")
			}
			return nil
		},
		Exposure: func(application.Application) (protocol.Exposure, error) {
			return protocol.Exposure{Medium: prompt.Single}, nil
		},
		Form: []protocol.Group{{Fields: []protocol.Field{{Name: "door", Label: "Door", Missing: "Name the door."}}}},
		Open: func(p protocol.Parts) (protocol.Service, error) {
			return protocol.Service{Handle: func(mux *http.ServeMux) { mux.HandleFunc("GET /knock", answer(p)) }}, nil
		},
	}
}

// answer parses, asks the engine and renders. It never decides: only a Grant is "come in".
func answer(p protocol.Parts) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		step, err := p.Engine.Begin(r.Context(), signin.Request{Application: "cellar", Name: q.Get("name"), Protocol: "knock", Medium: prompt.Single,
			Opening: []prompt.Answer{{Authenticator: signin.AnyCode, Text: q.Get("code")}}})
		if err != nil || step.State != signin.Granted {
			io.WriteString(w, "stay outside") //nolint:errcheck // the client went away
			return
		}
		io.WriteString(w, "come in") //nolint:errcheck // the client went away
	}
}

// denies is an engine that denies everything.
type denies struct{ protocol.Engine }

func (denies) Begin(context.Context, signin.Request) (signin.Step, error) {
	return signin.Step{State: signin.Denied}, nil
}

// A protocol is one description: words, the check of its settings, the console's form, and
// how it is served.
func ExampleDescription() {
	list := protocol.List{knock()}
	fmt.Println(list.CheckSettings("knock", json.RawMessage(`{}`)))
	fmt.Println(list.Ways())
	service, err := knock().Open(protocol.Parts{Engine: denies{}})
	if err != nil {
		fmt.Println(err)
		return
	}
	mux := http.NewServeMux()
	service.Handle(mux)
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest("GET", "/knock?name=ada&code=123456", nil))
	fmt.Println(w.Body)
	// Output:
	// Name the door.
	// by knocking
	// stay outside
}
