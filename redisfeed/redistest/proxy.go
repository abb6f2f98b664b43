package redistest

import (
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// Proxy stands between a feed and Redis, on an address that stays. It delays Redis's answers, and another Redis can
// take the place of the first.
type Proxy struct {
	Addr  string        // set by Start
	Delay time.Duration // of each piece that Redis sends; static

	mu     sync.Mutex // guards the rest
	Target string     // set before Start, and then by TurnTo
	conns  []net.Conn
	mute   bool

	wg sync.WaitGroup
}

// Start starts the proxy; the test's end stops it.
func (p *Proxy) Start(t *testing.T) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p.Addr = ln.Addr().String()
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
		p.TurnTo("") // which ends all
		p.wg.Wait()
	})
}

func (p *Proxy) serve(client net.Conn) {
	defer client.Close()
	p.mu.Lock()
	server, err := net.Dial("tcp", p.Target)
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
		time.Sleep(p.Delay)
		if p.isMute() {
			continue
		}
		if _, err := client.Write(buf[:n]); err != nil {
			return
		}
	}
}

// Mute has answers of Redis thrown away from now on, until TurnTo.
func (p *Proxy) Mute() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mute = true
}

func (p *Proxy) isMute() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mute
}

// TurnTo cuts all connections; new ones go to another address, and are not mute. No answer slips through in between.
func (p *Proxy) TurnTo(target string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.Target, p.mute = target, false
	for _, conn := range p.conns {
		conn.Close()
	}
	p.conns = nil
}
