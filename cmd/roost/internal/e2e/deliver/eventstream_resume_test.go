package deliver

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"roost/cmd/roost/internal/roosttest"
	"roost/redisfeed/redistest"
)

// Users whose clients speak EventSource's protocol, on two instances, while connections are cut in every way and instances are
// drained and killed: each client has every notification once and in order, or was told of the gap that has it.
func TestEventStreamsMissNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	const users, lasts = 30, 6 * time.Second
	env := roosttest.Env{"WS_RESUME_WINDOW": "1m", "WS_PING_INTERVAL": "500ms", "WS_PONG_WAIT": "3s", "WS_QUEUE_BYTES": "65536", "WS_DRAIN_WINDOW": "500ms"}
	redis := redistest.Start(t)
	site := &instances{servers: []*roosttest.Server{roosttest.Start(t, redis, env), roosttest.Start(t, redis, env)}}

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var clients []*streamClient
	var running sync.WaitGroup
	for i := range users {
		c := &streamClient{t: t, user: fmt.Sprint("u", i), token: roosttest.Token(t, fmt.Sprint("u", i)), site: site, slow: i%10 == 0}
		clients = append(clients, c)
		running.Go(func() { c.run(ctx) })
	}
	t.Cleanup(func() { cancel(); running.Wait() })
	roosttest.WaitFor(t, "all clients to be greeted", func() bool { return all(clients, func(c *streamClient) bool { return c.greeted.Load() }) })

	begin := time.Now()
	faults := []func(){site.drainOne(t, redis, env), site.killOne(t, redis, env)}
	published := make([][]publication, users) // by user and number
	publish := func(i int) {
		begun := time.Now()
		redis.Publish("user_noti:"+clients[i].user, fmt.Sprintf(`{"type":"n","payload":[%d,"%s"]}`, len(published[i])+1, strings.Repeat("x", rand.IntN(8000))))
		published[i] = append(published[i], publication{begun, time.Now()})
	}
	pace := time.NewTicker(20 * time.Millisecond)
	defer pace.Stop()
	cameBack := func() (n int) {
		for _, c := range clients {
			n += int(c.resumed.Load())
		}
		return n
	}
	// On a busy machine it takes longer until enough has happened.
	for time.Since(begin) < lasts || cameBack() < 2*users && time.Since(begin) < roosttest.Limit {
		<-pace.C
		for i := range users {
			if rand.IntN(2) == 0 {
				publish(i)
			}
		}
		if done := 3 - len(faults); len(faults) > 0 && time.Since(begin) > lasts*time.Duration(done)/3 {
			faults[0]()
			faults = faults[1:]
		}
		clients[rand.IntN(users)].cut(rand.IntN(3))
	}
	// A client that is told of a gap at the very end gets the notifications behind it.
	ends := make([]int64, users)
	for i := range users {
		ends[i] = int64(len(published[i]))
	}
	roosttest.WaitFor(t, "all clients to be at the end", func() bool {
		there := true
		for i, c := range clients {
			if c.last.Load() <= ends[i] {
				publish(i)
				there = false
			}
		}
		time.Sleep(200 * time.Millisecond) // what was published needs a moment; without a pause there would be far more of it
		return there
	})
	cancel()
	running.Wait()
	got, resumed, holes, gaps := 0, cameBack(), 0, 0
	for i, c := range clients {
		got, holes, gaps = got+c.got, holes+len(c.holes), gaps+len(c.gaps)
		for _, hole := range c.holes {
			for n := hole.from; n < hole.to; n++ {
				if p := published[i][n-1]; !c.wasTold(p) {
					t.Errorf("%s missed %d, published at %s, and no gap tells of it: %v", c.user, n, p.begun.Format(time.StampMilli), c.gaps)
					break
				}
			}
		}
	}
	t.Logf("%d notifications, clients came back %d times without a gap; %d gaps were told, and there were %d holes", got, resumed, gaps, holes)
	if resumed < users {
		t.Errorf("clients came back %d times only: nothing was tried", resumed)
	}
}

func all(clients []*streamClient, is func(*streamClient) bool) bool {
	for _, c := range clients {
		if !is(c) {
			return false
		}
	}
	return true
}

// instances are servers, of which clients take any.
type instances struct {
	mu      sync.Mutex
	servers []*roosttest.Server
}

func (s *instances) any() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.servers[rand.IntN(len(s.servers))].WS
}

// replace starts a server in place of one, and returns that.
func (s *instances) replace(t *testing.T, redis *redistest.Server, env roosttest.Env) *roosttest.Server {
	next := roosttest.Start(t, redis, env)
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.servers[0]
	s.servers = append(s.servers[1:], next)
	return old
}

func (s *instances) drainOne(t *testing.T, redis *redistest.Server, env roosttest.Env) func() {
	return func() {
		old := s.replace(t, redis, env)
		old.Signal(syscall.SIGTERM)
		t.Cleanup(func() {
			if code := old.Wait(); code != 0 {
				t.Errorf("the drained instance ended with %d", code)
			}
		})
	}
}

func (s *instances) killOne(t *testing.T, redis *redistest.Server, env roosttest.Env) func() {
	return func() {
		old := s.replace(t, redis, env)
		old.Signal(syscall.SIGKILL)
		old.Wait()
	}
}

