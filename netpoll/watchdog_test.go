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
