package netpoll

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"roost/hub"
)

// subscriptions is a Subscriptions that counts. The test chooses its answers.
type subscriptions struct {
	answer func(user string, waiter Waiter) bool // static; called without mu; nil: nobody is heard until heard says so

	mu       sync.Mutex
	acquired map[string]int      // guarded by mu
	released map[string]int      // guarded by mu
	below    []string            // guarded by mu: users that were released more often than acquired
	waiting  map[string][]Waiter // guarded by mu: of those whom answer let wait
}

// startSubscriptions is start with subscriptions.
func startSubscriptions(t testing.TB, answer func(string, Waiter) bool, change func(*Config)) (*rig, *subscriptions) {
	t.Helper()
	a := newSubscriptions(answer)
	return start(t, func(c *Config) {
		c.Subscriptions = a
		if change != nil {
			change(c)
		}
	}), a
}

func newSubscriptions(answer func(string, Waiter) bool) *subscriptions {
	return &subscriptions{answer: answer, acquired: map[string]int{}, released: map[string]int{}, waiting: map[string][]Waiter{}}
}

func (a *subscriptions) Acquire(user string, waiter Waiter) bool {
	a.mu.Lock()
	a.acquired[user]++
	a.mu.Unlock()
	if a.answer != nil && a.answer(user, waiter) {
		return true
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.waiting[user] = append(a.waiting[user], waiter)
	return false
}

func (a *subscriptions) Release(user string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.released[user]++; a.released[user] > a.acquired[user] {
		a.below = append(a.below, user)
	}
}

// heard tells those who wait for user that it is heard.
func (a *subscriptions) heard(user string) {
	a.mu.Lock()
	waiting := a.waiting[user]
	delete(a.waiting, user)
	a.mu.Unlock()
	for _, w := range waiting {
		w.Subscribed()
	}
}

// acquiredOf returns how often user was acquired, and how often not released since.
func (a *subscriptions) acquiredOf(user string) (acquired, now int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.acquired[user], a.acquired[user] - a.released[user]
}

// waitsFor reports whether somebody waits for user, whom heard would tell.
func (a *subscriptions) waitsFor(user string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.waiting[user]) > 0
}

// balanced waits until each Acquire has its Release.
func (a *subscriptions) balanced(t testing.TB) {
	t.Helper()
	var open map[string]int
	defer func() {
		if t.Failed() {
			t.Logf("users that are still acquired: %v", open)
		}
	}()
	eventually(t, "each acquired user is released", func() bool {
		a.mu.Lock()
		defer a.mu.Unlock()
		open = map[string]int{}
		for user, n := range a.acquired {
			if n != a.released[user] {
				open[user] = n - a.released[user]
			}
		}
		return len(open) == 0
	})
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.below) > 0 || len(a.released) > len(a.acquired) {
		t.Errorf("released more often than acquired: %q", a.below)
	}
}

// awaitingIs waits until so many handshakes wait for the subscriptions.
func (r *rig) awaitingIs(n int) {
	r.t.Helper()
	eventually(r.t, "handshakes wait for the subscriptions", func() bool { return r.server.Stats().Subscribing == n })
}

// A user is released as often as it was acquired, with any end of a connection or a handshake: clients come, stay, go at every
// moment, are refused, replaced, disconnected, slow, and the server ends while some wait.
func TestEveryAcquireIsReleased(t *testing.T) {
	t.Parallel()
	for name, limits := range map[string]hub.Limits{
		"replacing": {MaxConnections: 6, MaxPerUser: 2, ReplaceOldest: true},
		"refusing":  {MaxConnections: 6, MaxPerUser: 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			churn(t, limits)
		})
	}
}

const (
	churnUsers   = 8
	churnClients = 20 // at a time
	churnStay    = 40 // other visits that begin while a client stays
	lastUser     = "last"
)

func churnUser() string { return fmt.Sprint("user", rand.IntN(churnUsers)) }

func churn(t *testing.T, limits hub.Limits) {
	r, a := startSubscriptions(t, answerAnyhow, func(c *Config) {
		c.Loops, c.SubscribeWait, c.CloseSlow, c.QueueMessages = 4, 80*time.Millisecond, true, 2
		c.MaxPerIP = limits.MaxConnections + 2 // waiting or open
		c.LingerTimeout = 20 * time.Second     // of Shutdown: what is still answered then may take long on a busy machine
	})
	r.hub.SetLimits(limits)
	// Whatever competes goes by the number of visits: by the clock, clients of a busy machine would come too seldom to meet.
	var came atomic.Int64
	visits, busy := make(chan struct{}), sync.WaitGroup{}
	ctx, cancel := context.WithCancel(t.Context())
	halt := func() { cancel(); busy.Wait() }
	defer halt()
	for range churnClients {
		busy.Go(func() {
			for {
				select {
				case <-ctx.Done():
					return
				case visits <- struct{}{}:
					until := came.Add(1) + churnStay
					r.comeAndGo(t, func() bool { return ctx.Err() == nil && came.Load() < until })
				}
			}
		})
	}
	busy.Go(func() { r.feed(ctx, a, visits) })
	defer func() {
		if t.Failed() {
			t.Logf("%+v", r.server.Stats())
		}
	}()
	eventuallyWithin(t, 4*patience, "everything happens", func() bool { return r.allHappened(limits) })
	halt()
	r.endWhileSomeWait(t, a)
	if n := r.server.Stats().Panics; n != 0 {
		t.Errorf("%d panics", n)
	}
	r.balanced()
}

