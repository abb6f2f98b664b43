package soak

import (
	"testing"
	"time"

	"roost/internal/pause"
	"roost/redisfeed/redistest"
)

// redisTrouble is one thing that happens to Redis. A new one is a line in redisTroubles.
type redisTrouble struct {
	name string
	cuts bool // loses what is in flight
	act  func(t *testing.T, redis *redistest.Server)
	then func(t *testing.T, redis *redistest.Server) // what mends it, if anything has to
	away time.Duration
}

func redisTroubles() []redisTrouble {
	start := func(_ *testing.T, redis *redistest.Server) { redis.Restart() }
	return []redisTrouble{
		{name: "killed and started again", cuts: true, away: 700 * time.Millisecond, then: start,
			act: func(_ *testing.T, redis *redistest.Server) { redis.Kill() }},
		{name: "stopped for a while", away: 400 * time.Millisecond,
			act:  func(_ *testing.T, redis *redistest.Server) { redis.Pause() },
			then: func(_ *testing.T, redis *redistest.Server) { redis.Resume() }},
		{name: "cuts its subscribers", cuts: true, act: func(t *testing.T, redis *redistest.Server) {
			if err := redis.Client().Do(t.Context(), "CLIENT", "KILL", "TYPE", "pubsub").Err(); err != nil {
				t.Errorf("cutting the subscribers: %v", err)
			}
		}},
		{name: "killed and started at once", cuts: true, then: start,
			act: func(_ *testing.T, redis *redistest.Server) { redis.Kill() }},
	}
}

// happen makes the trouble and mends it. It returns the moment in which something could be lost.
func (r redisTrouble) happen(t *testing.T, redis *redistest.Server, epoch func()) (lost cut) {
	t.Helper()
	lost.from = time.Now()
	r.act(t, redis)
	lost.to = time.Now()
	if r.cuts {
		epoch()
	}
	pause.For(t.Context(), r.away)
	if r.then != nil {
		r.then(t, redis)
	}
	return lost
}
