package web

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strconv"

	"countersign/internal/drill"
)

// Administration is the server's API and console.
func (s Server) Administration() drill.Component {
	of := administration{string(s)}
	return drill.Component{Kind: drill.Administration, Application: Self, Name: "administration",
		Doors: []drill.Door{{Name: "the API on a terminal", Guess: of.guess}},
		Moves: map[drill.Move]drill.Attack{drill.StaleSession: of.staleAdministration, drill.CreateAccount: of.createAccount, drill.RegisterDevice: of.ownPass, drill.StolenKey: of.stolenKey}}
}

type administration struct{ server string }

type terminalStep struct {
	Ticket  string           `json:"ticket"`
	Session *json.RawMessage `json:"session"`
}

// reply is what the API answered: the status, and the words with which it refused.
type reply struct {
	status int
	words  string
	// demands is what the answer demands, in WWW-Authenticate.
	demands string
}

// tried is what came of a try that this is the answer to.
func (r reply) tried(p *drill.Play, name string, open bool, err error) drill.Try {
	t := p.Tried(name, open, err)
	t.Answer = r.words
	return t
}

// call sends the API what an attacker sends.
func (s administration) call(ctx context.Context, p *drill.Play, path, secret string, in, out any) (reply, error) {
	none := reply{words: "no answer"}
	b, err := json.Marshal(in)
	if err != nil {
		return none, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.server+"/api/v1/"+path, bytes.NewReader(b))
	if err != nil {
		return none, err
	}
	r.Header.Set("Content-Type", "application/json")
	if secret != "" {
		r.Header.Set("Authorization", "Bearer "+secret)
	}
	resp, err := attacker(p, s.server).client.Do(r)
	if err != nil {
		return none, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err == nil && out != nil && resp.StatusCode == http.StatusOK {
		err = json.Unmarshal(body, out)
	}
	return reply{resp.StatusCode, said(resp) + refusal(body), resp.Header.Get("WWW-Authenticate")}, err
}

// refusal is the sentence of a problem that the API answered (RFC 9457), or nothing.
func refusal(body []byte) string {
	var problem struct {
		Detail string `json:"detail"`
	}
	if json.Unmarshal(body, &problem) != nil || problem.Detail == "" {
		return ""
	}
	return ", " + strconv.Quote(problem.Detail)
}

// login gets a session for the API with everything that is right: what an
// attacker steals later.
func (s administration) login(ctx context.Context, p *drill.Play, c *drill.Canary) (string, error) {
	var step struct {
		Ticket  string `json:"ticket"`
		Session *struct {
			Secret string `json:"secret"`
		} `json:"session"`
		Ask []struct {
			Authenticator string `json:"authenticator"`
		} `json:"ask"`
	}
	turn := map[string]any{"name": c.Name}
	for range 4 {
		if r, err := s.call(ctx, p, "login/terminal", "", turn, &step); err != nil || r.status != http.StatusOK {
			return "", err
		}
		if step.Session != nil {
			return step.Session.Secret, nil
		}
		if len(step.Ask) == 0 {
			return "", nil
		}
		turn = map[string]any{"ticket": step.Ticket, "authenticator": "password", "text": c.Password}
		if step.Ask[0].Authenticator != "password" {
			turn["authenticator"], turn["text"] = "hotp", c.Code()
		}
		step.Ask = nil
	}
	return "", nil
}

// guess signs in by the API, as a command line does on a terminal.
func (s administration) guess(ctx context.Context, p *drill.Play, g *drill.Guess) []drill.Try {
	in, last, err := s.terminal(ctx, p, g)
	return []drill.Try{last.tried(p, "the API on a terminal", in, err)}
}

// terminal reports whether it ends in a session, and what was answered last.
func (s administration) terminal(ctx context.Context, p *drill.Play, g *drill.Guess) (in bool, last reply, err error) {
	var step terminalStep
	for _, turn := range []map[string]any{{"name": g.Name}, {"authenticator": "password", "text": g.Password}, {"authenticator": "hotp", "text": "000000"}} {
		if step.Ticket != "" {
			turn["ticket"] = step.Ticket
		} else if turn["name"] == nil {
			return false, last, nil
		}
		step = terminalStep{}
		if last, err = s.call(ctx, p, "login/terminal", "", turn, &step); err != nil || last.status != http.StatusOK {
			return false, last, err
		}
		if step.Session != nil {
			return true, last, nil
		}
	}
	return false, last, nil
}
