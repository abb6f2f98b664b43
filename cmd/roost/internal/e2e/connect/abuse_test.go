package connect

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"roost/cmd/roost/internal/e2e"
	"roost/cmd/roost/internal/roosttest"
	"roost/redisfeed/redistest"
)

// One user with more tabs than there may be.
func TestTooManyConnectionsOfOneUser(t *testing.T) {
	t.Parallel()
	redis, server := e2e.Start(t, roosttest.Env{"WS_MAX_CONNECTIONS_PER_USER": "2"})
	first, second := server.Connect("alice"), server.Connect("alice")
	answer := server.Dial().Ask(roosttest.Head(roosttest.Token(t, "alice")))
	if answer.StatusCode != http.StatusTooManyRequests || answer.Header.Get("Retry-After") == "" || !strings.Contains(answer.Text, "too many connections of this user") {
		t.Errorf("the third was answered %s %q", answer.Status, answer.Text)
	}
	bob := server.Connect("bob")
	e2e.Notify(redis, "alice", e2e.Numbered(1))
	e2e.Notify(redis, "bob", e2e.Numbered(1))
	first.WaitMessages(1)
	second.WaitMessages(1)
	bob.WaitMessages(1)
	if got := server.Metrics()[`roost_connections_refused_total{reason="user_full"}`]; got != 1 {
		t.Errorf("%v are counted, want 1", got)
	}
}

func TestTheNewestConnectionReplacesTheOldest(t *testing.T) {
	t.Parallel()
	redis, server := e2e.Start(t, roosttest.Env{"WS_MAX_CONNECTIONS_PER_USER": "2", "WS_USER_LIMIT": "replace"})
	first, second, third := server.Connect("alice"), server.Connect("alice"), server.Connect("alice")
	if code, text := first.WaitClose(); code != 4429 || !strings.Contains(text, "newer connection") {
		t.Errorf("the oldest was closed with %d %q", code, text)
	}
	e2e.Notify(redis, "alice", e2e.Numbered(1))
	second.WaitMessages(1)
	third.WaitMessages(1)
	server.WaitLine("disconnected", "user_id", "alice", "reason", "replaced")
	server.WaitMetric(`roost_connections_closed_total{reason="replaced"}`, 1)
}

// A client that sends and sends: it is closed, by the defaults too.
func TestMessageFlood(t *testing.T) {
	t.Parallel()
	redis, server := e2e.Start(t, nil)
	calm, flooder := server.Connect("alice"), server.Dial()
	flooder.MustUpgrade(roosttest.Token(t, "alice"))
	flooder.Send(strings.Repeat(roosttest.ClientFrame(1, "hello"), 400))
	opcode, payload := flooder.Frame()
	if opcode != 8 || string(payload) != "\x03\xf0too many messages" {
		t.Errorf("the flooder got %d %q, want a close frame with 1008", opcode, payload)
	}
	server.WaitMetric(`roost_connections_closed_total{reason="message_rate"}`, 1)
	for range 50 {
		calm.Send("hello")
	}
	e2e.Notify(redis, "alice", e2e.Numbered(1))
	calm.WaitMessages(1)
	if calm.Ended() {
		t.Error("who sent a little was closed too")
	}
}

func TestSlowConsumerClosed(t *testing.T) {
	t.Parallel()
	redis, server := e2e.Start(t, roosttest.Env{"WS_SLOW_CONSUMER": "close", "WS_WRITE_WAIT": "1m"}) // however long filling takes
	fast, slow := server.Connect("bob"), server.DialBuffered(4096)
	slow.MustUpgrade(roosttest.Token(t, "alice"))
	some := slices.Repeat([]string{`{"type":"n","payload":"` + strings.Repeat("x", 4<<10) + `"}`}, 50)
	roosttest.WaitFor(t, "the slow one to be closed", func() bool {
		e2e.NotifyAll(t, redis, "alice", some)
		return server.Metrics()[`roost_connections_closed_total{reason="slow_consumer"}`] == 1
	})
	opcode, payload := slow.Frame()
	for ; opcode == 1; opcode, payload = slow.Frame() {
	}
	if opcode != 8 || !strings.HasPrefix(string(payload), "\x11\x38") {
		t.Errorf("the slow one got %d %q, want a close frame with 4408", opcode, payload)
	}
	if err := slow.End(); err != nil {
		t.Errorf("after the close frame: %v", err)
	}
	e2e.Notify(redis, "bob", e2e.Numbered(1))
	fast.WaitMessages(1)
	server.WaitMetric("roost_deliveries_waiting", 0)
	e2e.CheckBalanceNow(t, server.Metrics())
}

