package httpapi

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"golang.org/x/time/rate"
)

// MaxConnections is how many connections the admin server has open at once, and so how many descriptors. More evict
// others: see conns.
const MaxConnections = 64

// Reserve is descriptors that are kept aside for when the process has no others. Any goroutine.
type Reserve interface {
	Release() bool // gives one back to the process, and reports whether there was one
	Refill()       // takes back what was released, as far as the process has descriptors again
}

// noReserve is what a Config without one has.
type noReserve struct{}

func (noReserve) Release() bool { return false }
func (noReserve) Refill()       {}

// conns bounds the connections of the admin server. A new one is always accepted. When there are too many, the source
// that has the most loses one: the one that has waited longest for a request. A request that is being answered is
// given up only when all connections have one.
//
// When the process has no descriptor left, one of the reserve serves the next connection, or one of a connection that
// waits.
type conns struct {
	limit   int              // static
	reserve Reserve          // static
	now     func() time.Time // static

	log    *slog.Logger   // static
	saying rate.Sometimes // of the goroutine that accepts

	mu      sync.Mutex
	open    map[*boundedConn]struct{} // guarded by mu
	evicted uint64                    // guarded by mu
}

// boundedConn is a connection that conns knows.
type boundedConn struct {
	net.Conn
	conns  *conns
	source netip.Prefix // static: an IPv4 address, or the /64 of an IPv6 one

	since   time.Time // guarded by conns.mu: of the last change of serving
	serving bool      // guarded by conns.mu: a handler runs, or its answer is being written
}

// longServing is how long a request is answered before its connection may be evicted while others wait for a request.
// Nothing but a profile takes longer, and a request to /publish whose body and Redis are both slow.
const longServing = deepTimeout + time.Second

func newConns(limit int, reserve Reserve, log *slog.Logger) *conns {
	return &conns{
		limit: limit, reserve: reserve, now: time.Now, open: make(map[*boundedConn]struct{}),
		log: log, saying: rate.Sometimes{First: 1, Interval: 10 * time.Second},
	}
}

// tellExhausted logs, now and then, that there are no descriptors.
func (c *conns) tellExhausted(err error) {
	c.saying.Do(func() {
		c.log.Error("the process has no descriptor left; the admin server answers with those that are kept for it", slog.String("error", err.Error()))
	})
}

// boundedListener accepts for conns.
type boundedListener struct {
	net.Listener
	conns *conns
}

// acceptPause is how long nobody is accepted when there was no descriptor even after room was made.
const acceptPause = 5 * time.Millisecond

// Accept implements net.Listener. Without a descriptor it makes room for a client that waits in the kernel's queue, and tries
// again, for as long as that takes.
func (l boundedListener) Accept() (net.Conn, error) {
	tries := 0
	for {
		raw, err := l.Listener.Accept()
		switch {
		case err == nil:
			return l.conns.add(raw), nil
		case !exhausted(err):
			return nil, err
		}
		if !l.hasWaiting() {
			time.Sleep(acceptPause)
			continue
		}
		l.conns.tellExhausted(err)
		if tries%2 == 1 || !l.conns.makeRoom() {
			time.Sleep(acceptPause) // somebody else was faster
		}
		tries++
	}
}

// exhausted reports whether the process or the system has no descriptor left.
func exhausted(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)
}

// makeRoom frees a descriptor: one of the reserve, or where that is empty a connection's.
func (c *conns) makeRoom() bool {
	if c.reserve.Release() {
		return true
	}
	c.mu.Lock()
	victim := c.victim(nil)
	c.mu.Unlock()
	if victim == nil {
		return false
	}
	c.evict(victim)
	c.reserve.Release() // which closing has filled
	return true
}

// add takes a connection in, and evicts another if there are too many.
func (c *conns) add(raw net.Conn) net.Conn {
	conn := &boundedConn{Conn: raw, conns: c, source: sourceOf(raw.RemoteAddr()), since: c.now()}
	c.mu.Lock()
	c.open[conn] = struct{}{}
	var victim *boundedConn
	if len(c.open) > c.limit {
		victim = c.victim(conn)
	}
	c.mu.Unlock()
	if victim != nil {
		c.evict(victim)
	}
	return conn
}

