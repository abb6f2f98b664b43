package harm

import (
	"context"
	"fmt"
	"sync"
	"time"

	"roost/bench/roostbench/internal/raw"
	"roost/bench/roostbench/internal/rules"
)

// Config says how much harm is done. All fields have to be set.
type Config struct {
	Target    raw.Target
	Length    time.Duration // of each kind of harm
	Handshake time.Duration // by when a server has to end a handshake that doesn't
	Bound     time.Duration // how long a healthy connection may wait for a pong
}

// Result is what came of a kind of harm.
type Result struct {
	Name    string        `json:"name"`
	Verdict rules.Verdict `json:"verdict"`
	Want    string        `json:"want"`
	Came    string        `json:"came"`
	Healthy Latency       `json:"healthy"` // meanwhile
}

// kind is a kind of harm.
type kind struct {
	name, want string
	do         func(context.Context, *attack)
}

// attack is one kind of harm being done. Any goroutine may use it.
type attack struct {
	Config
	tally
	end time.Time // when to stop
}

// going says whether there is time left.
func (a *attack) going(ctx context.Context) bool { return ctx.Err() == nil && time.Now().Before(a.end) }

// repeat does something again and again, at least once, until the time is over.
func (a *attack) repeat(ctx context.Context, most int, do func(n int)) {
	for n := 0; n < most && (n == 0 || a.going(ctx)); n++ {
		do(n)
	}
}

// several does something by several clients at the same time.
func (a *attack) several(n int, one func(client int)) {
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { one(i) })
	}
	all.Wait()
}

// Run does all kinds of harm, one after the other, but for those that a server
// ends only when it loses patience: they go on beside all others. The first
// result is how healthy connections fare without any.
func Run(ctx context.Context, cfg Config) ([]Result, error) {
	h, err := watch(ctx, cfg.Target)
	if err != nil {
		return nil, fmt.Errorf("healthy connections: %w", err)
	}
	defer h.stop()
	calm := kind{name: "none", want: "pongs", do: func(_ context.Context, a *attack) { a.count("nobody did harm") }}
	results := []Result{cfg.inflict(ctx, calm, h)}
	var slow sync.WaitGroup
	slowResults := make([]Result, len(slowKinds()))
	for i, k := range slowKinds() {
		slow.Go(func() { slowResults[i] = cfg.inflict(ctx, k, h) })
	}
	for _, k := range kinds() {
		results = append(results, cfg.inflict(ctx, k, h))
	}
	slow.Wait()
	return append(results, slowResults...), ctx.Err()
}

// inflict does one kind of harm and says what came of it.
func (cfg Config) inflict(ctx context.Context, k kind, h *healthy) Result {
	a := &attack{Config: cfg, end: time.Now().Add(cfg.Length)}
	since := time.Now()
	k.do(ctx, a)
	a.rest(ctx)
	h.awaitPongs(ctx, cfg.Target.Patience)
	r := Result{Name: k.name, Want: k.want, Came: a.String(), Verdict: rules.Kept, Healthy: h.since(since)}
	switch {
	case r.Healthy.Lost > 0:
		r.Verdict, r.Came = rules.Broken, r.Came+fmt.Sprintf("; %d healthy connections lost: %s", r.Healthy.Lost, h.why(since))
	case r.Healthy.Max > cfg.Bound:
		r.Verdict, r.Came = rules.Broken, r.Came+fmt.Sprintf("; a healthy connection waited longer than %s", cfg.Bound)
	case a.bad():
		r.Verdict = rules.Broken
	}
	return r
}

// rest does nothing for the rest of the time.
func (a *attack) rest(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-time.After(time.Until(a.end)):
	}
}
