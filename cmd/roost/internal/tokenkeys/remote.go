package tokenkeys

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"roost/wsproto/auth"
)

// Config says where the keys are. Only URL and Use are required.
type Config struct {
	URL        string        // of the JWKS; see CheckURL
	Refresh    time.Duration // from one fetch to the next; 15 min
	Algorithms []string      // that tokens may be signed with; auth.DefaultAlgorithms
	Logger     *slog.Logger  // nil: nowhere

	// Use is called with what was fetched, and with the keys that can't be used, on the goroutine of Fetch or Run.
	Use func(keys []auth.PublicKey, leftOut []auth.LeftOut) error

	Timeout    time.Duration // of a fetch; 10 s
	RetryAfter time.Duration // from a failed fetch to the next, doubled with each up to a minute; 1 s
	// UnknownEvery is how often, at most, a fetch is made because tokens name unknown keys; 1 min. A fetch that was due
	// anyway doesn't count.
	UnknownEvery time.Duration
}

// longestRetry bounds how long a failed fetch is waited after.
const longestRetry = time.Minute

// Remote keeps the keys of a JWKS. Make it with NewRemote, call Fetch once, then Run.
type Remote struct {
	cfg     Config // static
	log     *slog.Logger
	client  *http.Client
	unknown *unknowns     // any goroutine
	wake    chan struct{} // a token: when to fetch next has changed

	keys     []auth.PublicKey // of the goroutine of Fetch and Run, as the next two
	leftOut  []auth.LeftOut
	failures int // in a row

	count atomic.Int64 // of keys in use
	left  atomic.Int64 // of keys that were left out
	asked atomic.Bool  // a fetch was asked for by FetchSoon
	retry atomic.Int64 // Unix nanoseconds of the next try; 0: the last fetch did not fail
	stats struct{ ok, failed atomic.Uint64 }
}

// NewRemote makes a Remote without any key.
func NewRemote(cfg Config) *Remote {
	fill := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	fill(&cfg.Refresh, 15*time.Minute)
	fill(&cfg.Timeout, 10*time.Second)
	fill(&cfg.RetryAfter, time.Second)
	fill(&cfg.UnknownEvery, time.Minute)
	if len(cfg.Algorithms) == 0 {
		cfg.Algorithms = auth.DefaultAlgorithms()
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	r := &Remote{
		cfg: cfg, log: cfg.Logger, client: newClient(cfg.Timeout),
		unknown: newUnknowns(cfg.UnknownEvery), wake: make(chan struct{}, 1),
	}
	r.retry.Store(time.Now().UnixNano()) // the first is about to be made
	return r
}

// Run fetches the keys every Refresh, and sooner when a fetch failed or Unknown or FetchSoon asks for it, until ctx ends.
func (r *Remote) Run(ctx context.Context) error {
	next := time.Now().Add(r.wait())
	for {
		at := next
		if due := r.unknown.due(); !due.IsZero() && due.Before(at) {
			at = due
		}
		if r.asked.Load() {
			at = time.Time{}
		}
		timer := time.NewTimer(time.Until(at))
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-r.wake:
			timer.Stop()
			continue
		case <-timer.C:
		}
		r.Fetch(ctx)
		next = time.Now().Add(r.wait())
	}
}

// wait returns how long the keys are good for, or a failed fetch is waited after.
func (r *Remote) wait() time.Duration {
	if r.failures == 0 {
		return r.cfg.Refresh
	}
	return min(r.cfg.Refresh, longestRetry, r.cfg.RetryAfter<<min(r.failures-1, 10))
}

// Fetch fetches the keys once; it may take Config.Timeout. A fetch that fails leaves the keys as they were, is
// counted, logged, and made again by Run. Not together with Run.
func (r *Remote) Fetch(ctx context.Context) {
	r.asked.Store(false)
	r.unknown.begin(time.Now())
	keys, leftOut, err := r.get(ctx)
	if err == nil {
		err = r.cfg.Use(keys, leftOut)
	}
	r.unknown.end(err == nil)
	if err != nil {
		if !errors.Is(ctx.Err(), context.Canceled) {
			r.fail(err)
		}
		return
	}
	r.stats.ok.Add(1)
	r.count.Store(int64(len(keys)))
	r.left.Store(int64(len(leftOut)))
	r.tell(keys, leftOut)
	r.keys, r.leftOut, r.failures = keys, leftOut, 0
	r.retry.Store(0)
}

func (r *Remote) fail(err error) {
	r.failures++
	r.stats.failed.Add(1)
	r.retry.Store(time.Now().Add(r.wait()).UnixNano())
	level, text := slog.LevelWarn, "the JWKS could not be fetched; the keys stay as they were"
	if len(r.keys) == 0 {
		level, text = slog.LevelError, "the JWKS could not be fetched, and there is no key from it: its tokens are refused"
	}
	r.log.Log(context.Background(), level, text, "error", err, "failures", r.failures, "next_in", r.wait())
}

// tell logs what is new.
func (r *Remote) tell(keys []auth.PublicKey, leftOut []auth.LeftOut) {
	first := r.stats.ok.Load() == 1
	if !first && r.failures == 0 && slices.EqualFunc(r.keys, keys, auth.PublicKey.Equal) && slices.Equal(r.leftOut, leftOut) {
		return
	}
	var names []string
	for _, k := range keys {
		names = append(names, strings.Join(k.Algorithms(), "/")+" "+k.ID())
	}
	level, text := slog.LevelInfo, "the JWKS has been fetched"
	switch {
	case len(keys) == 0:
		level, text = slog.LevelError, "the JWKS has no key that tokens can be checked with: its tokens are refused"
	case len(leftOut) > 0:
		level, text = slog.LevelWarn, "the JWKS has been fetched, and has keys that can't be used: tokens of these are refused"
	}
	r.log.Log(context.Background(), level, text, "keys", names, "left_out", told(leftOut))
}

// Unknown is to be told of a token that names a key that is not among ours. It has the keys fetched, every
// Config.UnknownEvery at most, and reports whether the key may still come, and in which time: as long as it was not
// looked for after this, or the last fetch failed. Any goroutine; it never waits.
func (r *Remote) Unknown(name string) (wait time.Duration, pending bool) {
	now := time.Now()
	wait, pending, sooner := r.unknown.ask(name, now)
	if sooner {
		r.wakeUp()
	}
	if retry := r.retry.Load(); retry > 0 {
		retryIn := max(soon, time.Unix(0, retry).Sub(now))
		if pending {
			retryIn = min(retryIn, wait)
		}
		return retryIn, true
	}
	return wait, pending
}

// FetchSoon has the keys fetched at once by Run, whatever was fetched lately. Any goroutine; it never waits.
func (r *Remote) FetchSoon() {
	r.asked.Store(true)
	r.wakeUp()
}

// wakeUp has Run look again when to fetch.
func (r *Remote) wakeUp() {
	select {
	case r.wake <- struct{}{}:
	default: // it will look anyway
	}
}

// Status is what a Remote has done so far.
type Status struct {
	Keys       int    // in use
	LeftOut    int    // that can't be used
	OK, Failed uint64 // fetches
}

// Status reads atomics only. Any goroutine.
func (r *Remote) Status() Status {
	return Status{Keys: int(r.count.Load()), LeftOut: int(r.left.Load()), OK: r.stats.ok.Load(), Failed: r.stats.failed.Load()}
}
