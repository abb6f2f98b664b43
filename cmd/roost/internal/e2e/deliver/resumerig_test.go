package deliver

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/redis/go-redis/v9"

	"roost/cmd/roost/internal/roosttest"
	"roost/redisfeed/redistest"
)

// resumingRig is instances, two backends, clients that come and go, and what was published.
type resumingRig struct {
	t        *testing.T
	side     *feedSide
	backends [2]redis.UniversalClient // what each user, group and everyone gets comes from one of them
	pause    sync.RWMutex             // held by backends while they publish

	users, groups int           // how many clients, and groups for them
	rest          time.Duration // of a backend, behind each ten that it publishes

	ended                      chan struct{} // closed once nothing more is published
	cuts, gaps, ends, received atomic.Int64  // ends: that named a position
	missing, twice             atomic.Int64  // without a gap that covers them

	abandoned chan *websocket.Conn // the latest

	comers []*comer // of runWhile

	mu        sync.Mutex
	servers   []*roosttest.Server // guarded by mu
	published map[string]int      // guarded by mu: how many, by what they are for
}

const (
	comers       = 16
	comersGroups = 4
)

// startResuming starts two instances on one Redis.
func startResuming(t *testing.T, extra ...roosttest.Env) *resumingRig {
	t.Helper()
	server := redistest.Start(t)
	env := roosttest.Env{}
	for _, e := range extra {
		maps.Copy(env, e)
	}
	r := startResumingOn(t, &feedSide{feed: "pattern", redis: server, env: env}, 2, server.Client(), server.Client())
	r.awaitMarker()
	return r
}

// startResumingOn starts instances on one side.
func startResumingOn(t *testing.T, side *feedSide, instances int, backends ...redis.UniversalClient) *resumingRig {
	t.Helper()
	r := &resumingRig{t: t, side: side, backends: [2]redis.UniversalClient(backends), ended: make(chan struct{}), published: make(map[string]int),
		users: comers, groups: comersGroups, rest: 2 * 10 * time.Second / time.Duration(resumeRate(t)),
		abandoned: make(chan *websocket.Conn, 200)}
	t.Cleanup(func() {
		for len(r.abandoned) > 0 {
			_ = (<-r.abandoned).Close()
		}
	})
	for range instances {
		r.servers = append(r.servers, r.startServer())
	}
	return r
}

func (r *resumingRig) startServer() *roosttest.Server {
	r.t.Helper()
	return r.side.start(r.t, roosttest.Env{
		"WS_RESUME_WINDOW": "2m", "WS_RESUME_BYTES": "8388608", "REDIS_FEED_RETRY_DELAY": "100ms", "REDIS_UNSUBSCRIBE_DELAY": "0s",
	})
}

// replace ends one of the instances, and starts another one in its place.
func (r *resumingRig) replace(end func(old *roosttest.Server)) {
	r.t.Helper()
	r.mu.Lock()
	old := r.servers[0]
	r.servers = slices.Clone(r.servers[1:])
	r.mu.Unlock()
	end(old)
	server := r.startServer()
	r.mu.Lock()
	r.servers = append(r.servers, server)
	r.mu.Unlock()
	r.awaitMarker()
}

// some is one of the instances.
func (r *resumingRig) some() *roosttest.Server {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.servers[rand.IntN(len(r.servers))]
}

// awaitMarker waits until both instances count behind the same marker.
func (r *resumingRig) awaitMarker() {
	r.t.Helper()
	roosttest.WaitFor(r.t, "a marker that both instances have heard", func() bool {
		return r.marker(r.servers[0]) == r.marker(r.servers[1])
	})
}

