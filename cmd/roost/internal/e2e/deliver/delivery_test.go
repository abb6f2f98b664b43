package deliver

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"roost/cmd/roost/internal/e2e"
	"roost/cmd/roost/internal/roosttest"
)

func TestDeliversToEveryConnectionOfTheUserAlone(t *testing.T) {
	eachFeed(t, func(t *testing.T, b *feedSide) {
		server := b.start(t, nil)
		// Each socket goes to the loop with the fewest, and there are two loops: alice is on both.
		var alices []*roosttest.Client
		for range 4 {
			alices = append(alices, server.Connect("alice"))
		}
		bob := server.Connect("bob")

		b.reach(t, "alice", `{"type":"for-alice","payload":1}`)
		b.notify(t, "nobody", `{"type":"for-nobody","payload":2}`)
		b.reach(t, "bob", `{"type":"for-bob","payload":3}`)
		for i, c := range append(alices, bob) {
			want := "for-alice"
			if c == bob {
				want = "for-bob"
			}
			got := c.WaitMessages(1)
			if len(got) != 1 || !strings.Contains(got[0], want) {
				t.Errorf("connection %d got %q, want %s alone", i, got, want)
			}
		}
		checkCounts(t, b, server)
	})
}

// checkCounts checks the counts that the test before has caused.
func checkCounts(t *testing.T, b *feedSide, server *roosttest.Server) {
	t.Helper()
	server.WaitMetric("roost_deliveries_sent_total", 5) // what has come may be counted a moment later
	health := server.Health(false)
	if *health.WebSocket.Connections != 5 || *health.WebSocket.Users != 2 {
		t.Errorf("%d connections of %d users, want 5 of 2", *health.WebSocket.Connections, *health.WebSocket.Users)
	}
	received, offline := 3, 1
	if !b.hearsAll() {
		received, offline = 2, 0
	}
	metrics := server.Metrics()
	for name, want := range map[string]float64{
		"roost_notifications_received_total": float64(received), "roost_notifications_offline_total": float64(offline),
		"roost_deliveries_accepted_total": 5, "roost_deliveries_sent_total": 5, "roost_deliveries_waiting": 0,
	} {
		if metrics[name] != want {
			t.Errorf("%s is %v, want %v", name, metrics[name], want)
		}
	}
	heard, known := metrics[`roost_feed_users{state="heard"}`]
	if known == b.hearsAll() || known && heard != 2 {
		t.Errorf("roost_feed_users says that %v users are heard (%v)", heard, known)
	}
	if got := jsonMetrics(t, server); got != [3]int{received, 5, 0} {
		t.Errorf("received, sent, failed are %v in JSON, want %d, 5, 0", got, received)
	}
}

// jsonMetrics are the messages that /metrics counts, in the order received, sent, failed.
func jsonMetrics(t *testing.T, server *roosttest.Server) [3]int {
	t.Helper()
	code, body := server.Get("/metrics?format=json")
	var m struct {
		Service  string `json:"service"`
		Messages struct {
			Received int `json:"received_from_redis"`
			Sent     int `json:"sent_to_clients"`
			Failed   int `json:"failed"`
		} `json:"messages"`
	}
	if err := json.Unmarshal(body, &m); err != nil || code != http.StatusOK || m.Service != "websocket-service" {
		t.Fatalf("/metrics answered %d %s", code, body)
	}
	return [3]int{m.Messages.Received, m.Messages.Sent, m.Messages.Failed}
}

func TestKeepsTheOrderOfAThousand(t *testing.T) {
	eachFeed(t, func(t *testing.T, b *feedSide) {
		server := b.start(t, nil)
		clients := []*roosttest.Client{server.Connect("alice"), server.Connect("alice"), server.Connect("alice")}
		b.awaitHeard(t, server, 1)
		// In batches that fit a connection's queue: a test machine may well let a client fall behind.
		const total, batch = 1000, 200
		for from := 0; from < total; from += batch {
			var some []string
			for n := range batch {
				some = append(some, e2e.Numbered(from+n))
			}
			b.notifyAll(t, "alice", some)
			for _, c := range clients {
				c.WaitMessages(from + batch)
			}
		}
		for i, c := range clients {
			messages := c.Messages()
			if len(messages) != total {
				t.Errorf("connection %d got %d text messages, want %d", i, len(messages), total)
			}
			for n, message := range messages {
				if want := fmt.Sprintf(`{"type":"n","payload":%d,`, n); !strings.HasPrefix(message, want) {
					t.Fatalf("connection %d: message %d is %s", i, n, message)
				}
			}
		}
	})
}

