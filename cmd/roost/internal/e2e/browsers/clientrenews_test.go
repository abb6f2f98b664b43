package browsers

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"roost/cmd/roost/internal/e2e"
	"roost/cmd/roost/internal/roosttest"
)

// renewingPage uses the client with renewing. Its clock goes ahead when the test says so.
func renewingPage() string {
	page := strings.Replace(clientPage, "<script>", "<script>\nvar ahead = 0;\nconst now = Date.now;\nDate.now = () => now() + ahead;", 1)
	page = strings.Replace(page, "connect(url, { token,", "connect(url, renewing({ token,", 1)
	page = strings.Replace(page, "...options });", "...options }));", 1)
	return strings.Replace(page, `from "/roost.js";`, `from "/roost.js"; import { renewing } from "/app.js";`, 1)
}

// A page gets new tokens and their groups over its open connection, knows the connection's id, and ends for good when the session is over.
func TestClientRenews(t *testing.T) {
	t.Parallel()
	s := &site{env: roosttest.Env{"WS_CLOSE_ON_EXPIRY": "true"}, page: renewingPage(), script: e2e.ReadDoc(t, "client/renew.js"), options: options{"id": true}}
	var over atomic.Bool
	s.token = func() string {
		if over.Load() {
			return ""
		}
		claims := roosttest.Claims{"sub": "alice", "exp": time.Now().Add(time.Hour).Unix(), "groups": []string{fmt.Sprint("g", s.tokens.Load())}}
		return roosttest.Sign(t, "HS256", roosttest.Secret, claims)
	}
	s.start(t, chromium{startBrowser(t)})
	want := []string{"open", "sync first"}
	s.main.wait(want...)
	notify := func(channel, payload string) {
		s.redis.Publish(channel, `{"type":"n","payload":"`+payload+`"}`)
		want = append(want, "message "+payload)
		s.main.wait(want...)
	}
	for renewed := 1; renewed <= 3; renewed++ {
		s.main.run("ahead += 3_000_000") // of the hour, less than 48 minutes are left to wait
		notify("user_noti:alice", fmt.Sprint("wakes ", renewed))
		s.server.WaitMetric(`roost_token_renewals_total{result="renewed"}`, float64(renewed))
		s.redis.Publish(fmt.Sprint("group_noti:g", renewed), `{"type":"n","payload":"of before"}`)
		notify(fmt.Sprint("group_noti:g", renewed+1), fmt.Sprint("group ", renewed+1))
	}
	id, err := s.main.eval("roost.id")
	if err != nil || len(id) != 11 {
		t.Fatalf("the connection's id is %q (%v)", id, err)
	}
	s.redis.Publish("user_noti:alice", `{"type":"n","payload":"of this page","except":"`+id+`"}`)
	notify("user_noti:alice", "for all")

	over.Store(true)
	s.main.run("ahead += 3_000_000")
	s.redis.Publish("user_noti:alice", `{"type":"n","payload":"last"}`)
	s.main.wait(append(want, "message last", "closed 4403 SessionOver: signed out")...)
	s.server.WaitMetric("roost_connections", 0)
}