// marker is the part of an id that says behind which marker an instance counts.
func (r *resumingRig) marker(server *roosttest.Server) string {
	c := r.newComer("nobody", "none")
	conn := c.connect(func() *roosttest.Server { return server })
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

// awaitReconnect waits until all instances have Redis again.
func (r *resumingRig) awaitReconnect() {
	r.t.Helper()
	for _, s := range r.servers {
		s.WaitLine("redis feed is subscribed again, what was published meanwhile is lost")
	}
}

func (r *resumingRig) log() {
	r.t.Helper()
	r.t.Logf("%d cuts, %d ends that named a position, %d gaps, %d received, %d missing, %d twice",
		r.cuts.Load(), r.ends.Load(), r.gaps.Load(), r.received.Load(), r.missing.Load(), r.twice.Load())
}

func (r *resumingRig) wantNoGap() {
	r.t.Helper()
	if r.log(); r.gaps.Load() > 0 {
		r.t.Errorf("%d gaps were told, and nothing was lost", r.gaps.Load())
	}
}

func (r *resumingRig) wantGaps() {
	r.t.Helper()
	if r.log(); r.gaps.Load() == 0 {
		r.t.Error("nobody was told of a gap")
	}
}

// run publishes for a while, with something that happens in the middle while nothing is published, and waits until all
// clients have everything.
func (r *resumingRig) run(d time.Duration, middle func()) {
	r.t.Helper()
	r.runWhile(func() {
		time.Sleep(d / 2) // the length of the traffic
		if middle != nil {
			r.pause.Lock()
			middle()
			r.pause.Unlock()
		}
		time.Sleep(d / 2)
	})
}

// runWhile publishes while something happens, and waits until all clients have everything.
func (r *resumingRig) runWhile(happens func()) {
	r.t.Helper()
	var clients, backends sync.WaitGroup
	ready := make(chan struct{}, r.users)
	for i := range r.users {
		c := r.newComer(fmt.Sprint("user", i), fmt.Sprint("group", i%r.groups))
		r.comers = append(r.comers, c)
		clients.Go(func() { c.run(ready) })
	}
	for range r.users {
		<-ready
	}
	over := make(chan struct{})
	for backend := range r.backends {
		backends.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-over:
					return
				default:
				}
				if r.behind() {
					time.Sleep(r.rest)
					continue
				}
				r.publish(backend, n%3 == 0)
			}
		})
	}
	happens()
	close(over)
	backends.Wait()
	close(r.ended)
	clients.Wait()
}

// behind reports whether a client misses so much that with more of it it might be told of a gap, since there are too many (256): an instance
// that stands still for seconds keeps those who have come to it from going to the other. Backends wait meanwhile.
func (r *resumingRig) behind() bool {
	const most = 128
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.ContainsFunc(r.comers, func(c *comer) bool {
		return r.published[c.user]+r.published[c.group]+r.published[""]-int(c.has.Load()) > most
	})
}

// publish publishes some, as a backend does, and counts them before.
func (r *resumingRig) publish(backend int, multi bool) {
	r.pause.RLock()
	defer r.pause.RUnlock()
	ctx := r.t.Context()
	notification := func(to string) string { return fmt.Sprintf(`{"type":"n","payload":{"to":%q,"n":%d}}`, to, r.next(to)) }
	mine := func(n int) int { return rand.IntN(n/2)*2 + backend }
	pipe := r.backends[backend].Pipeline()
	if multi {
		pipe = r.backends[backend].TxPipeline()
	}
	own := pipe
	if r.side.feed == "sharded" {
		own = r.side.client.Pipeline()
	}
	for range 10 {
		switch kind := rand.IntN(12); {
		case kind == 0 && backend == 0 && rand.IntN(r.users/comers) == 0: // everyone has to read it
			pipe.Publish(ctx, "user_noti_all", notification(""))
		case kind < 3:
			to := fmt.Sprint("group", mine(r.groups+2))
			pipe.Publish(ctx, "group_noti:"+to, notification(to))
		default:
			to := fmt.Sprint("user", mine(r.users+4))
			r.side.publish(ctx, own, to, notification(to))
		}
	}
	_, err := pipe.Exec(ctx)
	if own != pipe {
		_, err = own.Exec(ctx)
	}
	if err != nil {
		r.t.Errorf("publishing: %v", err)
	}
	time.Sleep(r.rest) // the pace of the backend
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
	has         atomic.Int64   // the sum of these, of each the higher one
}

func (r *resumingRig) newComer(user, group string) *comer {
	return &comer{rig: r, user: user, group: group, last: make(map[string]int), covered: make(map[string]int)}
}

func (c *comer) run(ready chan<- struct{}) {
	for first := true; ; first = false {
		over := false
		select {
		case <-c.rig.ended:
			over = true
		default:
		}
		conn := c.connect(c.rig.some)
		if first {
			ready <- struct{}{} // also one that can't connect, which fails the test: the others are waited for
		}
		if conn == nil {
			return
		}
		if over && c.finish(conn) {
			return
		}
		stay := rand.N(150 * time.Millisecond * time.Duration(c.rig.users/comers))
		if rand.IntN(20) == 0 {
			time.Sleep(stay) // it reads nothing for a while
		}
		_ = c.stay(conn, stay)
		c.cut(conn)
		time.Sleep(time.Duration(rand.IntN(60)) * time.Millisecond) // it is away
	}
}