// allHappened reports whether what churn is about has happened often enough.
func (r *rig) allHappened(limits hub.Limits) bool {
	s := r.server.Stats()
	full := s.Refused["user_full"]
	if limits.ReplaceOldest {
		full = s.Ended["replaced"]
	}
	return s.Opened > 200 && min(full, uint64(s.Unsubscribed), s.Ended["disconnected"], s.Ended["client_closed"], s.Ended["client_gone"],
		s.Ended["protocol_error"], s.Refused["full"], s.Refused["address_full"]) > 2
}

// answerAnyhow subscribes a user at once, before Acquire has returned, soon, again and again, or when the feed comes to it,
// which may be never. lastUser is never heard.
func answerAnyhow(user string, w Waiter) bool {
	if user == lastUser {
		return false
	}
	switch rand.IntN(6) {
	case 0:
		return true
	case 1:
		told := make(chan struct{})
		go func() { w.Subscribed(); close(told) }()
		<-told
	case 2:
		go w.Subscribed()
	case 3:
		go func() { w.Subscribed(); w.Subscribed() }()
	}
	return false
}

// comeAndGo is one client's visit, which lasts as long as stays is true if it lasts at all.
func (r *rig) comeAndGo(t *testing.T, stays func() bool) {
	conn, err := r.dialTCP()
	if err != nil {
		t.Error(err)
		return
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	user := churnUser()
	if rand.IntN(2*churnUsers) == 0 {
		user = lastUser
	}
	if _, err := io.WriteString(conn, upgradeRequest(t, user)); err != nil || rand.IntN(4) == 0 {
		return // before it is answered
	}
	in := bufio.NewReader(conn)
	response, err := http.ReadResponse(in, nil)
	if err != nil || response.StatusCode != http.StatusSwitchingProtocols {
		return
	}
	switch rand.IntN(4) {
	case 0: // at once
	case 1:
		_, _ = conn.Write(masked(0x88, "\x03\xe8"))
		_, _ = io.Copy(io.Discard, in)
	case 2: // breaks the protocol
		_, _ = conn.Write([]byte{0xff, 0xff})
		_, _ = io.Copy(io.Discard, in)
	case 3: // until it is shown the door, or others have come
		for err = nil; stays() && (err == nil || errors.Is(err, os.ErrDeadlineExceeded)); {
			_ = conn.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
			_, err = in.ReadByte()
		}
	}
}

// feed is a feed that hears users, and has notifications and commands for them, two of these with each visit.
func (r *rig) feed(ctx context.Context, a *subscriptions, visits <-chan struct{}) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-visits:
		}
		for range 2 {
			r.feedOne(a, churnUser())
		}
	}
}

func (r *rig) feedOne(a *subscriptions, user string) {
	switch rand.IntN(8) {
	case 0:
		a.heard(user)
	case 1:
		r.hub.Control(user, `{"disconnect":{}}`)
	default:
		for range 4 {
			r.hub.Deliver(user, `{"type":"n"}`)
		}
		r.server.Flush()
	}
}

// endWhileSomeWait shuts the server down while connections are open and handshakes wait.
func (r *rig) endWhileSomeWait(t *testing.T, a *subscriptions) {
	eventually(t, "all are gone", func() bool { return r.server.Stats().Sockets == 0 })
	a.balanced(t)
	for _, l := range r.server.loops {
		if n, m, k := l.stats.Pending.Load(), l.stats.Subscribing.Load(), l.stats.partialRequests.Load(); n != 0 || m != 0 || k != 0 {
			t.Errorf("with nobody there %d are opening, %d wait, %d have a part of a head", n, m, k)
		}
	}
	var last sync.WaitGroup
	seen := make(chan struct{})
	look := sync.OnceFunc(func() { close(seen) })
	defer look()
	for range churnClients {
		last.Go(func() {
			for {
				r.stay(t)
				select {
				case <-seen:
					return
				default: // nobody was seen to wait while this one did
				}
			}
		})
	}
	eventually(t, "some wait", func() bool { return r.server.Stats().Subscribing > 0 })
	look()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := r.server.Shutdown(ctx, GoingAway()); err != nil {
		t.Error(err)
	}
	last.Wait()
	a.balanced(t)
}

// stay is one client's visit that lasts until the server ends it, or a second.
func (r *rig) stay(t *testing.T) {
	conn, err := r.dialTCP()
	if err != nil {
		return // the server has ended
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(time.Second))
	_, _ = io.WriteString(conn, upgradeRequest(t, lastUser))
	_, _ = io.Copy(io.Discard, conn)
}
