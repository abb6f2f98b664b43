package redisnet

import (
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

var errNone = errors.New("no sentinel says where the master is")

// A shortage on this host is told from a failure of Redis, however deep in the error it lies.
func TestLocalShortage(t *testing.T) {
	t.Parallel()
	dialing := func(errno syscall.Errno) error {
		return &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("socket", errno)}
	}
	lookup := func(text string) error { return &net.OpError{Op: "dial", Err: &net.DNSError{Err: text, Name: "redis"}} }
	for _, tt := range []struct {
		err  error
		want bool
	}{
		{nil, false},
		{dialing(syscall.EMFILE), true},
		{dialing(syscall.ENFILE), true},
		{dialing(syscall.ENOBUFS), true},
		{dialing(syscall.ENOMEM), true},
		{dialing(syscall.EADDRNOTAVAIL), true},
		{dialing(syscall.ECONNREFUSED), false},
		{dialing(syscall.ETIMEDOUT), false},
		{lookup("dial udp 10.0.0.2:53: socket: too many open files"), true},
		{lookup("no such host"), false},
		{fmt.Errorf("taking over the socket: %w", errors.Join(syscall.EMFILE)), true},
		{fmt.Errorf("%w; %s: %w", errNone, "10.0.0.1:26379", dialing(syscall.EMFILE)), true},
		{&os.PathError{Op: "open", Path: "tls.key", Err: syscall.EMFILE}, true},
		{errNone, false},
	} {
		if got := LocalShortage(tt.err); got != tt.want {
			t.Errorf("%v: %t", tt.err, got)
		}
	}
}

// A beat that this host could not send proves nothing by not coming back.
func TestWatchedConnForgivesAStarvedHost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		here, there := net.Pipe()
		defer here.Close()
		defer there.Close()
		conn := watched(here, 8*time.Second)
		starved := 3
		conn.excused = func() bool { starved--; return starved >= 0 }
		start := time.Now()
		if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, ErrSilent) || time.Since(start) != 32*time.Second {
			t.Errorf("after %s: %v", time.Since(start), err)
		}
	})
}