// victim chooses who makes room, but for newest. The caller holds mu.
func (c *conns) victim(newest *boundedConn) (worst *boundedConn) {
	each := make(map[netip.Prefix]int, len(c.open))
	for conn := range c.open {
		each[conn.source]++
	}
	now := c.now()
	for conn := range c.open {
		if conn != newest && (worst == nil || conn.goesBefore(worst, each, now)) {
			worst = conn
		}
	}
	return worst
}

// goesBefore reports whether conn is to be evicted rather than other. The caller holds mu.
func (conn *boundedConn) goesBefore(other *boundedConn, each map[netip.Prefix]int, now time.Time) bool {
	if mine, theirs := each[conn.source], each[other.source]; mine != theirs {
		return mine > theirs
	}
	if mine, theirs := conn.busy(now), other.busy(now); mine != theirs {
		return theirs
	}
	return conn.since.Before(other.since)
}

// busy reports whether a request is being answered, and not for long. The caller holds mu.
func (conn *boundedConn) busy(now time.Time) bool {
	return conn.serving && now.Sub(conn.since) < longServing
}

// evict closes a connection and counts it.
func (c *conns) evict(conn *boundedConn) {
	c.mu.Lock()
	_, there := c.open[conn]
	if there {
		c.evicted++
	}
	c.mu.Unlock()
	_ = conn.Close() // its client is gone, or has too many
}

// Close implements net.Conn. It returns when the descriptor is closed, which the reserve may take.
func (conn *boundedConn) Close() error {
	c := conn.conns
	err := conn.Conn.Close()
	c.mu.Lock()
	delete(c.open, conn)
	c.mu.Unlock()
	c.reserve.Refill()
	return err
}

// CloseWrite lets net/http end an answer before the connection.
func (conn *boundedConn) CloseWrite() error {
	if half, ok := conn.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// serve says whether a request is being answered.
func (conn *boundedConn) serve(serving bool) {
	conn.conns.mu.Lock()
	defer conn.conns.mu.Unlock()
	conn.serving, conn.since = serving, conn.conns.now()
}

// waits is http.Server's ConnState: the answer is written.
func (c *conns) waits(raw net.Conn, state http.ConnState) {
	if conn, ok := underTLS(raw).(*boundedConn); ok && state == http.StateIdle {
		conn.serve(false)
	}
}

// closeWaiting closes all connections that no request is answered on.
func (c *conns) closeWaiting() {
	c.mu.Lock()
	var waiting []*boundedConn
	for conn := range c.open {
		if !conn.serving {
			waiting = append(waiting, conn)
		}
	}
	c.mu.Unlock()
	for _, conn := range waiting {
		_ = conn.Close() // nobody is told anything over it
	}
}

// read is how many connections there are, and how many were evicted so far.
func (c *conns) read() (open int, evicted uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.open), c.evicted
}

// sourceOf is who a connection counts for.
func sourceOf(address net.Addr) netip.Prefix {
	tcp, ok := address.(*net.TCPAddr)
	if !ok {
		return netip.Prefix{}
	}
	ip := tcp.AddrPort().Addr().Unmap().WithZone("")
	bits := ip.BitLen()
	if ip.Is6() {
		bits = 64
	}
	prefix, err := ip.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return prefix
}

// connKey is where a request's context has its connection.
type connKey struct{}

// context is http.Server's ConnContext.
func (c *conns) context(ctx context.Context, conn net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, underTLS(conn))
}

// underTLS is the connection that TLS runs over, or conn where it has none.
func underTLS(conn net.Conn) net.Conn {
	if secure, ok := conn.(*tls.Conn); ok {
		return secure.NetConn()
	}
	return conn
}

// serving marks a connection while next answers its requests.
func (c *conns) serving(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if conn, ok := r.Context().Value(connKey{}).(*boundedConn); ok {
			conn.serve(true)
		}
		next.ServeHTTP(w, r)
	})
}
