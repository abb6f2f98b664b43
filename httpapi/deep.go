package httpapi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

const (
	// deepTimeout bounds a deep check.
	deepTimeout = 5 * time.Second
	// deepFresh is how long a result is given again: many probes together cost one check a second.
	deepFresh = time.Second
)

// deepCheck runs the probe, one at a time, for all who ask.
type deepCheck struct {
	probe  func(context.Context) []ProbeStep // Static.
	ctx    context.Context                   // Static. Ends with the server.
	logger *slog.Logger                      // Static.

	mu   sync.Mutex
	last *deepRun // Guarded by mu. Running, or done.
}

// deepRun is one run of the probe. Its result is read only after done is closed.
type deepRun struct {
	deadline time.Time     // Static.
	done     chan struct{} // Closed when the probe has returned.
	ended    time.Time     // Static once done is closed.
	steps    []ProbeStep   // Static once done is closed.
}

// result joins the run under way, or reuses the last one, or starts one. It waits for ctx at most, and not past the
// run's deadline, even if the probe does.
func (d *deepCheck) result(ctx context.Context) []ProbeStep {
	run := d.current()
	late := time.NewTimer(time.Until(run.deadline) + deepTimeout/50) // the probe's own error comes first
	defer late.Stop()
	select {
	case <-run.done:
		return run.steps
	case <-late.C:
		return failedProbe(fmt.Errorf("no result within %s", deepTimeout))
	case <-ctx.Done():
		return failedProbe(ctx.Err())
	}
}

func failedProbe(err error) []ProbeStep { return []ProbeStep{{Name: "probe", Err: err}} }

func (d *deepCheck) current() *deepRun {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.last == nil || d.last.stale() {
		d.last = &deepRun{deadline: time.Now().Add(deepTimeout), done: make(chan struct{})}
		go d.run(d.last)
	}
	return d.last
}

// stale says whether the run's result is too old to be given again. A run that is not done is never stale, so a probe
// that hangs is not started twice.
func (r *deepRun) stale() bool {
	select {
	case <-r.done:
		return time.Since(r.ended) >= deepFresh
	default:
		return false
	}
}

func (d *deepCheck) run(r *deepRun) {
	ctx, cancel := context.WithDeadline(d.ctx, r.deadline)
	defer cancel()
	defer close(r.done)
	defer func() { r.ended = time.Now() }()
	defer func() {
		// net/http would have caught it on its goroutine; here it would end every connection.
		if p := recover(); p != nil {
			r.steps = failedProbe(fmt.Errorf("panic: %v", p))
			d.logger.Error("deep health check panicked", slog.Any("panic", p))
		}
	}()
	r.steps = d.probe(ctx)
	if len(r.steps) == 0 {
		r.steps = failedProbe(errors.New("nothing was checked"))
	}
}
