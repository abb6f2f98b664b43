package readers

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"sync"
	"time"

	"roost/bench/roostbench/internal/note"
	"roost/bench/roostbench/internal/raw"
	"roost/bench/roostbench/internal/wire"
)

// Speed is bytes a second.
type Speed int

// The speeds that are not a number of bytes.
const (
	Stalled Speed = 0
	Full    Speed = -1
)

// receiveBuffer is how much the kernel may keep for a reader of that speed, in bytes as setsockopt takes them: a slow
// client must not look fast because its kernel has taken everything. 0 leaves it to the kernel.
func (s Speed) receiveBuffer() int {
	switch {
	case s == Full:
		return 0
	case s < 64<<10:
		return 4 << 10
	}
	return 64 << 10
}

// turn is how often a slow reader reads.
const turn = 100 * time.Millisecond

// piece is how much is read at once.
func (s Speed) piece() int {
	if s == Full {
		return 64 << 10
	}
	return max(int(s)*int(turn)/int(time.Second), 1)
}

// Reader is one connection of one user. Any goroutine may use it.
type Reader struct {
	user  int
	conn  *raw.Conn
	peer  netip.AddrPort
	quit  chan struct{} // closed by Close
	done  chan struct{} // closed when the goroutine has ended
	moved chan struct{} // has room for one: the speed has changed

	mu       sync.Mutex
	turned   *sync.Cond   // of mu: speed was seen, or the goroutine has ended
	speed    Speed        // guarded by mu
	seen     Speed        // by the goroutine, guarded by mu
	over     bool         // the goroutine has ended, guarded by mu
	checker  note.Checker // guarded by mu
	received int          // notifications, without copies; guarded by mu
	wrong    int          // notifications for others, twice, or out of order; guarded by mu
	asides   int          // messages that are no notification; guarded by mu
	last     time.Time    // when the last notification came; guarded by mu
	code     int          // of the server's close frame; guarded by mu
	err      error        // why the connection has ended; guarded by mu
	ended    time.Time    // guarded by mu
}

// Open connects user number user, whose kernel keeps no more for it than fits the speed, and reads at full speed until
// SetSpeed.
func Open(ctx context.Context, target raw.Target, user int, speed Speed) (*Reader, error) {
	conn, err := target.Open(ctx, string(note.AppendUser(nil, user)), speed.receiveBuffer())
	if err != nil {
		return nil, fmt.Errorf("opening a connection: %w", err)
	}
	r := &Reader{
		user: user, conn: conn, speed: Full, seen: Full, quit: make(chan struct{}), done: make(chan struct{}), moved: make(chan struct{}, 1),
		peer: netip.MustParseAddrPort(conn.LocalAddr().String()),
	}
	r.turned = sync.NewCond(&r.mu)
	go r.run()
	return r, nil
}

// Addr is the connection's address, which the server sees as its peer.
func (r *Reader) Addr() netip.AddrPort { return r.peer }

// SetSpeed changes how fast it reads from now on. It waits until a read under way has ended: that could still take what
// is sent after its deadline.
func (r *Reader) SetSpeed(s Speed) {
	r.mu.Lock()
	r.speed = s
	r.mu.Unlock()
	select {
	case r.moved <- struct{}{}:
	default:
	}
	_ = r.conn.SetReadDeadline(time.Now()) // ends a read under way
	r.mu.Lock()
	defer r.mu.Unlock()
	for r.seen != s && r.speed == s && !r.over {
		r.turned.Wait()
	}
}

// Expect forgets what came and expects the notification after number last next.
func (r *Reader) Expect(last uint32) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.checker, r.received, r.wrong = note.After(last), 0, 0
}

// Close ends the connection and waits for its goroutine. It may be called once.
func (r *Reader) Close() {
	close(r.quit)
	_ = r.conn.SetLinger(0) // so that no port rests for a minute
	_ = r.conn.Close()
	<-r.done
}

// Lost is how many notifications up to number last have not come, of those that Expect told it to expect.
func (r *Reader) Lost(last uint32) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.checker.Lost(last)
}

// Result is how a reader fares.
type Result struct {
	Received int       // notifications, each counted once
	Wrong    int       // notifications for others, twice, or out of order
	Asides   int       // messages that are no notification
	Highest  uint32    // the highest number that came
	Last     time.Time // when the last notification came
	Ended    time.Time // when the connection ended; zero: it is open
	Code     int       // of the server's close frame; 0: none came
	Err      error     // why it ended
}

// Result is how it fares so far.
func (r *Reader) Result() Result {
	r.mu.Lock()
	defer r.mu.Unlock()
	return Result{r.received, r.wrong, r.asides, r.checker.Highest(), r.last, r.ended, r.code, r.err}
}

// run is the goroutine.
func (r *Reader) run() {
	defer close(r.done)
	defer func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.over = true
		r.turned.Broadcast()
	}()
	for {
		speed := r.now()
		if speed == Stalled {
			select {
			case <-r.moved:
				continue
			case <-r.quit:
				return
			}
		}
		began := time.Now()
		r.conn.SetPiece(speed.piece())
		err := r.conn.Receive(r.message)
		if errors.Is(err, os.ErrDeadlineExceeded) { // SetSpeed
			_ = r.conn.SetReadDeadline(time.Time{})
			continue
		}
		if err != nil {
			r.end(err)
			return
		}
		if speed != Full {
			r.sleep(time.Until(began.Add(turn)))
		}
	}
}

func (r *Reader) now() Speed {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen = r.speed
	r.turned.Broadcast()
	return r.speed
}

// sleep ends when the speed changes.
func (r *Reader) sleep(d time.Duration) {
	select {
	case <-r.moved:
	case <-r.quit: // the next read fails
	case <-time.After(d):
	}
}

func (r *Reader) end(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.err, r.ended = err, time.Now()
}

// mask hides nothing from anybody here.
const mask = 0x726f6f73

func (r *Reader) message(m wire.Message) error {
	switch m.Op {
	case wire.Ping:
		_, err := r.conn.Write(wire.AppendFrame(nil, wire.Pong, m.Payload, mask))
		return err
	case wire.Close:
		r.mu.Lock()
		r.code = int(m.Code)
		r.mu.Unlock()
	case wire.Text:
		r.text(m.Payload)
	}
	return nil
}

func (r *Reader) text(payload []byte) {
	n, err := note.Parse(payload)
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		r.asides++
		return
	}
	verdict := r.checker.See(n.Seq)
	if n.User != r.user || verdict == note.Late || verdict == note.Duplicate {
		r.wrong++
	}
	if verdict != note.Duplicate {
		r.received++
		r.last = time.Now()
	}
}
