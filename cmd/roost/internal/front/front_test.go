package front

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"roost/cmd/roost/internal/roosttest"
)

// A client gets through by each of the three ways to bring a token, and notifications come; when Roost is stopped its
// close code comes too; when Roost is back clients get in again.
func TestUpgradeCloseAndRestart(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	forEach(t, func(t *testing.T, k *kind) {
		f := start(t, k, nil)
		token := roosttest.Token(t, "alice")
		var clients []*roosttest.Client
		for _, way := range []struct {
			query  string
			header http.Header
		}{
			{"?token=" + token, nil},
			{"", http.Header{"Authorization": {"Bearer " + token}}},
			{"", http.Header{"Sec-Websocket-Protocol": {"roost.v1, bearer." + token}}},
		} {
			client, status := f.dial("127.0.0.2", way.query, way.header)
			if client == nil {
				t.Fatalf("%+v: %d", way, status)
			}
			clients = append(clients, client)
		}
		f.redis.Publish("user_noti:alice", `{"type":"n","payload":1}`)
		for _, client := range clients {
			client.WaitMessages(1)
		}

		if code := f.server.Stop(); code != 0 {
			t.Errorf("Roost ended with %d", code)
		}
		for _, client := range clients {
			if code, text := client.WaitClose(); code != websocket.CloseGoingAway {
				t.Errorf("Roost was stopped, and a client's connection ended with %d %s", code, text)
			}
		}
		// Every address is found dead, by requests or by the proxy's own checks.
		for range 8 {
			if status := f.ask(roosttest.Head(token)); status != http.StatusBadGateway && status != http.StatusServiceUnavailable {
				t.Errorf("without Roost a request is answered with %d", status)
			}
		}
		roosttest.WaitFor(t, k.name+" to notice", func() bool { return strings.Contains(f.logs(), k.noticed) })

		f.server = roosttest.Start(t, f.redis, f.env)
		client := f.awaitRoost()
		f.notify(client, "alice", 1)
		if f.proxy.Exited() {
			t.Error("the proxy is gone")
		}
	})
}

// awaitRoost waits until the proxy has found Roost, and returns a connection of alice.
func (f *front) awaitRoost() (client *roosttest.Client) {
	f.t.Helper()
	roosttest.WaitFor(f.t, f.kind.name+" to find Roost", func() bool {
		client, _ = f.dial("127.0.0.2", "?token="+roosttest.Token(f.t, "alice"), nil)
		return client != nil
	})
	return client
}

// tries is how often a connection through a proxy that is patient for a second may end early, since the machine has stood still for as long.
const tries = 40

// Pings keep an idle connection open for longer than the proxy's patience, and nothing else does.
func TestIdle(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	forEach(t, func(t *testing.T, k *kind) {
		brief := edit{k.timeout, k.brief}
		f := start(t, k, roosttest.Env{"WS_PING_INTERVAL": "250ms", "WS_PONG_WAIT": "20s"}, brief)
		silent := start(t, k, roosttest.Env{"WS_PING_INTERVAL": "30s"}, brief)
		var begin time.Time
		var left *roosttest.Client
		roosttest.WaitFor(t, "a handshake within the proxy's patience", func() bool {
			begin = time.Now()
			left, _ = silent.dial("127.0.0.2", "?token="+roosttest.Token(t, "bob"), nil)
			return left != nil
		})
		left.WaitClose()
		if d := time.Since(begin); d < 900*time.Millisecond || d > 25*time.Second { // 30 s is the file's
			t.Errorf("without pings the proxy gave up after %s, not 1s: was its timeout replaced?", d)
		}
		for try := 1; !f.staysOpen(); try++ {
			if try == tries {
				t.Fatal("with pings the proxy gave up each time")
			}
		}
	})
}

// staysOpen returns whether pings keep a connection open for four seconds, in which a notification still comes.
func (f *front) staysOpen() bool {
	f.t.Helper()
	pinged, begin := f.awaitRoost(), time.Now()
	defer pinged.Close()
	roosttest.WaitFor(f.t, "pings for 4 s", func() bool {
		return pinged.Ended() || (pinged.Pings() >= 12 && time.Since(begin) > 4*time.Second)
	})
	f.redis.Publish("user_noti:alice", `{"type":"n","payload":1}`)
	roosttest.WaitFor(f.t, "the notification", func() bool { return pinged.Ended() || len(pinged.Messages()) > 0 })
	return len(pinged.Messages()) > 0
}

// Roost counts clients by their own address, whatever they say about it. The whole loopback network is trusted
// here, and so the clients' own addresses: only the proxy stands between their words and belief.
func TestClientAddress(t *testing.T) {
	forEach(t, func(t *testing.T, k *kind) {
		f := start(t, k, roosttest.Env{"WS_MAX_CONNECTIONS_PER_IP": "1", "WS_TRUSTED_PROXIES": "127.0.0.0/8"})
		spoof := http.Header{"X-Forwarded-For": {"192.0.2.1"}}
		for i, try := range []struct {
			from   string
			header http.Header
			want   int
		}{
			{"127.0.0.2", nil, http.StatusSwitchingProtocols},
			{"127.0.0.2", nil, http.StatusTooManyRequests},
			{"127.0.0.3", spoof, http.StatusSwitchingProtocols},
			{"127.0.0.3", nil, http.StatusTooManyRequests},
			{"127.0.0.3", http.Header{"X-Forwarded-For": {"192.0.2.2"}}, http.StatusTooManyRequests},
			{"127.0.0.2", spoof, http.StatusTooManyRequests},
			{"127.0.0.4", nil, http.StatusSwitchingProtocols},
		} {
			_, status := f.dial(try.from, "?token="+roosttest.Token(t, "alice"), try.header)
			if status != try.want {
				t.Errorf("try %d, from %s with %v: %d, want %d", i, try.from, try.header, status, try.want)
			}
		}
		for _, line := range f.server.Log.Find("connected") {
			if !strings.HasPrefix(line.Text("remote"), "127.0.0.") || !strings.HasPrefix(line.Text("proxy"), "127.0.0.1:") {
				t.Errorf("Roost logs %v", line)
			}
		}
	})
}

// Nothing but /ws and /sse is for the world, and a body for nobody.
func TestOnlyWS(t *testing.T) {
	forEach(t, func(t *testing.T, k *kind) {
		f := start(t, k, nil)
		for _, path := range []string{"/", "/health", "/health?deep=1", "/metrics", "/why?user=alice", "/ws/", "/ws/..%2fhealth", "/ws/../health"} {
			if status := f.ask("GET " + path + " HTTP/1.1\r\nHost: roost.example\r\n\r\n"); status != http.StatusNotFound {
				t.Errorf("%s is answered with %d", path, status)
			}
		}
		if status := f.ask("GET /ws HTTP/1.1\r\nHost: roost.example\r\n\r\n"); status != http.StatusUpgradeRequired {
			t.Errorf("/ws without an upgrade is answered with %d", status)
		}
		if status := f.ask("POST /ws HTTP/1.1\r\nHost: roost.example\r\nContent-Length: 2\r\n\r\nhi"); status != http.StatusRequestEntityTooLarge {
			t.Errorf("a body is answered with %d", status)
		}
	})
}
