package soak

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"syscall"
	"time"

	"roost/cmd/roost/internal/roosttest"
	"roost/internal/pause"
)

// peer is a TCP connection of a troublemaker. Its failures are expected: the server may have cut it, and the end of the soak
// closes it.
type peer struct {
	*net.TCPConn
	ctx context.Context // of the soak
	in  *bufio.Reader
}

// dial connects from an address of this machine, with a receive buffer of about so many bytes; "" and 0 leave it to the
// kernel. The peer is closed when ctx ends, and letGo has to be called when it is done with.
func dial(ctx context.Context, addr, from string, receive int) (p *peer, letGo func(), err error) {
	dialer := net.Dialer{Timeout: roosttest.Limit, KeepAlive: -1}
	if from != "" {
		dialer.LocalAddr = &net.TCPAddr{IP: net.ParseIP(from)}
	}
	dialer.SetMultipathTCP(false)
	if receive > 0 {
		dialer.Control = func(_, _ string, raw syscall.RawConn) error {
			return raw.Control(func(fd uintptr) {
				_ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, receive)
			})
		}
	}
	conn, err := dialer.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, nil, err
	}
	_ = conn.SetDeadline(time.Now().Add(roosttest.Limit))
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	p = &peer{TCPConn: conn.(*net.TCPConn), ctx: ctx, in: bufio.NewReaderSize(conn, 512)}
	return p, func() { stop(); _ = conn.Close() }, nil
}

// upgrade does the handshake.
func (p *peer) upgrade(token string) error {
	p.send(roosttest.Head(token))
	answer, err := http.ReadResponse(p.in, nil)
	if err != nil {
		return err
	}
	if answer.StatusCode != http.StatusSwitchingProtocols {
		return errors.New(answer.Status)
	}
	return nil
}

// send writes, and says whether that worked.
func (p *peer) send(text string) bool {
	_, err := io.WriteString(p, text)
	return err == nil
}

// trickle sends a text again and again, a byte every step, until that fails.
func (p *peer) trickle(text string, step time.Duration) {
	for i := 0; p.send(text[i%len(text) : i%len(text)+1]); i++ {
		p.wait(step)
	}
}

// takeAll reads until the server closes.
func (p *peer) takeAll() { _, _ = io.Copy(io.Discard, p.in) }

// takeSome reads an answer, or the beginning of it, and says whether one came.
func (p *peer) takeSome() bool {
	answer, err := http.ReadResponse(p.in, nil)
	if err != nil {
		return false
	}
	_, err = io.Copy(io.Discard, answer.Body)
	return err == nil
}

// takeFor reads for a while.
func (p *peer) takeFor(d time.Duration) {
	_ = p.SetReadDeadline(time.Now().Add(d))
	p.takeAll()
}

// wait waits, but not beyond the soak: it returns false when that has ended.
func (p *peer) wait(d time.Duration) bool { return pause.For(p.ctx, d) }

// reset closes with a reset in place of an end.
func (p *peer) reset() {
	_ = p.SetLinger(0)
	_ = p.Close()
}
