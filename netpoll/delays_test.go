package netpoll

import (
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"roost/hub"
)

func count(h Histogram) (n uint64) {
	for _, c := range h.Counts {
		n += c
	}
	return n
}

// The measured time ends when the kernel has taken the last byte, and not before.
func TestDelayOfASlowClient(t *testing.T) {
	t.Parallel()
	l := sleeper(t)
	c, client := l.connect(t)
	if err := unix.SetsockoptInt(int(c.fd), unix.SOL_SOCKET, unix.SO_SNDBUF, 4096); err != nil {
		t.Fatal(err)
	}
	began := l.server.cfg.Hub.Clock()
	big := &hub.Notification{Frame: make([]byte, 256<<10), Arrived: began}
	c.Deliver(big)
	c.Deliver(&hub.Notification{Frame: make([]byte, 100), Arrived: began})
	l.server.Flush()
	if n := count(l.server.Stats().Delays); n != 0 {
		t.Fatalf("%d are measured while the kernel has taken neither whole", n)
	}
	sink := make([]byte, 1<<16)
	var took time.Duration // at least, of the first
	for count(l.server.Stats().Delays) == 0 {
		took = l.server.cfg.Hub.Clock() - began
		if _, err := unix.Read(client, sink); err != nil && err != unix.EAGAIN {
			t.Fatal(err)
		}
		c.flush()
	}
	for l.server.Stats().Sent < 2 {
		_, _ = unix.Read(client, sink)
		c.flush()
	}
	delays := l.server.Stats().Delays
	if n := count(delays); n != 2 || delays.Sum <= 0 || delays.Sum > 2*(l.server.cfg.Hub.Clock()-began) || delays.Sum < took/2 {
		t.Errorf("%d are measured, %s in all; the first took %s", n, delays.Sum, took)
	}
}

// Notifications that leave in one write may have come at several times.
func TestDelaysOfOneWrite(t *testing.T) {
	t.Parallel()
	l := sleeper(t)
	c, _ := l.connect(t)
	now := l.server.cfg.Hub.Clock()
	for _, ago := range []time.Duration{time.Hour, time.Hour, 0, time.Hour} {
		c.Deliver(&hub.Notification{Frame: []byte("abc"), Arrived: now - ago})
	}
	l.server.Flush()
	delays := l.server.Stats().Delays
	last := len(delays.Counts) - 1
	if count(delays) != 4 || delays.Counts[last] != 3 || delays.Sum < 3*time.Hour || delays.Sum > 3*time.Hour+time.Minute {
		t.Errorf("%v, %s in all, want 3 of an hour and one of next to nothing", delays.Counts, delays.Sum)
	}
}

// All notifications of one read arrived at the same time: waiting for the others of it
// counts as delay.
func TestDelayCountsFromTheBatch(t *testing.T) {
	t.Parallel()
	l := sleeper(t)
	c, _ := l.connect(t)
	h := l.server.cfg.Hub
	if _, _, err := h.Admit(c, "alice"); err != nil {
		t.Fatal(err)
	}
	h.Arrived(time.Time{})
	const wait = 20 * time.Millisecond
	for began := time.Now(); time.Since(began) < wait; {
	}
	h.Deliver("alice", `{"type":"n"}`)
	l.server.Flush()
	if delays := l.server.Stats().Delays; count(delays) != 1 || delays.Sum < wait {
		t.Errorf("%d measured, %s in all, want one of %s", count(delays), delays.Sum, wait)
	}
}

// The health check's own notifications are in no count.
func TestNoDelayOfAProbe(t *testing.T) {
	t.Parallel()
	l := sleeper(t)
	c, client := l.connect(t)
	c.selfCheck = true
	c.Deliver(&hub.Notification{Frame: []byte("abc")})
	l.server.Flush()
	if n, _ := unix.Read(client, make([]byte, 8)); n != 3 {
		t.Fatalf("%d bytes came", n)
	}
	if n := count(l.server.Stats().Delays); n != 0 {
		t.Errorf("%d are measured", n)
	}
}

// A handshake lasts from accept on, the client's own part included.
func TestHandshakeTime(t *testing.T) {
	t.Parallel()
	h := newHandshaker(t)
	l := h.loop
	c := l.newConn(h.pair[0], netip.AddrPort{}, false)
	const asks = 60 * time.Millisecond
	c.lastRead = instantOf(l.server.now() - asks)
	c.received(h.request)
	c.cleanup()
	shakes := l.server.Stats().Handshakes
	if count(shakes) != 1 || shakes.Sum < asks || shakes.Counts[0] != 0 {
		t.Errorf("%+v, want one of %s", shakes, asks)
	}
}
