package redisnet

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"syscall"
	"time"
)

// Reserve is descriptors that are kept aside for when the process has no others. Any goroutine.
type Reserve interface {
	Release() bool // gives one back to the process, and reports whether there was one
	Refill()       // takes back what was released, as far as the process has descriptors again
}

// Dialer opens sockets to Redis. It is static after construction and may be used by any goroutine.
type Dialer struct {
	TLS     *tls.Config
	Timeout time.Duration // for connecting, and for data that Redis's host does not acknowledge
	Reserve Reserve       // nil: none
	Log     *slog.Logger  // set where there is a reserve
}

// Dial has the signature of redis.Options.Dialer.
func (d *Dialer) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	return withReserve(d, addr, func() (net.Conn, error) {
		conn, err := d.connect(ctx, network, addr)
		if err != nil || d.TLS == nil {
			return conn, err
		}
		return d.secure(ctx, conn, addr)
	})
}

// withReserve calls open. Where the process has no descriptor for it, or for what it takes to get there, it gets those of
// the reserve, one after the other.
func withReserve[T any](d *Dialer, addr string, open func() (T, error)) (T, error) {
	for {
		conn, err := open()
		if err == nil || d.Reserve == nil || !fails(err, syscall.EMFILE, syscall.ENFILE) || !d.Reserve.Release() {
			return conn, err
		}
		d.Log.Warn("the process has no descriptor left, a connection to redis gets one that is kept aside", "addr", addr)
	}
}

// connect opens a socket.
func (d *Dialer) connect(ctx context.Context, network, addr string) (net.Conn, error) {
	nd := net.Dialer{
		Timeout: d.Timeout,
		// Probes are for ordinary connections that lie idle; the subscription hears heartbeats.
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 3},
		ControlContext:  d.control,
	}
	return nd.DialContext(ctx, network, addr)
}

// Within is Dial that ends with life.
func (d *Dialer) Within(life context.Context) func(ctx context.Context, network, addr string) (net.Conn, error) {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(life, cancel)()
		return d.Dial(ctx, network, addr)
	}
}
