package app

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/coder/websocket"

	"roost/httpapi"
	"roost/hub"
)

// probePayload is what the deep health check sends through Redis to itself.
const probePayload = `{"type":"_probe","payload":null}`

// selfCheck is the deep health check: it opens a WebSocket connection to our own port, and publishes a notification for it
// through Redis. It is also the feed's sink, to see its own notification come back.
//
// The connection's user begins with NUL, which no token's sub may contain. A ticket that only this process knows takes the
// place of a token, so that the check works with any key. Limits, counters and logs leave the connection out.
type selfCheck struct {
	service *Service
	tickets tickets

	mu      sync.Mutex
	waiting map[string]chan time.Time // guarded by mu: by identity, when it came back
}

func newSelfCheck(s *Service) *selfCheck {
	return &selfCheck{service: s, waiting: make(map[string]chan time.Time)}
}

// Deliver implements redisfeed.Sink.
func (p *selfCheck) Deliver(user, payload string) {
	if hub.IsProbe(user) {
		p.cameBack(user)
	}
	p.service.hub.Deliver(user, payload)
}

// Broadcast implements redisfeed.Sink.
func (p *selfCheck) Broadcast(payload string) { p.service.hub.Broadcast(payload) }

// DeliverGroup implements redisfeed.Sink.
func (p *selfCheck) DeliverGroup(group, payload string) { p.service.hub.DeliverGroup(group, payload) }

// Control implements redisfeed.Sink.
func (p *selfCheck) Control(user, payload string) { p.service.hub.Control(user, payload) }

// Flush implements redisfeed.Sink.
func (p *selfCheck) Flush() { p.service.ws.Flush() }

// run is httpapi's Config.Probe.
func (p *selfCheck) run(ctx context.Context) []httpapi.ProbeStep {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	identity, ticket := p.admit()
	defer p.tickets.remove(ticket)
	back := p.expect(identity)
	defer p.forget(identity)

	start := time.Now()
	conn, dialErr := p.connect(ctx, ticket)
	connected := time.Since(start)
	if dialErr == nil {
		defer func() { _ = conn.CloseNow() }()
	}
	p.listen(ctx, identity)
	defer p.service.feed.Release(identity)
	pubsub := p.throughRedis(ctx, identity, back)
	if pubsub.Err != nil {
		// The connection is checked without Redis then. Not on this goroutine: Deliver waits for a loop that is behind, and
		// this check has a deadline.
		go func() {
			p.service.hub.Deliver(identity, probePayload)
			p.service.ws.Flush()
		}()
	}
	return []httpapi.ProbeStep{pubsub, receive(ctx, conn, dialErr, connected)}
}

// admit makes the user of a check, and the ticket for its connection. The user passes through Redis in a channel's name, where
// anyone with MONITOR or SUBSCRIBE can read it. The ticket never leaves this machine, and only this process knows that the two
// belong together.
func (p *selfCheck) admit() (identity, ticket string) {
	identity, ticket = "\x00probe:"+rand.Text(), rand.Text()
	p.tickets.add(ticket, identity)
	return identity, ticket
}

// listen subscribes the feed to the check's user, even if the connection failed.
func (p *selfCheck) listen(ctx context.Context, identity string) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	done := make(subscribed, 1)
	if p.service.feed.Acquire(identity, done) {
		return
	}
	select {
	case <-done:
	case <-ctx.Done(): // the notification will not come back, and the answer says so
	}
}

// subscribed is a redisfeed.Waiter.
type subscribed chan struct{}

// Subscribed implements redisfeed.Waiter.
func (h subscribed) Subscribed() { h <- struct{}{} }

// connect opens a WebSocket on our own port.
func (p *selfCheck) connect(ctx context.Context, ticket string) (*websocket.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	conn, err := p.service.Dial(ctx, "ticket="+ticket)
	if err != nil {
		return nil, fmt.Errorf("our own WebSocket port: %w", err)
	}
	return conn, nil
}

// throughRedis publishes, and waits until the feed delivers it.
func (p *selfCheck) throughRedis(ctx context.Context, identity string, back <-chan time.Time) httpapi.ProbeStep {
	step := httpapi.ProbeStep{Name: "redis_pubsub"}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	start := time.Now()
	if _, err := p.service.feed.Publish(ctx, identity, probePayload); err != nil {
		step.Err, step.Took = fmt.Errorf("publishing: %w", err), time.Since(start)
		return step
	}
	select {
	case at := <-back:
		step.Took = at.Sub(start)
	case <-ctx.Done():
		step.Took = time.Since(start)
		step.Err = errors.New("redis took the message and did not bring it back within 2 s")
	}
	return step
}

// receive waits for the notification. connected is what connecting took.
func receive(ctx context.Context, conn *websocket.Conn, dialErr error, connected time.Duration) httpapi.ProbeStep {
	step := httpapi.ProbeStep{Name: "websocket", Took: connected, Err: dialErr}
	if dialErr != nil {
		return step
	}
	start := time.Now()
	_, _, err := conn.Read(ctx)
	step.Took += time.Since(start)
	if err != nil {
		step.Err = fmt.Errorf("the notification did not arrive: %w", err)
	}
	return step
}

func (p *selfCheck) expect(identity string) <-chan time.Time {
	back := make(chan time.Time, 1)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.waiting[identity] = back
	return back
}

func (p *selfCheck) forget(identity string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.waiting, identity)
}

// cameBack runs on the feed's goroutine. It ignores checks of other instances.
func (p *selfCheck) cameBack(identity string) {
	p.mu.Lock()
	back := p.waiting[identity]
	p.mu.Unlock()
	if back == nil {
		return
	}
	select {
	case back <- time.Now():
	default:
	}
}

// tickets take the place of tokens for the deep health check. Each is good for one connection, while its check runs. The zero
// value is ready. Any goroutine.
type tickets struct {
	mu    sync.Mutex
	valid map[string]string // guarded by mu: ticket → identity
}

func (t *tickets) add(ticket, identity string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.valid == nil {
		t.valid = make(map[string]string)
	}
	t.valid[ticket] = identity
}

// redeem is the upgrader's Ticket. It runs on event loops, so the lock is only held for a look-up.
func (t *tickets) redeem(ticket []byte) (identity string, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	identity, ok = t.valid[string(ticket)]
	delete(t.valid, string(ticket))
	return identity, ok
}

func (t *tickets) remove(ticket string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.valid, ticket)
}
