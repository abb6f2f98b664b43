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
)

// What a link is subscribed to beside the heartbeat.
const (
	pattern        = ChannelPrefix + "*"
	controlPattern = ControlPrefix + "*"
	groupPattern   = GroupPrefix + "*"
)

// readBuffer is what one read from Redis may bring: some three hundred notifications.
const readBuffer = 64 << 10

// link is one connection to Redis with all subscriptions on it. It is used once and by one goroutine: go-redis
// would reconnect and resubscribe inside a call to Receive without a word, so each link has a client of its own, whose
// dialer gives out one connection and then refuses.
type link struct {
	client *redis.Client
	pubsub *redis.PubSub
	dialer *dialer
	ctx    context.Context // ends with the link; its end closes the socket, which ends every wait in go-redis
	cancel context.CancelCauseFunc
	timer  *time.Timer // ends ctx if the subscriptions are not confirmed in time
	dialed bool
	inSink bool // the sink's Flush runs, which go-redis calls by reading

	channelOK, allOK, patternOK, controlOK, groupOK bool // confirmed by Redis, each by itself
}

// newLink prepares a link that ends with ctx. Nothing is sent before subscribe. flush is called on the reader's goroutine
// before each wait for more, and arrived after each that brought something.
func newLink(ctx context.Context, cfg Config, flush, arrived func()) *link {
	l := &link{}
	l.dialer = &dialer{tls: cfg.TLS, timeout: cfg.HeartbeatTimeout, feed: &feedSocket{
		silence: cfg.HeartbeatTimeout, window: cfg.FlushWindow,
		arrived: arrived,
		flush:   func() { l.inSink = true; flush(); l.inSink = false },
	}}
	l.ctx, l.cancel = context.WithCancelCause(ctx)
	l.timer = time.AfterFunc(cfg.HeartbeatTimeout, func() { l.cancel(errSlow) })
	o := baseOptions(cfg)
	o.Dialer = l.dialOnce
	o.MaxRetries = orNone(0)
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
	conn, err := l.dialer.dial(l.ctx, network, addr)
	if err != nil {
		return nil, err
	}
	context.AfterFunc(l.ctx, func() { conn.Close() })
	return conn, nil
}

// subscribe connects and asks for all subscriptions. The confirmations come through receive.
func (l *link) subscribe(heartbeat string) error {
	err := l.guard(func() error {
		if err := l.pubsub.Subscribe(l.ctx, heartbeat, AllChannel); err != nil {
			return err
		}
		return l.pubsub.PSubscribe(l.ctx, pattern, controlPattern, groupPattern)
	})
	// A Redis that is full says so and closes. go-redis takes no notice of an error in answer to its HELLO, and goes on
	// writing.
	if errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: %w", errHungUp, err)
	}
	return err
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
			err = fmt.Errorf("%w: %v", errBadReply, p)
		}
	}()
	err = call()
	if err != nil && l.ctx.Err() != nil {
		return context.Cause(l.ctx)
	}
	return explain(err)
}

// confirm notes Redis's confirmation of a subscription. It is an error that Redis ended one.
func (l *link) confirm(s *redis.Subscription) error {
	switch {
	case s.Kind == "subscribe" && s.Channel == AllChannel:
		l.allOK = true
	case s.Kind == "subscribe":
		l.channelOK = true
	case s.Kind == "psubscribe" && s.Channel == pattern:
		l.patternOK = true
	case s.Kind == "psubscribe" && s.Channel == controlPattern:
		l.controlOK = true
	case s.Kind == "psubscribe" && s.Channel == groupPattern:
		l.groupOK = true
	default:
		return fmt.Errorf("%w: %s %q", errUnwanted, s.Kind, s.Channel)
	}
	if l.confirmed() {
		l.timer.Stop()
	}
	return nil
}

// confirmed says whether all subscriptions are.
func (l *link) confirmed() bool {
	return l.channelOK && l.allOK && l.patternOK && l.controlOK && l.groupOK
}

// close ends the link. It leaves the PubSub alone, whose lock is still held after some of its panics; it owns nothing
// but the socket.
func (l *link) close() {
	l.timer.Stop()
	l.cancel(errSpent)
	_ = l.client.Close()
}
