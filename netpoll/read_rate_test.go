package netpoll

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A client that sends faster than it may is closed with 1008, whatever it sends;
// one that keeps to it is not.
func TestMessageRate(t *testing.T) {
	t.Parallel()
	r := start(t, func(c *Config) { c.MessageRate, c.MessageBurst = 5, 20 })
	for name, frame := range map[string][]byte{
		"messages": masked(0x81, "hello"), "pings": masked(0x89, "hello"), "pongs": masked(0x8a, ""),
		"pings in text": masked(0x81, textPing),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			calm, client := r.upgrade(name), r.upgrade(name)
			for range 20 {
				if _, err := calm.Write(frame); err != nil {
					t.Fatal(err)
				}
			}
			r.flood(t, client, frame)
			r.deliver(name, `{"type":"n"}`)
			if opcode, payload := calm.readNoPong(t); opcode != 0x81 || !strings.HasPrefix(string(payload), `{"type":"n"`) {
				t.Errorf("the calm client got %x %q", opcode, payload)
			}
		})
	}
}

// Each message and control frame counts, however many come in one read.
func TestMessageRateCountsEach(t *testing.T) {
	t.Parallel()
	r := start(t, func(c *Config) { c.MessageRate, c.MessageBurst = 1, 20 })
	for name, frame := range map[string][]byte{
		"messages": masked(0x81, "hello"), "pings": masked(0x89, "hello"), "pings in text": masked(0x81, textPing),
	} {
		client := r.upgrade(name)
		if _, err := client.Write(bytes.Repeat(frame, 30)); err != nil {
			t.Fatal(err)
		}
		if opcode, payload := client.readNoPong(t); opcode != 0x88 || string(payload[:2]) != "\x03\xf0" {
			t.Errorf("%s: got %x % x, want a close frame with 1008", name, opcode, payload)
		}
	}
}

// Fragments without a byte in them are no message and cost time all the same, however many come in one read.
func TestMessageRateCountsFragments(t *testing.T) {
	t.Parallel()
	r := start(t, func(c *Config) { c.MessageRate, c.MessageBurst = 1, 20 })
	client := r.upgrade("alice")
	if _, err := client.Write(append(masked(0x01, ""), bytes.Repeat(masked(0x00, ""), 30)...)); err != nil {
		t.Fatal(err)
	}
	if opcode, payload := client.readNoPong(t); opcode != 0x88 || string(payload[:2]) != "\x03\xf0" {
		t.Errorf("got %x % x, want a close frame with 1008", opcode, payload)
	}
}

// Frames count, in whatever pieces the network brings them: one of 125 bytes that comes an octet at a time is one.
func TestMessageRateCountsNoReads(t *testing.T) {
	t.Parallel()
	r := start(t, func(c *Config) { c.Loops, c.MessageRate, c.MessageBurst = 1, 1, 5 })
	client := r.upgrade("alice")
	long := strings.Repeat("x", 125)
	for n := range 4 {
		for _, octet := range masked(0x89, long) {
			read := r.server.Stats().BytesIn
			if _, err := client.Write([]byte{octet}); err != nil {
				t.Fatal(err)
			}
			eventually(t, "it is read by itself", func() bool { return r.server.Stats().BytesIn > read })
		}
		if opcode, payload := client.readFrame(t); opcode != 0x8a || string(payload) != long {
			t.Fatalf("ping %d is answered %x %q", n, opcode, payload)
		}
	}
	if _, err := client.Write(bytes.Repeat(masked(0x89, "more"), 20)); err != nil {
		t.Fatal(err)
	}
	if opcode, payload := client.readNoPong(t); opcode != 0x88 || string(payload[:2]) != "\x03\xf0" {
		t.Errorf("got %x % x, want a close frame with 1008", opcode, payload)
	}
}

