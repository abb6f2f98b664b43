package netpoll

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"roost/hub"
	"roost/internal/position"
	"roost/wsproto"
	"roost/wsproto/auth"
	"roost/wsproto/handshake"
)

// withStreams has /sse answered.
func withStreams(t testing.TB, c *Config) {
	c.Upgrader = newUpgrader(t, auth.Config{}, handshake.Config{EventStreams: true, AllowedOrigins: []string{"https://app.example"}})
}

func startStreams(t testing.TB, change func(*Config)) *rig {
	t.Helper()
	return start(t, func(c *Config) {
		withStreams(t, c)
		if change != nil {
			change(c)
		}
	})
}

// stream is a client of an event stream.
type stream struct {
	*raw
	response *http.Response
	body     *bufio.Reader
}

// streamHead is a request for an event stream, with more header lines.
func streamHead(t testing.TB, user string, lines ...string) string {
	head := "GET /sse?token=" + token(t, user) + " HTTP/1.1\r\nHost: roost.example\r\nAccept: text/event-stream\r\n"
	for _, line := range lines {
		head += line + "\r\n"
	}
	return head + "\r\n"
}

// ask sends bytes and reads the head of the answer.
func (c *raw) ask(t testing.TB, request string) *stream {
	t.Helper()
	c.send(t, request)
	method, _, _ := strings.Cut(request, " ")
	response, err := http.ReadResponse(c.r, &http.Request{Method: method})
	if err != nil {
		t.Fatalf("%q: %v", request, err)
	}
	return &stream{c, response, bufio.NewReader(response.Body)}
}

// stream opens an event stream, and reads the block with which it begins.
func (r *rig) stream(user string) *stream {
	r.t.Helper()
	s := r.dial().ask(r.t, streamHead(r.t, user))
	if got := s.response.Header.Get("Content-Type"); s.response.StatusCode != 200 || got != "text/event-stream" {
		r.t.Fatalf("%s: %s", s.response.Status, got)
	}
	if first := s.block(r.t); !strings.HasPrefix(first, "retry: ") {
		r.t.Fatalf("the stream begins with %q", first)
	}
	return s
}

// block reads one block that is no comment, without its blank line; "" at the end of the stream.
func (s *stream) block(t testing.TB) string {
	t.Helper()
	var block strings.Builder
	for {
		line, err := s.body.ReadString('\n')
		switch {
		case err == io.EOF && line == "" && block.Len() == 0:
			return ""
		case err != nil:
			t.Fatalf("within a block: %q, %v", block.String()+line, err)
		case line == "\n" && block.Len() > 0:
			return strings.TrimSuffix(block.String(), "\n")
		case line != "\n" && line[0] != ':':
			block.WriteString(line)
		}
	}
}

// Each connection of a user gets the same bytes, as a frame or as an event.
func TestEventStreamGetsWhatWebSocketsGet(t *testing.T) {
	t.Parallel()
	r := startStreams(t, nil)
	one, two, socket := r.stream("alice"), r.stream("alice"), r.connect("alice")
	for i, payload := range []string{`{"type":"n","payload":1}`, `{"type":"n","payload":"` + strings.Repeat("x", 70_000) + `"}`} {
		r.deliver("alice", payload)
		_, envelope, err := socket.ReadMessage()
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range []*stream{one, two} {
			if got := s.block(t); got != "data: "+string(envelope) {
				t.Errorf("%d: the event is %.200q, the message %.200q", i, got, envelope)
			}
		}
	}
	r.deliver("alice", "{\"type\":\"n\",\n \"payload\":{\r\n\"a\": 1}}")
	if got := one.block(t); !strings.Contains(got, "\"payload\":{\ndata: \"a\": 1},") {
		t.Errorf("an envelope of two lines arrives as %q", got)
	}
	eventually(t, "all is sent", func() bool { return r.server.Stats().Sent == 9 })
	s := r.server.Stats()
	if s.EventStreams != 2 || s.StreamsOpened != 2 || s.Opened != 3 {
		t.Errorf("%d streams, %d of %d were opened", s.EventStreams, s.StreamsOpened, s.Opened)
	}
	r.balanced()
	_ = one.Close()
	eventually(t, "the stream that its client has closed ends", func() bool { return r.server.Stats().Ended["client_gone"] == 1 })
	if got := r.server.Stats().EventStreams; got != 1 {
		t.Errorf("%d streams are left", got)
	}
}

