package soak

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"roost/cmd/roost/internal/roosttest"
	"roost/internal/pause"
	"roost/redisfeed/redistest"
)

// fullServer is a second server beside the one of the soak, on a Redis of its own: else a PUBLISH would count its subscription
// too. It has as many connections as it may, and a user who has as many as one may comes again and again, in place of itself.
// Now and then all descriptors are taken.
type fullServer struct {
	*roosttest.Server
	token string
	open  []func() // of run: closes the connections of the user that are not replaced yet, the oldest first

	replaced, starved tally
}

// How many connections the full server may have, and a user there.
const (
	fullOf  = 4
	perUser = 2
)

func startFull(t *testing.T) *fullServer {
	t.Helper()
	f := &fullServer{token: roosttest.Token(t, "replacing"), Server: roosttest.Start(t, redistest.Start(t), roosttest.Env{
		"WS_MAX_CONNECTIONS": fmt.Sprint(fullOf), "WS_MAX_CONNECTIONS_PER_USER": fmt.Sprint(perUser), "WS_USER_LIMIT": "replace", "GOMAXPROCS": "1",
		"WS_PONG_WAIT": "1h",
	})}
	for range fullOf - perUser {
		f.Connect("staying")
	}
	for range perUser {
		if err := f.come(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

const (
	replaceEvery = 50 * time.Millisecond
	starveEvery  = 20 // times of these
)

// run has the user come until ctx ends, and who asks for /health while there is no descriptor.
func (f *fullServer) run(ctx context.Context) {
	for n := 1; pause.For(ctx, replaceEvery); n++ {
		if n%starveEvery == 0 {
			f.starve(ctx)
			continue
		}
		began := time.Now()
		f.replaced.note(ctx, began, f.come(ctx))
	}
}

// come connects once more. With as many as the user may have that takes the place of the oldest.
func (f *fullServer) come(ctx context.Context) error {
	p, letGo, err := dial(ctx, f.WS, "127.0.2.200", 0)
	if err != nil {
		return err
	}
	if err := p.upgrade(f.token); err != nil {
		letGo()
		return err
	}
	_ = p.SetDeadline(time.Time{})
	if f.open = append(f.open, letGo); len(f.open) > perUser {
		f.open[0]()
		f.open = f.open[1:]
	}
	return nil
}

// starve takes all descriptors for a moment.
func (f *fullServer) starve(ctx context.Context) {
	open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", f.Pid()))
	if err != nil {
		return
	}
	had, err := f.limit(uint64(len(open)))
	if err != nil {
		return
	}
	for _, addr := range []string{f.WS, f.HTTP} {
		began := time.Now()
		f.starved.note(ctx, began, answered(ctx, "http://"+addr+"/health"))
	}
	_, _ = f.limit(had)
}

// limit sets the soft limit of the running server, and returns what it was.
func (f *fullServer) limit(descriptors uint64) (had uint64, err error) {
	var limit unix.Rlimit
	if err := unix.Prlimit(f.Pid(), unix.RLIMIT_NOFILE, nil, &limit); err != nil {
		return 0, err
	}
	had, limit.Cur = limit.Cur, descriptors
	return had, unix.Prlimit(f.Pid(), unix.RLIMIT_NOFILE, &limit, nil)
}

// check wants everybody served, and the others on it to have stayed.
func (f *fullServer) check(t *testing.T) {
	t.Helper()
	if f.replaced.percent() < enough {
		t.Errorf("connections in place of the user's own on a full server: %s", &f.replaced)
	}
	if f.starved.percent() < 100 {
		t.Errorf("/health without descriptors: %s", &f.starved)
	}
	f.WaitMetric("roost_connections", fullOf-perUser) // the user's ended with the soak
	m := f.Metrics()
	if m["roost_connections"] != fullOf-perUser || m[closedAs("replaced")] == 0 {
		t.Errorf("the full server has %v connections, want %d; %v were replaced", m["roost_connections"], fullOf-perUser, m[closedAs("replaced")])
	}
}
