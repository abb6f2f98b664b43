package netpoll

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"roost/hub"
)

// The kernel takes any number of bytes of what gather returns. Whatever it
// takes, the stream must be the pieces in their order, pongs between whole
// frames only, and the counts must be those of the frames that left whole, and
// the memory that of those that wait. What was dropped is not in the stream.
func TestOutQueueAgainstStream(t *testing.T) {
	t.Parallel()
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 1))
		var q outQueue
		var memory queueMemory
		var stream []byte
		scratch := make([]byte, 64)
		pushed, sent, countedFrom := 0, 0, rng.IntN(300)
		for i := range 300 {
			if i == countedFrom {
				q.count(&memory)
			}
			switch rng.IntN(9) {
			case 0, 1:
				frame := fmt.Appendf(nil, "<%d%s>", pushed, bytes.Repeat([]byte("."), rng.IntN(100)))
				q.push(&hub.Notification{Frame: frame})
				pushed++
			case 2:
				q.pong = append(q.pong[:0], "(pong)"...)
			case 3:
				q.ping = []byte("(ping)")
			case 4:
				q.textPong = []byte("(text)")
			case 5:
				if n := q.dropNewest(); n != nil {
					pushed-- // the next has its number
					if !bytes.HasPrefix(append(n.Frame[:len(n.Frame)-1:len(n.Frame)-1], '.'), fmt.Appendf(nil, "<%d.", pushed)) {
						t.Fatalf("seed %d: dropped %q, want number %d", seed, n.Frame, pushed)
					}
				}
			default:
				if q.empty() {
					continue
				}
				buf := q.gather(scratch)
				if len(buf) == 0 {
					t.Fatal("nothing gathered from a queue that is not empty")
				}
				n := 1 + rng.IntN(len(buf))
				stream = append(stream, buf[:n]...)
				sent += q.took(n)
			}
			if q.notifications() != pushed-sent {
				t.Fatalf("seed %d: %d wait, pushed %d, sent %d", seed, q.notifications(), pushed, sent)
			}
			checkMemory(t, &q, &memory)
		}
		q.closeMessage = []byte("[end]")
		for !q.empty() {
			buf := q.gather(scratch)
			n := 1 + rng.IntN(len(buf))
			stream = append(stream, buf[:n]...)
			sent += q.took(n)
		}
		checkStream(t, stream, pushed)
		if sent != pushed || q.bytes != 0 {
			t.Fatalf("seed %d: sent %d of %d, %d bytes left", seed, sent, pushed, q.bytes)
		}
		checkMemory(t, &q, &memory)
	}
}

// checkMemory compares what is counted with what waits, once it is counted.
func checkMemory(t *testing.T, q *outQueue, memory *queueMemory) {
	t.Helper()
	want := 0
	if q.partialOf != nil {
		want += len(q.partialOf.Frame) + notificationCost + placeCost
	}
	for _, n := range q.frames[q.head:] {
		want += len(n.Frame) + notificationCost + placeCost
	}
	if q.memory == nil {
		want = 0
	}
	if got := int(memory.bytes.Load()); got != want || q.memory != nil && got != q.cost() {
		t.Fatalf("%d bytes are counted, want %d", got, want)
	}
	if waiting := int(memory.places.Load()); q.memory != nil && waiting != q.notifications() {
		t.Fatalf("%d notifications are counted, want %d", waiting, q.notifications())
	}
}

// All of it is let go when the connection ends, wherever it stands.
func TestOutQueueDropAll(t *testing.T) {
	t.Parallel()
	for took := range 31 {
		var q outQueue
		var memory queueMemory
		for range 3 {
			q.push(&hub.Notification{Frame: make([]byte, 10)})
		}
		q.count(&memory)
		q.closeMessage = []byte("[end]")
		sent := q.took(took)
		if dropped := q.dropAll(); sent+dropped != 3 || !q.empty() || q.bytes != 0 {
			t.Errorf("took %d: %d sent, %d dropped, %d bytes left", took, sent, dropped, q.bytes)
		}
		if n := memory.bytes.Load() + memory.places.Load(); n != 0 {
			t.Errorf("took %d: %d is still counted", took, n)
		}
	}
}

// checkStream reads <0…>(pong)<1…>…[end].
func checkStream(t *testing.T, stream []byte, frames int) {
	t.Helper()
	next := 0
	for len(stream) > 0 {
		switch {
		case bytes.HasPrefix(stream, []byte("(pong)")), bytes.HasPrefix(stream, []byte("(ping)")), bytes.HasPrefix(stream, []byte("(text)")):
			stream = stream[len("(pong)"):]
		case bytes.Equal(stream, []byte("[end]")):
			stream = nil
		default:
			end := bytes.IndexByte(stream, '>')
			want := fmt.Appendf(nil, "<%d.", next)
			if end < 0 || !bytes.HasPrefix(append(stream[:end:end], '.'), want) {
				t.Fatalf("frame %d expected at %.40q", next, stream)
			}
			stream = stream[end+1:]
			next++
		}
	}
	if next != frames {
		t.Fatalf("%d frames in the stream, want %d", next, frames)
	}
}

func TestOutQueueGivesMemoryBack(t *testing.T) {
	t.Parallel()
	var q outQueue
	n := &hub.Notification{Frame: []byte("x")}
	for range 256 {
		q.push(n)
	}
	for !q.empty() {
		q.took(len(q.gather(make([]byte, 1024))))
	}
	q.reset()
	if cap(q.frames) > keptFrames {
		t.Errorf("an empty queue keeps room for %d frames, want %d at most", cap(q.frames), keptFrames)
	}
}

// A queue that is pushed to as it drains must not grow for ever.
func TestOutQueueReusesItsFront(t *testing.T) {
	t.Parallel()
	var q outQueue
	n := &hub.Notification{Frame: []byte("12345678")}
	for range 10 {
		q.push(n)
	}
	for range 10_000 {
		q.push(n)
		q.took(len(n.Frame))
	}
	if cap(q.frames) > 64 {
		t.Errorf("room for %d frames while 10 wait", cap(q.frames))
	}
	for !q.empty() {
		q.took(len(n.Frame))
	}
	q.reset()
	for _, kept := range q.frames[:cap(q.frames)] {
		if kept != nil {
			t.Fatal("an empty queue keeps a notification alive")
		}
	}
}
