package netpoll

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// dialFrom is dial from an address of this machine.
func (r *rig) dialFrom(address string) *raw {
	r.t.Helper()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(address)}}
	conn, err := dialer.DialContext(r.t.Context(), "tcp", r.addr)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	conn = secured(r.t, conn)
	return &raw{conn, bufio.NewReader(conn)}
}

// Silent sockets take every place, and more; clients that talk get in.
func TestSilentSocketsKeepNobodyOut(t *testing.T) {
	t.Parallel()
	r := start(t, func(c *Config) { c.MaxSockets = 20 })
	staying := r.connect("alice")
	const silent = 60
	for range silent {
		conn, err := r.dialTCP()
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
	}
	eventually(t, "the oldest are closed", func() bool {
		s := r.server.Stats()
		return s.Unanswered["crowded_out"] == silent+1-20 && s.Sockets == 20 // and none was turned away itself
	})
	r.connect("bob")
	r.deliver("alice", `{"type":"n"}`)
	if _, _, err := staying.ReadMessage(); err != nil {
		t.Errorf("who was connected before: %v", err)
	}
}

// A client that opens sockets by the hundred gets in its own way: others have the time that they need for their request.
func TestSilentSocketsOfOneAddressCostNobodyElse(t *testing.T) {
	t.Parallel()
	const honest, silent = 5, 100
	for name, tt := range map[string]struct {
		start  func() *rig
		open   func(r *rig, honest bool, n int) *raw
		header func(n int) string // of honest clients
	}{
		"its own": {
			func() *rig { return start(t, func(c *Config) { c.MaxSockets = 20 }) },
			func(r *rig, honest bool, n int) *raw {
				if honest {
					return r.dialFrom(fmt.Sprintf("127.0.1.%d", n+1))
				}
				return r.dialFrom("127.0.0.66")
			},
			func(int) string { return "" },
		},
		"as a PROXY header names it": {
			func() *rig { return proxied(t, "127.0.0.0/8", func(c *Config) { c.MaxSockets = 20 }) },
			func(r *rig, honest bool, n int) *raw {
				client := r.dial()
				if !honest {
					client.send(t, textHeader("192.0.2.66"))
				}
				return client
			},
			func(n int) string { return textHeader(fmt.Sprintf("192.0.2.%d", n+1)) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := tt.start()
			request := upgradeRequest(t, "alice")
			var clients []*raw
			for n := range honest {
				client := tt.open(r, true, n)
				r.sendApart(client, tt.header(n)+request[:50]) // until it is read, a client behind a proxy counts as that
				clients = append(clients, client)
			}
			for n := range silent {
				tt.open(r, false, n)
				if n%10 == 0 { // the kernel's queue must not hide them
					eventually(t, "they are accepted", func() bool { return r.server.Stats().SocketsOpened > uint64(n) })
				}
			}
			eventually(t, "silent ones are crowded out", func() bool { return r.server.Stats().Unanswered["crowded_out"] >= silent+honest-20 })
			for n, client := range clients {
				client.send(t, request[50:])
				if status, _ := client.status(t); status != http.StatusSwitchingProtocols {
					t.Errorf("honest client %d is answered %d", n, status)
				}
			}
		})
	}
}

// Clients that have their answer and don't close make room, too, for connections and for /health.
func TestLingeringSocketsMakeRoom(t *testing.T) {
	t.Parallel()
	const rounds, clients, most = 3, 60, 20
	r := start(t, func(c *Config) { c.MaxSockets, c.LingerTimeout = most, time.Hour }) // none goes by itself
	staying := r.connect("alice")
	for round := range rounds {
		for range clients {
			client := r.dial()
			client.send(t, "GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n")
			if status, _ := client.status(t); status != http.StatusNotFound {
				t.Fatalf("the answer is %d", status)
			}
		}
		if s := r.server.Stats(); s.Sockets > most {
			t.Errorf("%d sockets, %d at most", s.Sockets, most)
		}
		r.wants(http.StatusOK, healthRequest)
		r.connect(fmt.Sprint("honest-", round))
	}
	r.deliver("alice", `{"type":"n"}`)
	if _, _, err := staying.ReadMessage(); err != nil {
		t.Errorf("who was connected before: %v", err)
	}
	if s := r.server.Stats(); s.Unanswered["descriptors"] > 0 || s.LingerCut < rounds*clients-most {
		t.Errorf("%d were closed without an answer, %d make room", s.Unanswered["descriptors"], s.LingerCut)
	}
}

// So do connections that have ended and take what they still have to get so slowly that there are many of them.
func TestSlowEndingsMakeRoom(t *testing.T) {
	t.Parallel()
	const slow, most = 30, 20
	r := start(t, func(c *Config) { c.MaxSockets, c.WriteWait, c.QueueBytes = most, time.Hour, 4<<20 })
	for n := range slow {
		user := fmt.Sprint("slow-", n)
		r.upgrade(user) // and reads nothing from now on
		for range 20 {
			r.deliver(user, `{"type":"n","payload":"`+strings.Repeat("x", 60_000)+`"}`)
		}
		r.hub.Control(user, `{"disconnect":{"code":4403,"reason":"signed out"}}`)
		eventually(t, "it has ended", func() bool { return r.hub.ConnectionsOf(user) == 0 })
		for _, l := range r.server.loops { // none makes room by itself, however busy the machine is
			l.do(func() {
				l.wheel.Each(func(c *conn) {
					if c.state == stateClosing {
						c.extra.closing.closeBy = l.server.now() + time.Hour
						c.setTimer(c.extra.closing.closeBy)
					}
				})
			})
		}
		r.wants(http.StatusOK, healthRequest)
		r.wants(http.StatusSwitchingProtocols, upgradeRequest(t, fmt.Sprint("honest-", n))).Close()
	}
	eventually(t, "some made room", func() bool { return r.server.Stats().Unanswered["closing"] >= slow-most })
	r.balanced()
}

