package webhook

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

// The queue beside a plain slice of all events, through random steps: order, bounds, and how many were dropped.
func TestQueueModel(t *testing.T) {
	t.Parallel()
	const seed = 1
	random := rand.New(rand.NewPCG(seed, seed))
	q := queue{limit: 64 << 10}
	var model []string  // those that wait, with those of the batch first
	var numbers []int64 // theirs
	inBatch := 0
	dropped, modelDropped, next := 0, 0, 0
	for step := range 20_000 {
		switch random.IntN(600) {
		default:
			event := fmt.Sprintf(`{"user":%q}`, fmt.Sprint(next, strings.Repeat("x", random.IntN(300))))
			next++
			model, numbers = append(model, event), append(numbers, int64(next))
			dropped += q.push([]byte(event))
		case 0, 1, 2:
			if b := q.next(); b != nil {
				inBatch = b.events
				if got, want := string(b.body), "["+strings.Join(model[:inBatch], ",")+"]"; got != want {
					t.Fatalf("step %d: the batch is %.100q, want %.100q", step, got, want)
				}
			}
		case 3, 4:
			if q.batch != nil {
				q.done()
				model, numbers, inBatch = model[inBatch:], numbers[inBatch:], 0
			}
		}
		for len(model) > q.len() { // the oldest behind the batch are gone
			model, numbers = slices.Delete(model, inBatch, inBatch+1), slices.Delete(numbers, inBatch, inBatch+1)
			modelDropped++
		}
		settled := int64(next)
		if len(numbers) > 0 {
			settled = numbers[0] - 1
		}
		if q.pushed != int64(next) || q.settled() != settled {
			t.Fatalf("step %d: %d of %d are settled, want %d of %d", step, q.settled(), q.pushed, settled, next)
		}
		bytes := 0
		for _, event := range model {
			bytes += len(event) + eventOverhead
		}
		if dropped != modelDropped || q.len() != len(model) || q.bytes != bytes || q.bytes > q.limit {
			t.Fatalf("step %d: %d dropped, %d wait with %d bytes of %d; want %d, %d, %d", step, dropped, q.len(), q.bytes, q.limit, modelDropped, len(model), bytes)
		}
	}
	if dropped == 0 || next < 1000 {
		t.Errorf("%d of %d were dropped: the test does not reach the bound", dropped, next)
	}
}

// A batch is bounded in events and in bytes; one long event has a batch of its own.
func TestBatchBounds(t *testing.T) {
	t.Parallel()
	q := queue{limit: 16 << 20}
	for range maxBatch + 1 {
		q.push([]byte("1"))
	}
	q.push([]byte(strings.Repeat("2", maxBody+1)))
	for range 3 {
		q.push([]byte(strings.Repeat("3", maxBody/2-10)))
	}
	var got []string
	for b := q.next(); b != nil; b = q.next() {
		if again := q.next(); again != b {
			t.Fatal("another batch while one is under way")
		}
		got = append(got, fmt.Sprintf("%d of %c", b.events, b.body[1]))
		q.done()
	}
	if want := []string{"1000 of 1", "1 of 1", "1 of 2", "2 of 3", "1 of 3"}; !slices.Equal(got, want) {
		t.Errorf("batches %q, want %q", got, want)
	}
	if q.bytes != 0 || q.len() != 0 {
		t.Errorf("%d bytes, %d events are left", q.bytes, q.len())
	}
}

// Text of a token or a user id can't break out of its string, and stays as it was.
func TestEncodeEscapes(t *testing.T) {
	t.Parallel()
	for _, user := range []string{"alice", `","type":"user.offline`, "<script>", "żółw/ \u2028", `\`} {
		body := "[" + string(Event{User: user, At: time.UnixMicro(1_700_000_000_000_001)}.encode()) + "]"
		if got := usersOf(t, body); !slices.Equal(got, []string{user}) {
			t.Errorf("%q became %q", user, got)
		}
		if !strings.Contains(body, `"type":"user.offline","timestamp":"2023-11-14T22:13:20.000001Z"`) {
			t.Errorf("%s", body)
		}
	}
}
