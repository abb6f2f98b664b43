package netpoll

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

const (
	textPing      = `{"type":"ping"}`
	textPong      = `{"type":"pong"}`
	textPongFrame = 2 + len(textPong)
)

// wantText reads one text message.
func (c *raw) wantText(t testing.TB, what, want string) {
	t.Helper()
	if opcode, payload := c.readFrame(t); opcode != 0x81 || string(payload) != want {
		t.Fatalf("%s: got %x %q, want %q", what, opcode, payload, want)
	}
}

// Each ping in text has its answer, however it comes; nothing else has one.
func TestTextPing(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	client := r.upgrade("alice")
	stream := bytes.Join([][]byte{
		masked(0x81, textPing),
		masked(0x81, "{ \"type\": \"ping\" }\n"),
		masked(0x01, `{"ty`), masked(0x89, "between"), masked(0x00, ""), masked(0x80, `pe":"ping"}`),
		masked(0x82, textPing), masked(0x81, ""), masked(0x81, textPong), masked(0x81, `{"type":"ping","x":1}`),
		masked(0x02, `{"type":`), masked(0x80, `"ping"}`),
		masked(0x89, "end"),
	}, nil)
	answers := func(round string) {
		t.Helper()
		client.wantText(t, round+", exact", textPong)
		client.wantText(t, round+", with space", textPong)
		for _, want := range []string{"\x8abetween", "\x81" + textPong, "\x8aend"} {
			if opcode, payload := client.readFrame(t); opcode != want[0] || string(payload) != want[1:] {
				t.Fatalf("%s: got %x %q, want %q", round, opcode, payload, want)
			}
		}
	}
	if _, err := client.Write(stream); err != nil {
		t.Fatal(err)
	}
	answers("in one piece")
	for i := range stream {
		if _, err := client.Write(stream[i : i+1]); err != nil {
			t.Fatal(err)
		}
	}
	answers("byte by byte")
	if n := r.server.Stats().TextPongs; n != 6 {
		t.Errorf("%d answers are counted, want 6", n)
	}
}

// A client that reads nothing has one answer wait for it, however often it asks,
// and finds whole frames when it reads again.
func TestTextPingFloodWithoutReading(t *testing.T) {
	t.Parallel()
	inOneOfMany(t, "the client's kernel dropped what the server sent, in each attempt", floodsWithTextPings)
}

// floodsWithTextPings returns false if the server can't read all of the flood.
func floodsWithTextPings(t *testing.T) bool {
	r := start(t, nil)
	client := r.upgrade("alice")
	times := client.flood(r, bytes.Repeat(masked(0x81, textPing), 500))
	if times == 0 {
		return false
	}
	eventually(t, "all is counted", func() bool { return r.server.Stats().ClientMessages == 500*times })
	if waiting := r.waitingControl(); waiting > 2*textPongFrame {
		t.Errorf("%d bytes of answers wait, want two answers at most", waiting)
	}
	answered := r.server.Stats().TextPongs
	for range answered {
		client.wantText(t, "after the flood", textPong)
	}
	eventually(t, "all is written", func() bool { return r.server.Stats().Stalled == 0 })
	r.deliver("alice", `{"type":"n"}`)
	if _, payload := client.readFrame(t); !bytes.HasPrefix(payload, []byte(`{"type":"n"`)) {
		t.Errorf("%d answers are counted, but another came: %q", answered, payload)
	}
	return true
}

// waitingControl returns how many bytes of answers wait for the connections.
func (r *rig) waitingControl() (sum int) {
	counted := make(chan int)
	for _, l := range r.server.loops {
		l.do(func() {
			n := 0
			l.wheel.Each(func(c *conn) {
				if c.out != nil {
					n += c.out.ControlBytes()
				}
			})
			counted <- n
		})
		sum += <-counted
	}
	return sum
}

// The answer goes between two notifications, not into one that is partly written,
// and ahead of those that wait.
func TestTextPingWhileStalled(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	client := r.upgrade("alice")
	padding := strings.Repeat("x", 40_000)
	sent := 0
	eventually(t, "the connection stalls", func() bool {
		r.deliverThrough("alice", fmt.Sprintf(`{"type":"n%d.","payload":"%s"}`, sent, padding))
		sent++
		return r.server.Stats().Stalled == 1
	})
	for range 20 { // most of these wait as a whole
		r.deliver("alice", fmt.Sprintf(`{"type":"n%d.","payload":"%s"}`, sent, padding))
		sent++
	}
	before := r.server.Stats().ClientMessages
	for range 10 {
		if _, err := client.Write(masked(0x81, textPing)); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the pings are read", func() bool { return r.server.Stats().ClientMessages == before+10 })
	pongAt := -1
	for next := 0; next < sent; {
		opcode, payload := client.readFrame(t)
		switch want := fmt.Sprintf(`{"type":"n%d.",`, next); {
		case opcode == 0x81 && string(payload) == textPong && pongAt < 0:
			pongAt = next
		case opcode != 0x81 || !strings.HasPrefix(string(payload), want):
			t.Fatalf("notification %d of %d: got %x %.60q", next, sent, opcode, payload)
		default:
			next++
		}
	}
	if pongAt < 0 || pongAt > sent-10 {
		t.Errorf("the answer came before notification %d of %d, want it ahead of those that waited", pongAt, sent)
	}
	if n := r.server.Stats().TextPongs; n != 1 {
		t.Errorf("%d answers are counted, want one for all", n)
	}
	r.balanced()
}
