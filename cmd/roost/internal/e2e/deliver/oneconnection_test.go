package deliver

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"roost/cmd/roost/internal/roosttest"
)

// helloOf is what the first message of a connection says of it.
type helloOf struct {
	Type    string
	Payload struct{ ID, Connection string }
}

func readHello(t *testing.T, message string) (h helloOf) {
	t.Helper()
	if err := json.Unmarshal([]byte(message), &h); err != nil || h.Type != "_hello" || len(h.Payload.Connection) != 11 {
		t.Fatalf("%q is no hello with an id: %v", message, err)
	}
	return h
}

// One connection of a user is notified, or all but one, with each feed: WebSockets that asked in both ways, an event stream, and one
// that did not ask, for which nothing is different.
func TestOnlyAndExceptConnections(t *testing.T) {
	eachFeed(t, func(t *testing.T, b *feedSide) {
		server := b.start(t, nil)
		query := server.ConnectWith(roosttest.Token(t, "alice")+"&hello=1", roosttest.Dial{})
		protocol := server.ConnectWith(roosttest.Token(t, "alice"), roosttest.Dial{Header: http.Header{"Sec-Websocket-Protocol": {"roost.v1, hello"}}})
		plain := server.Connect("alice")
		stream := server.Dial()
		stream.Send("GET /sse?hello&token=" + roosttest.Token(t, "alice") + " HTTP/1.1\r\nHost: x\r\n\r\n")
		one := readHello(t, query.WaitMessages(1)[0]).Payload.Connection
		two := readHello(t, protocol.WaitMessages(1)[0]).Payload.Connection
		text := stream.ReadUntil("}}\n")
		events := readHello(t, text[strings.LastIndex(text, "data: ")+6:]).Payload.Connection

		b.awaitHeard(t, server, 1)
		if n := b.notify(t, "alice", fmt.Sprintf(`{"type":"only","only":%q,"payload":1}`, one)); n != 1 {
			t.Errorf("%d servers got it", n)
		}
		b.notify(t, "alice", fmt.Sprintf(`{"type":"except","except":[%q,%q],"payload":2}`, one, events))
		b.notify(t, "alice", fmt.Sprintf(`{"type":"only","only":%q,"payload":3}`, events))
		b.notify(t, "alice", `{"type":"only","only":"AAAAAAAAAAE"}`) // a connection elsewhere, or of before
		b.notify(t, "alice", `{"type":"only","only":"me"}`)
		b.notify(t, "alice", `{"type":"all","payload":4}`)
		if got := query.WaitMessages(3)[1:]; len(got) != 2 || !strings.HasPrefix(got[0], `{"type":"only","payload":1,"timestamp":`) || !strings.Contains(got[1], `"payload":4`) {
			t.Errorf("the first got %q", got)
		}
		for name, got := range map[string][]string{"the second": protocol.WaitMessages(3)[1:], "one without an id": plain.WaitMessages(2)} {
			if len(got) != 2 || !strings.Contains(got[0], `"payload":2`) || !strings.Contains(got[1], `"payload":4`) {
				t.Errorf("%s got %q", name, got)
			}
		}
		if got := stream.ReadUntil(`"payload":4`); !strings.Contains(got, `"payload":3`) || strings.Contains(got, `"payload":2`) {
			t.Errorf("the event stream got %q", got)
		}
		server.WaitMetric("roost_notifications_other_connections_total", 1)
		server.WaitMetric(`roost_notifications_invalid_total{reason="only_invalid"}`, 1)
		p := roosttest.Run(t, roosttest.Command{Args: []string{"why", "alice", "--url", "http://" + server.HTTP}})
		if code := p.Wait(); code != 0 || !strings.Contains(p.Log.String(), "its id is "+two) {
			t.Errorf("why ended with %d and %q", code, p.Log.String())
		}

		protocol.Close()
		back := server.ConnectWith(roosttest.Token(t, "alice"), roosttest.Dial{Header: http.Header{"Sec-Websocket-Protocol": {"roost.v1, hello." + two}}})
		if id := readHello(t, back.WaitMessages(1)[0]).Payload.Connection; id != two {
			t.Errorf("%s came back as %s", two, id)
		}
		if err := b.client.Publish(t.Context(), "user_noti_all", fmt.Sprintf(`{"type":"all","except":%q,"payload":5}`, one)).Err(); err != nil {
			t.Fatal(err)
		}
		back.WaitMessages(2)
		plain.WaitMessages(3)
		stream.ReadUntil(`"payload":5`)
		if got := query.Messages(); len(got) != 3 {
			t.Errorf("the one that was left out got %q", got)
		}
	})
}

// With resume the hello has both ids, and the position is still the event's id.
func TestHelloWithResume(t *testing.T) {
	eachFeed(t, func(t *testing.T, b *feedSide) {
		if b.feed != "pattern" {
			t.Skip("clients can't resume")
		}
		server := b.start(t, roosttest.Env{"WS_RESUME_WINDOW": "1m"})
		alice := server.ConnectWith(roosttest.Token(t, "alice")+"&hello=1", roosttest.Dial{})
		if h := readHello(t, alice.WaitMessages(1)[0]); h.Payload.ID == "" {
			t.Errorf("got %+v", h)
		}
		stream := server.Dial()
		stream.Send("GET /sse?hello=1&token=" + roosttest.Token(t, "alice") + " HTTP/1.1\r\nHost: x\r\n\r\n")
		if text := stream.ReadUntil("}}\n"); !regexp.MustCompile(`id: [\w-]{21}\ndata: {"type":"_hello"`).MatchString(text) {
			t.Errorf("the stream begins with %q", text)
		}
		plain := server.Connect("alice")
		if got := plain.WaitMessages(1)[0]; strings.Contains(got, "connection") {
			t.Errorf("who did not ask got %q", got)
		}
	})
}
