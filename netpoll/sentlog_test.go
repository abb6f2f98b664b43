package netpoll

import (
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"roost/hub"
)

// The model keeps all that was ever noted. The log may know less, but must say so.
func TestSentLogAgainstModel(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 1))
		log := sentLog{keep: time.Minute, next: -uint32(rng.IntN(15) * minSentLog)} // wraps around on its way
		ends := map[int32][]uint32{}                                                // of the connection that has the descriptor
		written := map[int32]uint32{}
		now, known := time.Duration(0), 0
		for range 20_000 {
			now += time.Duration(rng.IntN(2_000_000))
			fd := int32(rng.IntN(8)*sentChains + rng.IntN(20)) // many share a chain
			switch rng.IntN(20) {
			case 0:
				log.begin(fd, now)
				ends[fd], written[fd] = nil, 0
			case 1, 2:
				acked := written[fd] - min(written[fd], uint32(rng.IntN(3000)))
				want := 0
				for _, end := range ends[fd] {
					if end > acked {
						want++
					}
				}
				n, all := log.after(fd, acked)
				if all {
					known++
				}
				if n > want || all && n != want {
					t.Fatalf("seed %d: %d are not acknowledged (all: %v), want %d", seed, n, all, want)
				}
			default:
				written[fd] += uint32(1 + rng.IntN(500))
				ends[fd] = append(ends[fd], written[fd])
				log.note(fd, written[fd], now)
				written[fd] += uint32(rng.IntN(3)) // a ping
			}
		}
		if known < 500 {
			t.Errorf("seed %d: the log knew all only %d times", seed, known)
		}
	}
}

// The ring is as large as it has to be to go back for keep, within its bounds.
func TestSentLogSize(t *testing.T) {
	t.Parallel()
	log := sentLog{keep: time.Minute}
	now := time.Duration(0)
	fill := func(n int, every time.Duration) {
		for range n {
			now += every
			log.note(1, 1, now)
		}
	}
	for _, tt := range []struct {
		every       time.Duration
		least, most int
	}{
		{time.Second, minSentLog, 4 * minSentLog},
		{10 * time.Millisecond, 6000, 4 * 6000},
		{time.Millisecond, 60_000, maxSentLog},
		{time.Microsecond, maxSentLog, maxSentLog},
		{10 * time.Millisecond, 6000, 4 * 7000},
		{time.Second, minSentLog, 4 * minSentLog},
	} {
		fill(3*maxSentLog, tt.every)
		if size := len(log.entries); size < tt.least || size > tt.most {
			t.Errorf("one every %s: room for %d, want %d to %d", tt.every, size, tt.least, tt.most)
		}
	}
}

// The next connection with the same descriptor has nothing to do with the one before.
func TestSentLogTellsConnectionsApart(t *testing.T) {
	t.Parallel()
	log := sentLog{keep: time.Minute}
	log.begin(7, 1)
	for i := range uint32(10) {
		log.note(7, 100*(i+1), 1)
	}
	if n, all := log.after(7, 650); n != 4 || !all {
		t.Errorf("%d, all: %v; want 4 of ten", n, all)
	}
	log.begin(7, 2)
	log.note(7, 100, 2)
	for acked, want := range map[uint32]int{0: 1, 99: 1, 100: 0} {
		if n, all := log.after(7, acked); n != want || !all {
			t.Errorf("%d acknowledged: %d, all: %v; want %d", acked, n, all, want)
		}
	}
}

func BenchmarkSentLogNote(b *testing.B) {
	log := sentLog{keep: time.Minute}
	for i := 0; b.Loop(); i++ {
		log.note(int32(i*7%10_000), uint32(i), time.Duration(i)*20_000)
	}
}

// Connections that come and get nothing take no room in the log.
func TestSentLogOfConnectionsThatGetNothing(t *testing.T) {
	t.Parallel()
	log := sentLog{keep: time.Minute}
	for i := range int32(100_000) {
		log.begin(i, time.Duration(i))
	}
	if len(log.entries) != 0 {
		t.Errorf("room for %d entries", len(log.entries))
	}
	if n, all := log.after(7, 0); n != 0 || !all {
		t.Errorf("%d, all: %v; nothing was ever sent", n, all)
	}
	log.note(7, 100, 1)
	for range 10 {
		log.begin(7, 2)
	}
	if log.filled != 2 {
		t.Errorf("%d entries, want the one and what ends it", log.filled)
	}
	if n, all := log.after(7, 0); n != 0 || !all {
		t.Errorf("%d, all: %v, of a connection that got nothing", n, all)
	}
}

func count(h Histogram) (n uint64) {
	for _, c := range h.Counts {
		n += c
	}
	return n
}

// What is measured ends when the kernel has taken the last byte, and not before.
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
	for count(l.server.Stats().Delays) == 0 {
		if _, err := unix.Read(client, sink); err != nil && err != unix.EAGAIN {
			t.Fatal(err)
		}
		c.flush()
	}
	took := l.server.cfg.Hub.Clock() - began
	for l.server.Stats().Sent < 2 {
		_, _ = unix.Read(client, sink)
		c.flush()
	}
	delays := l.server.Stats().Delays
	if n := count(delays); n != 2 || delays.Sum <= 0 || delays.Sum > 2*(l.server.cfg.Hub.Clock()-began) || delays.Sum < took/2 {
		t.Errorf("%d are measured, %s in all; the first took %s", n, delays.Sum, took)
	}
}

// What leaves in one write may have come at several times.
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

// All that one read brought came at the same time: what waits for the others in it
// waits.
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
	c := l.open(h.pair[0], netip.AddrPort{})
	const asks = 60 * time.Millisecond
	c.lastRead = instantOf(l.server.now() - asks)
	c.received(h.request)
	c.cleanup()
	shakes := l.server.Stats().Handshakes
	if count(shakes) != 1 || shakes.Sum < asks || shakes.Counts[0] != 0 {
		t.Errorf("%+v, want one of %s", shakes, asks)
	}
}
