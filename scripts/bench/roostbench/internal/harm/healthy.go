package harm

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"roost/bench/roostbench/internal/raw"
	"roost/bench/roostbench/internal/wire"
)

const (
	// onlookers is how many healthy connections there are, each of its own user.
	onlookers = 40
	// pingEvery is how often each pings: a server that limits its clients' pace
	// has no reason to mind.
	pingEvery = 200 * time.Millisecond
)

// Latency is how healthy connections fared for a while.
type Latency struct {
	Pongs int           `json:"pongs"`
	P99   time.Duration `json:"p99"` // ns
	Max   time.Duration `json:"max"` // ns
	Lost  int           `json:"lost"`
}

// never stands for the next pong of a connection that was lost.
var never = time.Unix(1<<40, 0)

// pong is one that came.
type pong struct {
	at   time.Time
	took time.Duration
}

// loss is a connection that ended.
type loss struct {
	at  time.Time
	why error
}

// healthy is connections that do nothing wrong.
type healthy struct {
	cancel context.CancelFunc
	done   sync.WaitGroup

	mu    sync.Mutex
	pongs []pong               // guarded by mu
	last  [onlookers]time.Time // when each had a pong, or never; guarded by mu
	lost  []loss               // guarded by mu
}

// watch opens the connections and has them ping until stop.
func watch(ctx context.Context, target raw.Target) (*healthy, error) {
	ctx, cancel := context.WithCancel(ctx)
	h := &healthy{cancel: cancel}
	for i := range onlookers {
		conn, err := target.Open(ctx, fmt.Sprintf("healthy-%d", i), 0)
		if err != nil {
			h.stop()
			return nil, err
		}
		h.done.Go(func() {
			defer conn.Close()
			first := time.After(time.Duration(i) * pingEvery / onlookers)
			if err := h.ping(ctx, i, conn, target.Patience, first); err != nil && ctx.Err() == nil {
				h.mu.Lock()
				h.lost = append(h.lost, loss{time.Now(), err})
				h.last[i] = never
				h.mu.Unlock()
			}
		})
	}
	return h, nil
}

// ping pings and waits for each pong, until ctx ends.
func (h *healthy) ping(ctx context.Context, i int, conn *raw.Conn, patience time.Duration, first <-chan time.Time) error {
	select {
	case <-first:
	case <-ctx.Done():
		return nil
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Now()) })
	defer stop()
	turn := time.NewTicker(pingEvery)
	defer turn.Stop()
	for n := 0; ; n++ {
		sent := time.Now()
		if err := exchange(conn, strconv.Itoa(n), patience); err != nil {
			return err
		}
		now := time.Now()
		h.mu.Lock()
		h.pongs = append(h.pongs, pong{now, now.Sub(sent)})
		h.last[i] = now
		h.mu.Unlock()
		select {
		case <-turn.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// exchange sends a ping and waits for its pong. It answers the server's pings.
func exchange(conn *raw.Conn, payload string, patience time.Duration) error {
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	if _, err := conn.Write(wire.AppendFrame(nil, wire.Ping, []byte(payload), mask)); err != nil {
		return fmt.Errorf("pinging: %w", err)
	}
	return conn.AwaitPong([]byte(payload))
}

// awaitPongs waits until every connection that is left has had one more pong: those
// that wait when harm ends have to count. It takes little more than patience.
func (h *healthy) awaitPongs(ctx context.Context, patience time.Duration) {
	now := time.Now()
	ctx, cancel := context.WithTimeout(ctx, patience+2*pingEvery)
	defer cancel()
	turn := time.NewTicker(pingEvery / 20)
	defer turn.Stop()
	for !h.allSince(now) {
		select {
		case <-turn.C:
		case <-ctx.Done():
			return
		}
	}
}

func (h *healthy) allSince(then time.Time) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return !slices.ContainsFunc(h.last[:], func(last time.Time) bool { return last.Before(then) })
}

// since says how they have fared since then.
func (h *healthy) since(then time.Time) Latency {
	h.mu.Lock()
	defer h.mu.Unlock()
	var took []time.Duration
	for _, p := range h.pongs {
		if p.at.After(then) {
			took = append(took, p.took)
		}
	}
	l := Latency{Pongs: len(took), Lost: len(h.lostSince(then))}
	if len(took) > 0 {
		slices.Sort(took)
		l.P99, l.Max = took[len(took)*99/100], took[len(took)-1]
	}
	return l
}

// lostSince is called with mu held.
func (h *healthy) lostSince(then time.Time) []loss {
	return slices.DeleteFunc(slices.Clone(h.lost), func(l loss) bool { return l.at.Before(then) })
}

// why says how the first was lost since then.
func (h *healthy) why(then time.Time) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.lostSince(then)[0].why
}

// stop ends them. It returns when all have.
func (h *healthy) stop() {
	h.cancel()
	h.done.Wait()
}
