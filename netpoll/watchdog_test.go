package netpoll

import (
	"context"
	"errors"
	"testing"
	"time"
)

func TestAnswers(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	if err := r.server.CheckLoops(t.Context()); err != nil {
		t.Errorf("with nobody connected: %v", err)
	}
	release := r.server.loops[1].hold()
	defer release()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := r.server.CheckLoops(ctx); !errors.Is(err, ErrLoopStuck) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("with a loop that hangs: %v", err)
	}
	release()
	if err := r.server.CheckLoops(t.Context()); err != nil {
		t.Errorf("when it is back: %v", err)
	}
}

func TestNobodyAnswersAfterShutdown(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	if err := r.server.Shutdown(t.Context(), GoingAway()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := r.server.CheckLoops(ctx); !errors.Is(err, ErrLoopStuck) {
		t.Errorf("%v, want that a loop does not answer", err)
	}
}

// Loops that stand still for a handover are not taken for stuck, however long that lasts.
func TestWatchdogWaitsForAHandover(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	r.upgrade("alice")
	m, _ := r.begin(nil)
	m.freeze()
	tick, ended := make(chan time.Time), make(chan bool, 1)
	go func() { ended <- r.server.watchWhileConnected(tick, make([]int, len(r.server.loops))) }()
	for range 3 * missesToFail {
		select {
		case tick <- time.Time{}:
		case <-ended:
			t.Fatal("the watchdog has ended the server")
		}
	}
	m.in.Abort()
	m.out.Abort()
	if err := r.server.CheckLoops(t.Context()); err != nil {
		t.Error(err)
	}
}
