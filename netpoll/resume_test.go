package netpoll

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"roost/hub"
)

// resuming makes a server's clients able to resume.
func resuming(c *Config) {
	c.Hub = hub.New(hub.Config{
		Logger: slog.New(slog.DiscardHandler),
		Resume: hub.Resume{Memory: make([]byte, hub.MinResumeMemory), Window: time.Minute},
	})
}

// told is an envelope as a client gets it.
type told struct {
	Type    string
	ID      string
	Payload json.RawMessage
}

func readTold(t testing.TB, conn *websocket.Conn) (e told, text string) {
	t.Helper()
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	_, message, err := conn.ReadMessage()
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(message, &e); err != nil {
		t.Fatalf("%q: %v", message, err)
	}
	return e, string(message)
}

// connectSince connects with a position, or without where it is "", and returns what the hello says.
func (r *rig) connectSince(user, since string) (conn *websocket.Conn, id, resumed string) {
	r.t.Helper()
	conn, _, err := websocket.DefaultDialer.DialContext(r.t.Context(), "ws://"+r.addr+"/ws?token="+token(r.t, user)+"&since="+since, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = conn.Close() })
	answerPings(conn)
	hello, text := readTold(r.t, conn)
	var payload struct {
		ID      string
		Resumed json.RawMessage
	}
	if err := json.Unmarshal(hello.Payload, &payload); err != nil || hello.Type != "_hello" || len(payload.ID) != 21 {
		r.t.Fatalf("the first envelope is %s", text)
	}
	return conn, payload.ID, string(payload.Resumed)
}

func TestResume(t *testing.T) {
	t.Parallel()
	r := start(t, resuming)
	conn, id, resumed := r.connectSince("alice", "")
	if resumed != "" {
		t.Errorf("a client that names no position is told %s", resumed)
	}
	r.deliver("alice", `{"type":"n","payload":1}`)
	first, text := readTold(t, conn)
	if !strings.HasSuffix(text, `,"id":"`+first.ID+`"}`) || len(first.ID) != 21 || first.ID == id {
		t.Errorf("the first notification is %s", text)
	}
	_ = conn.Close()
	for i := range 3 {
		r.deliver("alice", fmt.Sprintf(`{"type":"n","payload":%d}`, 2+i))
		r.deliver("bob", `{"type":"n","payload":0}`)
	}
	conn, id, resumed = r.connectSince("alice", first.ID)
	if id != first.ID || resumed != `{"missed":3}` {
		t.Errorf("the hello says %s, %s", id, resumed)
	}
	r.deliver("alice", `{"type":"n","payload":5}`)
	for want := 2; want <= 5; want++ {
		if e, text := readTold(t, conn); string(e.Payload) != fmt.Sprint(want) || len(e.ID) != 21 {
			t.Errorf("want %d, got %s", want, text)
		}
	}
	if got := r.server.Stats().Replayed; got != 3 {
		t.Errorf("%d replayed", got)
	}
	r.balanced()
}

func TestResumeThatIsRefused(t *testing.T) {
	t.Parallel()
	r := start(t, resuming)
	for _, since := range []string{"nonsense", "a%20b", "AAAAAAAAAAAAAAAAAAAAB"} {
		conn, id, resumed := r.connectSince("alice", since)
		_, gap := readTold(t, conn)
		if resumed != "false" || gap != `{"type":"_gap","payload":{"reason":"resume","since":null}}` || id == since {
			t.Errorf("%s: resumed %s, then %s", since, resumed, gap)
		}
	}
	_, id, _ := r.connectSince("alice", "")
	r.hub.NewStream()
	if _, _, resumed := r.connectSince("alice", id); resumed != "false" {
		t.Errorf("of another stream: %s", resumed)
	}
	if got := r.server.Stats().GapNotices; got != 4 {
		t.Errorf("%d notices", got)
	}
}

// The answer to a ping says up to where this connection has everything, so that an idle client is never older than that.
func TestPongHasThePosition(t *testing.T) {
	t.Parallel()
	r := start(t, resuming)
	conn, id, _ := r.connectSince("alice", "")
	for range 100 {
		r.deliver("bob", `{"type":"n"}`)
	}
	if err := conn.WriteMessage(websocket.TextMessage, []byte(textPing)); err != nil {
		t.Fatal(err)
	}
	pong, text := readTold(t, conn)
	if pong.Type != "pong" || text != `{"type":"pong","id":"`+pong.ID+`"}` || len(pong.ID) != 21 || pong.ID == id {
		t.Fatalf("the pong is %s, the hello was at %s", text, id)
	}
	// Notifications in the mailbox come first.
	l := r.server.loops[0]
	for _, other := range r.server.loops {
		if other.stats.opened.Load() > 0 {
			l = other
		}
	}
	release := l.hold()
	r.hub.Deliver("alice", `{"type":"n","payload":1}`) // and no Flush
	if err := conn.WriteMessage(websocket.TextMessage, []byte(textPing)); err != nil {
		t.Fatal(err)
	}
	release()
	one, _ := readTold(t, conn)
	pong, text = readTold(t, conn)
	if one.Type != "n" || pong.Type != "pong" || pong.ID != one.ID {
		t.Errorf("behind %s the pong is %s", one.ID, text)
	}
}

// ping sends a ping in text.
func ping(t testing.TB, conn *websocket.Conn) {
	t.Helper()
	if err := conn.WriteMessage(websocket.TextMessage, []byte(textPing)); err != nil {
		t.Fatal(err)
	}
}

