package admin

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"countersign/internal/servertest"
	"countersign/internal/web/api"
)

// The promise: whoever has a stolen bearer of an administrator, ten minutes later, is told to show
// more (RFC 9470), changes nothing, and is in the log; the administrator's own command line is
// answered with the page of an approval.
func TestAStolenBearerMustStepUp(t *testing.T) {
	w := servertest.NewWorld(t)
	ada := w.Administrator("ada")
	w.EnrollCodes("eve")
	sh, browser := w.Shell(), w.Person()
	sh.Login(browser, "ada", ada.Code())
	b, err := os.ReadFile(filepath.Join(sh.Home, "countersign", "login.json"))
	if err != nil {
		t.Fatal(err)
	}
	var kept struct{ Secret string }
	if err := json.Unmarshal(b, &kept); err != nil {
		t.Fatal(err)
	}
	asks := func(prefer string) (*http.Response, string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), "POST", w.Base+api.Root+"commands/group.member.add", strings.NewReader(`{"group":"administrators","account":"eve"}`))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Authorization", "Bearer "+kept.Secret)
		if prefer != "" {
			r.Header.Set("Prefer", prefer)
		}
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		said, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Fatal(err)
		}
		return answer, string(said)
	}
	members := servertest.Count(w, t, `select count(*) from membership`)
	w.Later(10 * time.Minute)
	for _, prefer := range []string{"", "wait=10", "respond-asynchronously"} {
		answer, said := asks(prefer)
		challenge := answer.Header.Get("WWW-Authenticate")
		if answer.StatusCode != http.StatusUnauthorized || !strings.HasPrefix(challenge, `Bearer error="insufficient_user_authentication"`) || !strings.Contains(said, api.StepUpProblem) {
			t.Errorf("%q: %d %q %s", prefer, answer.StatusCode, challenge, said)
		}
	}
	if e := servertest.LatestOf(w, "action.refused"); e.Reason != "step-up" || e.Action != "group.member.add" || e.AccountName != "ada" {
		t.Errorf("the log has %+v", e)
	}
	if n := servertest.Count(w, t, `select count(*) from membership`); n != members {
		t.Errorf("there are %d members of groups, and were %d", n, members)
	}
	if answer, said := asks("wait=10, Respond-Async"); answer.StatusCode != http.StatusAccepted || !strings.Contains(said, "/approve?code=") {
		t.Errorf("who waits for an approval gets %d %s", answer.StatusCode, said)
	}
}