// pendingBytes is how many bytes are kept between two turns: in a turn bytes are counted first, and make room then.
func (r *rig) pendingBytes() int {
	for _, l := range r.server.loops {
		l.mu.Lock()
		defer l.mu.Unlock()
	}
	return r.server.Stats().PendingBytes
}

// The bytes kept for strangers are bounded, and those that have most pay: 200 heads of which 16,300 bytes came are 3 MB,
// for which there are 512 KiB here.
func TestPendingBytesAreBounded(t *testing.T) {
	t.Parallel()
	const total, strangers, honest = 512 << 10, 200, 10
	r := start(t, func(c *Config) { c.PendingTotal, c.HandshakeTimeout = total, time.Hour })
	request := upgradeRequest(t, "alice")
	var clients []*raw
	for n := range honest {
		client := r.dialFrom(fmt.Sprintf("127.0.1.%d", n+1))
		client.send(t, lineAdded(request, "X: "+strings.Repeat("y", 5000))[:4000])
		clients = append(clients, client)
	}
	eventually(t, "the halves are read", func() bool { return r.server.Stats().BytesIn >= honest*4000 })
	head := "GET /ws?token=" + strings.Repeat("x", 16_300)
	peak := 0
	for n := range strangers {
		client := r.dialFrom(fmt.Sprintf("127.0.0.%d", 66+n%3))
		client.send(t, head)
		want := honest*4000 + (n+1)*len(head)
		eventually(t, "it is read", func() bool { return r.server.Stats().BytesIn >= want })
		peak = max(peak, r.pendingBytes())
	}
	s := r.server.Stats()
	if peak > total || peak < total/2 || s.Unanswered["pending_bytes"] < uint64(strangers-total/len(head)) {
		t.Errorf("%d bytes were kept at most, of %d; %d made room", peak, total, s.Unanswered["pending_bytes"])
	}
	for n, client := range clients {
		client.send(t, lineAdded(request, "X: "+strings.Repeat("y", 5000))[4000:])
		if status, _ := client.status(t); status != http.StatusSwitchingProtocols {
			t.Errorf("honest client %d is answered %d", n, status)
		}
	}
}

// The kept bytes are counted exactly, whatever happens to a handshake, and in the end there are none.
func TestPendingBytesAreCounted(t *testing.T) {
	t.Parallel()
	r, a := startSubscriptions(t, nil, func(c *Config) { c.SubscribeWait, c.Loops = time.Minute, 1 })
	kept := func(n int) {
		t.Helper()
		eventually(t, "so much is kept", func() bool { return r.server.Stats().PendingBytes == n+r.pendingHeavies() })
	}
	silent := r.dial()
	kept(pendingSize)
	silent.send(t, strings.Repeat("x", 1000))
	kept(pendingSize + 1024) // as the allocator has it
	_ = silent.Close()
	kept(0)
	waiting := r.send(token(t, "alice"), string(masked(0x89, "early")))
	r.awaitingIs(1)
	kept(pendingSize + heldRequestSize + len("alice") + 16)
	_, _ = waiting.Write(masked(0x89, strings.Repeat("x", 100)))
	eventually(t, "more is kept", func() bool {
		return r.server.Stats().PendingBytes > pendingSize+heldRequestSize+len("alice")+100+r.pendingHeavies()
	})
	a.heard("alice")
	waiting.answered(t, http.StatusSwitchingProtocols)
	kept(0)
	gone := r.send(token(t, "bob"), "")
	r.awaitingIs(1)
	_ = gone.Close()
	kept(0)
	if s := r.server.Stats(); s.Pending != 0 {
		t.Errorf("%d are pending", s.Pending)
	}
}

// The client that waits for Redis and holds most makes room, and is told so.
func TestHandshakesThatWaitMakeRoom(t *testing.T) {
	t.Parallel()
	r, a := startSubscriptions(t, nil, func(c *Config) { c.SubscribeWait, c.Loops, c.PendingTotal = time.Minute, 1, 256<<10 })
	mallory := r.dialFrom("127.0.0.66")
	mallory.send(t, upgradeRequest(t, "mallory"))
	r.awaitingIs(1)
	early := strings.Repeat("x", 16_000)
	mallory.send(t, early)
	for range 20 {
		client := r.dialFrom("127.0.0.66")
		client.send(t, upgradeRequest(t, "mallory"))
		client.send(t, early)
	}
	if status, _ := mallory.status(t); status != http.StatusServiceUnavailable {
		t.Errorf("the first is answered %d, want 503", status)
	}
	honest := r.send(token(t, "alice"), "")
	eventually(t, "alice waits", func() bool { return a.waitsFor("alice") })
	a.heard("alice")
	honest.answered(t, http.StatusSwitchingProtocols)
	if n := r.server.Stats().Unanswered["pending_bytes"]; n == 0 {
		t.Error("nobody made room")
	}
	_ = honest.Close()
	_, _ = io.Copy(io.Discard, mallory)
}
