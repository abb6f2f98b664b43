package redisfeed

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// dialer opens sockets to Redis. It is static after construction and may be used by any goroutine.
type dialer struct {
	tls     *tls.Config
	timeout time.Duration // for connecting, and for data that Redis's host does not acknowledge
	feed    *feedSocket   // set for the subscription's socket, nil for ordinary ones
	reserve Reserve       // nil: none
	log     *slog.Logger  // set where there is a reserve
}

// feedSocket says what is special about the subscription's socket.
type feedSocket struct {
	silence time.Duration // a read that gets nothing for so long fails with errSilent
	excused func() bool   // reports that nothing could be sent that would have been answered
	flush   func()        // called before each read, by the reader
	arrived func()        // called after each read that brought something, by the reader
	window  time.Duration // between two reads
}

// dial has the signature of redis.Options.Dialer. Where the process has no descriptor for it, or for what it takes to get
// there, it gets those of the reserve, one after the other.
func (d *dialer) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	for {
		conn, err := d.dialOnce(ctx, network, addr)
		if err == nil || d.reserve == nil || !fails(err, syscall.EMFILE, syscall.ENFILE) || !d.reserve.Release() {
			return conn, err
		}
		d.log.Warn("the process has no descriptor left, a connection to redis gets one that is kept aside", "addr", addr)
	}
}

func (d *dialer) dialOnce(ctx context.Context, network, addr string) (net.Conn, error) {
	nd := net.Dialer{
		Timeout: d.timeout,
		// Probes are for ordinary connections that lie idle; the subscription hears heartbeats.
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 3},
		ControlContext:  d.control,
	}
	conn, err := nd.DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	if d.feed != nil {
		if conn, err = d.feed.wrap(conn); err != nil {
			return nil, err
		}
	}
	if d.tls == nil {
		return conn, nil
	}
	return d.secure(ctx, conn, addr)
}

// within is dial that ends with life.
func (d *dialer) within(life context.Context) func(ctx context.Context, network, addr string) (net.Conn, error) {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(life, cancel)()
		return d.dial(ctx, network, addr)
	}
}

// wrap puts the layers of a subscription's socket around it.
func (f *feedSocket) wrap(conn net.Conn) (net.Conn, error) {
	thread, err := newThreadConn(conn, f.silence)
	if err != nil {
		return nil, fmt.Errorf("taking over the socket: %w", err)
	}
	return &batchConn{
		Conn:  &watchedConn{Conn: thread, limit: f.silence, excused: f.excused},
		flush: f.flush, arrived: f.arrived, window: f.window, sleep: sleepOnThread,
	}, nil
}

// sleepOnThread sleeps to the tenth of a millisecond, where Go's timers, when nothing else goes on, count whole ones.
func sleepOnThread(d time.Duration) {
	t := unix.NsecToTimespec(d.Nanoseconds())
	_ = unix.Nanosleep(&t, nil)
}

// control sets TCP_USER_TIMEOUT before the socket connects: what a vanished host never acknowledges ends the
// connection after the timeout, and not after the quarter of an hour that the kernel would go on sending.
func (d *dialer) control(_ context.Context, network, _ string, raw syscall.RawConn) error {
	if !strings.HasPrefix(network, "tcp") {
		return nil
	}
	var failed error
	err := raw.Control(func(fd uintptr) {
		failed = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(d.timeout.Milliseconds()))
	})
	return errors.Join(err, os.NewSyscallError("setsockopt TCP_USER_TIMEOUT", failed))
}

// watchedConn ends a read during which not one byte came for the limit, which the socket below it keeps: each of its
// reads fails with os.ErrDeadlineExceeded after so long. The clock runs only inside Read, so a reader that is busy
// elsewhere never loses its link, and it starts again with every piece of a long message. It belongs to one reader.
type watchedConn struct {
	net.Conn
	limit   time.Duration
	excused func() bool // nil: never
}

// Read reads, for no longer than the limit.
func (c *watchedConn) Read(b []byte) (int, error) {
	for {
		start := time.Now()
		n, err := c.Conn.Read(b)
		if n > 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			return n, err
		}
		// A deadline noticed far too late means that this process was stopped, and published no heartbeats.
		late := time.Since(start) - c.limit
		if late < c.limit/4 && (c.excused == nil || !c.excused()) {
			return 0, fmt.Errorf("%w for %s", errSilent, c.limit)
		}
	}
}
