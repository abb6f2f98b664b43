package connect

import (
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"roost/cmd/roost/internal/e2e"
	"roost/cmd/roost/internal/roosttest"
	"roost/redisfeed/redistest"
)

func TestMaxConnections(t *testing.T) {
	t.Parallel()
	redis, server := e2e.Start(t, roosttest.Env{"WS_MAX_CONNECTIONS": "3"})
	first := server.Connect("alice")
	server.Connect("alice")
	server.Connect("bob")

	for range 10 {
		answer := e2e.RefusedFor(t, server, "full")
		if answer.StatusCode != http.StatusServiceUnavailable || !strings.Contains(answer.Text, "no room") {
			t.Fatalf("the fourth was answered %s %q", answer.Status, answer.Text)
		}
		if seconds, err := strconv.Atoi(answer.Header.Get("Retry-After")); err != nil || seconds < 1 {
			t.Errorf("Retry-After is %q", answer.Header.Get("Retry-After"))
		}
	}
	// A bad token is a bad token, also when there is no room.
	if answer := server.Dial().Ask(roosttest.Head("bad")); answer.StatusCode != http.StatusUnauthorized {
		t.Errorf("a bad token was answered %s", answer.Status)
	}
	first.Close()
	server.WaitMetric("roost_connections", 2)
	again := server.Connect("carol")
	e2e.Notify(redis, "carol", e2e.Numbered(1))
	again.WaitMessages(1)
	if got := server.Metrics()[`roost_connections_refused_total{reason="full"}`]; got != 10 {
		t.Errorf("%v refusals are counted, want 10", got)
	}
}

const healthRequest = "GET /health HTTP/1.1\r\nHost: lb\r\n\r\n"

func TestMoreSocketsThanDescriptors(t *testing.T) {
	t.Parallel()
	redis, server := e2e.StartWithDescriptors(t, 200, nil)
	server.WaitLine("the limit on open files allows fewer connections than WS_MAX_CONNECTIONS: raise it (ulimit -n, LimitNOFILE=)",
		"open_files", 200.0)
	alice := server.Connect("alice")
	var silent []*roosttest.Raw
	for range 400 {
		silent = append(silent, server.Dial())
	}
	const turnedAway = `roost_connections_refused_total{reason="crowded_out"}`
	roosttest.WaitFor(t, "sockets to be turned away", func() bool { return server.Metrics()[turnedAway] >= 200 })
	e2e.Notify(redis, "alice", e2e.Numbered(1))
	alice.WaitMessages(1)
	for _, raw := range silent {
		_ = raw.Close()
	}
	servesAgain(t, redis, server)
	if alice.Ended() {
		t.Error("alice lost her connection")
	}
}

// servesAgain waits until a new client gets in and gets a notification.
func servesAgain(t *testing.T, redis *redistest.Server, server *roosttest.Server) {
	t.Helper()
	token := roosttest.Token(t, "later")
	roosttest.WaitFor(t, "the server to serve again", func() bool {
		raw, err := server.TryDial(0)
		if err != nil {
			return false
		}
		defer raw.Close()
		return raw.Upgrade(token) == nil
	})
	later := server.Connect("later")
	e2e.Notify(redis, "later", e2e.Numbered(2))
	later.WaitMessages(1)
}

// TestFullOfConnections has as many connections as descriptors allow: refusals and /health still get answers.
func TestFullOfConnections(t *testing.T) {
	t.Parallel()
	const descriptors = 250
	redis, server := e2e.StartWithDescriptors(t, descriptors, roosttest.Env{"WS_MAX_CONNECTIONS_PER_USER": "0"})
	token := roosttest.Token(t, "alice")
	admitted := 0
	for {
		raw := server.Dial()
		if err := raw.Upgrade(token); err != nil {
			if !strings.HasPrefix(err.Error(), "503") {
				t.Fatalf("after %d connections: %v", admitted, err)
			}
			break
		}
		admitted++
	}
	if admitted < 50 || admitted >= descriptors {
		t.Errorf("%d descriptors gave room for %d connections", descriptors, admitted)
	}
	answer := server.Dial().Ask(healthRequest)
	health := roosttest.ReadHealth(t, answer.StatusCode, []byte(answer.Text))
	if health.Code != http.StatusOK || *health.WebSocket.Connections != admitted {
		t.Errorf("%d with %d connections, want 200 with %d", health.Code, *health.WebSocket.Connections, admitted)
	}
	e2e.Notify(redis, "alice", e2e.Numbered(1))
	server.WaitMetric("roost_deliveries_sent_total", float64(admitted))
}

