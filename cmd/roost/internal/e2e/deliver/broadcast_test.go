package deliver

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"roost/cmd/roost/internal/e2e"
	"roost/cmd/roost/internal/roosttest"
	"roost/redisfeed/redistest"
)

// member connects a user whose token has these groups.
func member(t *testing.T, server *roosttest.Server, user string, groups ...string) *roosttest.Client {
	t.Helper()
	claims := roosttest.Claims{"sub": user, "exp": time.Now().Add(time.Hour).Unix(), "groups": groups}
	return server.ConnectWith(roosttest.Sign(t, "HS256", roosttest.Secret, claims), roosttest.Dial{})
}

// broadcastAll publishes many for everyone in one go, numbered from a first one.
func broadcastAll(t *testing.T, server *redistest.Server, first, count int) {
	t.Helper()
	_, err := server.Client().Pipelined(t.Context(), func(pipe redis.Pipeliner) error {
		for n := range count {
			pipe.Publish(t.Context(), "user_noti_all", e2e.Numbered(first+n))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// wantNumbered checks that a client gets so many, in order.
func wantNumbered(t *testing.T, name string, c *roosttest.Client, count int) {
	t.Helper()
	got := c.WaitMessages(count)
	for n, message := range got {
		if want := e2e.Numbered(n); !strings.HasPrefix(message, want[:len(want)-1]) {
			t.Fatalf("%s: number %d is %s", name, n, message)
		}
	}
	if len(got) != count {
		t.Errorf("%s got %d, want %d", name, len(got), count)
	}
}

func TestBroadcastReachesEveryone(t *testing.T) {
	t.Parallel()
	redis, one := e2e.Start(t, nil)
	two := roosttest.Start(t, redis, nil)
	clients := make(map[string]*roosttest.Client)
	for i := range 40 {
		clients[fmt.Sprint("a user's connection ", i)] = one.Connect(fmt.Sprint("user-", i/2))
		clients[fmt.Sprint("one on the other instance ", i)] = two.Connect(fmt.Sprint("user-", i))
	}
	const total = 50
	for n := range total {
		if heard := redis.Publish("user_noti_all", e2e.Numbered(n)); heard != 2 {
			t.Fatalf("%d instances heard it, want 2", heard)
		}
	}
	for name, c := range clients {
		wantNumbered(t, name, c, total)
	}
	for _, server := range []*roosttest.Server{one, two} {
		server.WaitMetric("roost_deliveries_sent_total", 40*total)
		server.WaitMetric("roost_broadcasts_waiting", 0)
		metrics := server.Metrics()
		if metrics["roost_broadcasts_total"] != total || metrics["roost_notifications_received_total"] != 0 ||
			metrics["roost_deliveries_accepted_total"] != 40*total || metrics["roost_broadcast_seconds_total"] <= 0 {
			t.Errorf("%v", metrics)
		}
		e2e.WaitDeep(t, server)
	}
}

func TestGroupsReachTheirMembers(t *testing.T) {
	t.Parallel()
	redis, server := e2e.Start(t, roosttest.Env{"WS_MAX_CONNECTIONS_PER_USER": "1", "WS_USER_LIMIT": "replace"})
	both, staff, nobody := member(t, server, "alice", "admins", "staff"), member(t, server, "bob", "staff"), server.Connect("carol")
	left, older, shown := member(t, server, "dave", "staff"), member(t, server, "erin", "staff"), member(t, server, "frank", "staff")
	redis.Publish("group_noti:staff", `{"type":"first"}`)
	for _, c := range []*roosttest.Client{both, staff, left, older, shown} {
		c.WaitMessages(1)
	}

	left.Close()
	newer := member(t, server, "erin", "admins")
	older.WaitClose()
	redis.Publish("user_ctl:frank", `{"disconnect":{}}`)
	shown.WaitClose()
	server.WaitMetric("roost_connections", 4)
	sent := server.Metrics()["roost_deliveries_accepted_total"]
	redis.Publish("group_noti:staff", `{"type":"second"}`)
	redis.Publish("group_noti:admins", `{"type":"third"}`)
	redis.Publish("group_noti:others", `{"type":"nobody's"}`)
	redis.Publish("group_noti:staff", `nonsense`)
	redis.Publish("user_noti_all", `{"type":"last"}`)
	for name, test := range map[string]struct {
		client *roosttest.Client
		want   []string
	}{
		"in both": {both, []string{"first", "second", "third", "last"}}, "in one": {staff, []string{"first", "second", "last"}},
		"in none": {nobody, []string{"last"}}, "the newer": {newer, []string{"third", "last"}},
		"left": {left, []string{"first"}}, "replaced": {older, []string{"first"}}, "disconnected": {shown, []string{"first"}},
	} {
		test.client.WaitMessages(len(test.want))
		if got := types(t, test.client); !slices.Equal(got, test.want) {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
	server.WaitMetric("roost_deliveries_accepted_total", sent+8) // 2 of staff, 2 of admins, 4 of all: to nobody who had left
	metrics := server.Metrics()
	if metrics["roost_group_notifications_total"] != 5 || metrics["roost_group_notifications_offline_total"] != 1 ||
		metrics[`roost_notifications_invalid_total{reason="invalid_json"}`] != 1 {
		t.Errorf("%v", metrics)
	}
	server.WaitLine("notification skipped", "group", "staff", "reason", "invalid_json")
}

// types are the types of what a client got.
func types(t *testing.T, c *roosttest.Client) (all []string) {
	t.Helper()
	for _, message := range c.Messages() {
		var envelope struct{ Type string }
		if err := json.Unmarshal([]byte(message), &envelope); err != nil {
			t.Fatalf("%s: %v", message, err)
		}
		all = append(all, envelope.Type)
	}
	return all
}

// TestGroupsMayBeIgnored, for issuers that use the claim for something else.
func TestGroupsMayBeIgnored(t *testing.T) {
	t.Parallel()
	redis, server := e2e.Start(t, roosttest.Env{"WS_GROUPS": "false"})
	claims := roosttest.Claims{"sub": "alice", "exp": time.Now().Add(time.Hour).Unix(), "groups": 7}
	odd := server.ConnectWith(roosttest.Sign(t, "HS256", roosttest.Secret, claims), roosttest.Dial{})
	usual := member(t, server, "bob", "staff")
	redis.Publish("group_noti:staff", `{"type":"not for them"}`)
	redis.Publish("user_noti_all", `{"type":"all"}`)
	for _, c := range []*roosttest.Client{odd, usual} {
		c.WaitMessages(1)
		if got := types(t, c); !slices.Equal(got, []string{"all"}) {
			t.Errorf("%q", got)
		}
	}
}

// TestBroadcastHoldsNobodyUp: while many broadcasts go to many connections, a loop's mailbox never has more of them than
// a chunk, and so a user's own notification never waits behind more.
func TestBroadcastHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	const connections, total, chunk = 1_500, 20, 128
	redis, server := e2e.Start(t, nil)
	var clients []*roosttest.Client
	for i := range connections {
		clients = append(clients, server.Connect(fmt.Sprint("user-", i)))
	}
	alice := server.Connect("alice")
	broadcastAll(t, redis, 0, total)
	own := 0
	roosttest.WaitFor(t, "the broadcasts to be handed over", func() bool {
		e2e.Notify(redis, "alice", `{"type":"own"}`)
		own++
		metrics := server.Metrics()
		if n := metrics.Sum("roost_mailbox_items"); n > float64(chunk+own) {
			t.Errorf("%v notifications wait for the loops, want %d at most", n, chunk+own)
		}
		return metrics["roost_broadcasts_total"] == total && metrics["roost_broadcasts_waiting"] == 0
	})
	for i, c := range clients {
		wantNumbered(t, fmt.Sprint("connection ", i), c, total)
	}
	alice.WaitMessages(total + own)
	all := types(t, alice)
	t.Logf("of %d notifications of her own, %d came before the last broadcast", own, own-(len(all)-1-lastOf(all, "n")))
	server.WaitMetric("roost_deliveries_sent_total", float64((connections+1)*total+own))
}

// lastOf is the index of the last one.
func lastOf(all []string, one string) int {
	last := -1
	for i, s := range all {
		if s == one {
			last = i
		}
	}
	return last
}

// TestTooManyBroadcasts: while more is published for everyone than can be delivered, a user's own notifications come and
// commands are done. Dropped ones are counted, everybody gets all others in order, and is told of each gap.
func TestTooManyBroadcasts(t *testing.T) {
	t.Parallel()
	const connections, batch = 50, 500
	redis, server := e2e.Start(t, roosttest.Env{"WS_GAP_NOTICE": "true"})
	for i := range connections {
		server.Connect(fmt.Sprint("user-", i))
	}
	alice, mallory := server.Connect("alice"), server.Connect("mallory")
	published, own := 0, 0
	roosttest.WaitFor(t, "broadcasts to be dropped", func() bool {
		broadcastAll(t, redis, published, batch)
		published += batch
		e2e.Notify(redis, "alice", `{"type":"own"}`)
		own++
		roosttest.WaitFor(t, "her own", func() bool { return count(types(t, alice), "own") == own })
		return server.Metrics()[`roost_broadcasts_dropped_total{reason="queue_full"}`] > 0
	})
	redis.Publish("user_ctl:mallory", `{"disconnect":{}}`)
	mallory.WaitClose()
	server.WaitMetric("roost_broadcasts_total", float64(published))
	server.WaitMetric("roost_broadcasts_waiting", 0)
	server.WaitMetric("roost_deliveries_waiting", 0)
	metrics := server.Metrics()
	dropped := metrics.Sum("roost_broadcasts_dropped_total")
	roosttest.WaitFor(t, "the rest", func() bool { return count(types(t, alice), "n") == published-int(dropped) })
	roosttest.WaitFor(t, "each gap to be told", func() bool { return gapsTold(t, alice.Messages()) }) // the last one after a second or two
	if metrics["roost_broadcasts_waiting_bytes"] != 0 ||
		metrics["roost_deliveries_accepted_total"] != metrics["roost_deliveries_sent_total"]+metrics.Sum("roost_deliveries_failed_total") {
		t.Errorf("%v", metrics)
	}
	server.WaitLine("broadcast dropped: too many wait for their connections", "for", "everyone", "reason", "queue_full")
}

// overtaken is how many broadcasts for 50 connections and more a notice may overtake: it does not wait for what is in the loops' mailboxes, which is
// 128 deliveries at most.
const overtaken = 3

// gapsTold reports whether for each gap a notice has come of a time before the next number, and no earlier than so many numbers before the gap
// as it may overtake. It wants gaps, and the numbers to rise.
func gapsTold(t *testing.T, messages []string) bool {
	t.Helper()
	last, gaps := -1, 0
	var all []numberedMessage
	var at []int // of the numbers so far, in all
	for _, text := range messages {
		all = append(all, readNumbered(t, text))
	}
	for i, m := range all {
		if m.Type != "n" {
			continue
		}
		if m.number <= last {
			t.Fatalf("%d came behind %d", m.number, last)
		}
		if m.number > last+1 {
			gaps++
			behind := 0
			if len(at) > overtaken {
				behind = at[len(at)-1-overtaken]
			}
			if !slices.ContainsFunc(all[behind:], func(n numberedMessage) bool { return n.Type == "_gap" && !n.since.After(m.Timestamp) }) {
				return false
			}
		}
		last, at = m.number, append(at, i)
	}
	if gaps == 0 {
		t.Fatal("nothing is missing")
	}
	return true
}

// numberedMessage is what a client gets: a number, or a gap.
type numberedMessage struct {
	Type      string
	Timestamp time.Time
	Payload   json.RawMessage
	number    int
	since     time.Time
}

func readNumbered(t *testing.T, text string) (m numberedMessage) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	switch m.Type {
	case "n":
		if err := json.Unmarshal(m.Payload, &m.number); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
	case "_gap":
		var gap struct {
			Reason string
			Since  time.Time
		}
		if err := json.Unmarshal(m.Payload, &gap); err != nil || gap.Reason != "broadcast" {
			t.Fatalf("%s: %v", text, err)
		}
		m.since = gap.Since
	}
	return m
}

// TestStopHandsBroadcastsOver: what was taken still comes, before the close frame.
func TestStopHandsBroadcastsOver(t *testing.T) {
	t.Parallel()
	const connections, total = 400, 100
	redis, server := e2e.Start(t, roosttest.Env{"WS_SHUTDOWN_TIMEOUT": "5m"}) // half of it is for broadcasts
	var clients []*roosttest.Client
	for i := range connections {
		clients = append(clients, server.Connect(fmt.Sprint("user-", i)))
	}
	broadcastAll(t, redis, 0, total)
	roosttest.WaitFor(t, "the feed to have them", func() bool { return server.Metrics()["roost_broadcasts_total"] > 64 })
	server.Signal(syscall.SIGTERM)
	if code := server.Wait(); code != 0 {
		t.Errorf("ended with %d", code)
	}
	least := total
	for i, c := range clients {
		if code, _ := c.WaitClose(); code != 1001 {
			t.Errorf("connection %d was closed with %d", i, code)
		}
		least = min(least, len(c.Messages()))
		wantNumbered(t, fmt.Sprint("connection ", i), c, len(c.Messages()))
		if got := len(c.Messages()); got != len(clients[0].Messages()) {
			t.Errorf("connection %d got %d, the first %d", i, got, len(clients[0].Messages()))
		}
	}
	if least <= 64 {
		t.Errorf("a connection got %d, and more were taken", least)
	}
	if lines := server.Log.Find("broadcasts were not delivered to all their connections: there was no more time"); len(lines) > 0 {
		t.Error("broadcasts were cut")
	}
}

func TestBroadcastCommand(t *testing.T) {
	t.Parallel()
	redis, server := e2e.Start(t, nil)
	env := roosttest.ServerEnv(redis, nil)
	run := func(args ...string) (said string) {
		command := roosttest.Run(t, roosttest.Command{Args: args, Env: env})
		if code := command.Wait(); code != 0 {
			t.Fatalf("%q ended with %d, saying %s", args, code, command.Stderr.String())
		}
		return strings.TrimSpace(command.Log.String())
	}
	token := run("token", "--user", "alice", "--group", "admins", "--group", "a, b")
	alice, bob := server.ConnectWith(token, roosttest.Dial{}), server.Connect("bob")
	for _, test := range []struct {
		args []string
		says string
	}{
		{[]string{"broadcast", `{"type":"admins"}`, "--group", "admins"}, "published to the group admins on "},
		{[]string{"broadcast", "--group", "a, b", `{"type":"a, b"}`}, "published to the group a, b on "},
		{[]string{"broadcast", `{"type":"all"}`}, "published to everyone on "},
	} {
		if said := run(test.args...); !strings.HasPrefix(said, test.says) || !strings.HasSuffix(said, "; 1 server got it from Redis, clients are not counted") {
			t.Errorf("%q said %q", test.args, said)
		}
	}
	alice.WaitMessages(3)
	bob.WaitMessages(1)
	if a, b := types(t, alice), types(t, bob); !slices.Equal(a, []string{"admins", "a, b", "all"}) || !slices.Equal(b, []string{"all"}) {
		t.Errorf("alice got %q, bob %q", a, b)
	}
}

func TestWhyShowsBroadcasts(t *testing.T) {
	t.Parallel()
	redis, server := e2e.Start(t, nil)
	alice := member(t, server, "alice", "staff")
	server.Get("/why?user=alice")
	redis.Publish("user_noti_all", `{"type":"one"}`)
	redis.Publish("group_noti:staff", `{"type":"two"}`)
	alice.WaitMessages(2)
	var why struct {
		Latest []struct{ Type, Via, Outcome string }
	}
	roosttest.WaitFor(t, "both to be seen", func() bool {
		_, body := server.Get("/why?user=alice")
		if err := json.Unmarshal(body, &why); err != nil {
			t.Fatal(err)
		}
		return len(why.Latest) == 2 && why.Latest[1].Outcome == "sent"
	})
	if got := fmt.Sprint(why.Latest); got != "[{one everyone sent} {two group staff sent}]" {
		t.Error(got)
	}
}

// count is how often an event is in a list.
func count(all []string, event string) (n int) {
	for _, one := range all {
		if one == event {
			n++
		}
	}
	return n
}
