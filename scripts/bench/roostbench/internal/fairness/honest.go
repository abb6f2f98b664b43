package fairness

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// How often honest clients come, and each of the ports is asked.
const (
	newClientEvery = 40 * time.Millisecond
	newClientStays = 500 * time.Millisecond
	healthEvery    = 200 * time.Millisecond
	metricsEvery   = 500 * time.Millisecond
	memoryEvery    = 200 * time.Millisecond
)

// honest is those who are watched while harm is done.
type honest struct {
	cfg    Config
	ctx    context.Context // ends when no more may ask
	cancel context.CancelFunc
	done   sync.WaitGroup

	newClients, health, metrics tally

	memory float64 // the most; read after finish
}

// tally counts the askers of one kind.
type tally struct {
	mu    sync.Mutex
	tried int             // guarded by mu
	took  []time.Duration // of those served; guarded by mu
	why   string          // guarded by mu
}

func (t *tally) add(took time.Duration, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.tried++
	if err == nil {
		t.took = append(t.took, took)
	} else if t.why == "" {
		t.why = err.Error()
	}
}

func (t *tally) share() Share {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := Share{Tried: t.tried, Served: len(t.took), Why: t.why}
	if len(t.took) > 0 {
		slices.Sort(t.took)
		s.P99 = t.took[(len(t.took)*99-1)/100]
	}
	return s
}

// watch begins to have honest clients ask.
func (cfg Config) watch(ctx context.Context) *honest {
	h := &honest{cfg: cfg}
	h.ctx, h.cancel = context.WithCancel(ctx)
	h.every(newClientEvery, func(n int) { h.newClients.time(func() error { return h.connect(ctx, n) }) })
	health := "http://" + cfg.Target.Host() + "/health"
	if cfg.AdminAlone {
		health = "http://" + cfg.Admin + "/health"
	}
	client := &http.Client{Timeout: cfg.Target.Patience, Transport: &http.Transport{DisableKeepAlives: true}}
	h.every(healthEvery, func(int) { h.health.time(func() error { return get(ctx, client, health) }) })
	if cfg.Admin != "" {
		h.every(metricsEvery, func(int) {
			h.metrics.time(func() error { return get(ctx, client, "http://"+cfg.Admin+"/metrics?format=prometheus") })
		})
	}
	h.done.Go(func() {
		for h.ctx.Err() == nil {
			h.memory = max(h.memory, cfg.anon())
			sleep(h.ctx, memoryEvery)
		}
	})
	return h
}

// every has somebody do something again and again, each in a goroutine of its own.
func (h *honest) every(pause time.Duration, do func(n int)) {
	h.done.Go(func() {
		turn := time.NewTicker(pause)
		defer turn.Stop()
		for n := 0; ; n++ {
			h.done.Go(func() { do(n) })
			select {
			case <-turn.C:
			case <-h.ctx.Done():
				return
			}
		}
	})
}

// finish waits until all who have asked are served, or not.
func (h *honest) finish() {
	h.cancel()
	h.done.Wait()
}

// time counts one asker.
func (t *tally) time(ask func() error) {
	began := time.Now()
	err := ask()
	t.add(time.Since(began), err)
}

// newClientAddresses is how many addresses new clients have, 127.0.2.1 and on.
const newClientAddresses = 50

// connect is a new client, which stays for a moment after it was served.
func (h *honest) connect(ctx context.Context, n int) error {
	target := h.cfg.Target
	target.Source = netip.AddrFrom4([4]byte{127, 0, 2, byte(1 + n%newClientAddresses)})
	if h.cfg.Keys != nil && n%2 == 1 {
		target.Sign = h.cfg.Keys.Good
	}
	conn, err := target.Open(ctx, fmt.Sprintf("new-client-%d", n), 0)
	if err != nil {
		return err
	}
	h.done.Go(func() {
		sleep(h.ctx, newClientStays)
		_ = conn.SetLinger(0) // so that no port rests for a minute
		_ = conn.Close()
	})
	return nil
}

// get checks that the answer is 200.
func get(ctx context.Context, client *http.Client, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	answer, err := client.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", url, answer.Status)
	}
	_, err = io.Copy(io.Discard, answer.Body)
	return err
}