// A broadcast that waits for a connection holds its position back, and that of no other one.
func TestPongBeforeWhatWaits(t *testing.T) {
	t.Parallel()
	r := start(t, resuming)
	conn, id, _ := r.connectSince("alice", "")
	r.deliver("bob", `{"type":"n"}`)
	ping(t, conn)
	before, _ := readTold(t, conn)
	r.hub.Broadcast(`{"type":"n","payload":1}`) // nobody delivers it yet
	r.deliver("bob", `{"type":"n"}`)
	ping(t, conn)
	if pong, text := readTold(t, conn); pong.ID != before.ID || pong.ID == id {
		t.Errorf("the pong is %s, and what waits is behind %s", text, before.ID)
	}
	late, _, _ := r.connectSince("carol", "") // behind the broadcast
	ping(t, late)
	if pong, text := readTold(t, late); len(pong.ID) != 21 || pong.ID == before.ID {
		t.Errorf("for one that waits for nothing the pong is %s", text)
	}
	r.deliver("alice", `{"type":"n","payload":2}`)
	for want := 1; want <= 2; want++ {
		if e, text := readTold(t, conn); string(e.Payload) != fmt.Sprint(want) {
			t.Errorf("want %d, got %s", want, text)
		}
	}
}

// The answer to a ping overtakes the notifications in the send queue, and its position does not step over them.
func TestPongAheadOfTheSendQueue(t *testing.T) {
	t.Parallel()
	r := start(t, func(c *Config) { resuming(c); c.QueueBytes = 64 << 20 })
	client := r.upgrade("alice")
	payload := strings.Repeat("x", 20_000)
	sent := 0
	deliver := func() {
		r.deliverThrough("alice", `{"type":"n","payload":"`+payload+`"}`)
		sent++
	}
	eventually(t, "the connection stalls", func() bool { deliver(); return r.server.Stats().Stalled == 1 })
	for range 20 { // so that whole ones wait, whatever the kernel takes more
		deliver()
	}
	if _, err := client.Write(masked(0x81, textPing)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the ping is answered", func() bool { return r.server.Stats().TextPongs == 1 })
	last, behind := "", 0
	for pong := ""; behind < sent; {
		_, text := client.readFrame(t)
		var e told
		if err := json.Unmarshal(text, &e); err != nil {
			t.Fatal(err)
		}
		switch e.Type {
		case "pong":
			if pong = e.ID; pong != last || behind == sent {
				t.Errorf("the pong is %s, behind %s and %d of %d", text, last, behind, sent)
			}
		case "n":
			last = e.ID
			behind++
		}
		if behind == sent && pong == "" {
			t.Error("the answer came behind all that waited")
		}
	}
	r.balanced()
}

// A planned end tells the client up to where it has everything.
func TestPlannedEndsNameThePosition(t *testing.T) {
	t.Parallel()
	wall := &wallClock{}
	for name, end := range map[string]func(t *testing.T, r *rig){
		"the server is stopping": func(t *testing.T, r *rig) {
			r.server.Drain(t.Context(), GoingAway(), time.Millisecond)
		},
		"token expired": func(_ *testing.T, _ *rig) { wall.set(1000 * time.Hour) },
		"out":           func(_ *testing.T, r *rig) { r.hub.Control("alice", `{"disconnect":{"code":4401,"reason":"out"}}`) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := start(t, func(c *Config) {
				resuming(c)
				c.CloseOnExpiry, c.PingInterval = true, 50*time.Millisecond
				if name == "token expired" {
					c.Now = wall.now
				}
			})
			conn, _, _ := r.connectSince("alice", "")
			r.deliver("alice", `{"type":"n"}`)
			n, _ := readTold(t, conn)
			end(t, r)
			_, _, err := conn.ReadMessage()
			var closed *websocket.CloseError
			if !errors.As(err, &closed) || closed.Text != name+" id="+n.ID {
				t.Errorf("it ended with %v, want id=%s", err, n.ID)
			}
		})
	}
}

// A lost link is told before anything that comes later.
func TestLostLinkIsToldInOrder(t *testing.T) {
	t.Parallel()
	r := start(t, resuming)
	conn, _, _ := r.connectSince("alice", "")
	r.hub.TellLost(time.Now())
	r.deliver("alice", `{"type":"n","payload":1}`)
	gap, text := readTold(t, conn)
	if gap.Type != "_gap" || !strings.Contains(text, `"reason":"redis"`) {
		t.Errorf("first comes %s", text)
	}
	if e, text := readTold(t, conn); e.Type != "n" {
		t.Errorf("then %s", text)
	}
	r.balanced()
}

// Without hub.Config.Resume clients get not one byte more than before, whatever they ask for.
func TestWithoutResume(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	conn, _, err := websocket.DefaultDialer.DialContext(t.Context(), "ws://"+r.addr+"/ws?token="+token(t, "alice")+"&since=AAAAAAAAAAAAAAAAAAAAB", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	answerPings(conn)
	if err := conn.WriteMessage(websocket.TextMessage, []byte(textPing)); err != nil {
		t.Fatal(err)
	}
	if _, text := readTold(t, conn); text != textPong {
		t.Errorf("the first frame is %s", text)
	}
	r.deliver("alice", `{"type":"n","payload":1}`)
	_, text := readTold(t, conn)
	const before, after = `{"type":"n","payload":1,"timestamp":"`, `"}`
	if len(text) != len(before)+24+len(after) || !strings.HasPrefix(text, before) || !strings.HasSuffix(text, after) {
		t.Errorf("the notification is %s", text)
	}
}
