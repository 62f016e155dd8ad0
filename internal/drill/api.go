package drill

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
)

type terminalStep struct {
	Ticket  string           `json:"ticket"`
	Session *json.RawMessage `json:"session"`
}

// call sends the API what an attacker sends, and returns the status.
func (s *scene) call(ctx context.Context, path, secret string, in, out any) (int, error) {
	b, err := json.Marshal(in)
	if err != nil {
		return 0, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.Server+"/api/v1/"+path, bytes.NewReader(b))
	if err != nil {
		return 0, err
	}
	r.Header.Set("Content-Type", "application/json")
	if secret != "" {
		r.Header.Set("Authorization", "Bearer "+secret)
	}
	resp, err := s.browse(true).client.Do(r)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err == nil && out != nil && resp.StatusCode == http.StatusOK {
		err = json.Unmarshal(body, out)
	}
	return resp.StatusCode, err
}

// login gets a session for the API with everything that is right: what an
// attacker steals later.
func (s *scene) login(ctx context.Context, c *canary) (string, error) {
	var step struct {
		Ticket  string `json:"ticket"`
		Session *struct {
			Secret string `json:"secret"`
		} `json:"session"`
		Ask []struct {
			Authenticator string `json:"authenticator"`
		} `json:"ask"`
	}
	turn := map[string]any{"name": c.name}
	for range 4 {
		if status, err := s.call(ctx, "login/terminal", "", turn, &step); err != nil || status != http.StatusOK {
			return "", err
		}
		if step.Session != nil {
			return step.Session.Secret, nil
		}
		if len(step.Ask) == 0 {
			return "", nil
		}
		turn = map[string]any{"ticket": step.Ticket, "authenticator": "password", "text": c.password}
		if step.Ask[0].Authenticator != "password" {
			turn["authenticator"], turn["text"] = "hotp", c.code()
		}
		step.Ask = nil
	}
	return "", nil
}
