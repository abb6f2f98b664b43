package deliver

import (
	"encoding/json"
	"maps"
	"strings"
	"testing"

	"roost/cmd/roost/internal/e2e"
	"roost/cmd/roost/internal/roosttest"
)

// Connections join groups and leave them by command, WebSockets and event streams, with each feed.
func TestGroupsWhileConnected(t *testing.T) {
	eachFeed(t, func(t *testing.T, b *feedSide) {
		server := b.start(t, nil)
		alice, bob := member(t, server, "alice", "lobby"), server.Connect("bob")
		stream := server.Dial()
		stream.Send("GET /sse?token=" + roosttest.Token(t, "alice") + " HTTP/1.1\r\nHost: x\r\n\r\n")
		stream.ReadUntil("retry: ")
		b.awaitHeard(t, server, 2)

		command := func(text string) {
			t.Helper()
			if err := b.client.Publish(t.Context(), "user_ctl:alice", text).Err(); err != nil {
				t.Fatal(err)
			}
		}
		notify := func(group, notification string) {
			t.Helper()
			if err := b.client.Publish(t.Context(), "group_noti:"+group, notification).Err(); err != nil {
				t.Fatal(err)
			}
		}
		command(`{"join":["room:42"],"leave":["lobby"]}`)
		server.WaitMetric(`roost_group_changes_total{change="joined"}`, 2)
		server.WaitMetric(`roost_group_changes_total{change="left"}`, 1)
		notify("lobby", e2e.Numbered(0)) // nobody is in it
		server.WaitMetric("roost_group_notifications_offline_total", 1)
		notify("room:42", e2e.Numbered(1))
		if got := alice.WaitMessages(1); !strings.Contains(got[0], `"payload":1`) {
			t.Errorf("alice got %q", got)
		}
		stream.ReadUntil(`"payload":1`)

		later := server.Connect("alice") // her token names no group
		notify("room:42", e2e.Numbered(2))
		alice.WaitMessages(2)
		stream.ReadUntil(`"payload":2`)
		p := roosttest.Run(t, roosttest.Command{Args: []string{"why", "alice", "--url", "http://" + server.HTTP}})
		if code := p.Wait(); code != 0 || strings.Count(p.Log.String(), "in the groups room:42 (joined)") != 2 {
			t.Errorf("why ended with %d and %q", code, p.Log.String())
		}

		p = roosttest.Run(t, roosttest.Command{Args: []string{"groups", "alice", "--leave", "room:42", "--join", "a, b"}, Env: roosttest.ServerEnv(b.redis, maps.Clone(b.env))})
		if code := p.Wait(); code != 0 || !strings.Contains(p.Log.String(), "told to have the connections of alice leave room:42 and join a, b") {
			t.Errorf("groups ended with %d and %q", code, p.Log.String()+p.Stderr.String())
		}
		server.WaitMetric(`roost_group_changes_total{change="joined"}`, 5)
		notify("room:42", e2e.Numbered(3))
		server.WaitMetric("roost_group_notifications_offline_total", 2)
		notify("a, b", e2e.Numbered(4))
		if got := later.WaitMessages(1); len(got) != 1 || !strings.Contains(got[0], `"payload":4`) {
			t.Errorf("the later one got %q", got)
		}
		alice.WaitMessages(3)
		stream.ReadUntil(`"payload":4`)
		if got := bob.Messages(); len(got) > 0 {
			t.Errorf("bob got %q", got)
		}
	})
}

func TestGroupsCommandChecks(t *testing.T) {
	t.Parallel()
	env := roosttest.ServerEnv(e2e.NoRedis{}, nil)
	for says, args := range map[string][]string{
		"which groups?":       {"alice"},
		"control characters":  {"alice", "--join", ""},
		"name of a channel":   {"alice", "--leave", "group_noti:staff"},
		"which user?":         {"--join", "staff"},
		"more than 200 group": append([]string{"alice"}, strings.Fields(strings.Repeat("--join=g% ", 201))...),
	} {
		for i := range args {
			args[i] = strings.ReplaceAll(args[i], "%", string(rune('0'+i%10))+strings.Repeat("x", i/10))
		}
		p := roosttest.Run(t, roosttest.Command{Args: append([]string{"groups"}, args...), Env: env})
		if code := p.Wait(); code != 2 || !strings.Contains(p.Stderr.String(), says) {
			t.Errorf("%.60q ended with %d, saying %q; want %q in it", args, code, p.Stderr.String(), says)
		}
	}
}

// A client that comes back to groups that it had joined is told that it may have missed something of them, on any instance.
func TestResumeWithGroupsThatWereJoined(t *testing.T) {
	t.Parallel()
	redis, server := e2e.Start(t, roosttest.Env{"WS_RESUME_WINDOW": "2m"})
	alice := server.Connect("alice")
	alice.WaitMessages(1)
	redis.Publish("user_ctl:alice", `{"join":["room:42"]}`)
	redis.Publish("group_noti:room:42", e2e.Numbered(1))
	var envelope struct{ ID string }
	if err := json.Unmarshal([]byte(alice.WaitMessages(2)[1]), &envelope); err != nil || envelope.ID == "" {
		t.Fatalf("%q, %v", alice.Messages(), err)
	}
	alice.Close()
	back := server.ConnectWith(roosttest.Token(t, "alice")+"&since="+envelope.ID, roosttest.Dial{})
	got := back.WaitMessages(2)
	if !strings.Contains(got[0], `"resumed":false`) || !strings.Contains(got[1], `"type":"_gap","payload":{"reason":"resume"`) {
		t.Errorf("told %q", got)
	}
	server.WaitMetric(`roost_resumes_total{result="groups"}`, 1)
}
