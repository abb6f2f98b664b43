package netpoll

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// Clients that read as fast as they can, at any distance, that read nothing, and
// that read a little all the time.

// via connects through a wire.
func (r *rig) via(w *wire, user string, receiveBuffer int) *websocket.Conn {
	r.t.Helper()
	dialer := websocket.Dialer{NetDialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := w.dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return secured(r.t, conn), nil
	}}
	conn, _, err := dialer.DialContext(r.t.Context(), "ws://"+r.addr+"/ws?token="+token(r.t, user), nil)
	if err != nil {
		r.t.Fatalf("connecting as %s: %v", user, err)
	}
	r.t.Cleanup(func() { _ = conn.Close() })
	answerPings(conn)
	if receiveBuffer > 0 {
		_ = tcpOf(conn.NetConn()).SetReadBuffer(receiveBuffer)
	}
	return conn
}

// readAll reads notifications with numbers from 0 on, and reports the first that
// does not come next.
func readAll(conn *websocket.Conn, n int) error {
	for i := range n {
		_ = conn.SetReadDeadline(time.Now().Add(patience))
		_, message, err := conn.ReadMessage()
		if err != nil {
			return fmt.Errorf("after %d of %d: %w", i, n, err)
		}
		if want := fmt.Sprintf(`{"type":"n","payload":[%d,`, i); !strings.HasPrefix(string(message), want) {
			return fmt.Errorf("%.40s came, want number %d", message, i)
		}
	}
	return nil
}

// burst publishes n notifications of a size to one user, as fast as it can.
func (r *rig) burst(user string, n, size int) {
	padding := strings.Repeat("x", size)
	for i := range n {
		r.hub.Deliver(user, fmt.Sprintf(`{"type":"n","payload":[%d,"%s"]}`, i, padding))
	}
	r.server.Flush()
}

// Nothing of a burst is lost for those who read, as long as no more than QueueBytes has
// to wait.
func TestBurstToClientsThatRead(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ notifications, bytes, connections int }{
		{500, 1000, 1}, {500, 1000, 20}, {5000, 100, 1}, {5000, 100, 20}, {3500, 1000, 2}, {400, 10_000, 2},
	} {
		t.Run(fmt.Sprintf("%d of %d to %d", tt.notifications, tt.bytes, tt.connections), func(t *testing.T) {
			t.Parallel()
			// A reader that a busy machine holds up for a second is no slow consumer here.
			r := start(t, func(c *Config) { c.QueueMessages = tt.notifications })
			var reading sync.WaitGroup
			for range tt.connections {
				conn := r.connect("alice")
				reading.Go(func() {
					if err := readAll(conn, tt.notifications); err != nil {
						t.Error(err)
					}
				})
			}
			r.burst("alice", tt.notifications, tt.bytes)
			reading.Wait()
			r.nothingLost(tt.notifications * tt.connections)
		})
	}
}

// describe looks at a user's only connection.
func (r *rig) describe(user string) ConnInfo {
	r.t.Helper()
	conns, _ := r.hub.ConnsOf(user, 1)
	infos, err := r.server.Describe(r.t.Context(), conns)
	if err != nil || len(infos) != 1 {
		r.t.Fatalf("looking at the connection of %s: %v, %v", user, infos, err)
	}
	return infos[0]
}

func (r *rig) nothingLost(sent int) {
	r.t.Helper()
	eventually(r.t, "nothing waits", func() bool { return r.server.Stats().Waiting == 0 })
	if s := r.server.Stats(); s.Sent != uint64(sent) || s.FailedTotal() != 0 {
		r.t.Errorf("sent %d, failed %v; want all %d sent", s.Sent, s.Failed, sent)
	}
}

// A client is not punished for being far away: the kernel has on the way what the round
// trip needs, and the rest waits.
func TestBurstToFarClients(t *testing.T) {
	t.Parallel()
	for _, roundTrip := range []time.Duration{20 * time.Millisecond, 100 * time.Millisecond, 300 * time.Millisecond} {
		t.Run(roundTrip.String(), func(t *testing.T) {
			t.Parallel()
			w := newWire(t, roundTrip/2, 20_000_000)
			const notifications = 3000
			r := startOn(t, func(c *Config) { c.QueueMessages = notifications }, w.listen(t)) // as above
			conn := r.via(w, "alice", 0)
			read := make(chan error, 1)
			go func() {
				for err := error(nil); err == nil && t.Context().Err() == nil; {
					err = readAll(conn, notifications)
					read <- err
				}
			}()
			bursts, onTheWay := 0, 0
			// With an SO_SNDBUF of 16 KiB it would be 90 KB, and take ten times as long. A busy machine that looks seldom sees
			// less than there was: it looks again.
			for begun := time.Now(); bursts == 0 || onTheWay < 110_000 && (bursts < 5 || time.Since(begun) < patience/2); bursts++ {
				r.burst("alice", notifications, 1000)
				for done := false; !done; {
					select {
					case err := <-read:
						if done = true; err != nil {
							t.Fatal(err)
						}
					case <-time.After(5 * time.Millisecond):
						onTheWay = max(onTheWay, r.describe("alice").Unacked)
					}
				}
			}
			r.nothingLost(bursts * notifications)
			if onTheWay < 110_000 {
				t.Errorf("%d bytes were on the way at most, in %d bursts", onTheWay, bursts)
			}
		})
	}
}

