package redisfeed

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"

	"roost/redisfeed/internal/boottime"
	"roost/redisfeed/internal/redisnet"
)

// readBuffer is what one read from Redis may bring: some three hundred notifications.
const readBuffer = 64 << 10

// link is one connection to Redis with all subscriptions on it. It is used once and read by one goroutine: go-redis
// would reconnect and resubscribe inside a call to Receive without a word, so each link has a client of its own, whose
// dialer gives out one connection and then refuses.
type link struct {
	cfg    Config
	in     *intake
	client *redis.Client
	pubsub *redis.PubSub
	dialer *redisnet.Dialer
	ctx    context.Context // ends with the link; its end closes the socket, which ends every wait in go-redis
	cancel context.CancelCauseFunc
	timer  *time.Timer // ends ctx if the subscriptions are not confirmed in time
	dialed bool
	conn   *corkConn // set by the first command
	inSink bool      // the sink's Flush runs, which go-redis calls by reading

	// proven is an instant before which Redis had sent nothing that has not come: all that can be lost with the link was
	// published later. It is when the latest heartbeat, or PING, that has come back was sent: Redis answers in the order
	// in which it was asked. When something came says less: it may have lain in the socket while this process stood still.
	// The reader's, until the link has ended.
	proven boottime.Instant

	wants map[subscription]bool // the subscriptions that the link begins with; false: not confirmed yet
	left  int                   // of wants that are not confirmed
}

// subscription is what Redis confirms.
type subscription struct {
	kind string // the command, in small letters
	name string // the channel or the pattern
}

// newLink prepares a link to the Redis at addr that ends with ctx. Nothing is sent before begin.
func newLink(ctx context.Context, cfg Config, addr string, in *intake) *link {
	l := &link{cfg: cfg, in: in}
	socket := &feedSocket{
		silence: cfg.HeartbeatTimeout, window: cfg.FlushWindow, excused: in.excused,
		arrived: in.arrived,
		flush:   func() { l.inSink = true; in.flush(); l.inSink = false },
	}
	l.dialer = &redisnet.Dialer{TLS: cfg.TLS, Timeout: cfg.Timeout, Reserve: cfg.Reserve, Log: cfg.Logger, Wrap: socket.wrap}
	l.ctx, l.cancel = context.WithCancelCause(ctx)
	l.timer = time.AfterFunc(cfg.HeartbeatTimeout, func() { l.cancel(errSlow) })
	o := cfg.Options()
	o.Addr = addr
	o.Dialer = l.dialOnce
	o.MaxRetries = redisnet.Retries(0)
	o.PoolSize = 1
	o.ReadBufferSize = readBuffer
	// -2 keeps go-redis from setting deadlines: the socket has a limit of its own.
	o.ReadTimeout, o.WriteTimeout = -2, -2
	l.client = redis.NewClient(o)
	l.pubsub = l.client.Subscribe(l.ctx) // no channels yet: this sends nothing
	return l
}

func (l *link) dialOnce(_ context.Context, network, addr string) (net.Conn, error) {
	if l.dialed {
		return nil, errSpent
	}
	l.dialed = true
	conn, err := l.dialer.Dial(l.ctx, network, addr)
	if err != nil {
		return nil, err
	}
	context.AfterFunc(l.ctx, func() { conn.Close() })
	l.conn = &corkConn{Conn: conn}
	return l.conn, nil
}

// begin connects and asks for the subscriptions that a link has from the start. The confirmations come through receive.
func (l *link) begin(channels, patterns []string) error {
	l.wants = make(map[subscription]bool)
	for _, name := range channels {
		l.wants[subscription{"subscribe", name}] = false
	}
	for _, name := range patterns {
		l.wants[subscription{"psubscribe", name}] = false
	}
	l.left = len(l.wants)
	l.prove(boottime.Now())
	return l.connect(func() error {
		if err := l.pubsub.Subscribe(l.ctx, channels...); err != nil {
			return err
		}
		return l.pubsub.PSubscribe(l.ctx, patterns...)
	})
}

