package rules

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"roost/bench/roostbench/internal/raw"
)

const (
	// moment is between two pieces, so that the server may read them apart.
	moment = 300 * time.Microsecond
	// grace is how long an end may take before we ask whether the server serves on.
	grace = 200 * time.Millisecond
	// atOnce is how many cases are played at the same time.
	atOnce = 16
)

// Player plays cases against a server. Any goroutine may use it.
type Player struct {
	Target raw.Target
	users  atomic.Int64
}

// Play plays all cases, several at a time, and returns results in their order. A case that hangs takes the
// target's patience and is reported; the error is about ctx, or about a server that lets nobody in.
func (p *Player) Play(ctx context.Context, cases []Case) ([]Result, error) {
	results, errs := make([]Result, len(cases)), make([]error, len(cases))
	var all sync.WaitGroup
	room := make(chan struct{}, atOnce)
	for i, c := range cases {
		room <- struct{}{}
		all.Go(func() {
			results[i], errs[i] = p.play(ctx, c)
			<-room
		})
	}
	all.Wait()
	return results, errors.Join(append(errs, ctx.Err())...)
}

// play plays a case in all ways, up to the first that is not kept.
func (p *Player) play(ctx context.Context, c Case) (Result, error) {
	r := Result{Group: c.Group, Section: c.Section, Name: c.Name, Sent: sent(c), Want: c.Want.String()}
	for _, w := range ways(c, p.filled(c.Send)) {
		if err := ctx.Err(); err != nil {
			return r, err
		}
		s, err := p.one(ctx, c, w)
		if err != nil {
			return r, fmt.Errorf("%s, %s: %w", c.Name, w.name, err)
		}
		r.Ways++
		r.Verdict, r.Came = judge(c, s), s.String()
		if r.Verdict != Kept {
			r.Way = w.name
			return r, nil
		}
	}
	return r, nil
}

func (p *Player) one(ctx context.Context, c Case, w way) (seen, error) {
	if c.Group == Handshake {
		return p.handshake(ctx, c, w)
	}
	return p.wire(ctx, c, w)
}

// user is a new one for each connection: a server may limit those of one.
func (p *Player) user() string { return fmt.Sprintf("abuse-%d", p.users.Add(1)) }

// say writes pieces, and gives what follows its time. That the server no longer takes them is no error: what came
// says why.
func (p *Player) say(socket net.Conn, pieces []string) error {
	if err := socket.SetDeadline(time.Now().Add(p.Target.Patience)); err != nil {
		return err
	}
	for i, piece := range pieces {
		if i > 0 && len(pieces) <= mostFramePieces {
			time.Sleep(moment) // hundreds of them could be longer than a handshake may take
		}
		if _, err := io.WriteString(socket, piece); err != nil {
			break
		}
	}
	return socket.SetDeadline(time.Now().Add(p.Target.Patience))
}

// endOf tells an end by its error.
func endOf(err error) ending {
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return waits
	case errors.Is(err, io.EOF):
		return closed
	}
	return reset
}

// filled puts the target into a request. Frames have no such words in them.
func (p *Player) filled(send []string) []string {
	words := strings.NewReplacer("{token}", p.Target.Token(p.user()), "{key}", string(sampleKey[:]),
		"{host}", p.Target.Host(), "{path}", p.Target.Path)
	var all []string
	for _, piece := range send {
		all = append(all, words.Replace(piece))
	}
	return all
}
