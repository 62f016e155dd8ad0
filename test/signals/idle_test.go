package signals

import (
	"fmt"
	"testing"
	"time"

	"countersign/internal/server"
	"countersign/internal/servertest"
	"countersign/internal/session"
)

// The promise: where idle sessions end, other systems are told of each as of any other end, once,
// and by nobody's hand.
func TestAnIdleSessionIsTold(t *testing.T) {
	w := servertest.NewWorldFrom(t, server.Settings{Sessions: session.Limits{EndIdle: true}, SignalsInside: here(t)}, "http://localhost", nil)
	s := &site{w, servertest.OfficeOf(w, "root")[0]}
	grace := s.EnrollCodes("grace")
	r := receiverOf(s, nil)
	grace.Comes("grace", grace.Secret)
	s.Later(61 * time.Minute)
	for range 2 {
		if err := s.Inspect(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	all, _ := r.takes()
	told := 0
	for _, h := range all {
		who, _ := h.all["sub_id"].(map[string]any)
		if h.event != "session-revoked" || fmt.Sprint(who["user"]) != fmt.Sprint(map[string]any{"format": "account", "uri": "acct:grace@" + s.host()}) {
			continue
		}
		if told++; who["session"] == nil || h.claims["initiating_entity"] != "system" || fmt.Sprint(h.claims["reason_admin"]) != "map[en:idle]" {
			t.Errorf("it is told %v", h.all)
		}
	}
	if told == 0 || told > len(s.told("session.ended")) {
		t.Errorf("told %d times, and the log has %d ends", told, len(s.told("session.ended")))
	}
}
