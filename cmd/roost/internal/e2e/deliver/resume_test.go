package deliver

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"roost/cmd/roost/internal/roosttest"
	"roost/redisfeed/redistest"
)

// resumeFor is how long clients come and go: a few seconds, or what ROOST_RESUME_FOR says.
func resumeFor(t *testing.T) time.Duration {
	text := os.Getenv("ROOST_RESUME_FOR")
	if text == "" {
		return 4 * time.Second
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestNothingIsMissedByClientsThatComeBack has two instances on one Redis, and clients that are cut off at random and come
// back to a random instance. Each has everything that was published for it, for its group and for everyone, once and in
// order, without a single gap.
func TestNothingIsMissedByClientsThatComeBack(t *testing.T) {
	t.Parallel()
	r := startResuming(t)
	r.run(resumeFor(t), nil)
	if r.gaps.Load() > 0 {
		t.Errorf("%d gaps were told, and nothing was lost", r.gaps.Load())
	}
	var resumed float64
	for _, s := range r.servers {
		resumed += s.Metrics()[`roost_resumes_total{result="resumed"}`]
	}
	t.Logf("%d cuts, %.0f resumed, %d received", r.cuts.Load(), resumed, r.received.Load())
	if resumed == 0 || int64(resumed) > r.cuts.Load() {
		t.Errorf("%.0f resumed of %d that were cut off", resumed, r.cuts.Load())
	}
}

// TestNoSilentHole is the same while Redis is killed and started again: whatever is missing is covered by a gap.
func TestNoSilentHole(t *testing.T) {
	t.Parallel()
	r := startResuming(t)
	r.run(resumeFor(t), func() {
		r.redis.Kill()
		time.Sleep(200 * time.Millisecond)
		r.redis.Restart()
		for _, s := range r.servers {
			s.WaitLine("redis feed is subscribed again, what was published meanwhile is lost")
		}
	})
	t.Logf("%d cuts, %d gaps, %d received", r.cuts.Load(), r.gaps.Load(), r.received.Load())
	if r.gaps.Load() == 0 {
		t.Error("nobody was told of a gap")
	}
}

// TestNothingIsMissedOnACluster is TestNothingIsMissedByClientsThatComeBack with a cluster, whose nodes all send everything:
// the instances read it from the same node, and so in the same order.
func TestNothingIsMissedOnACluster(t *testing.T) {
	t.Parallel()
	cluster := redistest.StartCluster(t, redistest.ClusterOptions{NoReplicas: true})
	nodes := cluster.Nodes()
	side := &feedSide{feed: "pattern", redis: nodes[0], client: nodes[1].Client(), env: roosttest.Env{"REDIS_CLUSTER": "true"}}
	r := startResumingOn(t, side, 2)
	r.awaitMarker()
	r.run(resumeFor(t)/2, nil)
	t.Logf("%d cuts, %d gaps, %d received", r.cuts.Load(), r.gaps.Load(), r.received.Load())
	if r.gaps.Load() > 0 {
		t.Errorf("%d gaps were told, and nothing was lost", r.gaps.Load())
	}
}

// TestNothingIsMissedWithOtherFeeds is TestNothingIsMissedByClientsThatComeBack with feeds that hear only the users who are
// here, and lately were: who comes back to the same instance misses nothing, and at another one a gap is told.
func TestNothingIsMissedWithOtherFeeds(t *testing.T) {
	eachFeed(t, func(t *testing.T, side *feedSide) {
		if side.feed == "pattern" { // it has tests of its own
			return
		}
		for name, instances := range map[string]int{"one instance": 1, "two": 2} {
			t.Run(name, func(t *testing.T) { // one after the other: what one publishes the other one would get
				r := startResumingOn(t, side, instances)
				r.run(resumeFor(t)/2, nil)
				gaps := r.gaps.Load()
				t.Logf("%d cuts, %d gaps, %d received", r.cuts.Load(), gaps, r.received.Load())
				if instances == 1 && gaps > 0 || instances > 1 && gaps == 0 {
					t.Errorf("%d gaps were told", gaps)
				}
			})
		}
	})
}

// resumingRig is the instances, and what was published.
type resumingRig struct {
	t       *testing.T
	side    *feedSide
	redis   *redistest.Server // nil but for a single one
	servers []*roosttest.Server

	ended                chan struct{} // closed once nothing more is published
	cuts, gaps, received atomic.Int64

	mu        sync.Mutex
	published map[string]int // guarded by mu: how many, by what they are for
}

const (
	comers       = 16
	comersGroups = 4
)

func startResuming(t *testing.T) *resumingRig {
	t.Helper()
	server := redistest.Start(t)
	r := startResumingOn(t, &feedSide{feed: "pattern", redis: server, client: server.Client(), env: roosttest.Env{}}, 2)
	r.redis = server
	r.awaitMarker()
	return r
}

// awaitMarker waits until both instances count behind the same marker.
func (r *resumingRig) awaitMarker() {
	r.t.Helper()
	roosttest.WaitFor(r.t, "a marker that both instances have heard", func() bool {
		return r.marker(r.servers[0]) == r.marker(r.servers[1])
	})
}

// startResumingOn starts instances on one side.
func startResumingOn(t *testing.T, side *feedSide, instances int) *resumingRig {
	t.Helper()
	r := &resumingRig{t: t, side: side, ended: make(chan struct{}), published: make(map[string]int)}
	for range instances {
		r.servers = append(r.servers, side.start(t, roosttest.Env{
			"WS_RESUME_WINDOW": "2m", "WS_RESUME_BYTES": "8388608", "REDIS_FEED_RETRY_DELAY": "100ms", "REDIS_UNSUBSCRIBE_DELAY": "0s",
		}))
	}
	return r
}

// marker is the part of an id that says behind which marker an instance counts.
func (r *resumingRig) marker(server *roosttest.Server) string {
	c := &comer{rig: r, user: "nobody", group: "none", last: make(map[string]int), covered: make(map[string]int)}
	conn := c.connectTo(server)
	if conn == nil {
		r.t.FailNow()
	}
	defer func() { _ = conn.Close() }()
	_, hello, err := conn.ReadMessage()
	if err != nil {
		r.t.Fatal(err)
	}
	c.takes(hello)
	return c.id[:10]
}

// run publishes for a while, with something that happens in the middle, and waits until all clients have everything.
func (r *resumingRig) run(d time.Duration, middle func()) {
	var clients sync.WaitGroup
	ready := make(chan struct{}, comers)
	for i := range comers {
		c := &comer{rig: r, user: fmt.Sprint("user", i), group: fmt.Sprint("group", i%comersGroups), last: make(map[string]int), covered: make(map[string]int)}
		clients.Go(func() { c.run(ready) })
	}
	for range comers {
		<-ready
	}
	end := time.Now().Add(d)
	for time.Now().Before(end) {
		r.publish()
		if middle != nil && time.Until(end) < d/2 {
			middle()
			middle = nil
		}
	}
	close(r.ended)
	clients.Wait()
}

// publish publishes some, as a backend does, and counts them before: what fails is missing, and covered by a gap.
func (r *resumingRig) publish() {
	ctx := r.t.Context()
	notification := func(to string) string { return fmt.Sprintf(`{"type":"n","payload":{"to":%q,"n":%d}}`, to, r.next(to)) }
	many, own := r.side.redis.(*redistest.Server).Client().Pipeline(), r.side.client.Pipeline() // a cluster keeps the order of one node
	for range 20 {
		switch rand.IntN(12) {
		case 0:
			many.Publish(ctx, "user_noti_all", notification(""))
		case 1, 2:
			to := fmt.Sprint("group", rand.IntN(comersGroups+1))
			many.Publish(ctx, "group_noti:"+to, notification(to))
		default:
			to := fmt.Sprint("user", rand.IntN(comers+4))
			r.side.publish(ctx, own, to, notification(to))
		}
	}
	_, _ = many.Exec(ctx)
	_, _ = own.Exec(ctx)
	time.Sleep(5 * time.Millisecond)
}

func (r *resumingRig) next(to string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.published[to]++
	return r.published[to]
}

// comer is a client that comes and goes.
type comer struct {
	rig         *resumingRig
	user, group string
	id          string
	last        map[string]int // the last number that it has, by what it was for
	covered     map[string]int // up to which number a gap covers what is missing
}

func (c *comer) run(ready chan<- struct{}) {
	for first := true; ; first = false {
		over := false
		select {
		case <-c.rig.ended:
			over = true
		default:
		}
		conn := c.connect()
		if conn == nil {
			return
		}
		if first {
			ready <- struct{}{}
		}
		if over {
			c.finish(conn)
			return
		}
		c.stay(conn, time.Duration(rand.IntN(150))*time.Millisecond)
		c.cut(conn)
		time.Sleep(time.Duration(rand.IntN(60)) * time.Millisecond)
	}
}

// connect comes back, to a random instance.
func (c *comer) connect() *websocket.Conn {
	return c.connectTo(c.rig.servers[rand.IntN(len(c.rig.servers))])
}

func (c *comer) connectTo(server *roosttest.Server) *websocket.Conn {
	token := roosttest.Sign(c.rig.t, "HS256", roosttest.Secret, roosttest.Claims{
		"sub": c.user, "groups": []string{c.group}, "exp": time.Now().Add(time.Hour).Unix()})
	url := server.URL(token)
	if c.id != "" {
		url += "&since=" + c.id
	}
	conn, answer, err := websocket.DefaultDialer.DialContext(c.rig.t.Context(), url, nil)
	for answer != nil && answer.StatusCode == http.StatusServiceUnavailable { // this instance hears more slowly than the one before
		time.Sleep(10 * time.Millisecond)
		conn, answer, err = websocket.DefaultDialer.DialContext(c.rig.t.Context(), url, nil)
	}
	if err != nil {
		c.rig.t.Errorf("%s: %v", c.user, err)
		return nil
	}
	return conn
}

// stay reads for a while. It sends a ping now and then.
func (c *comer) stay(conn *websocket.Conn, d time.Duration) {
	_ = conn.WriteMessage(websocket.TextMessage, []byte(`{"type":"ping"}`))
	_ = conn.SetReadDeadline(time.Now().Add(d))
	for {
		_, message, err := conn.ReadMessage()
		if err != nil {
			return
		}
		c.takes(message)
	}
}

// cut ends a connection in one of the ways in which they end.
func (c *comer) cut(conn *websocket.Conn) {
	c.rig.cuts.Add(1)
	tcp, _ := conn.NetConn().(*net.TCPConn)
	switch rand.IntN(4) {
	case 0:
		_ = tcp.SetLinger(0) // a reset
		_ = conn.Close()
	case 1:
		_ = conn.WriteMessage(websocket.CloseMessage, websocket.FormatCloseMessage(1000, ""))
		_ = conn.Close()
	case 2:
		_ = conn.Close()
	default: // the server does not notice
		c.rig.t.Cleanup(func() { _ = conn.Close() })
	}
}

// finish reads until the client has everything, or was told of a gap that covers what is missing.
func (c *comer) finish(conn *websocket.Conn) {
	defer func() { _ = conn.Close() }()
	_ = conn.SetReadDeadline(time.Now().Add(time.Minute))
	for !c.hasAll() {
		_, message, err := conn.ReadMessage()
		if err != nil {
			c.rig.mu.Lock()
			defer c.rig.mu.Unlock()
			c.rig.t.Errorf("%s: %v; it has %v, of %v, a gap covers %v", c.user, err, c.last, c.rig.published, c.covered)
			return
		}
		c.takes(message)
	}
}

func (c *comer) hasAll() bool {
	c.rig.mu.Lock()
	defer c.rig.mu.Unlock()
	for _, to := range []string{c.user, c.group, ""} {
		if max(c.last[to], c.covered[to]) < c.rig.published[to] {
			return false
		}
	}
	return true
}

// envelope is what comes: a notification, or one of Roost's own.
type resumeEnvelope struct {
	Type    string
	ID      string
	Payload struct {
		ID      string
		Resumed json.RawMessage
		To      string
		N       int
	}
}

func (c *comer) takes(message []byte) {
	var e resumeEnvelope
	if err := json.Unmarshal(message, &e); err != nil {
		c.rig.t.Errorf("%q: %v", message, err)
		return
	}
	switch e.Type {
	case "_hello":
		c.id = e.Payload.ID
		if string(e.Payload.Resumed) == "false" {
			c.gap()
		}
	case "_gap":
		c.gap()
	case "pong":
		if e.ID != "" {
			c.id = e.ID
		}
	case "n":
		c.rig.received.Add(1)
		to, n := e.Payload.To, e.Payload.N
		if n <= c.last[to] || n > c.last[to]+1 && n > c.covered[to]+1 {
			c.rig.t.Errorf("%s: number %d for %q behind %d; a gap covers up to %d", c.user, n, to, c.last[to], c.covered[to])
		}
		c.last[to], c.id = n, e.ID
	}
}

// gap notes that whatever was published until now may be missing.
func (c *comer) gap() {
	c.rig.gaps.Add(1)
	c.rig.mu.Lock()
	defer c.rig.mu.Unlock()
	for _, to := range []string{c.user, c.group, ""} {
		c.covered[to] = c.rig.published[to]
	}
}
