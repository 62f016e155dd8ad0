package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"countersign/internal/admin/key"
	"countersign/internal/audit"
	"countersign/internal/servertest"
	"countersign/internal/store"
)

// provisioned measures how long people take who are made by SCIM, by Bulk requests of 1,000, two at
// once, each person with an address and the client's own identifier.
func (c *costs) provisioned() {
	tenth, spent, _ := c.provision(10_000)
	whole, all, grown := c.provision(100_000)
	c.row("100,000 people by SCIM, two Bulk requests of 1,000 at once", "SQLite", short(whole), "ten times 10,000 "+short(10*tenth), fmt.Sprintf("%.2f", whole.Seconds()/(10*tenth).Seconds()),
		fmt.Sprintf("%s / %s = %.2f", short(all), short(10*spent), all.Seconds()/(10*spent).Seconds()), "60 s")
	c.row("the server's memory meanwhile", "SQLite", fmt.Sprintf("%.0f MiB more", grown), "", "", "", "memory flat")
}

// provision makes so many people, and returns how long that took, how much CPU time of client and
// server, and what it added to the most memory that this process ever had after the first tenth, in
// MiB.
func (c *costs) provision(n int) (took, spent time.Duration, grown float64) {
	w := servertest.NewWorldOn(c.b, c.b.TempDir()+"/countersign.db")
	key := c.scimKey(w, "account.create")
	var next atomic.Int64
	var early atomic.Uint64
	begun, before := time.Now(), cpuTime()
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for {
				from := int(next.Add(1)-1) * 1000
				if from >= n {
					return
				}
				if from == n/10 {
					early.Store(uint64(highWater(c.b)))
				}
				if err := bulkOfPeople(w.Base, key, from); err != nil {
					c.b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	took, spent = time.Since(begun), cpuTime()-before
	var got int
	if err := w.DB.QueryRow(c.b.Context(), `select count(*) from external_id`).Scan(&got); err != nil || got != n {
		c.b.Fatalf("%d people, %v", got, err)
	}
	return took, spent, highWater(c.b) - float64(early.Load())
}

func bulkOfPeople(base, key string, from int) error {
	var body strings.Builder
	body.WriteString(`{"schemas":["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],"Operations":[`)
	for i := from; i < from+1000; i++ {
		if i > from {
			body.WriteByte(',')
		}
		fmt.Fprintf(&body, `{"method":"POST","path":"/Users","bulkId":"b%d","data":{"userName":"person%06d@example.org","externalId":"00u%d","displayName":"Person %d","emails":[{"value":"person%06d@example.org","primary":true}]}}`, i, i, i, i, i)
	}
	body.WriteString(`]}`)
	r, err := http.NewRequest("POST", base+"/scim/v2/Bulk", strings.NewReader(body.String()))
	if err != nil {
		return err
	}
	r.Header = http.Header{"Authorization": {"Bearer " + key}, "Content-Type": {"application/scim+json"}}
	a, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer a.Body.Close()
	b, err := io.ReadAll(a.Body)
	if made := strings.Count(string(b), `"status":"201"`); err == nil && made != 1000 {
		err = fmt.Errorf("%d of 1000 were made: %.300s", made, b)
	}
	return err
}

// regrouped measures how long another's change waits at most while 3,000 people enter a group by one
// request, and leave it by another. Each is one change (RFC 7644 section 3.5.2), and the writer's turn.
func (c *costs) regrouped() {
	const people = 3000
	w := servertest.NewWorldOn(c.b, c.b.TempDir()+"/countersign.db")
	key := c.scimKey(w, "account.create", "group.create", "group.show", "group.member.add", "group.member.remove", "account.show", "account.list")
	for from := 0; from < people; from += 1000 {
		if err := bulkOfPeople(w.Base, key, from); err != nil {
			c.b.Fatal(err)
		}
	}
	group := c.scim(w, key, "POST", "/Groups", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"displayName":"staff"}`)["id"].(string)
	var members []string
	rows, err := w.DB.Query(c.b.Context(), `select id from account where name like 'person%'`)
	if err != nil {
		c.b.Fatal(err)
	}
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			c.b.Fatal(err)
		}
		members = append(members, fmt.Sprintf(`{"value":"%d"}`, id))
	}
	rows.Close()
	all := strings.Join(members, ",")
	for _, does := range []string{"add", "remove"} {
		var longest time.Duration
		done := make(chan struct{})
		var wg sync.WaitGroup
		wg.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				begun := time.Now()
				err := w.DB.Change(context.Background(), audit.System("bench"), func(tx *store.Tx) error {
					return tx.Record(audit.Entry{Event: "bench.commit", Outcome: audit.OK})
				})
				if err != nil {
					c.b.Error(err)
					return
				}
				longest = max(longest, time.Since(begun))
			}
		})
		begun, before := time.Now(), cpuTime()
		c.scim(w, key, "PATCH", "/Groups/"+group, `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"`+does+`","path":"members","value":[`+all+`]}]}`)
		took, spent := time.Since(begun), cpuTime()-before
		close(done)
		wg.Wait()
		c.row(fmt.Sprintf("SCIM: 3,000 people by one request (%s), another's change meanwhile", does), "SQLite", "waits "+short(longest), "the request "+short(took), "", short(spent), "no second")
	}
}

// scimKey is a key of a provisioning client that may do this.
func (c *costs) scimKey(w *servertest.World, actions ...string) string {
	clerk := servertest.OfficeOf(w, "operator")[0]
	if err := clerk.Do(context.Background(), "account.create", map[string]any{"name": "entra", "kind": "service"}, nil); err != nil {
		c.b.Fatal(err)
	}
	var k key.Key
	if err := clerk.Do(context.Background(), "key.issue", map[string]any{"account": "entra", "actions": actions, "networks": []string{"127.0.0.0/8"}}, &k); err != nil {
		c.b.Fatal(err)
	}
	return k.Key
}

// scim asks the server, and returns what it answers.
func (c *costs) scim(w *servertest.World, key, method, path, body string) map[string]any {
	c.b.Helper()
	r, err := http.NewRequest(method, w.Base+"/scim/v2"+path, strings.NewReader(body))
	if err != nil {
		c.b.Fatal(err)
	}
	r.Header = http.Header{"Authorization": {"Bearer " + key}, "Content-Type": {"application/scim+json"}}
	a, err := http.DefaultClient.Do(r)
	if err != nil {
		c.b.Fatal(err)
	}
	defer a.Body.Close()
	b, err := io.ReadAll(a.Body)
	if err != nil || a.StatusCode >= 300 {
		c.b.Fatalf("%s %s: %s %.300s", method, path, a.Status, b)
	}
	out := map[string]any{}
	if len(b) > 0 {
		if err := json.Unmarshal(b, &out); err != nil {
			c.b.Fatal(err)
		}
	}
	return out
}
