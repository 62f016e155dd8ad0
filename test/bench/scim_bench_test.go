package bench

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"countersign/internal/admin/key"
	"countersign/internal/servertest"
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
	clerk := servertest.OfficeOf(w, "operator")[0]
	if err := clerk.Do(context.Background(), "account.create", map[string]any{"name": "entra", "kind": "service"}, nil); err != nil {
		c.b.Fatal(err)
	}
	var k key.Key
	if err := clerk.Do(context.Background(), "key.issue", map[string]any{"account": "entra", "actions": []string{"account.create"}, "networks": []string{"127.0.0.0/8"}}, &k); err != nil {
		c.b.Fatal(err)
	}
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
				if err := bulkOfPeople(w.Base, k.Key, from); err != nil {
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
