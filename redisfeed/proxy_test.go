package redisfeed

import (
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// proxy stands between a feed and Redis, on an address that stays. What Redis says goes through it after a delay, and
// another Redis can take the place of the first.
type proxy struct {
	addr  string
	delay time.Duration // of each piece that Redis sends; static

	mu     sync.Mutex // guards the rest
	target string
	conns  []net.Conn

	wg sync.WaitGroup
}

// start starts the proxy; the test's end stops it.
func (p *proxy) start(t *testing.T) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p.addr = ln.Addr().String()
	p.wg.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			p.wg.Go(func() { p.serve(conn) })
		}
	})
	t.Cleanup(func() {
		ln.Close()
		p.turnTo("") // which ends all
		p.wg.Wait()
	})
}

func (p *proxy) serve(client net.Conn) {
	defer client.Close()
	p.mu.Lock()
	server, err := net.Dial("tcp", p.target)
	if err == nil {
		p.conns = append(p.conns, client, server)
	}
	p.mu.Unlock()
	if err != nil {
		return
	}
	defer server.Close()
	p.wg.Go(func() {
		_, _ = io.Copy(server, client)
		server.Close()
	})
	buf := make([]byte, 64<<10)
	for {
		n, err := server.Read(buf)
		if err != nil {
			return
		}
		time.Sleep(p.delay)
		if _, err := client.Write(buf[:n]); err != nil {
			return
		}
	}
}

// turnTo cuts all connections; new ones go to another address.
func (p *proxy) turnTo(target string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.target = target
	for _, conn := range p.conns {
		conn.Close()
	}
	p.conns = nil
}
