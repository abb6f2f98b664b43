package netpoll

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
	"time"
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

// Fragments without a byte in them are no message and cost time all the same.
func TestMessageRateCountsReads(t *testing.T) {
	t.Parallel()
	r := start(t, func(c *Config) { c.MessageRate = 5 })
	client := r.upgrade("alice")
	if _, err := client.Write(masked(0x01, "")); err != nil {
		t.Fatal(err)
	}
	r.flood(t, client, masked(0x00, ""))
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

// Clients that only answer pings are not remembered for it.
func TestQuietClientsAreNoTalkers(t *testing.T) {
	t.Parallel()
	t1 := new(talkers)
	c := new(conn)
	for i := range 20 {
		if !t1.charge(c, 1, 5, 20) {
			t.Fatalf("thing %d of a burst of 20 is too much", i)
		}
	}
	if t1.charge(c, 1, 5, 20) {
		t.Error("the burst has no end")
	}
	if t1.quiet(c, 1); len(t1.whole) != 1 {
		t.Error("a busy client was forgotten")
	}
	if t1.quiet(c, 1<<40); len(t1.whole) != 0 {
		t.Error("a client that fell silent is remembered")
	}
	if !t1.charge(c, 1<<40, 5, 20) {
		t.Error("after a silence the burst is not allowed again")
	}
}

// After a flood the room for all who took part in it goes; those who still talk
// keep what they have used up.
func TestTalkersGiveMemoryBack(t *testing.T) {
	t.Parallel()
	const burst = 20
	var all talkers
	crowd := make([]conn, 10_000)
	for i := range crowd {
		all.charge(&crowd[i], 1, 5, burst)
	}
	stays := &crowd[0]
	for range burst - 1 {
		all.charge(stays, 1, 5, burst)
	}
	large := reflect.ValueOf(all.whole).Pointer()
	for i := range crowd[1:] {
		all.forget(&crowd[1+i])
	}
	if reflect.ValueOf(all.whole).Pointer() == large || all.most > keptTalkers || len(all.whole) != 1 {
		t.Errorf("of %d talkers %d are left, in room for %d", len(crowd), len(all.whole), all.most)
	}
	if all.charge(stays, 1, 5, burst) {
		t.Error("who talked all the time has a new allowance")
	}
	all.quiet(stays, time.Hour)
	if len(all.whole) != 0 {
		t.Error("the last one is remembered")
	}
}