// streamClient is a user's one client. It does what an EventSource does, without its wait.
type streamClient struct {
	t           *testing.T
	user, token string
	site        *instances
	slow        bool // it stops reading now and then

	greeted atomic.Bool
	resumed atomic.Int64 // how often it came back without a gap
	last    atomic.Int64 // the number of the latest notification

	// Of run, and of the test when that has ended.
	id    string // the last event's
	again bool   // it was refused, and told where that instance is: one that has heard less says again what another one said
	got   int
	holes []hole
	gaps  []roosttest.Gap

	mu   sync.Mutex
	conn *net.TCPConn // guarded by mu: the current one
}

// hole is numbers that did not come, from the first of them to the one that came behind them.
type hole struct{ from, to int64 }

// publication is between which times Redis took a notification.
type publication struct{ begun, done time.Time }

// wasTold reports whether a gap has what was published.
func (c *streamClient) wasTold(p publication) bool {
	return slices.ContainsFunc(c.gaps, func(g roosttest.Gap) bool { return g.Covers(p.begun, p.done) })
}

// cut ends the client's connection: with a reset, without a word, or in order.
func (c *streamClient) cut(how int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.conn == nil {
		return
	}
	switch how {
	case 0:
		_ = c.conn.SetLinger(0)
	case 1: // its packets are lost from now on, and the socket stays
		if raw, err := c.conn.SyscallConn(); err == nil {
			drop := unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K}
			_ = raw.Control(func(fd uintptr) {
				_ = unix.SetsockoptSockFprog(int(fd), unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: 1, Filter: &drop})
			})
		}
		gone := c.conn
		c.t.Cleanup(func() { _ = gone.Close() })
		_ = c.conn.SetReadDeadline(time.Now())
		c.conn = nil
		return
	}
	_ = c.conn.Close()
	c.conn = nil
}

func (c *streamClient) run(ctx context.Context) {
	stop := context.AfterFunc(ctx, func() { c.cut(2) })
	defer stop()
	for ctx.Err() == nil {
		if err := c.listen(ctx); err != nil && ctx.Err() == nil {
			time.Sleep(time.Duration(rand.IntN(50)) * time.Millisecond) // as EventSource's retry
		}
	}
}

// listen connects to any instance and reads until the connection ends.
func (c *streamClient) listen(ctx context.Context) error {
	dialer := net.Dialer{Timeout: time.Second, Control: func(_, _ string, raw syscall.RawConn) error {
		return raw.Control(func(fd uintptr) { _ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, 8<<10) })
	}}
	conn, err := dialer.Dial("tcp", c.site.any())
	if err != nil {
		return err
	}
	c.mu.Lock()
	c.conn = conn.(*net.TCPConn)
	c.mu.Unlock()
	if ctx.Err() != nil { // the end came before there was anything to cut
		c.cut(2)
	}
	request := "GET /sse?token=" + c.token + " HTTP/1.1\r\nHost: roost.example\r\nAccept: text/event-stream\r\n"
	if c.id != "" {
		request += "Last-Event-ID: " + c.id + "\r\n"
	}
	if _, err := fmt.Fprint(conn, request+"\r\n"); err != nil {
		return err
	}
	in := bufio.NewReaderSize(conn, 4096)
	response, err := http.ReadResponse(in, nil)
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return errors.New(response.Status)
	}
	lines := bufio.NewReader(response.Body)
	id, kind, data := c.id, "", ""
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			return err
		}
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		switch name {
		case "id":
			id = value
		case "event":
			kind = value
		case "data":
			data = value
		case "":
			c.id = id
			c.event(kind, data)
			kind, data = "", ""
			if c.slow && rand.IntN(200) == 0 {
				time.Sleep(1500 * time.Millisecond) // it is slow
			}
		}
	}
}

// event takes one event.
func (c *streamClient) event(kind, data string) {
	var n int64
	var told struct{ Payload struct{ Since time.Time } }
	switch {
	case kind != "" || data == "": // a position, a close event, a heartbeat
		return
	case strings.HasPrefix(data, `{"type":"_hello"`):
		c.greeted.Store(true)
		if strings.Contains(data, `"resumed":{`) {
			c.resumed.Add(1)
		}
		c.again = c.again || strings.Contains(data, `"resumed":false`) // also to a connection that resumes from there
		return
	case strings.HasPrefix(data, `{"type":"_gap"`):
		if err := json.Unmarshal([]byte(data), &told); err != nil {
			c.t.Errorf("%s: %v", data, err)
		}
		c.gaps = append(c.gaps, roosttest.Gap{Since: told.Payload.Since, Told: time.Now()})
		return
	}
	if _, err := fmt.Sscanf(data, `{"type":"n","payload":[%d,`, &n); err != nil {
		c.t.Errorf("%s got %.100s", c.user, data)
		return
	}
	last := c.last.Load()
	if n <= last {
		if !c.again {
			c.t.Errorf("%s got %d after %d", c.user, n, last)
		}
		return
	}
	if n > last+1 {
		c.holes = append(c.holes, hole{last + 1, n})
	}
	c.last.Store(n)
	c.again = false
	c.got++
}
