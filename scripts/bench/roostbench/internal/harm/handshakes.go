package harm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"time"

	"roost/bench/roostbench/internal/wire"
)

const (
	// attackers is how many clients do the same harm at once.
	attackers = 4
	// patients is how many sockets wait until the server loses patience.
	patients = 50
	// mostTries bounds what is repeated.
	mostTries = 3000
)

// heads sends the same text on one new socket after another.
func heads(text string) func(context.Context, *attack) {
	return func(ctx context.Context, a *attack) {
		a.several(attackers, func(int) {
			a.repeat(ctx, mostTries, func(int) { a.say(ctx, text) })
		})
	}
}

// say sends text on a new socket and waits for an answer or an end.
func (a *attack) say(ctx context.Context, text string) {
	socket, err := a.Target.Dial(ctx, 0)
	if err != nil {
		a.failed(ctx, err)
		return
	}
	defer socket.Close()
	_ = socket.SetDeadline(time.Now().Add(a.Target.Patience))
	_, _ = io.WriteString(socket, text) // if it is not taken the answer says why
	_ = socket.SetDeadline(time.Now().Add(a.Target.Patience))
	a.answer(socket)
}

// endlessHead sends a head that never ends, as fast as it is taken.
func endlessHead(ctx context.Context, a *attack) {
	block := []byte(strings.Repeat("X-A: b\r\n", 5000))
	a.several(attackers, func(int) {
		a.repeat(ctx, mostTries, func(int) { a.endless(ctx, block) })
	})
}

func (a *attack) endless(ctx context.Context, block []byte) {
	socket, err := a.Target.Dial(ctx, 0)
	if err != nil {
		a.failed(ctx, err)
		return
	}
	defer socket.Close()
	until := time.Now().Add(a.Target.Patience)
	_, _ = io.WriteString(socket, "GET /ws HTTP/1.1\r\nHost: x\r\n") // if it is not taken, nor is the rest
	if _, err := pour(ctx, socket, block, until); err == nil && ctx.Err() == nil {
		a.blame("taken whole")
		return
	}
	_ = socket.SetDeadline(until)
	a.answer(socket)
}

// answer counts what comes first on a socket that is not upgraded.
func (a *attack) answer(socket net.Conn) {
	var b [64]byte
	n, err := io.ReadAtLeast(socket, b[:], len("HTTP/1.1 400"))
	switch {
	case n >= len("HTTP/1.1 400") && string(b[:len("HTTP/1.")]) == "HTTP/1." && string(b[9:12]) != "101":
		a.count("refused with " + string(b[9:12]))
	case n > 0:
		a.blame(fmt.Sprintf("answered %.12q", b[:n]))
	case errors.Is(err, os.ErrDeadlineExceeded):
		a.blame("left hanging")
	default:
		a.count("closed")
	}
}

// failed counts a connection that could not be opened, which is wrong unless we
// are to stop.
func (a *attack) failed(ctx context.Context, err error) {
	if ctx.Err() == nil {
		a.blame(err.Error())
	}
}

// badTokens asks with tokens that somebody else has signed.
func badTokens(ctx context.Context, a *attack) {
	token := wire.AppendToken(nil, []byte("nobody's secret, nobody's secret"), "mallory", time.Now(), time.Hour)
	request := wire.AppendRequest(nil, a.Target.Host(), a.Target.Path, token, wire.NewKey())
	heads(string(request))(ctx, a)
}

// resets connects and resets: before a word, within a head, and after an upgrade.
func resets(ctx context.Context, a *attack) {
	a.several(attackers, func(client int) {
		a.repeat(ctx, mostTries, func(n int) { a.reset(ctx, client, n) })
	})
	began := time.Now()
	conn, err := a.Target.Open(ctx, "after-resets", 0)
	if err != nil {
		a.failed(ctx, fmt.Errorf("afterwards: %w", err))
		return
	}
	_ = conn.Close()
	a.count(fmt.Sprintf("proper handshake afterwards, in %s", time.Since(began).Round(100*time.Microsecond)))
}

func (a *attack) reset(ctx context.Context, client, n int) {
	var socket *net.TCPConn
	var err error
	if n%10 == 0 { // a server may limit handshakes
		if conn, opened := a.Target.Open(ctx, fmt.Sprintf("reset-%d-%d", client, n), 0); opened == nil {
			socket = conn.TCPConn
		} else {
			err = opened
		}
	} else {
		socket, err = a.Target.Dial(ctx, 0)
	}
	if err != nil {
		a.failed(ctx, err)
		return
	}
	if n%2 == 1 {
		_, _ = io.WriteString(socket, "GET /ws HTTP/1.1\r\nHost:")
	}
	_ = socket.SetLinger(0)
	_ = socket.Close()
	a.count("reset")
}

// silent opens sockets and says nothing.
func silent(ctx context.Context, a *attack) {
	a.several(patients, func(int) { a.patient(ctx, func(net.Conn) error { return nil }) })
}

// trickling sends a head that never ends, a byte at a time.
func trickling(ctx context.Context, a *attack) {
	a.several(patients, func(int) {
		a.patient(ctx, func(socket net.Conn) error {
			_, err := socket.Write([]byte{'x'})
			return err
		})
	})
}

// trickleEvery is how often a byte is sent.
const trickleEvery = 50 * time.Millisecond

// patient opens a socket and does something every now and then until the server
// ends it.
func (a *attack) patient(ctx context.Context, now func(net.Conn) error) {
	socket, err := a.Target.Dial(ctx, 0)
	if err != nil {
		a.failed(ctx, err)
		return
	}
	defer socket.Close()
	_ = socket.SetDeadline(time.Now().Add(a.Handshake))
	stop := context.AfterFunc(ctx, func() { _ = socket.SetDeadline(time.Now()) })
	defer stop()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		a.answer(socket)
	}()
	turn := time.NewTicker(trickleEvery)
	defer turn.Stop()
	for {
		select {
		case <-ended:
			return
		case <-turn.C:
			if now(socket) != nil {
				<-ended // reading hears of it, too, or its deadline ends it
				return
			}
		}
	}
}

// noise is n bytes that mean nothing, and no upgrade by chance.
func noise(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = 0x80 | byte(rand.Uint32())
	}
	return string(b)
}