func TestEventStreamOfGroupsAndEveryone(t *testing.T) {
	t.Parallel()
	r := startStreams(t, nil)
	go r.hub.RunBroadcasts(func() { r.server.WaitForLoops(t.Context(), false) })
	t.Cleanup(func() { r.hub.EndBroadcasts(t.Context()) })
	streams := []*stream{r.stream("a"), r.stream("b")}
	r.connect("c")
	r.hub.Broadcast(`{"type":"everyone"}`)
	for _, s := range streams {
		if got := s.block(t); !strings.HasPrefix(got, `data: {"type":"everyone"`) {
			t.Errorf("got %q", got)
		}
	}
	eventually(t, "all three have it", func() bool { return r.server.Stats().Sent == 3 })
	r.balanced()
}

// The answers to requests for a stream. EventSource comes back from a stream that ends and from nothing else.
func TestEventStreamRequests(t *testing.T) {
	t.Parallel()
	r := startStreams(t, nil)
	good := token(t, "alice")
	const origin, strange = "Origin: https://app.example\r\n", "Origin: https://else.example\r\n"
	for name, c := range map[string]struct {
		request string
		status  int
		allowed bool   // Access-Control-Allow-Origin is the page's
		header  string // that has to be there
		body    string // that has to be in it; "-" is none
	}{
		"a stream":                {"GET /sse?token=" + good + " HTTP/1.1\r\nHost: a\r\n", 200, false, "Cache-Control: no-store", ""},
		"for a page":              {"GET /sse?token=" + good + " HTTP/1.1\r\nHost: a\r\n" + origin, 200, true, "X-Accel-Buffering: no", ""},
		"with Authorization":      {"GET /sse HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer " + good + "\r\n", 200, false, "Connection: close", ""},
		"HTTP/1.0":                {"GET /sse?token=" + good + " HTTP/1.0\r\n", 200, false, "Content-Type: text/event-stream", ""},
		"an Upgrade is ignored":   {"GET /sse?token=" + good + " HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: upgrade\r\n", 200, false, "", ""},
		"a strange page":          {"GET /sse?token=" + good + " HTTP/1.1\r\nHost: a\r\n" + strange, 403, false, "", "origin not allowed"},
		"no token":                {"GET /sse HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\n" + origin, 401, true, "WWW-Authenticate: Bearer realm=\"roost\"", "token missing"},
		"a bad token":             {"GET /sse?token=x HTTP/1.1\r\nHost: a\r\n", 401, false, "", "token malformed"},
		"two tokens":              {"GET /sse?token=" + good + " HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer " + good + "\r\n", 400, false, "", "more than one token"},
		"HEAD":                    {"HEAD /sse?token=" + good + " HTTP/1.1\r\nHost: a\r\n", 405, false, "Allow: GET, OPTIONS", "-"},
		"POST":                    {"POST /sse?token=" + good + " HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n", 405, false, "Allow: GET, OPTIONS", "method not allowed"},
		"a body":                  {"POST /sse?token=" + good + " HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n", 400, false, "", "a body is not accepted here"},
		"OPTIONS":                 {"OPTIONS /sse HTTP/1.1\r\nHost: a\r\n", 204, false, "Allow: GET, OPTIONS", "-"},
		"a preflight":             {"OPTIONS /sse HTTP/1.1\r\nHost: a\r\nAccess-Control-Request-Headers: authorization\r\n" + origin, 204, true, "Access-Control-Allow-Headers: Authorization, Cache-Control, Last-Event-ID", "-"},
		"a strange preflight":     {"OPTIONS /sse HTTP/1.1\r\nHost: a\r\n" + strange, 403, false, "", "origin not allowed"},
		"told to stay away":       {"GET /sse?token=" + good + " HTTP/1.1\r\nHost: a\r\nLast-Event-ID: " + wsproto.EndedID + "\r\n" + origin, 204, true, "", "-"},
		"another path":            {"GET /sse/ HTTP/1.1\r\nHost: a\r\n", 404, false, "", "only /ws, /sse and /health are here"},
		"an id that says nothing": {"GET /sse?token=" + good + " HTTP/1.1\r\nHost: a\r\nLast-Event-ID: 7\r\n", 200, false, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := r.dial().ask(t, c.request+"\r\n")
			allow := s.response.Header.Get("Access-Control-Allow-Origin")
			if s.response.StatusCode != c.status || (allow == "https://app.example") != c.allowed || !c.allowed && allow != "" {
				t.Errorf("%s for %q", s.response.Status, allow)
			}
			if name, value, _ := strings.Cut(c.header, ": "); name != "" && name != "Connection" && s.response.Header.Get(name) != value {
				t.Errorf("%s is %q", name, s.response.Header.Get(name))
			}
			if c.status == 200 {
				if s.response.ContentLength >= 0 || len(s.response.TransferEncoding) > 0 || !s.response.Close {
					t.Errorf("the stream does not end with its connection: %+v", s.response)
				}
				return
			}
			body, err := io.ReadAll(s.body)
			if err != nil || c.body == "-" && len(body) > 0 || c.body != "-" && !strings.Contains(string(body), c.body) {
				t.Errorf("the answer is %q, %v", body, err)
			}
		})
	}
}