// The answer to a ping does not count, in pieces neither.
func TestAnswerInPiecesIsFree(t *testing.T) {
	bubble(t, func(t *testing.T, l *loop) { // a machine that stands still is no silence
		l.server.rules.Store(newRules(Rules{Upgrader: l.server.upgrader(), MessageRate: 1, MessageBurst: 1}, 1, nil))
		c, _ := l.connect(t)
		pong := masked(0x8a, "hello")
		for range 10 {
			c.lastRead = instantOf(l.server.now() - quietFor) // a silence
			for i := range pong {
				c.received(pong[i : i+1])
			}
		}
		if c.state != stateOpen || l.inbound.Len() != 0 {
			t.Errorf("the connection's state is %d, %d count", c.state, l.inbound.Len())
		}
		for i := range pong { // and one that comes without a silence does
			c.received(pong[i : i+1])
		}
		if l.inbound.Len() != 1 {
			t.Error("another one does not count")
		}
	})
}

// A client has to end what it has begun within the pong wait, however steadily its bytes come; one that ends what it begins
// may go on for ever.
func TestUnfinishedIsEnded(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		first, again string
		ended        bool
	}{
		"a frame, octet by octet":       {"\x81\xfe\x01\x00\x00\x00\x00\x00", "x", true},
		"a head that is not complete":   {"\x81", "", true},
		"endless fragments":             {string(masked(0x01, "")), string(masked(0x00, "")), true},
		"pings within a message":        {string(masked(0x01, "a")), string(masked(0x89, "")), true},
		"messages":                      {string(masked(0x81, "a")), string(masked(0x81, "a")), false},
		"an end, and another beginning": {string(masked(0x01, "a")), string(masked(0x80, "b")) + string(masked(0x01, "a")), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := sleeper(t)
			c, client := l.connect(t)
			l.asleep = false
			c.received([]byte(tt.first))
			now := l.server.now()
			if c.extra != nil {
				c.extra.began = instantOf(now - l.server.cfg.PongWait + time.Second)
			}
			c.lastRead = instantOf(now)
			if c.onTimer(now); c.state != stateOpen {
				t.Fatal("it was ended early")
			}
			if c.extra != nil {
				c.extra.began = instantOf(now - l.server.cfg.PongWait - time.Millisecond)
			}
			c.received([]byte(tt.again))
			c.lastRead = instantOf(now)
			c.onTimer(now)
			if (c.state != stateOpen) != tt.ended {
				t.Fatalf("its state is %d", c.state)
			}
			if !tt.ended {
				return
			}
			got := make([]byte, 1024)
			n, _ := unix.Read(client, got)
			if want := "\x88\x1e\x03\xf0message not complete in time"; !strings.HasSuffix(string(got[:max(n, 0)]), want) || c.reason != ReasonUnfinished {
				t.Errorf("the client got %q, and the reason is %s", got[:max(n, 0)], c.reason)
			}
		})
	}
}

// The wheel looks at a connection no later than that.
func TestUnfinishedIsScheduled(t *testing.T) {
	t.Parallel()
	l := sleeper(t)
	c, _ := l.connect(t)
	c.received(masked(0x01, "a"))
	now := l.server.now()
	c.extra.began = instantOf(now - l.server.cfg.PongWait + 2*time.Second)
	c.lastPing = instantOf(now)
	c.resetTimer(now)
	if left := l.server.moment(c.loop.wheel.At(c)) - now; left > 2*time.Second+l.server.tickLength {
		t.Errorf("it is looked at after %s", left)
	}
}

// flood has client send a frame until it is closed for it.
func (r *rig) flood(t *testing.T, client *raw, frame []byte) {
	t.Helper()
	before := r.server.Stats().Ended["message_rate"]
	go func() {
		for {
			if _, err := client.Write(frame); err != nil {
				return
			}
		}
	}()
	opcode, payload := client.readNoPong(t)
	if opcode != 0x88 || string(payload[:2]) != "\x03\xf0" {
		t.Fatalf("got %x % x, want a close frame with 1008", opcode, payload)
	}
	eventually(t, "counted", func() bool { return r.server.Stats().Ended["message_rate"] > before })
}

// readNoPong reads one frame that answers no ping.
func (c *raw) readNoPong(t *testing.T) (opcode byte, payload []byte) {
	t.Helper()
	for {
		if opcode, payload = c.readFrame(t); opcode != 0x8a && string(payload) != textPong {
			return opcode, payload
		}
	}
}
