package scim

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"countersign/internal/servertest"
)

// atOnce sends the same kind of request several times at the same moment, and counts the answers.
func (c *client) atOnce(n int, send func(i int) answer) map[int]int {
	c.t.Helper()
	var mu sync.Mutex
	seen := map[int]int{}
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			a := send(i)
			mu.Lock()
			defer mu.Unlock()
			seen[a.status]++
		})
	}
	wg.Wait()
	return seen
}

// The promise: of changes at the same moment that are built on the same version one is done, and the
// others are refused; a person is made once; and no member is lost or comes twice.
func TestOneOfManyWins(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, dsn string) {
		c := provisioned(t, dsn, everything...)
		if seen := c.atOnce(6, func(int) answer { return c.does("POST", "/Users", `{"userName":"ada"}`) }); seen[http.StatusCreated] != 1 || seen[http.StatusConflict] != 5 {
			t.Errorf("six times ada is answered %v", seen)
		}
		for round := range 4 {
			ada := c.must(http.StatusOK, "GET", "/Users?"+f(`userName eq "ada"`), "")
			c.header = http.Header{"If-Match": {ada.text("Resources.meta.version")}}
			seen := c.atOnce(6, func(i int) answer {
				return c.does("PATCH", "/Users/"+ada.text("Resources.id"), patch(fmt.Sprintf(`{"op":"replace","path":"displayName","value":"Ada %d %d"}`, round, i)))
			})
			c.header = http.Header{}
			if seen[http.StatusOK] != 1 || seen[http.StatusPreconditionFailed] != 5 {
				t.Errorf("six changes of one version are answered %v", seen)
			}
		}
		var ids []string
		for i := range 6 {
			ids = append(ids, c.user(fmt.Sprintf("member%d", i)))
		}
		team := c.must(http.StatusCreated, "POST", "/Groups", `{"displayName":"team"}`).text("id")
		seen := c.atOnce(6, func(i int) answer {
			return c.does("PATCH", "/Groups/"+team, patch(`{"op":"add","path":"members","value":[{"value":"`+ids[i]+`"}]}`))
		})
		got := c.must(http.StatusOK, "GET", "/Groups/"+team, "")
		if seen[http.StatusNoContent] != 6 || strings.Count(got.raw, `"type":"User"`) != 6 {
			t.Errorf("six members who come at once are answered %v, and are %s", seen, got.raw)
		}
	})
}
