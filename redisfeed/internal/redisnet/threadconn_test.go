package redisnet

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"
)

// socketPair is a threadConn and the other end of it.
func socketPair(t *testing.T, limit time.Duration) (*threadConn, net.Conn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	near, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	far, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { far.Close() })
	conn, err := newThreadConn(near, limit)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn, far
}

func TestThreadConn(t *testing.T) {
	t.Parallel()
	conn, far := socketPair(t, time.Minute)
	if conn.RemoteAddr().String() != far.LocalAddr().String() || conn.LocalAddr().String() != far.RemoteAddr().String() {
		t.Errorf("between %s and %s, want %s and %s", conn.LocalAddr(), conn.RemoteAddr(), far.RemoteAddr(), far.LocalAddr())
	}
	if _, err := conn.Write([]byte("ping")); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 4)
	if _, err := io.ReadFull(far, got); err != nil || !bytes.Equal(got, []byte("ping")) {
		t.Fatalf("the other end got %q, %v", got, err)
	}
	if _, err := far.Write([]byte("pong")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(conn, got); err != nil || !bytes.Equal(got, []byte("pong")) {
		t.Fatalf("got %q, %v", got, err)
	}
	far.Close()
	if n, err := conn.Read(got); n != 0 || err != io.EOF {
		t.Errorf("after the other end has closed: %d, %v", n, err)
	}
}

func TestThreadConnGivesUp(t *testing.T) {
	t.Parallel()
	conn, _ := socketPair(t, 50*time.Millisecond)
	start := time.Now()
	_, err := (&watchedConn{Conn: conn, limit: 50 * time.Millisecond}).Read(make([]byte, 1))
	if took := time.Since(start); !errors.Is(err, ErrSilent) || took < 50*time.Millisecond {
		t.Errorf("after %s: %v", took, err)
	}
}

// All that a read does, it does while little comes too, in Go's poller.
func TestThreadConnQuiet(t *testing.T) {
	t.Parallel()
	conn, far := socketPair(t, time.Minute)
	got := make([]byte, 1)
	for i := range byte(20) {
		conn.quiet = true
		sent := make(chan error, 1)
		go func() {
			if i%2 == 0 {
				time.Sleep(2 * quietAfter) // the read waits already, or else it does not
			}
			_, err := far.Write([]byte{i})
			sent <- err
		}()
		if _, err := conn.Read(got); err != nil || got[0] != i {
			t.Fatalf("got %v, %v, want %d", got, err, i)
		}
		if err := <-sent; err != nil {
			t.Fatal(err)
		}
	}
	conn.quiet = true
	far.Close()
	if n, err := conn.Read(got); n != 0 || err != io.EOF {
		t.Errorf("after the other end has closed: %d, %v", n, err)
	}
}

func TestThreadConnGivesUpQuietly(t *testing.T) {
	t.Parallel()
	conn, _ := socketPair(t, 50*time.Millisecond)
	conn.quiet = true
	start := time.Now()
	_, err := conn.Read(make([]byte, 1))
	if took := time.Since(start); !errors.Is(err, os.ErrDeadlineExceeded) || took < 50*time.Millisecond {
		t.Errorf("after %s: %v", took, err)
	}
}

func TestThreadConnBecomesQuiet(t *testing.T) {
	t.Parallel()
	conn, far := socketPair(t, time.Minute)
	for _, before := range []bool{false, true} {
		// Again if the machine was so busy that the byte was there before the read waited.
		for deadline := time.Now().Add(time.Minute); ; {
			conn.quiet = before
			time.AfterFunc(2*quietAfter, func() { _, _ = far.Write([]byte{1}) })
			if _, err := conn.Read(make([]byte, 1)); err != nil {
				t.Fatal(err)
			}
			if conn.quiet {
				break
			}
			if time.Now().After(deadline) {
				t.Fatal("not quiet after a long wait")
			}
		}
	}
}

func TestClosingEndsAReadThatWaits(t *testing.T) {
	t.Parallel()
	for _, quiet := range []bool{false, true} {
		testClosingEndsARead(t, quiet)
	}
}

func testClosingEndsARead(t *testing.T, quiet bool) {
	t.Helper()
	conn, far := socketPair(t, time.Minute)
	done := make(chan error, 1)
	go func() {
		_, err := conn.Read(make([]byte, 1))
		if err == nil {
			conn.quiet = quiet
			_, err = conn.Read(make([]byte, 1))
		}
		done <- err
	}()
	if _, err := far.Write([]byte{1}); err != nil { // the reader is there
		t.Fatal(err)
	}
	conn.Close()
	conn.Close()
	select {
	case err := <-done:
		if err == nil {
			t.Error("a byte came from nowhere")
		}
	case <-time.After(time.Minute):
		t.Error("the read goes on")
	}
}

func TestThreadConnWantsASocket(t *testing.T) {
	t.Parallel()
	here, there := net.Pipe()
	defer there.Close()
	if _, err := newThreadConn(here, time.Second); err == nil {
		t.Error("a pipe was taken for a socket")
	}
}