func TestEventStreamsOff(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	if s := r.dial().ask(t, streamHead(t, "alice")); s.response.StatusCode != 404 {
		t.Errorf("answered with %s", s.response.Status)
	}
}

// EventSource never comes back from a 503, so that it gets a stream that ends.
func TestEventStreamRefusedForNow(t *testing.T) {
	t.Parallel()
	r := startWithHub(t, hub.Config{Limits: hub.Limits{MaxConnections: 1}}, func(c *Config) { withStreams(t, c) })
	r.connect("alice")
	s := r.dial().ask(t, streamHead(t, "bob", "Origin: https://app.example"))
	if s.response.StatusCode != 200 || s.response.Header.Get("Access-Control-Allow-Origin") == "" {
		t.Fatalf("%s, %v", s.response.Status, s.response.Header)
	}
	if retry := s.block(t); !strings.HasPrefix(retry, "retry: ") || len(retry) < len("retry: 5000") {
		t.Errorf("it is to wait for %q", retry)
	}
	if got := s.block(t); got != "event: close\ndata: {\"code\":4503,\"reason\":\"no room for another connection\"}" {
		t.Errorf("it is told %q", got)
	}
	if got := s.block(t); got != "" {
		t.Errorf("then comes %q", got)
	}
	plain := strings.Replace(streamHead(t, "bob"), "text/event-stream", "*/*", 1)
	if s := r.dial().ask(t, plain); s.response.StatusCode != 503 || s.response.Header.Get("Retry-After") == "" {
		t.Errorf("a program is answered %s", s.response.Status)
	}
	if st := r.server.Stats(); st.Refused["full"] != 2 || st.EventStreams != 0 {
		t.Errorf("refused %v, %d streams", st.Refused, st.EventStreams)
	}
}

// The last event says why the stream ends, and whether the client is to stay away.
func TestEventStreamEnds(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		end         func(*rig)
		event       string
		reason, num string
	}{
		"a drain": {func(r *rig) { r.server.Drain(t.Context(), GoingAway(), time.Millisecond) },
			"event: close\ndata: {\"code\":1001,\"reason\":\"the server is stopping\"}", "shutdown", "1001"},
		"a backend": {func(r *rig) { r.hub.Control("alice", `{"disconnect":{"code":4001,"reason":"a \"word\""}}`) },
			"id: !ended\nevent: close\ndata: {\"code\":4001,\"reason\":\"a \\\"word\\\"\"}", "disconnected", "4xxx"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// The stream ends behind the event: the client has nothing to say to it.
			r := startStreams(t, func(c *Config) { c.LingerTimeout = time.Minute })
			s := r.stream("alice")
			r.hub.Deliver("alice", `{"type":"last"}`)
			c.end(r)
			if got := s.block(t); !strings.HasPrefix(got, `data: {"type":"last"`) {
				t.Errorf("what was delivered before comes as %q", got)
			}
			if got := s.block(t); got != c.event {
				t.Errorf("the last event is %q", got)
			}
			if got := s.block(t); got != "" {
				t.Errorf("then comes %q", got)
			}
			eventually(t, "it has ended", func() bool { return r.server.Stats().Sockets == 0 || s.Close() != nil })
			if st := r.server.Stats(); st.Ended[c.reason] != 1 || st.Closed[c.num] != 1 || st.EventStreams != 0 {
				t.Errorf("ended %v, closed %v, %d streams", st.Ended, st.Closed, st.EventStreams)
			}
			r.balanced()
		})
	}
}