// connect comes back to an instance. One may be away, or hear more slowly than the one before.
func (c *comer) connect(to func() *roosttest.Server) *websocket.Conn {
	token := roosttest.Sign(c.rig.t, "HS256", roosttest.Secret, roosttest.Claims{
		"sub": c.user, "groups": []string{c.group}, "exp": time.Now().Add(time.Hour).Unix()})
	for deadline := time.Now().Add(roosttest.Limit); ; time.Sleep(10 * time.Millisecond) { // between two attempts
		url := to().URL(token)
		if c.id != "" {
			url += "&since=" + c.id
		}
		conn, _, err := websocket.DefaultDialer.DialContext(c.rig.t.Context(), url, nil)
		if err == nil {
			roosttest.AnswerPings(conn)
			return conn
		}
		if time.Now().After(deadline) {
			c.rig.t.Errorf("%s: %v", c.user, err)
			return nil
		}
	}
}

// stay sends a ping, and reads for a while. It returns why it ended.
func (c *comer) stay(conn *websocket.Conn, d time.Duration) error {
	_ = conn.WriteMessage(websocket.TextMessage, []byte(`{"type":"ping"}`))
	_ = conn.SetReadDeadline(time.Now().Add(d))
	for {
		_, message, err := conn.ReadMessage()
		if err != nil {
			c.endedWith(err)
			return err
		}
		c.takes(message)
	}
}

// takesOne waits for one message.
func (c *comer) takesOne(conn *websocket.Conn) {
	c.rig.t.Helper()
	_ = conn.SetReadDeadline(time.Now().Add(roosttest.Limit))
	_, message, err := conn.ReadMessage()
	if err != nil {
		c.rig.t.Fatal(err)
	}
	c.takes(message)
}

var endsAt = regexp.MustCompile(`\bid=([\w.-]+)`)

// endedWith looks for a position in the reason of a planned end.
func (c *comer) endedWith(err error) {
	var closed *websocket.CloseError
	if !errors.As(err, &closed) {
		return
	}
	if id := endsAt.FindStringSubmatch(closed.Text); id != nil {
		c.id = id[1]
		c.rig.ends.Add(1)
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
	default: // the server does not notice, for a while
		c.rig.abandon(conn)
	}
}

// abandon keeps a connection open that nobody reads from any more, and closes the one that was abandoned longest ago.
func (r *resumingRig) abandon(conn *websocket.Conn) {
	for {
		select {
		case r.abandoned <- conn:
			return
		case oldest := <-r.abandoned:
			_ = oldest.Close()
		}
	}
}

// finish reads until the client has everything, or was told of a gap that covers what is missing. It is false where the
// connection ends before: an instance is still being replaced.
func (c *comer) finish(conn *websocket.Conn) (ok bool) {
	_ = conn.SetReadDeadline(time.Now().Add(time.Minute))
	for !c.hasAll() {
		_, message, err := conn.ReadMessage()
		var closed *websocket.CloseError
		switch {
		case errors.As(err, &closed):
			c.endedWith(err)
			return false
		case err != nil:
			c.rig.mu.Lock()
			defer c.rig.mu.Unlock()
			c.rig.missing.Add(1)
			for _, to := range []string{c.user, c.group, ""} {
				c.rig.t.Errorf("%s: %v; for %q it has %d of %d, a gap covers %d", c.user, err, to, c.last[to], c.rig.published[to], c.covered[to])
			}
			return true
		}
		c.takes(message)
	}
	_ = conn.Close()
	return true
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
		switch {
		case n <= c.last[to] && n > c.covered[to]:
			c.rig.twice.Add(1)
			c.rig.t.Errorf("%s: number %d for %q comes again, behind %d; a gap covers up to %d", c.user, n, to, c.last[to], c.covered[to])
		case n > c.last[to]+1 && n > c.covered[to]+1:
			c.rig.missing.Add(1)
			c.rig.t.Errorf("%s: number %d for %q behind %d; a gap covers up to %d", c.user, n, to, c.last[to], c.covered[to])
		}
		c.last[to], c.id = max(n, c.last[to]), e.ID
		c.count()
	}
}

// count has backends know what the client has.
func (c *comer) count() {
	has := 0
	for _, to := range []string{c.user, c.group, ""} {
		has += max(c.last[to], c.covered[to])
	}
	c.has.Store(int64(has))
}

// gap is told.
func (c *comer) gap() {
	c.rig.gaps.Add(1)
	c.excuse()
}

// excuse notes that whatever was published until now may be missing, or come twice.
func (c *comer) excuse() {
	c.rig.mu.Lock()
	defer c.rig.mu.Unlock()
	for _, to := range []string{c.user, c.group, ""} {
		c.covered[to] = c.rig.published[to]
	}
	c.count()
}

func portOf(s *redistest.Server) string { return strconv.Itoa(s.Port()) }
