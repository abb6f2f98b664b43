package redisfeed

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"roost/redisfeed/redistest"
)

// traffic publishes numbered notifications for many users while things happen to Redis, and then says what came late,
// twice or never.
type traffic struct {
	users   []string
	publish func(ctx context.Context, user, payload string) error
	stop    context.CancelFunc
	done    sync.WaitGroup
	pace    sync.RWMutex // held for writing: nobody publishes

	mu   sync.Mutex
	sent map[string][]sentAt     // by user, in the order of the numbers
	got  map[string][]receivedAt // likewise, as they came
	gaps []toldGap
}

type sentAt struct {
	begun, done time.Time
	ok          bool // Redis took it
}

type receivedAt struct {
	number int
	at     time.Time
}

type toldGap struct {
	user        string // "": everybody
	since, told time.Time
}

func newTraffic(users int) *traffic {
	tr := &traffic{sent: make(map[string][]sentAt), got: make(map[string][]receivedAt)}
	for i := range users {
		tr.users = append(tr.users, fmt.Sprint("user", i))
	}
	return tr
}

// watch has a feed's gaps noted.
func (tr *traffic) watch(cfg *Config) {
	cfg.Gap = func(since time.Time) { tr.gap("", since) }
	cfg.UserGap = tr.gap
}

func (tr *traffic) gap(user string, since time.Time) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.gaps = append(tr.gaps, toldGap{user, since, time.Now()})
}

// Deliver and the others implement Sink.
func (tr *traffic) Deliver(user, payload string) {
	number, err := strconv.Atoi(payload)
	if err != nil {
		return
	}
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.got[user] = append(tr.got[user], receivedAt{number, time.Now()})
}
func (*traffic) Flush()                      {}
func (*traffic) Control(_, _ string)         {}
func (*traffic) Broadcast(string)            {}
func (*traffic) DeliverGroup(string, string) {}

// begin publishes until end, each user's numbers one after the other. publish must not try again by itself.
func (tr *traffic) begin(publish func(ctx context.Context, user, payload string) error) {
	ctx, cancel := context.WithCancel(context.Background())
	tr.stop, tr.publish = cancel, publish
	const publishers = 4
	for i := range publishers {
		tr.done.Go(func() {
			for number := 0; ctx.Err() == nil; number++ {
				for u := i; u < len(tr.users) && ctx.Err() == nil; u += publishers {
					tr.one(tr.users[u], number)
					time.Sleep(200 * time.Microsecond) // a pace, and no wait for anything
				}
			}
		})
	}
}

func (tr *traffic) one(user string, number int) (ok bool) {
	tr.pace.RLock()
	defer tr.pace.RUnlock()
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	s := sentAt{begun: time.Now()}
	s.ok = tr.publish(ctx, user, strconv.Itoa(number)) == nil
	s.done = time.Now()
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.sent[user] = append(tr.sent[user], s)
	return s.ok
}

// hold has nothing published until goOn. Nothing is under way when it returns, as far as publishers know.
func (tr *traffic) hold() { tr.pace.Lock() }

// allCame reports whether everything has come that Redis took.
func (tr *traffic) allCame() bool {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	for user, sent := range tr.sent {
		came := make(map[int]bool)
		for _, got := range tr.got[user] {
			came[got.number] = true
		}
		for number, s := range sent {
			if s.ok && !came[number] {
				return false
			}
		}
	}
	return true
}

func (tr *traffic) goOn() { tr.pace.Unlock() }

// received is how many notifications came.
func (tr *traffic) received() int {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	n := 0
	for _, got := range tr.got {
		n += len(got)
	}
	return n
}

// waitForMore waits until so many more notifications have come.
func (tr *traffic) waitForMore(t *testing.T, more int) {
	t.Helper()
	want := tr.received() + more
	redistest.WaitFor(t, "more notifications", func() bool { return tr.received() >= want })
}

// end stops publishing, waits until the last for each user has come, and judges.
func (tr *traffic) end(t *testing.T) (result tally) {
	t.Helper()
	tr.stop()
	tr.done.Wait()
	for _, user := range tr.users {
		redistest.WaitFor(t, "one more notification for "+user, func() bool { return tr.lastComes(user) })
	}
	tr.mu.Lock()
	defer tr.mu.Unlock()
	for _, user := range tr.users {
		tr.judge(user, &result)
	}
	return result
}

// lastComes publishes one more for a user, and reports whether it came: the links are whole by now.
func (tr *traffic) lastComes(user string) bool {
	number := len(tr.sent[user])
	if !tr.one(user, number) {
		return false
	}
	for deadline := time.Now().Add(time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) { // the caller asks again where it did not come
		tr.mu.Lock()
		got := tr.got[user]
		came := len(got) > 0 && got[len(got)-1].number == number
		tr.mu.Unlock()
		if came {
			return true
		}
	}
	return false
}

// tally is what became of the notifications that Redis took.
type tally struct{ sent, came, late, reordered, twice, never, untold int }

// late is how long nothing takes unless it waited for something else: on a busy machine a second is soon over.
const late = redistest.Patience / 2

// judge looks at one user's.
func (tr *traffic) judge(user string, result *tally) {
	came := make(map[int]bool)
	last := -1
	for _, got := range tr.got[user] {
		if came[got.number] {
			result.twice++
			continue
		}
		came[got.number] = true
		if !tr.sent[user][got.number].ok {
			continue // Redis had it, and was not heard to say so: it may come whenever that goes on
		}
		if got.number < last {
			result.reordered++
		}
		last = got.number
		if got.at.Sub(tr.sent[user][got.number].done) > late {
			result.late++
		}
	}
	result.came += len(came)
	for number, s := range tr.sent[user] {
		if !s.ok {
			continue
		}
		result.sent++
		if came[number] {
			continue
		}
		result.never++
		if !tr.told(user, s) {
			result.untold++
		}
	}
}

// told reports whether a gap was told in which it was sent.
func (tr *traffic) told(user string, s sentAt) bool {
	for _, g := range tr.gaps {
		if (g.user == "" || g.user == user) && s.done.After(g.since) && s.begun.Before(g.told) {
			return true
		}
	}
	return false
}
