package netpoll

import (
	"context"
	"fmt"
	"time"

	"roost/hub"
)

// ConnInfo describes one connection, for people who look into why nothing arrives on it.
type ConnInfo struct {
	Remote   string        // the peer's address and port; "" if it has none
	Opened   time.Time     // to the second
	Stream   bool          // it is an event stream
	TLS      string        // version and cipher suite: 1.3 TLS_AES_128_GCM_SHA256; "" without TLS
	LastRead time.Duration // since the last bytes from the client, pongs included; of an event stream, since its last acknowledgement
	Stalled  time.Duration // since the client last took anything of what waits; 0: nothing waits
	Waiting  int           // notifications in the send queue
	Bytes    int           // of these notifications
	Unacked  int           // bytes that the kernel has taken and the client has not acknowledged
	Groups   []hub.Membership
	Expires  time.Time // when the connection ends, unless its client renews the token; zero: it does not end with it
	ID       string    // that "only" and "except" name; "": its client did not ask for one
}

// Describe describes connections of this server, without those that have closed meanwhile. It fails if a loop does not answer
// before ctx ends, and still returns what the others answered. Any goroutine but a loop's.
func (s *Server) Describe(ctx context.Context, conns []hub.Conn) ([]ConnInfo, error) {
	byLoop := make(map[*loop][]*conn)
	for _, c := range conns {
		if c, ok := c.(*conn); ok {
			byLoop[c.loop] = append(byLoop[c.loop], c)
		}
	}
	answers := make(chan []ConnInfo, len(byLoop))
	for l, own := range byLoop {
		l.do(func() { answers <- l.describe(own) })
	}
	var all []ConnInfo
	for range byLoop {
		select {
		case infos := <-answers:
			all = append(all, infos...)
		case <-ctx.Done():
			return all, fmt.Errorf("netpoll: a loop does not answer: %w", ctx.Err())
		}
	}
	return all, nil
}

// describe describes connections of this loop.
func (l *loop) describe(conns []*conn) []ConnInfo {
	infos := make([]ConnInfo, 0, len(conns))
	now := l.server.now()
	for _, c := range conns {
		if c.state != stateOpen {
			continue
		}
		if c.stream {
			c.hearAcks(now)
		}
		info := ConnInfo{
			Stream:   c.stream,
			TLS:      c.tlsText(),
			Remote:   addressText(peer(c.fd)),
			Opened:   l.server.started.Add(l.server.conns.Opened(c.fd)).Round(0),
			LastRead: c.lastRead.ago(now),

			Unacked: unackedBytes(c.fd),
			Groups:  l.server.cfg.Hub.GroupsOf(c),
			ID:      l.server.cfg.Hub.ConnectionID(c),
		}
		if c.expires != 0 {
			info.Expires = time.Unix(int64(c.expires), 0)
		}
		if c.out != nil {
			info.Waiting, info.Bytes = c.out.Len(), c.out.Bytes()
		}
		if c.stalled() {
			c.out.pollAcked(now)
			info.Stalled = c.out.Progress.Idle(now)
		}
		infos = append(infos, info)
	}
	return infos
}
