package redisnet

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"roost/redisfeed/redistest"
)

func TestDialSetsSocketOptions(t *testing.T) {
	t.Parallel()
	d := &Dialer{Timeout: 8 * time.Second}
	conn, err := d.Dial(t.Context(), "tcp", redistest.Listen(t))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	raw, err := conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name              string
		level, opt, value int
	}{
		{"TCP_USER_TIMEOUT", unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, 8000},
		{"SO_KEEPALIVE", unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1},
		{"TCP_KEEPIDLE", unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, 15},
		{"TCP_KEEPINTVL", unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, 5},
		{"TCP_KEEPCNT", unix.IPPROTO_TCP, unix.TCP_KEEPCNT, 3},
	}
	for _, tt := range tests {
		var value int
		var failed error
		err := raw.Control(func(fd uintptr) { value, failed = unix.GetsockoptInt(int(fd), tt.level, tt.opt) })
		if err := errors.Join(err, failed); err != nil || value != tt.value {
			t.Errorf("%s is %d (%v), want %d", tt.name, value, err, tt.value)
		}
	}
}

func TestDialSaysWhyNot(t *testing.T) {
	t.Parallel()
	d := &Dialer{Timeout: redistest.Patience}
	if _, err := d.Dial(t.Context(), "tcp", "127.0.0.1:1"); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("dial: %v, want connection refused", err)
	}
}

// limitedConn gives up after a limit, as a threadConn does.
type limitedConn struct {
	net.Conn
	limit time.Duration
}

func (c limitedConn) Read(b []byte) (int, error) {
	if err := c.SetReadDeadline(time.Now().Add(c.limit)); err != nil {
		return 0, err
	}
	return c.Conn.Read(b)
}

// watched is a watchedConn over conn.
func watched(conn net.Conn, limit time.Duration) *watchedConn {
	return &watchedConn{Conn: limitedConn{conn, limit}, limit: limit}
}

func TestWatchedConnEndsASilentRead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		here, there := net.Pipe()
		defer here.Close()
		defer there.Close()
		start := time.Now()
		_, err := watched(here, 8*time.Second).Read(make([]byte, 1))
		if !errors.Is(err, ErrSilent) || time.Since(start) != 8*time.Second {
			t.Errorf("after %s: %v", time.Since(start), err)
		}
	})
}

func TestWatchedConnCountsNeitherBytesNorAbsence(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		here, there := net.Pipe()
		defer here.Close()
		defer there.Close()
		go func() {
			for range 5 { // 35 s for a message of five bytes
				time.Sleep(7 * time.Second)
				there.Write([]byte{1})
			}
		}()
		conn := watched(here, 8*time.Second)
		buf := make([]byte, 5)
		if _, err := io.ReadFull(conn, buf[:4]); err != nil {
			t.Fatalf("a message that arrives slowly: %v", err)
		}
		time.Sleep(time.Hour) // the reader is pushed back by the sink
		if _, err := conn.Read(buf); err != nil {
			t.Fatalf("a reader that was away: %v", err)
		}
	})
}

// stoppedConn is a connection whose first deadline is noticed an hour late, as after SIGSTOP and SIGCONT.
type stoppedConn struct {
	net.Conn
	reads int
}

func (c *stoppedConn) SetReadDeadline(time.Time) error { return nil }

func (c *stoppedConn) Read(b []byte) (int, error) {
	if c.reads++; c.reads == 1 {
		time.Sleep(time.Hour)
		return 0, os.ErrDeadlineExceeded
	}
	return copy(b, "x"), nil
}

func TestWatchedConnForgivesItsOwnProcess(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		conn := watched(&stoppedConn{}, 8*time.Second)
		if n, err := conn.Read(make([]byte, 1)); n != 1 || err != nil {
			t.Errorf("read %d, %v", n, err)
		}
	})
}
