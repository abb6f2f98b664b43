package redisfeed

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"roost/redisfeed/internal/boottime"
	"roost/redisfeed/internal/redisnet"
	"roost/redisfeed/internal/resp"
)

// readBuffer is what one read from Redis may bring: some three hundred notifications.
const readBuffer = 64 << 10

// link is one connection to Redis with all subscriptions on it. It is used once, and read by one goroutine; any may write.
type link struct {
	cfg    Config
	in     *batcher
	addr   string
	ctx    context.Context // ends with the link; its end closes the socket, which ends every wait
	cancel context.CancelCauseFunc
	timer  *time.Timer // ends ctx if the subscriptions are not confirmed in time

	stream  *redisnet.Stream // set by connect
	writing sync.Mutex       // held while something is written, and while the feed is frozen
	hot     atomic.Bool      // the reader may take something from the socket without the sink's lock

	// The reader's.

	buf      *resp.Buffer
	pace     pace
	login    [][]string // commands of the login that are not answered yet
	answered bool       // something was read that Redis can have said

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
	kind resp.Kind
	name string // the channel or the pattern
}

// newLink prepares a link to the Redis at addr that ends with ctx. Nothing is sent before begin.
func newLink(ctx context.Context, cfg Config, addr string, in *batcher) *link {
	l := &link{cfg: cfg, in: in, addr: addr, pace: pace{window: cfg.FlushWindow, sleep: sleepOnThread}}
	l.ctx, l.cancel = context.WithCancelCause(ctx)
	l.timer = time.AfterFunc(cfg.HeartbeatTimeout, func() { l.cancel(errSlow) })
	return l
}

// begin connects and asks for the subscriptions that a link has from the start. The confirmations come through receive.
func (l *link) begin(channels, patterns []string) error {
	l.wants = make(map[subscription]bool)
	for _, name := range channels {
		l.wants[subscription{resp.Subscribe, name}] = false
	}
	for _, name := range patterns {
		l.wants[subscription{resp.PSubscribe, name}] = false
	}
	l.left = len(l.wants)
	l.prove(boottime.Now())
	return l.connect(resp.AppendCommand(resp.AppendCommand(nil, "SUBSCRIBE", channels...), "PSUBSCRIBE", patterns...))
}

// connect opens the connection, and sends the login and the first commands in one piece.
func (l *link) connect(first []byte) error {
	d := redisnet.Dialer{TLS: l.cfg.TLS, Timeout: l.cfg.Timeout, Reserve: l.cfg.Reserve, Log: l.cfg.Logger}
	stream, err := d.Stream(l.ctx, l.addr, l.cfg.HeartbeatTimeout, l.in.excused)
	if err != nil {
		return l.reason(err)
	}
	l.stream, l.buf, l.login = stream, resp.NewBuffer(readBuffer), l.cfg.Login()
	l.closeAtEnd()
	var out []byte
	for _, command := range l.login {
		out = resp.AppendCommand(out, command[0], command[1:]...)
	}
	if _, err := stream.Write(append(out, first...)); err != nil {
		return l.reason(l.hungUp(err))
	}
	return nil
}

// closeAtEnd has the socket closed when the link ends.
func (l *link) closeAtEnd() {
	context.AfterFunc(l.ctx, func() { _ = l.stream.Close() })
}

// hungUp explains an error from a connection that was closed without an answer: by a port that expects TLS, or by a Redis
// that is full, whose error does not arrive if the connection is reset.
func (l *link) hungUp(err error) error {
	if l.answered || !errors.Is(err, syscall.EPIPE) && !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, io.EOF) {
		return err
	}
	if l.cfg.TLS == nil && redisnet.WantsTLS(l.ctx, l.addr) {
		return fmt.Errorf("%w: %w", redisnet.ErrWantsTLS, err)
	}
	return fmt.Errorf("%w: %w", errHungUp, err)
}

// sendPing asks for a sign of life. Any goroutine, once the link has begun.
func (l *link) sendPing() error { return l.send(ping) }

func ping() []byte { return resp.AppendCommand(nil, "PING", stamp(boottime.Now())) }

