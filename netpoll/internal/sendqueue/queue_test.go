package sendqueue

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"roost/hub"
)

// The kernel takes any number of bytes of what gather returns. Whatever it takes, the stream must be the pieces in
// their order, pongs between whole frames only, and the counts must be those of the frames that left whole, and the
// memory that of those that wait. Dropped notifications are not in the stream.
func TestQueueAgainstStream(t *testing.T) {
	t.Parallel()
	for seed := range uint64(400) {
		rng := rand.New(rand.NewPCG(seed, 1))
		takes := took
		if seed%2 == 1 {
			takes = tookSealed
		}
		var q Queue
		var memory Memory
		var stream []byte
		scratch := make([]byte, 64)
		pushed, sent, countedFrom := 0, 0, rng.IntN(300)
		for i := range 300 {
			if i == countedFrom {
				q.CountIn(&memory)
			}
			switch rng.IntN(9) {
			case 0, 1:
				frame := fmt.Appendf(nil, "<%d%s>", pushed, bytes.Repeat([]byte("."), rng.IntN(100)))
				q.Push(&hub.Notification{Frame: frame})
				pushed++
			case 2:
				q.Pong = append(q.Pong[:0], "(pong)"...)
			case 3:
				q.Ping = []byte("(ping)")
			case 4:
				q.TextPong = []byte("(text)")
			case 5:
				if n := q.DropNewest(); n != nil {
					pushed-- // the next has its number
					if !bytes.HasPrefix(append(n.Frame[:len(n.Frame)-1:len(n.Frame)-1], '.'), fmt.Appendf(nil, "<%d.", pushed)) {
						t.Fatalf("seed %d: dropped %q, want number %d", seed, n.Frame, pushed)
					}
				}
			default:
				if q.Empty() {
					continue
				}
				stream, sent = takes(t, &q, rng, scratch, stream, sent)
			}
			if q.Len() != pushed-sent {
				t.Fatalf("seed %d: %d wait, pushed %d, sent %d", seed, q.Len(), pushed, sent)
			}
			checkMemory(t, &q, &memory)
		}
		q.CloseMessage = []byte("[end]")
		for !q.Empty() {
			stream, sent = takes(t, &q, rng, scratch, stream, sent)
		}
		checkStream(t, stream, pushed)
		if sent != pushed || q.bytes != 0 {
			t.Fatalf("seed %d: sent %d of %d, %d bytes left", seed, sent, pushed, q.bytes)
		}
		checkMemory(t, &q, &memory)
	}
}

// took has the kernel take a part of what is gathered.
func took(t *testing.T, q *Queue, rng *rand.Rand, scratch, stream []byte, sent int) ([]byte, int) {
	t.Helper()
	buf := q.Gather(scratch)
	if len(buf) == 0 {
		t.Fatal("nothing gathered from a queue that is not empty")
	}
	n := 1 + rng.IntN(len(buf))
	return append(stream, buf[:n]...), sent + q.Took(n)
}

// tookSealed does so for bytes that are sealed first, here as they are: all or the first of them, and the rest later.
func tookSealed(t *testing.T, q *Queue, rng *rand.Rand, scratch, stream []byte, sent int) ([]byte, int) {
	t.Helper()
	if sealed := q.Sealed(); sealed != nil {
		n := 1 + rng.IntN(len(sealed))
		return append(stream, sealed[:n]...), sent + q.TookSealed(n)
	}
	buf := q.Gather(scratch)
	buf = buf[:1+rng.IntN(len(buf))] // a record carries so much
	n := rng.IntN(len(buf) + 1)
	stream = append(stream, buf[:n]...)
	if n == len(buf) {
		return stream, sent + q.TookWhole(n)
	}
	before := q.Len()
	q.AppendSealed(buf[n:], len(buf))
	if q.Len() != before {
		t.Fatalf("%d wait when a record is sealed, %d before", q.Len(), before)
	}
	return stream, sent
}

// checkMemory compares what is counted with what waits, once it is counted.
func checkMemory(t *testing.T, q *Queue, memory *Memory) {
	t.Helper()
	want := len(q.sealed.rest)
	for _, n := range q.sealed.of {
		want += cap(n.Frame) + NotificationCost + PlaceCost
	}
	if q.partialOf != nil {
		want += cap(q.partialOf.Frame) + NotificationCost + PlaceCost
	}
	for _, n := range q.frames[q.head:] {
		want += cap(n.Frame) + NotificationCost + PlaceCost
	}
	if q.memory == nil {
		want = 0
	}
	if got := int(memory.bytes.Load()); got != want || q.memory != nil && got != q.Cost() {
		t.Fatalf("%d bytes are counted, want %d", got, want)
	}
	if waiting := int(memory.places.Load()); q.memory != nil && waiting != q.Len() {
		t.Fatalf("%d notifications are counted, want %d", waiting, q.Len())
	}
}

// All of it is let go when the connection ends, wherever it stands.
func TestQueueDropAll(t *testing.T) {
	t.Parallel()
	for took := range 62 {
		var q Queue
		var memory Memory
		for range 3 {
			q.Push(&hub.Notification{Frame: make([]byte, 10)})
		}
		q.CountIn(&memory)
		q.CloseMessage = []byte("[end]")
		sent := 0
		if took <= 30 {
			sent = q.Took(took)
		} else {
			q.AppendSealed([]byte("sealed"), took-31)
		}
		if dropped := q.DropAll("closed"); sent+dropped != 3 || !q.Empty() || q.bytes != 0 {
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

func TestQueueGivesMemoryBack(t *testing.T) {
	t.Parallel()
	var q Queue
	n := &hub.Notification{Frame: []byte("x")}
	for range 256 {
		q.Push(n)
	}
	for !q.Empty() {
		q.Took(len(q.Gather(make([]byte, 1024))))
	}
	q.Reset()
	if cap(q.frames) > keptFrames {
		t.Errorf("an empty queue keeps room for %d frames, want %d at most", cap(q.frames), keptFrames)
	}
}

// A queue that is pushed to as it drains must not grow for ever.
func TestQueueReusesItsFront(t *testing.T) {
	t.Parallel()
	var q Queue
	n := &hub.Notification{Frame: []byte("12345678")}
	for range 10 {
		q.Push(n)
	}
	for range 10_000 {
		q.Push(n)
		q.Took(len(n.Frame))
	}
	if cap(q.frames) > 64 {
		t.Errorf("room for %d frames while 10 wait", cap(q.frames))
	}
	for !q.Empty() {
		q.Took(len(n.Frame))
	}
	q.Reset()
	for _, kept := range q.frames[:cap(q.frames)] {
		if kept != nil {
			t.Fatal("an empty queue keeps a notification alive")
		}
	}
}