// A client that reads nothing costs the kernel little, and the server QueueBytes at
// most; after WriteWait it is ended.
func TestAClientThatReadsNothing(t *testing.T) {
	t.Parallel()
	inOneOfMany(t, "each client was ended before anybody looked at it", readsNothing)
}

// readsNothing returns false if the client was ended before it was looked at, as on a busy machine.
func readsNothing(t *testing.T) (seen bool) {
	w := newWire(t, 10*time.Millisecond, 0)
	const queue = 1 << 20
	r := startOn(t, func(c *Config) { c.QueueBytes, c.WriteWait = queue, 3*time.Second }, w.listen(t))
	r.via(w, "stuck", 0)
	r.burst("stuck", 3000, 1000)
	eventually(t, "it stalls, or has", func() bool { s := r.server.Stats(); return s.Stalled == 1 || s.Ended["write_timeout"] > 0 })
	kernel := make(chan int, 1)
	most := 0
	for r.server.Stats().Ended["write_timeout"] == 0 {
		for _, l := range r.server.loops {
			l.do(func() {
				l.wheel.Each(func(c *conn) {
					select {
					case kernel <- kernelMemory(t, int(c.fd)):
					default:
					}
				})
			})
		}
		select {
		case n := <-kernel:
			most = max(most, n)
		case <-time.After(10 * time.Millisecond):
		}
		if s := r.server.Stats(); s.QueuedBytes > queue {
			t.Fatalf("%d bytes wait", s.QueuedBytes)
		}
	}
	if most == 0 {
		return false
	}
	if most > 128<<10 {
		t.Errorf("the kernel keeps %d bytes for it, want 128 KiB at most", most)
	}
	eventually(t, "nothing waits", func() bool { s := r.server.Stats(); return s.Waiting == 0 && s.QueuedBytes == 0 })
	if s := r.server.Stats(); s.Unacked["write_timeout"] == 0 || s.UnackedBytes["write_timeout"] == 0 {
		t.Errorf("not acknowledged: %d deliveries, %d bytes", s.Unacked["write_timeout"], s.UnackedBytes["write_timeout"])
	}
	r.balanced()
	return true
}

// kernelMemory returns what the kernel has charged a socket with for what waits to be
// sent or acknowledged.
func kernelMemory(t *testing.T, fd int) int {
	t.Helper()
	return memInfo(t, fd, 5) // SK_MEMINFO_WMEM_QUEUED
}

// A client that reads slowly but steadily is not ended, though the kernel takes nothing
// for longer than WriteWait: it acknowledges.
func TestAClientThatReadsALittle(t *testing.T) {
	t.Parallel()
	// On a busy machine what it reads may come too late. A server that does not see it ends it each time.
	inOneOfMany(t, "the client was ended in each attempt", func(t *testing.T) bool {
		ended := readsALittle(t)
		if ended != "" {
			t.Log(ended)
		}
		return ended == ""
	})
}

// readsALittle says how the client was ended while it read; empty: it was not.
func readsALittle(t *testing.T) (ended string) {
	w := newWire(t, time.Millisecond, 0)
	const wait = 2 * time.Second
	r := startOn(t, func(c *Config) { c.WriteWait, c.PongWait, c.PingInterval = wait, 3*wait/2, wait }, w.listen(t))
	conn := r.via(w, "slow", 4096).NetConn()
	r.burst("slow", 3000, 1000)
	eventually(t, "it stalls, or has", func() bool { return r.server.Stats().Stalled == 1 || r.hub.Connections() == 0 })
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	const rate = 5000 // bytes a second
	took, longest, read := sinceTaken(r), time.Duration(0), 0
	for began := time.Now(); time.Since(began) < 4*wait; <-ticker.C {
		for ; read < int(rate*time.Since(began).Seconds()); read += 100 {
			if _, err := io.ReadFull(conn, make([]byte, 100)); err != nil {
				return fmt.Sprintf("after %s: %v", time.Since(began), err)
			}
		}
		longest = max(longest, took())
		if r.hub.Connections() == 0 { // of which the client hears only when it has read all
			return fmt.Sprintf("it was ended after %s: %v", time.Since(began), r.server.Stats().Ended)
		}
	}
	if longest < wait+wait/4 {
		return fmt.Sprintf("the kernel took something every %s: the test shows nothing", longest)
	}
	// Now it reads nothing.
	eventually(t, "it is ended", func() bool { return r.server.Stats().Ended["write_timeout"] == 1 })
	r.balanced()
	return ""
}

// sinceTaken returns what says how long the kernel has taken nothing.
func sinceTaken(r *rig) func() time.Duration {
	bytes, since := 0, time.Now()
	return func() time.Duration {
		if now := r.server.Stats().BytesOut; now != bytes {
			bytes, since = now, time.Now()
		}
		return time.Since(since)
	}
}