// TestConnectedMeansRegistered publishes the moment that the client has its 101.
func TestConnectedMeansRegistered(t *testing.T) {
	eachFeed(t, func(t *testing.T, b *feedSide) {
		server := b.start(t, nil)
		const tries = 150
		var clients []*roosttest.Client
		for i := range tries {
			user := fmt.Sprintf("user-%d", i)
			clients = append(clients, server.Connect(user)) // returns on the 101
			b.notify(t, user, `{"type":"welcome","payload":"`+user+`"}`)
		}
		// Where Redis, or the server, gets no processor for a second, the handshake goes on without the subscription, and is counted.
		late := int(server.Metrics()["roost_handshakes_heard_late_total"])
		if late > tries/2 {
			t.Fatalf("%d of %d handshakes waited for a second", late, tries)
		}
		missing := func() (n int) {
			for _, c := range clients {
				if len(c.Messages()) == 0 {
					n++
				}
			}
			return n
		}
		roosttest.WaitFor(t, fmt.Sprintf("all users but %d to be welcomed", late), func() bool { return missing() <= late })
		for i, c := range clients {
			if got := c.Messages(); len(got) > 1 || len(got) == 1 && !strings.Contains(got[0], fmt.Sprintf(`"user-%d"`, i)) {
				t.Errorf("user-%d got %q", i, got)
			}
		}
	})
}

func TestEnvelope(t *testing.T) {
	eachFeed(t, testEnvelope)
}

func testEnvelope(t *testing.T, b *feedSide) {
	server := b.start(t, roosttest.Env{"WS_MAX_NOTIFICATION_SIZE": "200000"})
	tests := []struct{ name, published, kind, payload string }{
		{"string", `{"type":"a","payload":"hello"}`, `"a"`, `"hello"`},
		{"big and precise numbers", `{"type":"a","payload":[12345678901234567890123,0.10,1e400,-0,1.0]}`, `"a"`,
			`[12345678901234567890123,0.10,1e400,-0,1.0]`},
		{"order and repetition of keys", `{"type":"a","payload":{"z":1,"a":{"y":2,"b":3},"z":4}}`, `"a"`,
			`{"z":1,"a":{"y":2,"b":3},"z":4}`},
		{"escapes", `{"type":"a","payload":"\u00e9\/\n\"\\<>&\u2028\ud83d\ude00"}`, `"a"`,
			`"\u00e9\/\n\"\\<>&\u2028\ud83d\ude00"`},
		{"unicode", `{"type":"grüße","payload":"日本語 😀 \u0000"}`, `"grüße"`, `"日本語 😀 \u0000"`},
		{"white space inside", "{\"type\":\"a\",\"payload\":{ \"a\" :\t[ 1 ,\n2 ] }}", `"a"`, "{ \"a\" :\t[ 1 ,\n2 ] }"},
		{"white space outside", " {\n \"payload\" : true ,\n \"type\" : \"a\"\n}\n", `"a"`, `true`},
		{"missing payload", `{"type":"a"}`, `"a"`, `null`},
		{"null", `{"type":"a","payload":null}`, `"a"`, `null`},
		{"empty type", `{"type":"","payload":false}`, `""`, `false`},
		{"unknown keys", `{"id":7,"type":"a","timestamp":"mine","payload":{"timestamp":1},"Type":3}`, `"a"`, `{"timestamp":1}`},
		{"large", `{"type":"a","payload":"` + strings.Repeat("x", 100_000) + `"}`, `"a"`, `"` + strings.Repeat("x", 100_000) + `"`},
	}
	for i, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			user := fmt.Sprintf("user:%d", i) // a colon in it: the user is all after the channel's first
			client := server.As(t).Connect(user)
			b.reach(t, user, test.published)
			message := client.WaitMessages(1)[0]
			before, after := `{"type":`+test.kind+`,"payload":`+test.payload+`,"timestamp":"`, `"}`
			stamp, hasBefore := strings.CutPrefix(message, before)
			stamp, hasAfter := strings.CutSuffix(stamp, after)
			if !hasBefore || !hasAfter {
				t.Fatalf("got  %.300s\nwant %.300s…%s", message, before, after)
			}
			e2e.CheckTimestamp(t, stamp)
		})
	}
}