// send writes the commands that next returns, if any. It calls next when nothing else is written, and not while the feed is
// frozen. Any goroutine, once the link has begun.
func (l *link) send(next func() []byte) error {
	l.writing.Lock()
	defer l.writing.Unlock()
	if l.in.freeze.released.Load() {
		return errReleased
	}
	commands := next()
	if len(commands) == 0 {
		return nil
	}
	_, err := l.stream.Write(commands)
	return l.reason(err)
}

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
// HeartbeatTimeout, as a Redis that was replaced behind its address goes on answering while backends publish on the
// other.
func (l *link) lostSince() boottime.Instant {
	return min(l.floor(), boottime.Now().Add(-l.cfg.HeartbeatTimeout))
}

// receive waits for what Redis sends next, which is valid until the next call. The sink is flushed before the link waits
// for another batch. After an error the link can only be closed, but that a redisnet.ReplyError only refuses one command.
func (l *link) receive() (resp.Reply, error) {
	for {
		reply, ok, err := l.buf.Next()
		switch {
		case err != nil && l.answered:
			return reply, fmt.Errorf("%w: %w", redisnet.ErrBadReply, err)
		case err != nil:
			return reply, l.reason(err)
		case !ok:
			if err := l.read(); err != nil {
				return reply, l.reason(l.hungUp(err))
			}
		case len(l.login) > 0:
			if err := l.loggedIn(reply); err != nil {
				return reply, err
			}
		case reply.Kind == resp.Error:
			return reply, l.refusal(reply)
		case reply.Kind == resp.Status: // nothing that is sent after the login is answered like this
			return reply, fmt.Errorf("%w: +%s", redisnet.ErrBadReply, reply.Payload)
		default:
			l.answered = true
			return reply, nil
		}
	}
}

// read brings more of the batch, or flushes and waits for the next.
func (l *link) read() error {
	// An error that comes with bytes comes again with the next read: TLS 1.2 tells of the end together with what came last.
	switch n, _, err := l.buf.Fill(l.stream.Rest); {
	case n > 0:
		return nil
	case err != nil:
		return err
	}
	l.in.flush()
	l.pace.wait()
	if err := l.await(); err != nil {
		return err
	}
	n, full, err := l.buf.Fill(l.stream.Read)
	l.pace.read(full || l.stream.Full())
	if n > 0 {
		l.in.arrived()
		return nil
	}
	return err
}

// await waits, while a handover may come, until there is something to read, and has the sink's lock from then on: while the
// feed is frozen all that Redis sends stays in the socket, for the process that reads on. Otherwise a read does both, and
// costs less.
func (l *link) await() error {
	l.hot.Store(true) // before the look: whoever sets careful sees one or the other
	if !l.in.freeze.careful.Load() {
		return nil
	}
	l.hot.Store(false)
	if err := l.stream.Await(); err != nil {
		return err
	}
	return l.in.enter()
}

// loggedIn takes the answer to the next command of the login.
func (l *link) loggedIn(reply resp.Reply) error {
	command := l.login[0][0]
	l.login = l.login[1:]
	switch {
	case reply.Kind == resp.Error && (command != "CLIENT" || isFull(reply)):
		return l.refusal(reply)
	case reply.Kind != resp.Status && reply.Kind != resp.Error:
		return fmt.Errorf("%w: %s in answer to %s", redisnet.ErrBadReply, reply.Kind, command)
	}
	l.answered = true
	return nil
}

// refusal is the error for an Error of Redis's.
func (l *link) refusal(reply resp.Reply) error {
	err := error(redisnet.ReplyError(reply.Payload))
	if !l.answered && isFull(reply) {
		err = fmt.Errorf("%w: %w", errHungUp, err)
	}
	return l.reason(err)
}

// isFull reports whether Redis has too many clients: it says so in place of the first answer, and hangs up.
func isFull(reply resp.Reply) bool {
	return strings.HasPrefix(string(reply.Payload), "ERR max number of clients reached")
}

// reason puts why the link was ended in the place of "use of closed connection", and explains what Redis refused.
func (l *link) reason(err error) error {
	if err != nil && l.ctx.Err() != nil {
		return context.Cause(l.ctx)
	}
	return l.cfg.Explain(err)
}

// confirm notes that Redis has confirmed a subscription that the link began with. again says that it had before;
// ok is false for any other.
func (l *link) confirm(r resp.Reply) (again, ok bool) {
	what := subscription{r.Kind, string(r.Channel)}
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

// close ends the link.
func (l *link) close() {
	l.hot.Store(false)
	l.timer.Stop()
	l.cancel(errSpent)
}
