package handover

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"testing"

	"roost/cmd/roost/internal/e2e"
	"roost/cmd/roost/internal/roosttest"
	"roost/redisfeed/redistest"
)

// envelope is what a client gets of a notification {"type":"n","payload":1}, or of Roost's own.
type envelope struct {
	Type    string
	ID      string
	Payload json.RawMessage
}

func envelopes(t *testing.T, c *roosttest.Client, n int) (all []envelope) {
	t.Helper()
	for _, text := range c.WaitMessages(n) {
		var one envelope
		if err := json.Unmarshal([]byte(text), &one); err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		all = append(all, one)
	}
	return all
}

// A client that left before an upgrade, or between two, gets what it missed from the process that took over: also of a ring of
// another size. And whoever stayed goes on with the same ids.
func TestResumeAcrossUpgrades(t *testing.T) {
	t.Parallel()
	for _, feed := range []string{"pattern", "user"} {
		t.Run(feed, func(t *testing.T) {
			t.Parallel()
			s := start(t, feed, roosttest.Env{"WS_RESUME_WINDOW": "10m", "WS_RESUME_BYTES": "4194304"})
			publish := func(user string, n int) {
				t.Helper()
				s.redis.Publish("user_noti:"+user, fmt.Sprintf(`{"type":"n","payload":%d}`, n))
			}
			stays, leaves := s.heard("stays", 1), s.heard("leaves", 2)
			publish("stays", 1)
			publish("leaves", 1)
			stays.WaitMessages(2) // behind the hello
			since := envelopes(t, leaves, 2)[1].ID
			leaves.Close()
			s.server.WaitMetric("roost_connections", 1)
			for n := range 3 {
				publish("leaves", 2+3*n)
				s.redis.Publish("user_noti_all", fmt.Sprintf(`{"type":"n","payload":%d}`, 3+3*n))
				s.upgrade(n + 1)
				publish("leaves", 4+3*n)
				publish("stays", 4+3*n)
			}
			last := envelopes(t, stays, 8) // all that was published before is heard
			back := s.server.ConnectWith(roosttest.Token(t, "leaves")+"&since="+since, roosttest.Dial{})
			got := envelopes(t, back, 10)
			if got[0].Type != "_hello" || !strings.Contains(string(got[0].Payload), `"missed":9`) {
				t.Errorf("hello %s", got[0].Payload)
			}
			for i, one := range got[1:] {
				if one.Type != "n" || string(one.Payload) != fmt.Sprint(2+i) {
					t.Errorf("%d: %s %s", i, one.Type, one.Payload)
				}
			}
			again := s.server.ConnectWith(roosttest.Token(t, "stays")+"&since="+last[4].ID, roosttest.Dial{})
			if got := envelopes(t, again, 4); !strings.Contains(string(got[0].Payload), `"missed":3`) || got[3].ID != last[7].ID {
				t.Errorf("%+v, want what follows %s in %+v", got, last[4].ID, last)
			}
		})
	}
}

// Nobody is offline because of an upgrade, and nothing is told of those who stay.
func TestPresenceAcrossUpgrades(t *testing.T) {
	t.Parallel()
	s := start(t, "pattern", roosttest.Env{"REDIS_PRESENCE": "true"})
	told := s.redis.Client().Subscribe(t.Context(), "user_presence")
	defer told.Close()
	if _, err := told.Receive(t.Context()); err != nil {
		t.Fatal(err)
	}
	events := map[string]int{}
	take := func(want map[string]int) {
		t.Helper()
		for !maps.Equal(events, want) {
			m, err := told.ReceiveMessage(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if events[m.Payload]++; events[m.Payload] > want[m.Payload] {
				t.Fatalf("%s is told, after %v", m.Payload, events)
			}
		}
	}
	event := func(user string, online bool) string { return fmt.Sprintf(`{"user":%q,"online":%v}`, user, online) }
	clients := map[string]*roosttest.Client{}
	want := map[string]int{}
	for i := range 20 {
		user := fmt.Sprint("user", i)
		clients[user] = s.server.Connect(user)
		want[event(user, true)] = 1
	}
	take(want)
	for n := range 3 {
		s.upgrade(n + 1)
	}
	s.redis.Publish("user_presence", "that is all") // it comes behind all that was told before
	want["that is all"] = 1
	take(want)
	clients["user7"].Close()
	want[event("user7", false)] = 1
	take(want)
	online, err := s.redis.Client().Keys(t.Context(), "user_online:*").Result()
	if err != nil || len(online) != 19 {
		t.Errorf("%d users are online, %v", len(online), err)
	}
}

// With Sentinel the link to the master is handed over; the new process follows a failover that comes behind.
func TestSentinelAcrossUpgrades(t *testing.T) {
	t.Parallel()
	trio := redistest.StartTrio(t, nil)
	trio.KeepMaster() // until it is killed
	s := &stand{t: t, feed: "user", redis: trio.Master, client: trio.Master.Client(), authority: redistest.NewAuthority(t), stop: make(chan struct{}), groups: 2}
	s.server = roosttest.StartWrapped(t, trio.Master, s.settings(roosttest.Env{
		"REDIS_ADDRS": strings.Join(trio.Addrs(), ","), "REDIS_MASTER_NAME": redistest.MasterName,
	}))
	e2e.EndLast(t, s.server)
	alice := s.heard("alice", 1)
	for n := range 2 {
		s.upgrade(n + 1)
		trio.Master.Publish("user_noti:alice", fmt.Sprintf(`{"type":"n","payload":%d}`, n))
		alice.WaitMessages(n + 1)
	}
	trio.Master.Kill()
	trio.Failover()
	roosttest.WaitFor(t, "a notification by way of the new master", func() bool {
		return trio.Replica.Publish("user_noti:alice", `{"type":"n","payload":2}`) > 0
	})
	roosttest.WaitFor(t, "the gap and the notification", func() bool {
		all := strings.Join(alice.Messages(), "")
		return strings.Contains(all, `"_gap"`) && strings.Contains(all, `"payload":2`)
	})
	for n, one := range envelopes(t, alice, 2)[:2] { // nothing before the failover is missing or comes twice
		if string(one.Payload) != fmt.Sprint(n) {
			t.Errorf("%d: %s %s", n, one.Type, one.Payload)
		}
	}
}