// A client that does not read loses notifications, never a part of one, and is told.
func TestEventStreamOfSlowReader(t *testing.T) {
	t.Parallel()
	r := startStreams(t, func(c *Config) { c.QueueBytes, c.GapNotice = 20*20_200, true })
	s := r.stream("slow")
	padding := strings.Repeat("x", 20_000)
	sent := 0
	eventually(t, "many are dropped", func() bool {
		r.deliverThrough("slow", fmt.Sprintf(`{"type":"n","payload":[%d,"%s"]}`, sent, padding))
		sent++
		return r.roomless() > 50
	})
	kept, notices, last := sent-int(r.roomless()), 0, -1
	for got := 0; got < kept || notices == 0; {
		block := s.block(t)
		if strings.HasPrefix(block, `data: {"type":"_gap","payload":{"reason":"`) {
			notices++
			continue
		}
		var n int
		if _, err := fmt.Sscanf(block, `data: {"type":"n","payload":[%d,`, &n); err != nil || n <= last || !strings.Contains(block, padding) {
			t.Fatalf("after %d comes %.100q: %v", last, block, err)
		}
		last = n
		got++
	}
	eventually(t, "nothing waits", func() bool { st := r.server.Stats(); return st.Waiting == 0 && st.QueuedBytes == 0 })
	r.balanced()
}

// A client that is gone without a word acknowledges nothing, and ends as one that sends no pong. One that lives has its
// heartbeats, however long nothing else comes.
func TestEventStreamHalfOpen(t *testing.T) {
	t.Parallel()
	r := startStreams(t, func(c *Config) { c.PingInterval, c.PongWait = 200*time.Millisecond, 2*time.Second })
	alive, gone := r.stream("alive"), r.stream("gone")
	gone.deafen(t)
	began := time.Now()
	for beats := 0; beats < 20; {
		line, err := alive.body.ReadString('\n')
		if err != nil {
			t.Fatalf("after %v and %d heartbeats: %v", time.Since(began), beats, err)
		}
		if line == ":\n" {
			beats++
		}
	}
	eventually(t, "the silent one has ended", func() bool { return r.hub.ConnectionsOf("gone") == 0 && r.server.Stats().Ended["pong_timeout"] > 0 })
	if st := r.server.Stats(); st.Ended["pong_timeout"] != 1 || st.EventStreams != 1 {
		t.Errorf("ended %v, %d streams", st.Ended, st.EventStreams)
	}
	r.deliver("alive", `{"type":"still"}`)
	if got := alive.block(t); !strings.HasPrefix(got, `data: {"type":"still"`) {
		t.Errorf("the living one got %q", got)
	}
}

// deafen has the kernel drop every packet that comes for a socket, before TCP sees it: nothing is acknowledged any more.
func (c *raw) deafen(t testing.TB) {
	t.Helper()
	control, err := tcpOf(c.Conn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	drop := []unix.SockFilter{{Code: unix.BPF_RET | unix.BPF_K, K: 0}}
	if err := control.Control(func(fd uintptr) {
		err = unix.SetsockoptSockFprog(int(fd), unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: 1, Filter: &drop[0]})
	}); err != nil {
		t.Fatal(err)
	}
	if err != nil {
		t.Skip("no socket filters for this user on this kernel:", err)
	}
}

// Bytes that a client sends on a stream are thrown away, up to a bound.
func TestEventStreamClientThatTalks(t *testing.T) {
	t.Parallel()
	r := startStreams(t, nil)
	client := r.dial()
	s := client.ask(t, streamHead(t, "alice")+"GET / HTTP/1.1\r\n\r\n") // pipelined
	s.block(t)
	client.send(t, strings.Repeat("x", ignoredLimit/2))
	r.deliver("alice", `{"type":"n"}`)
	if got := s.block(t); !strings.HasPrefix(got, `data: {"type":"n"`) {
		t.Fatalf("got %q", got)
	}
	client.send(t, strings.Repeat("x", ignoredLimit/2))
	if got := s.block(t); !strings.Contains(got, `{"code":1009,`) {
		t.Errorf("got %q", got)
	}
	if got := s.block(t); got != "" {
		t.Errorf("then comes %q", got)
	}
	eventually(t, "it is counted", func() bool { return r.server.Stats().Ended["message_too_big"] == 1 })
}

// resumingStreams is a server whose streams can resume.
func resumingStreams(t testing.TB, change func(*Config)) *rig {
	return startStreams(t, func(c *Config) {
		resuming(c)
		if change != nil {
			change(c)
		}
	})
}

// cutID splits a block into its id and the rest.
func cutID(t testing.TB, block string) (id, rest string) {
	t.Helper()
	line, rest, _ := strings.Cut(block, "\n")
	id, ok := strings.CutPrefix(line, "id: ")
	if !ok || len(id) != position.Size {
		t.Fatalf("no position is the id of %q", block)
	}
	return id, rest
}

