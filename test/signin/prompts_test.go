package signin

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"countersign/internal/admin/prompts"
	"countersign/internal/approval"
	"countersign/internal/servertest"
	"countersign/internal/store/storetest"
)

// The promise: administrators see how many requests to approve there were, for all
// and for one account, what became of them, and who is beset by them; by the page
// and by the command, over both databases.
func TestPromptsAreCounted(t *testing.T) {
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		w := servertest.NewWorldOn(t, dsn)
		noon(w)
		ada := w.EnrollCodes("ada")
		w.EnrollCodes("bob")
		if err := w.PlantApplications(t.Context(), "wiki.test", servertest.DrillSecret); err != nil {
			t.Fatal(err)
		}
		device := servertest.WithBell(w, ada)
		root := w.Administrator("root")
		desk := w.Shell()
		desk.Login(w.Person(), "root", root.Code())

		number, _ := servertest.Elsewhere(w.Begin(servertest.Display("ada", servertest.Passphrase)))
		servertest.Rings(w, nil)
		device.Approve(number)
		w.Later(24 * time.Hour)
		number, _ = servertest.Elsewhere(w.Begin(servertest.Display("ada", servertest.Passphrase)))
		id, text, _ := device.Look(number)
		if r := device.Decide(id, number, text, approval.Denies); r != "" {
			t.Fatal(r)
		}
		for range 4 { // a flood: the refused one counts among the unanswered pushes
			w.Begin(servertest.Display("ada", servertest.Passphrase))
			servertest.Rings(w, nil)
		}
		w.Later(4 * time.Minute)
		w.Begin(servertest.Display("ada", servertest.Passphrase))
		servertest.Rings(w, nil)
		if _, _, r := device.Look("000000"); r == "" {
			t.Fatal("nothing should wait under 000000")
		}

		w.Later(25 * time.Hour) // the log in of before is over
		desk.Login(w.Person(), "root", root.Code())
		var all, hers, his prompts.Prompts
		for _, c := range []struct {
			to   *prompts.Prompts
			args []string
		}{{&all, nil}, {&hers, []string{"ada", "--days", "3"}}, {&his, []string{"bob"}}} {
			if err := json.Unmarshal([]byte(desk.Does(append([]string{"--json", "prompts"}, c.args...)...)), c.to); err != nil {
				t.Fatal(err)
			}
		}
		want := []approval.PromptStatistics{{Asked: 1, Pushed: 1, Approved: 1}, {Asked: 6, Pushed: 2, Refused: 1, Wrong: 1, Closed: 3}, {}}
		if len(hers.Days) != 3 || len(hers.Beset) != 0 || len(all.Days) != 14 {
			t.Fatalf("%+v, %+v", hers, all)
		}
		for i, w := range want {
			if hers.Days[i].PromptStatistics != w || all.Days[11+i].PromptStatistics != w {
				t.Errorf("day %d: %+v and of all %+v, want %+v", i, hers.Days[i], all.Days[11+i], w)
			}
		}
		if hers.Days[1].Unanswered != 5 || len(all.Beset) != 1 || all.Beset[0].Account != "ada" || all.Beset[0].Unanswered != 5 || all.Beset[0].Closed != 3 {
			t.Errorf("who is beset: %+v", all.Beset)
		}
		for _, d := range his.Days {
			if d.PromptStatistics != (approval.PromptStatistics{}) {
				t.Errorf("bob had none: %+v", d)
			}
		}
		desk.Refuses("choose 1 to 90", "prompts", "--days", "91")

		p := w.Person()
		w.Later(time.Minute)
		p.Comes("root", root.Secret)
		p.Get("/console/prompts")
		for _, says := range []string{"Requests to approve", "left unanswered", "nothing is pushed to their app any more", "ada"} {
			p.Sees(says)
		}
		p.Get("/console/prompts?account=bob")
		if p.Sees("Requests to approve to"); strings.Contains(p.Page, "Alarms") {
			t.Error("an alarm of somebody else's is shown for bob")
		}
		p.Get("/console/prompts?account=nobody")
		p.Sees("no account")
	})
}
