package sockmem

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"testing"
	"time"
)

// A client that does not read makes the server's socket grow, and one that reads does not.
func TestOf(t *testing.T) {
	t.Parallel()
	for _, network := range []string{"tcp4", "tcp"} { // the second is dual-stack
		t.Run(network, func(t *testing.T) {
			t.Parallel()
			listener, err := net.Listen(network, ":0")
			if err != nil {
				t.Fatal(err)
			}
			defer listener.Close()
			testOf(t, listener)
		})
	}
}

func testOf(t *testing.T, listener net.Listener) {
	t.Helper()
	port := uint16(listener.Addr().(*net.TCPAddr).Port)
	if all, err := Of(port); err != nil || len(all) != 0 {
		t.Fatalf("nobody is connected: %v, %v", all, err)
	}
	idle, server1 := connect(t, listener)
	stalled, server2 := connect(t, listener)
	_ = server1
	full := func(all []Socket) bool {
		return slices.ContainsFunc(all, func(s Socket) bool { return s.Bytes >= 64<<10 })
	}
	var all []Socket
	var err error
	for end := time.Now().Add(time.Minute); err == nil && !full(all) && time.Now().Before(end); all, err = Of(port) {
		_ = server2.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
		for err := error(nil); err == nil; { // until the kernel takes no more
			_, err = server2.Write(make([]byte, 64<<10))
		}
	}
	if err != nil || len(all) != 2 {
		t.Fatalf("%v, %v, want two", all, err)
	}
	for _, s := range all {
		switch s.Peer.String() {
		case idle.LocalAddr().String():
			if s.Bytes > 8<<10 || !s.Established {
				t.Errorf("the idle one: %+v", s)
			}
		case stalled.LocalAddr().String():
			if s.Bytes < 64<<10 || !s.Established {
				t.Errorf("the stalled one: %+v", s)
			}
		default:
			t.Errorf("who is %+v?", s)
		}
	}
}

func connect(t *testing.T, listener net.Listener) (client, server net.Conn) {
	t.Helper()
	client, err1 := net.Dial("tcp4", fmt.Sprintf("127.0.0.1:%d", listener.Addr().(*net.TCPAddr).Port))
	server, err2 := listener.Accept()
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = client.Close(), server.Close() })
	return client, server
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for name, in := range map[string][]byte{
		"a length of 0":    make([]byte, 16),
		"longer than it":   {200, 0, 0, 0, 20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0},
		"a short socket":   {17, 0, 0, 0, 20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2},
		"an error":         {20, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF},
		"an error without": {16, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0},
	} {
		if all, done, err := parse(in, 1); err == nil {
			t.Errorf("%s: %v, %t", name, all, done)
		}
	}
}
