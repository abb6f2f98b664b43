package netpoll

import (
	"context"
	"fmt"
)

// Answers asks every loop to do something, and returns nil once all have, or an
// error that wraps ErrLoopStuck when ctx ends first. It wakes loops that sleep, so
// it is not for asking often. After Shutdown nobody answers. Any goroutine.
func (s *Server) Answers(ctx context.Context) error {
	answered := make([]chan struct{}, len(s.loops))
	for i, l := range s.loops {
		answered[i] = make(chan struct{})
		l.do(func() { close(answered[i]) })
	}
	for i, done := range answered {
		select {
		case <-done:
		case <-ctx.Done():
			return fmt.Errorf("%w: loop %d: %w", ErrLoopStuck, i, ctx.Err())
		}
	}
	return nil
}
