package publish

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"roost/redisfeed/redistest"
)

func TestPublisher(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	p := patient(Config{Addr: server.Addr(), MinIdleConns: 2, PoolSize: 4})
	if n, err := p.Publish(t.Context(), "a", "x"); n != 0 || err != nil {
		t.Errorf("without a subscriber: %d receivers, %v", n, err)
	}
	for range 2 {
		if err := p.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
	if _, err := p.Publish(t.Context(), "a", "x"); err == nil {
		t.Error("published after Close")
	}
}

func TestPublishKeepsToItsDeadline(t *testing.T) {
	t.Parallel()
	p := patient(Config{Addr: redistest.Listen(t)}) // accepts and says nothing
	defer p.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	start := time.Now()
	if _, err := p.Publish(ctx, "a", "x"); err == nil {
		t.Error("published to nobody")
	}
	if took := time.Since(start); took > redistest.Patience/2 { // an answer would be waited for twice as long
		t.Errorf("took %s with a deadline of 100ms", took)
	}
}

// The pool dials in the background, without a context of ours.
func TestCloseEndsBackgroundDials(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	p, err := New(Config{
		Addr: ln.Addr().String(), TLS: &tls.Config{}, MinIdleConns: 1, Timeout: time.Hour,
	})
	if err != nil {
		t.Fatal(err)
	}
	conn, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Read(make([]byte, 1)); err != nil { // the handshake has begun, and hangs
		t.Fatal(err)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	_ = conn.SetReadDeadline(time.Now().Add(redistest.Patience))
	if _, err := io.Copy(io.Discard, conn); isTimeout(err) {
		t.Error("the dial goes on after Close")
	}
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}