// TestAcceptFails takes descriptors from a running server, so that it is the kernel that says no to accept: at once, and
// again when it has given a few. Then the silent sockets make room.
func TestAcceptFails(t *testing.T) {
	t.Parallel()
	const failing = "accepting connections fails; trying again"
	redis, server := e2e.Start(t, nil)
	alice := server.Connect("alice")
	server.Metrics() // the admin server's connection is there from now on
	few := openDescriptors(t, server) + 12

	begun := time.Now()
	e2e.LimitDescriptors(t, server, 3)
	var silent []*roosttest.Raw
	for range 100 {
		silent = append(silent, server.Dial()) // the kernel's queue takes them
	}
	server.WaitLine(failing)
	e2e.Notify(redis, "alice", e2e.Numbered(1))
	alice.WaitMessages(1)

	e2e.LimitDescriptors(t, server, few)
	roosttest.WaitFor(t, "some of the silent sockets to get in", func() bool { return server.Metrics()["roost_sockets"] > 5 })
	if answer := server.Dial().Ask(healthRequest); answer.StatusCode != http.StatusOK {
		t.Errorf("/health beside silent sockets: %s", answer.Status)
	}
	server.Connect("bob")
	roosttest.WaitFor(t, "the silent sockets to make room", func() bool {
		return server.Metrics()[`roost_connections_refused_total{reason="crowded_out"}`] >= 50
	})
	e2e.Notify(redis, "alice", e2e.Numbered(2))
	alice.WaitMessages(2)
	for _, raw := range silent {
		_ = raw.Close()
	}
	servesAgain(t, redis, server)
	if n := len(server.Log.Find(failing)); n > 4+int(time.Since(begun)/(10*time.Second)) { // one in 10 s, however long it took
		t.Errorf("%d lines about failing accepts", n)
	}
}

// TestDescriptorsTakenByOthers leaves a running server no descriptor at all but the one that it keeps aside: who asks is
// answered, one after the other, and who is connected notices nothing.
func TestDescriptorsTakenByOthers(t *testing.T) {
	t.Parallel()
	redis, server := e2e.Start(t, nil)
	alice := server.Connect("alice")
	server.Metrics() // the admin server's connection is there from now on
	e2e.LimitDescriptors(t, server, openDescriptors(t, server))
	for server.Dial().Upgrade(roosttest.Token(t, "bob")) == nil { // as long as there is a gap in the numbers
	}

	silent := server.Dial()
	for n := range 20 {
		if answer := server.Dial().Ask(healthRequest); answer.StatusCode != http.StatusOK {
			t.Errorf("/health is answered %s", answer.Status)
		}
		answer := server.Dial().Ask(roosttest.Head(roosttest.Token(t, "bob")))
		if answer.StatusCode != http.StatusServiceUnavailable || !strings.Contains(answer.Text, "no file descriptor") {
			t.Fatalf("handshake %d is answered %s %q", n, answer.Status, answer.Text)
		}
	}
	if err := silent.End(); err != nil { // it made room
		t.Errorf("who said nothing got %v", err)
	}
	e2e.Notify(redis, "alice", e2e.Numbered(1))
	alice.WaitMessages(1)
	if n := server.Metrics()[`roost_connections_refused_total{reason="open_files"}`]; n != 21 {
		t.Errorf("%v refusals are counted, want 21", n)
	}

	e2e.LimitDescriptors(t, server, 1000)
	servesAgain(t, redis, server)
}

// openDescriptors counts those of the server.
func openDescriptors(t *testing.T, server *roosttest.Server) int {
	t.Helper()
	open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", server.Pid()))
	if err != nil {
		t.Fatal(err)
	}
	return len(open)
}

// TestRedisLinkWithoutDescriptors takes all descriptors from a running server, and then its link to Redis. It goes on
// looking for Redis for longer than an outage may last, and once there is one more descriptor than none, the one that is
// kept aside for this, it has a link again.
func TestRedisLinkWithoutDescriptors(t *testing.T) {
	t.Parallel()
	redis, server := e2e.Start(t, roosttest.Env{"REDIS_FEED_MAX_ATTEMPTS": "2", "REDIS_FEED_RETRY_DELAY": "100ms", "WS_GAP_NOTICE": "true"})
	alice := server.Connect("alice")
	server.Metrics() // the admin server's connection is there from now on
	cut := func() {
		t.Helper()
		if err := redis.Client().Do(t.Context(), "CLIENT", "KILL", "TYPE", "pubsub").Err(); err != nil {
			t.Fatal(err)
		}
	}
	_, aside := keptAside(t, server)
	e2e.LimitDescriptors(t, server, 3) // not even those that are kept aside
	cut()
	roosttest.WaitFor(t, "it to look for longer than it may", func() bool {
		return len(server.Log.Find("redis cannot be reached for want of something that this host has too little of, which is not counted")) > 8
	})
	e2e.LimitDescriptors(t, server, 1000)
	server.WaitMetric("roost_redis_reconnects_total", 1)

	last, n := 0, 0
	roosttest.WaitFor(t, "descriptors to be kept aside again", func() bool {
		last, n = keptAside(t, server)
		return n >= aside
	})
	e2e.LimitDescriptors(t, server, last+1)
	for server.Dial().Upgrade(roosttest.Token(t, "bob")) == nil { // as long as there is a gap in the numbers
	}
	cut()
	server.WaitMetric("roost_redis_reconnects_total", 2)
	server.WaitLine("the process has no descriptor left, a connection to redis gets one that is kept aside")
	e2e.Notify(redis, "alice", e2e.Numbered(1))
	alice.WaitMessages(3) // behind two gaps
	e2e.LimitDescriptors(t, server, 1000)
	servesAgain(t, redis, server)
}

// keptAside is the highest number of a descriptor that stands for nothing, and how many there are.
func keptAside(t *testing.T, server *roosttest.Server) (last, n int) {
	t.Helper()
	dir := fmt.Sprintf("/proc/%d/fd", server.Pid())
	open, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range open {
		number, err := strconv.Atoi(entry.Name())
		if target, _ := os.Readlink(dir + "/" + entry.Name()); err == nil && target == "/dev/null" {
			last = max(last, number)
			n++
		}
	}
	return last, n
}
