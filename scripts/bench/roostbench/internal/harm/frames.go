package harm

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"roost/bench/roostbench/internal/raw"
	"roost/bench/roostbench/internal/wire"
)

// The parts of floods.
const (
	pings    = wire.Ping
	messages = wire.Text
)

// Whether who floods reads what comes of it.
const (
	reading    = false
	notReading = true
)

const (
	// mostBytes bounds what one client sends.
	mostBytes = 16 << 20
	// smallReceive is the receive buffer of who doesn't read.
	smallReceive = 4 << 10
	// leastPouring is how long a flood lasts at least.
	leastPouring = 50 * time.Millisecond
	// sendBuffer keeps what waits to be sent small: a flood has to end soon after
	// it was stopped.
	sendBuffer = 64 << 10
)

// open opens a connection for harm.
func (a *attack) open(ctx context.Context, client, receive int) *raw.Conn {
	conn, err := a.Target.Open(ctx, fmt.Sprintf("harm-%d", client), receive)
	if err != nil {
		a.failed(ctx, err)
		return nil
	}
	return conn
}

// again opens one connection after another for harm, until the time is over.
func (a *attack) again(ctx context.Context, client, receive int, do func(*raw.Conn)) {
	a.repeat(ctx, mostTries/10, func(int) {
		if conn := a.open(ctx, client, receive); conn != nil {
			do(conn)
			_ = conn.Close()
		}
	})
}

// flood sends frames of a kind as fast as they are taken.
func flood(op wire.Opcode, deaf bool) func(context.Context, *attack) {
	block := []byte(strings.Repeat(string(wire.AppendFrame(nil, op, []byte("are you there?"), mask)), 100))
	return func(ctx context.Context, a *attack) {
		a.several(attackers, func(client int) {
			receive := 0
			if deaf {
				receive = smallReceive
			}
			a.again(ctx, client, receive, func(conn *raw.Conn) {
				if deaf {
					a.floodDeaf(ctx, conn, block)
					return
				}
				_ = conn.SetWriteBuffer(sendBuffer)
				ended := listen(conn, a.end.Add(a.Target.Patience))
				_, _ = pour(ctx, conn, block, a.end) // the end that is seen says why not
				_ = conn.CloseWrite()                // so that it ends also where nobody minded
				a.ended(<-ended)
			})
		})
	}
}

// pour writes a block again and again until the time is over, it is not taken, or
// mostBytes are. It takes a moment even where connecting took all the time.
func pour(ctx context.Context, conn net.Conn, block []byte, until time.Time) (sent int, err error) {
	if least := time.Now().Add(leastPouring); until.Before(least) {
		until = least
	}
	_ = conn.SetWriteDeadline(until)
	for ctx.Err() == nil && time.Now().Before(until) && sent < mostBytes {
		n, err := conn.Write(block)
		sent += n
		if err != nil {
			return sent, err
		}
	}
	return sent, nil
}

func (a *attack) floodDeaf(ctx context.Context, conn *raw.Conn, block []byte) {
	switch _, err := pour(ctx, conn, block, a.end); {
	case errors.Is(err, os.ErrDeadlineExceeded):
		a.count("held back")
	case err != nil:
		a.count("closed")
	default:
		a.count("taken")
	}
}

// end is how a connection ended, as its client saw it.
type end struct {
	code  int // of the close frame; 0: none
	pongs int
	err   error // io.EOF: in order
}

// listen reads until the end, in a goroutine of its own. The deadline holds for
// reading only.
func listen(conn *raw.Conn, deadline time.Time) <-chan end {
	ended := make(chan end, 1)
	_ = conn.SetReadDeadline(deadline)
	go func() {
		var e end
		for e.err == nil {
			e.err = conn.Receive(func(m wire.Message) error {
				switch m.Op {
				case wire.Pong:
					e.pongs++
				case wire.Close:
					e.code = int(m.Code)
				}
				return nil
			})
		}
		ended <- e
	}()
	return ended
}

// ended counts an end. To be left hanging is wrong.
func (a *attack) ended(e end) {
	switch {
	case errors.Is(e.err, wire.ErrFrame):
		a.blame(e.err.Error())
	case e.code != 0:
		a.count(fmt.Sprintf("closed with %d", e.code))
	case errors.Is(e.err, os.ErrDeadlineExceeded) && e.pongs > 0:
		a.count("still being answered")
	case errors.Is(e.err, os.ErrDeadlineExceeded):
		a.blame("left hanging")
	case errors.Is(e.err, io.EOF):
		a.count("closed")
	default:
		a.count("reset")
	}
}

// halfClosed upgrades and says nothing more, for ever.
func halfClosed(ctx context.Context, a *attack) {
	a.several(attackers, func(client int) {
		a.again(ctx, client, 0, func(conn *raw.Conn) {
			ended := listen(conn, time.Now().Add(a.Target.Patience))
			_ = conn.CloseWrite()
			a.ended(<-ended)
		})
	})
}

// bigMessage is a frame of mostBytes: its head, and then its payload.
func bigMessage() (first, block []byte) {
	first = binary.BigEndian.AppendUint64([]byte{0x82, 0xFF}, mostBytes)
	return binary.BigEndian.AppendUint32(first, mask), make([]byte, 64<<10)
}

// fragments is a message that begins and is never final.
func fragments() (first, block []byte) {
	payload := make([]byte, 100)
	first = wire.AppendFrame(nil, wire.Binary, payload, mask)
	block = wire.AppendFrame(nil, wire.Continuation, payload, mask)
	first[0] &^= 0x80
	block[0] &^= 0x80
	return first, []byte(strings.Repeat(string(block), 500))
}

// large sends more in one message than a server has reason to take.
func large(message func() (first, block []byte)) func(context.Context, *attack) {
	return func(ctx context.Context, a *attack) {
		first, block := message()
		a.several(attackers, func(client int) {
			a.again(ctx, client, 0, func(conn *raw.Conn) {
				until := time.Now().Add(a.Target.Patience)
				ended := listen(conn, until)
				_, _ = conn.Write(first) // if it is not taken, nor is the rest
				if _, err := pour(ctx, conn, block, until); err == nil && ctx.Err() == nil {
					a.blame("taken whole")
					return
				}
				_ = conn.CloseWrite()
				a.ended(<-ended)
			})
		})
	}
}

// slowFrames sends frames a byte at a time, which a server may bear.
func slowFrames(ctx context.Context, a *attack) {
	frame := wire.AppendFrame(nil, wire.Text, make([]byte, 125), mask)
	a.several(patients, func(client int) {
		conn := a.open(ctx, client, 0)
		if conn == nil {
			return
		}
		defer conn.Close()
		ended := listen(conn, a.end.Add(a.Target.Patience))
		turn := time.NewTicker(trickleEvery)
		defer turn.Stop()
		for n := 0; a.going(ctx); n++ {
			if _, err := conn.Write(frame[n%len(frame) : n%len(frame)+1]); err != nil {
				break
			}
			<-turn.C
		}
		select {
		case e := <-ended:
			a.ended(e)
		default:
			a.count("waited for")
		}
	})
}