// A page learns why it was refused.
func TestRejectionByCloseCode(t *testing.T) {
	t.Parallel()
	_, server := e2e.Start(t, roosttest.Env{"WS_REJECT_AFTER_UPGRADE": "true"})
	refused := server.ConnectWith("not-a-token", roosttest.Dial{})
	if code, text := refused.WaitClose(); code != 4401 || !strings.Contains(text, "token") {
		t.Errorf("closed with %d %q, want 4401", code, text)
	}
	if got := server.Metrics()["roost_connections_accepted_total"]; got != 0 {
		t.Errorf("%v connections are counted as accepted", got)
	}
	if answer := server.Dial().Ask("GET /elsewhere HTTP/1.1\r\nHost: h\r\n\r\n"); answer.StatusCode != http.StatusNotFound {
		t.Errorf("what is no handshake was answered %s", answer.Status)
	}
}

// A token that is in no address, and so in no log.
func TestTokenInHeaders(t *testing.T) {
	t.Parallel()
	redis, server := e2e.Start(t, nil)
	token := roosttest.Token(t, "alice")
	for _, header := range []http.Header{
		{"Authorization": {"Bearer " + token}},
		{"Sec-WebSocket-Protocol": {"roost.v1, bearer." + token}},
	} {
		client := server.ConnectWith("", roosttest.Dial{Header: header})
		e2e.Notify(redis, "alice", e2e.Numbered(1))
		client.WaitMessages(1)
		client.Close()
		server.WaitMetric("roost_connections", 0)
	}
}

// Behind a proxy it is the client's address that counts, and nobody else is believed about it.
func TestAddressesBehindAProxy(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t)
	limit := roosttest.Env{"WS_MAX_CONNECTIONS_PER_IP": "1"}
	trusting := roosttest.Start(t, redis, roosttest.Env{"WS_MAX_CONNECTIONS_PER_IP": "1", "WS_TRUSTED_PROXIES": "127.0.0.0/8"})
	token := roosttest.Token(t, "alice")
	for _, test := range []struct {
		server *roosttest.Server
		field  string
		status int
	}{
		{trusting, "192.0.2.1", http.StatusSwitchingProtocols},
		{trusting, "192.0.2.2", http.StatusSwitchingProtocols},
		{trusting, "198.51.100.7, 192.0.2.2", http.StatusTooManyRequests}, // the client put something in front
		{trusting, "2001:db8::1", http.StatusSwitchingProtocols},
		{trusting, "2001:db8::2", http.StatusTooManyRequests}, // the same /64
		{roosttest.Start(t, redis, limit), "192.0.2.1", http.StatusSwitchingProtocols},
	} {
		if answer := test.server.Dial().Ask(roosttest.Head(token, "X-Forwarded-For: "+test.field)); answer.StatusCode != test.status {
			t.Errorf("%s: answered %s, want %d", test.field, answer.Status, test.status)
		}
	}
	wary := roosttest.Start(t, redis, limit)
	wary.Dial().MustUpgrade(token)
	if answer := wary.Dial().Ask(roosttest.Head(token, "X-Forwarded-For: 192.0.2.9")); answer.StatusCode != http.StatusTooManyRequests {
		t.Errorf("who is no proxy was believed: %s", answer.Status)
	}
}

// One address with all the connections.
func TestTooManyConnectionsOfOneAddress(t *testing.T) {
	t.Parallel()
	_, server := e2e.Start(t, roosttest.Env{"WS_MAX_CONNECTIONS_PER_IP": "2"})
	server.Connect("alice")
	server.Connect("bob")
	if answer := server.Dial().Ask(roosttest.Head(roosttest.Token(t, "carol"))); answer.StatusCode != http.StatusTooManyRequests {
		t.Errorf("the third was answered %s", answer.Status)
	}
	server.WaitMetric(`roost_connections_refused_total{reason="address_full"}`, 1)
	e2e.WaitDeep(t, server) // the server's own check is no connection
}
