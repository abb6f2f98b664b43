package connect

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"roost/cmd/roost/internal/e2e"
	"roost/cmd/roost/internal/roosttest"
)

// The tests here are of strangers who flood a server that others use: each of those others gets in.

// stranger is an address from which floods come.
const stranger = "127.0.0.66"

// flood asks for something from the stranger's address, as often as that many clients can, until stop is called, which
// returns how many were answered. With keeps the sockets stay open.
func flood(t *testing.T, server *roosttest.Server, request string, keeps bool) (answered func() int64, stop func()) {
	t.Helper()
	var n atomic.Int64
	var clients sync.WaitGroup
	ending := make(chan struct{})
	dialer := net.Dialer{Timeout: roosttest.Limit, LocalAddr: &net.TCPAddr{IP: net.ParseIP(stranger)}}
	one := func() net.Conn {
		conn, err := dialer.Dial("tcp", server.WS)
		if err != nil {
			return nil
		}
		_ = conn.SetDeadline(time.Now().Add(roosttest.Limit))
		_, _ = io.WriteString(conn, request)
		if response, err := http.ReadResponse(bufio.NewReader(conn), nil); err == nil && response.StatusCode >= 400 {
			n.Add(1)
		}
		return conn
	}
	for range 8 {
		clients.Go(func() {
			var kept []net.Conn // bounded: so that the machine has descriptors and ports
			defer func() {
				for _, conn := range kept {
					_ = conn.Close()
				}
			}()
			for {
				select {
				case <-ending:
					return
				default:
				}
				conn := one()
				switch {
				case conn == nil:
				case !keeps:
					_ = conn.Close()
				default:
					kept = append(kept, conn)
				}
				if len(kept) > 500 {
					_ = kept[0].Close()
					kept = kept[1:]
				}
			}
		})
	}
	stop = sync.OnceFunc(func() { close(ending); clients.Wait() })
	t.Cleanup(stop)
	return n.Load, stop
}

// getIn has honest clients connect and ask for /health one after the other, each from an address of its own.
func getIn(t *testing.T, server *roosttest.Server, n int) {
	t.Helper()
	refused := 0
	for i := range n {
		address := fmt.Sprintf("127.1.%d.%d", i/200, i%200+1)
		if err := server.DialFrom(address).Upgrade(roosttest.Token(t, fmt.Sprint("honest-", i))); err != nil {
			t.Logf("honest client %d: %v", i, err)
			refused++
		}
		if i%10 == 0 {
			if answer := server.DialFrom(address).Ask(healthRequest); answer.StatusCode != http.StatusOK {
				t.Errorf("/health is answered %s", answer.Status)
			}
		}
	}
	if refused*100 > n {
		t.Errorf("%d of %d honest clients did not get in", refused, n)
	}
}

// Junk as fast as one address can send it, many times what the handshakes' rate is.
func TestFloodOfJunkTokens(t *testing.T) {
	t.Parallel()
	const honest = 60
	redis, server := e2e.Start(t, roosttest.Env{"WS_HANDSHAKE_RATE": "1", "WS_HANDSHAKE_BURST": fmt.Sprint(honest + 10)})
	alice := server.Connect("alice")
	answered, stop := flood(t, server, roosttest.Head(strings.Repeat("x", 30)+roosttest.Token(t, "mallory")), false)
	roosttest.WaitFor(t, "the flood", func() bool { return answered() > 500 })
	getIn(t, server, honest)
	stop()
	e2e.Notify(redis, "alice", e2e.Numbered(1))
	alice.WaitMessages(1)
	if n := server.Metrics()[`roost_connections_refused_total{reason="handshake_rate"}`]; n > 0 {
		t.Errorf("%v were refused for the rate", n)
	}
}

// Answers of 404 that linger, since the clients keep their sockets, more than there are sockets. These are some fifty: an answer
// lingers for two seconds, and within those a busy machine fills no more.
func TestFloodOfNotFound(t *testing.T) {
	t.Parallel()
	redis, server := e2e.StartWithDescriptors(t, 200, nil)
	alice := server.Connect("alice")
	answered, stop := flood(t, server, "GET /nowhere HTTP/1.1\r\nHost: h\r\n\r\n", true)
	roosttest.WaitFor(t, "the flood", func() bool {
		return answered() > 500 && server.Metrics()["roost_sockets_linger_cut_total"] > 0
	})
	getIn(t, server, 30)
	stop()
	e2e.Notify(redis, "alice", e2e.Numbered(1))
	alice.WaitMessages(1)
	if n := server.Metrics()[`roost_connections_refused_total{reason="descriptors"}`]; n > 0 {
		t.Errorf("%v were closed without an answer", n)
	}
}

// Heads that never end, of which all but the last bytes have come: the server keeps what it may, and gives it back.
func TestFloodOfHeads(t *testing.T) {
	t.Parallel()
	const strangers, budget = 3000, 4 << 20
	redis, server := e2e.Start(t, roosttest.Env{"WS_MAX_PENDING_BYTES": fmt.Sprint(budget), "WS_HANDSHAKE_TIMEOUT": "5m"})
	alice := server.Connect("alice")
	before, peak := server.Memory("RssAnon"), 0
	head := "GET /ws?token=" + strings.Repeat("x", 16_300)
	var open []*roosttest.Raw
	for n := range strangers {
		raw := server.DialFrom(stranger)
		raw.Send(head)
		open = append(open, raw)
		if n%1000 == 500 {
			peak = max(peak, int(server.Metrics()["roost_pending_bytes"]))
		}
	}
	roosttest.WaitFor(t, "all to be read", func() bool { return server.Metrics()["roost_received_bytes_total"] >= float64(strangers*len(head)) })
	const loops = 2                  // as roosttest.ServerEnv has it
	most := budget + loops*len(head) // each loop counts a head before it makes room for it
	if peak > most {
		t.Errorf("%d bytes were kept at most, of %d", peak, most)
	}
	roosttest.WaitFor(t, "others to make room", func() bool { // a moment after the last was read
		return server.Metrics()[`roost_connections_refused_total{reason="pending_bytes"}`] >= strangers-budget/float64(len(head))-1
	})
	getIn(t, server, 50)
	e2e.Notify(redis, "alice", e2e.Numbered(1))
	alice.WaitMessages(1)
	if roosttest.RaceEnabled { // the race detector has several times the memory, and never gives it back
		return
	}
	// 49 MB were sent. Besides what is kept there is as much garbage, and what the server needs anyway.
	if grown := server.Memory("RssAnon") - before; grown > 30<<20 {
		t.Errorf("it has %d MiB more than before", grown>>20)
	}
	if testing.Short() {
		return
	}
	for _, raw := range open {
		_ = raw.Close()
	}
	server.WaitMetric("roost_pending_bytes", 0)
	roosttest.WaitWithin(t, time.Minute, "the memory to go back", func() bool { return server.Memory("RssAnon") <= before+8<<20 })
}
