package fairness

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"roost/bench/roostbench/internal/raw"
)

// attack is one case going on. Any goroutine may use it.
type attack struct {
	Config

	mu     sync.Mutex
	counts map[string]int // of what was done; guarded by mu
	wrong  string         // guarded by mu
}

func newAttack(cfg Config) *attack { return &attack{Config: cfg, counts: map[string]int{}} }

func (a *attack) count(what string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.counts[what]++
}

// blame notes that the server did wrong by somebody honest who takes part in the case.
func (a *attack) blame(format string, args ...any) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.wrong == "" {
		a.wrong = fmt.Sprintf(format, args...)
	}
}

func (a *attack) wronged() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.wrong
}

// did says what was done, the most frequent first.
func (a *attack) did() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	var names []string
	for name := range a.counts {
		names = append(names, name)
	}
	slices.SortFunc(names, func(x, y string) int {
		if d := a.counts[y] - a.counts[x]; d != 0 {
			return d
		}
		return strings.Compare(x, y)
	})
	for i, name := range names {
		names[i] = fmt.Sprintf("%d %s", a.counts[name], name)
	}
	return strings.Join(names, ", ")
}

// addresses is how many addresses harm comes from, 127.0.1.1 and on.
const addresses = 8

// from is the target as client number n reaches it.
func (a *attack) from(n int) raw.Target {
	t := a.Target
	t.Source = netip.AddrFrom4([4]byte{127, 0, 1, byte(1 + n%addresses)})
	return t
}

// paced does something so many times a second until ctx ends, by workers at the same time. Work that the workers don't
// manage in time is not made up for: honest clients share the machine.
func (a *attack) paced(ctx context.Context, perSecond, workers int, do func(n int)) {
	work := make(chan int)
	var all sync.WaitGroup
	for range workers {
		all.Go(func() {
			for n := range work {
				do(n)
			}
		})
	}
	const step = 5 * time.Millisecond
	turn := time.NewTicker(step)
	defer turn.Stop()
	for n := 0; ctx.Err() == nil; {
		for range max(perSecond*int(step)/int(time.Second), 1) {
			select {
			case work <- n:
				n++
			default:
			}
		}
		select {
		case <-turn.C:
		case <-ctx.Done():
		}
	}
	close(work)
	all.Wait()
}

// pauseBetween is how long somebody waits whose connection was closed before the next.
const pauseBetween = 50 * time.Millisecond

// hold keeps n connections until ctx ends: open makes one, says what it has to, and counts it. Where the server closes
// it there is another one.
func (a *attack) hold(ctx context.Context, n int, open func(i int) (io.ReadCloser, error)) {
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			for ctx.Err() == nil {
				conn, err := open(i)
				if err != nil {
					a.count("refused")
					sleep(ctx, pauseBetween)
					continue
				}
				stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
				_, _ = io.Copy(io.Discard, conn)
				stop()
				_ = conn.Close()
				sleep(ctx, pauseBetween)
			}
		})
	}
	all.Wait()
}

// socket dials as client number n and sends text. Closing it leaves no port at rest.
func (a *attack) socket(ctx context.Context, n int, text string) (io.ReadCloser, error) {
	conn, err := a.from(n).Dial(ctx, 0)
	if err != nil {
		return nil, err
	}
	_ = conn.SetLinger(0)
	_ = conn.SetDeadline(time.Now().Add(a.Target.Patience))
	if _, err := io.WriteString(conn, text); err != nil {
		_ = conn.Close()
		return nil, err
	}
	_ = conn.SetDeadline(time.Time{})
	return conn, nil
}

// ask sends a request and reads the beginning of the answer.
func (a *attack) ask(ctx context.Context, n int, text string) (io.ReadCloser, string) {
	conn, err := a.socket(ctx, n, text)
	if err != nil {
		return nil, ""
	}
	var b [64]byte
	k, _ := io.ReadAtLeast(conn, b[:], len("HTTP/1.1 400"))
	if k < len("HTTP/1.1 400") {
		return conn, ""
	}
	return conn, string(b[9:12])
}
