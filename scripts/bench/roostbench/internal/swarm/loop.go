package swarm

import (
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"golang.org/x/sys/unix"

	"roost/bench/roostbench/internal/note"
	"roost/bench/roostbench/internal/wire"
)

const (
	readBuffer  = 64 << 10
	eventsAtOne = 512
	wakeNumber  = -1 // epoll's number for the event descriptor
	maxProblems = 50 // different ones in the book
)

// loop is one event loop. Fields without a comment are its goroutine's.
type loop struct {
	swarm  *Swarm  // static
	dialer *dialer // static
	poll   int     // static
	bell   int     // static; an eventfd that ends the wait for events

	mu      sync.Mutex
	orders  []func() // guarded by mu
	stopped bool     // guarded by mu

	stats *counters // the loop writes, any goroutine reads

	conns     map[int]*conn
	opening   opening
	buffer    []byte
	tls       *tls.Config // static; nil without TLS
	decrypted []byte      // for TLS, as buffer
	scratch   []byte
	reading   *conn // whose message handle gets
	arrived   int64 // when the bytes came that are being handled
	handle    func(wire.Message) error
	random    *rand.Rand
	problems  map[string]int
	quit      bool

	recordFrom            int64 // notifications published before are not measured
	latencies, handshakes *hdrhistogram.Histogram
}

func newLoop(s *Swarm, index int) (*loop, error) {
	poll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll_create: %w", err)
	}
	bell, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	if err == nil {
		err = unix.EpollCtl(poll, unix.EPOLL_CTL_ADD, bell, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: wakeNumber})
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("eventfd: %w", err), unix.Close(poll))
	}
	l := &loop{
		swarm: s, dialer: newDialer(s.cfg), poll: poll, bell: bell, stats: new(counters),
		conns: map[int]*conn{}, buffer: make([]byte, readBuffer), problems: map[string]int{},
		random:    rand.New(rand.NewPCG(uint64(index), uint64(time.Now().UnixNano()))),
		latencies: newHistogram(), handshakes: newHistogram(),
	}
	if s.cfg.TLS {
		l.tls, l.decrypted = &tls.Config{InsecureSkipVerify: true, ServerName: "roost.test"}, make([]byte, readBuffer)
		if s.cfg.Resume {
			l.tls.ClientSessionCache = tls.NewLRUClientSessionCache(1)
		}
	}
	l.handle = func(m wire.Message) error { return l.reading.message(m) }
	return l, nil
}

// run is the loop's goroutine.
func (l *loop) run() error {
	events := make([]unix.EpollEvent, eventsAtOne)
	for !l.quit {
		l.openSome()
		n, err := unix.EpollWait(l.poll, events, l.opening.wait(time.Now()))
		if err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("epoll_wait: %w", err)
		}
		for _, event := range events[:max(n, 0)] {
			if event.Fd == wakeNumber {
				l.obey()
				continue
			}
			c := l.conns[int(event.Fd)]
			if err := c.ready(event.Events); err != nil {
				l.ended(c, err)
			}
		}
	}
	return nil
}

// order has fn run on the loop. Any goroutine. After the loop's end fn runs here.
func (l *loop) order(fn func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stopped {
		fn()
		return
	}
	l.orders = append(l.orders, fn)
	_, _ = unix.Write(l.bell, []byte{1, 0, 0, 0, 0, 0, 0, 0})
}

// obey works off the orders.
func (l *loop) obey() {
	var count [8]byte
	_, _ = unix.Read(l.bell, count[:])
	l.mu.Lock()
	orders := l.orders
	l.orders = nil
	l.mu.Unlock()
	for _, fn := range orders {
		fn()
	}
}

// request builds what a connection asks with.
func (l *loop) request(c *conn) []byte {
	cfg := &l.swarm.cfg
	user := note.AppendUser(nil, c.user)
	token := wire.AppendToken(nil, cfg.Secret, string(user), time.Now(), tokenTTL)
	path := cfg.Path
	if c.id != "" {
		path += "?since=" + c.id + "&token={token}"
	}
	l.scratch = wire.AppendRequest(l.scratch[:0], cfg.Server.String(), path, token, c.key)
	return l.scratch
}

// opened is called when the server has answered with 101.
func (l *loop) opened(c *conn) {
	l.opening.inFlight--
	l.stats.Waiting.Add(-1)
	l.stats.Open.Add(1)
	l.stats.Opened.Add(1)
	_ = l.handshakes.RecordValue(min(max(l.arrived-c.opened, 1_000), maxLatency))
}

// ended closes a connection after what ended it.
func (l *loop) ended(c *conn, err error) {
	switch c.state {
	case connecting, asking, greeting:
		l.opening.inFlight--
		l.stats.Waiting.Add(-1)
		l.stats.Failed.Add(1)
		l.problem(err)
	case open:
		l.stats.Open.Add(-1)
		l.stats.Lost.Add(1)
		l.problem(err)
	case leaving:
		l.stats.Open.Add(-1)
	}
	if c.secure != nil {
		c.secure.stop()
		c.secure = nil
	}
	if c.fd >= 0 {
		_ = unix.Close(c.fd)
	}
	c.fd, c.state = -1, closed
}

// problem notes what went wrong, by its text.
func (l *loop) problem(err error) {
	text := err.Error()
	if _, known := l.problems[text]; !known && len(l.problems) >= maxProblems {
		text = "others"
	}
	l.problems[text]++
}

// record notes how long a notification took.
func (l *loop) record(arrived, published int64) {
	if published >= l.recordFrom {
		_ = l.latencies.RecordValue(min(max(arrived-published, 1_000), maxLatency))
	}
}