// Last-Event-ID is all that a client needs to go on where it was.
func TestEventStreamResumes(t *testing.T) {
	t.Parallel()
	r := resumingStreams(t, nil)
	s := r.stream("alice")
	id, hello := cutID(t, s.block(t))
	if hello != `data: {"type":"_hello","payload":{"id":"`+id+`"}}` {
		t.Errorf("the hello is %q", hello)
	}
	r.deliver("alice", `{"type":"n","payload":1}`)
	id, first := cutID(t, s.block(t))
	if !strings.HasPrefix(first, `data: {"type":"n","payload":1,`) || !strings.HasSuffix(first, `,"id":"`+id+`"}`) {
		t.Errorf("the first is %q with %s", first, id)
	}
	_ = s.Close()
	eventually(t, "it has left", func() bool { return r.hub.ConnectionsOf("alice") == 0 })
	r.deliver("alice", `{"type":"n","payload":2}`)
	r.deliver("bob", `{"type":"n","payload":0}`)
	r.deliver("alice", `{"type":"n","payload":3}`)

	// An EventSource keeps the address that it was given once: what Last-Event-ID says is newer.
	head := strings.Replace(streamHead(t, "alice", "Last-Event-ID: "+id), " HTTP/1.1", "&since=old HTTP/1.1", 1)
	s = r.dial().ask(t, head)
	s.block(t)
	if at, hello := cutID(t, s.block(t)); at != id || !strings.HasSuffix(hello, `"resumed":{"missed":2}}}`) {
		t.Errorf("the hello is %q with %s", hello, at)
	}
	for n := 2; n <= 3; n++ {
		if _, missed := cutID(t, s.block(t)); !strings.HasPrefix(missed, fmt.Sprintf(`data: {"type":"n","payload":%d,`, n)) {
			t.Errorf("instead of %d came %q", n, missed)
		}
	}
	eventually(t, "all is sent", func() bool { return r.server.Stats().Sent == 3 })
	r.balanced()

	s = r.dial().ask(t, streamHead(t, "alice", "Last-Event-ID: 7"))
	s.block(t)
	if _, hello := cutID(t, s.block(t)); !strings.HasSuffix(hello, `"resumed":false}}`) {
		t.Errorf("the hello is %q", hello)
	}
	if got := s.block(t); !strings.HasPrefix(got, `data: {"type":"_gap","payload":{"reason":"resume"`) {
		t.Errorf("got %q", got)
	}
}

// An idle stream keeps the client's position young: notifications for others move it.
func TestEventStreamHeartbeatHasThePosition(t *testing.T) {
	t.Parallel()
	r := resumingStreams(t, func(c *Config) { c.PingInterval, c.PongWait = 50*time.Millisecond, 20*time.Second })
	s := r.stream("alice")
	began, _ := cutID(t, s.block(t))
	r.deliver("bob", `{"type":"n"}`)
	var at string
	eventually(t, "a position that is newer", func() bool {
		kind, rest, _ := strings.Cut(s.block(t), "\n")
		at, rest = cutID(t, rest)
		if kind != "event: position" || rest != "data: "+at {
			t.Fatalf("%s, %q with %s", kind, rest, at)
		}
		return at != began
	})
	_ = s.Close()
	r.deliver("alice", `{"type":"n","payload":1}`)
	s = r.dial().ask(t, streamHead(t, "alice", "Last-Event-ID: "+at))
	s.block(t)
	if _, hello := cutID(t, s.block(t)); !strings.HasSuffix(hello, `"resumed":{"missed":1}}}`) {
		t.Errorf("the hello is %q", hello)
	}
}

// BenchmarkDeliverStream is what an event costs beside a frame.
func BenchmarkDeliverStream(b *testing.B) {
	payload := `{"type":"n","payload":"` + strings.Repeat("x", 250) + `"}`
	for _, kind := range []string{"websocket", "stream"} {
		b.Run(kind, func(b *testing.B) {
			r := startStreams(b, nil)
			var read io.Reader
			if kind == "stream" {
				read = r.stream("alice").body
			} else {
				read = r.upgrade("alice").r
			}
			go func() { _, _ = io.Copy(io.Discard, read) }()
			b.ReportAllocs()
			for b.Loop() {
				r.deliver("alice", payload)
			}
		})
	}
}
