package look

import (
	"encoding/json"
	"net/http"

	"countersign/internal/failure"
	"countersign/internal/prompt"
)

// Visit is a button that leads to where a certificate is shown.
type Visit struct {
	Label string
	URL   string `json:"url"`
}

// VisitOf reads a prompt of kind Certificate.
func VisitOf(p prompt.Prompt) (*Visit, error) {
	v := &Visit{Label: p.Label}
	return v, json.Unmarshal(p.Data, v)
}

// Shown reads what a browser brings back from a Visit.
func Shown(r *http.Request) (prompt.Answer, error) {
	text := r.URL.Query().Get("shown")
	if text == "" {
		return prompt.Answer{}, failure.New(failure.Invalid, "Begin at the sign-in page.")
	}
	data, err := json.Marshal(text)
	return prompt.Answer{Authenticator: "certificate", Data: data}, err
}