// connect sends the first command.
func (l *link) connect(send func() error) error {
	err := l.guard(send)
	// A Redis that is full says so and closes. go-redis takes no notice of an error in answer to its HELLO, and goes on
	// writing.
	if errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, io.EOF) {
		if l.cfg.TLS == nil && redisnet.WantsTLS(l.ctx, l.client.Options().Addr) {
			return fmt.Errorf("%w: %w", redisnet.ErrWantsTLS, err)
		}
		return fmt.Errorf("%w: %w", errHungUp, err)
	}
	return err
}

// change subscribes to channels, or ends their subscriptions. Once the link has begun any goroutine may call it.
func (l *link) change(end bool, channels []string) error {
	send := l.pubsub.Subscribe
	if end {
		send = l.pubsub.Unsubscribe
	}
	return l.reason(send(l.ctx, channels...))
}

// changeSharded is change with a command for each channel, and one write for all.
func (l *link) changeSharded(end bool, channels []string) error {
	send := l.pubsub.SSubscribe
	if end {
		send = l.pubsub.SUnsubscribe
	}
	l.conn.cork()
	for _, channel := range channels {
		if err := send(l.ctx, channel); err != nil {
			return l.reason(err)
		}
	}
	return l.reason(l.conn.uncork())
}

// sendPing asks for a sign of life. Any goroutine.
func (l *link) sendPing() error { return l.reason(l.pubsub.Ping(l.ctx, stamp(boottime.Now()))) }

// proves takes a stamp that came back. It returns how long ago it was sent, and is false for what is none.
func (l *link) proves(payload string) (took time.Duration, ok bool) {
	now := boottime.Now()
	sent, ok := readStamp(payload, now)
	if !ok {
		return 0, false
	}
	l.prove(max(l.proven, sent))
	return time.Duration(now - sent), true
}

// prove notes that all that Redis had sent at an instant has come.
func (l *link) prove(at boottime.Instant) {
	l.proven = at
	l.in.after = l.floor().Wall()
}

// floor is an instant before which nothing was published that has not come yet. In a cluster one node may have had what it
// had not passed on when the other answered.
func (l *link) floor() boottime.Instant {
	if len(l.cfg.Nodes) > 0 {
		return l.proven.Add(-l.cfg.HeartbeatTimeout)
	}
	return l.proven
}

// lostSince is since when notifications may be lost with a link that was up, and whose end is noticed now: at least for
// HeartbeatTimeout, as a Redis that was replaced behind its address goes on answering while nobody publishes on it any
// more.
func (l *link) lostSince() boottime.Instant {
	return min(l.floor(), boottime.Now().Add(-l.cfg.HeartbeatTimeout))
}

// receive waits for what Redis sends next: *redis.Message, *redis.Subscription or *redis.Pong. After an error the link
// can only be closed.
func (l *link) receive() (msg any, err error) {
	err = l.guard(func() error {
		// A negative timeout sets no deadline: the socket has its limit.
		msg, err = l.pubsub.ReceiveTimeout(l.ctx, -1)
		return err
	})
	return msg, err
}

// guard calls into go-redis, which panics on replies of types that it does not expect, and puts the reason for which
// the link was ended in place of "use of closed connection". It covers nothing but the library: a panic in a sink is a
// bug and ends the process.
func (l *link) guard(call func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			if l.inSink {
				panic(p)
			}
			err = fmt.Errorf("%w: %v", redisnet.ErrBadReply, p)
		}
	}()
	return l.reason(call())
}

// reason puts why the link was ended in the place of what the library says of it.
func (l *link) reason(err error) error {
	if err != nil && l.ctx.Err() != nil {
		return context.Cause(l.ctx)
	}
	return l.cfg.Explain(err)
}

// confirm notes that Redis has confirmed a subscription that the link began with. again says that it had before;
// ok is false for any other.
func (l *link) confirm(s *redis.Subscription) (again, ok bool) {
	what := subscription{s.Kind, s.Channel}
	if again, ok = l.wants[what]; !ok || again {
		return again, ok
	}
	l.wants[what] = true
	if l.left--; l.left == 0 {
		l.timer.Stop()
	}
	return false, true
}

// confirmed says whether all that the link began with is.
func (l *link) confirmed() bool { return l.wants != nil && l.left == 0 }

// close ends the link. It leaves the PubSub alone, whose lock is still held after some of its panics; it owns nothing
// but the socket.
func (l *link) close() {
	l.timer.Stop()
	l.cancel(errSpent)
	_ = l.client.Close()
}
