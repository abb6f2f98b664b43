package redispub

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"roost/bench/roostbench/internal/dialect"
	"roost/bench/roostbench/internal/note"
)

// MaxRate is how many notifications a second may be asked for.
const MaxRate = 1_000_000

// Config says what to publish, and how fast.
type Config struct {
	Redis   netip.AddrPort
	Shards  []Shard       // of a Redis Cluster, which gets SPUBLISH then; none: Redis gets PUBLISH
	Rate    int           // notifications a second
	Batch   time.Duration // what falls due in this time is sent in one piece; 0: each (or each burst) by itself
	Pad     int           // bytes of content beyond the note
	Pattern Pattern
	Dialect dialect.Dialect

	// Window bounds how many notifications are on their way: above it the
	// publisher waits. 0 is no bound. Arrived says how many have come.
	Window  int
	FanOut  int // connections of each user
	Arrived func() int
}

// Publisher publishes. One goroutine uses it; its books may be read when it is
// done.
type Publisher struct {
	cfg    Config
	clock  note.Clock
	links  []*link
	place  []uint8 // of a slot's shard among links; nil without shards
	picker *picker
	books  map[int]uint32 // how many for each user
	out    []piece        // one for each link
	text   []byte
	name   []byte
	packed []byte // text as the dialect has it

	expected int // deliveries, at connections that read
}

// piece is what is about to be sent on a link.
type piece struct {
	commands []byte
	count    int
}

// Result is what a run did.
type Result struct {
	Published int           // notifications
	Expected  int           // deliveries at connections that read
	Elapsed   time.Duration // until the last was sent
	Held      time.Duration // waited because of Window
	Behind    time.Duration // the most that one was sent late
}

// New connects to Redis.
func New(cfg Config, clock note.Clock) (*Publisher, error) {
	if err := cfg.Pattern.validate(); err != nil {
		return nil, err
	}
	if cfg.Rate < 1 || cfg.Rate > MaxRate {
		return nil, fmt.Errorf("a rate of %d: it has to be from 1 to %d", cfg.Rate, MaxRate)
	}
	p := &Publisher{cfg: cfg, clock: clock, picker: newPicker(cfg.Pattern), books: map[int]uint32{}}
	if len(cfg.Shards) > 0 {
		var err error
		if p.place, err = linkOf(cfg.Shards); err != nil {
			return nil, err
		}
	}
	return p, p.dial()
}

// dial connects to Redis, or to each shard.
func (p *Publisher) dial() error {
	to := []netip.AddrPort{p.cfg.Redis}
	if p.place != nil {
		to = nil
		for _, s := range p.cfg.Shards {
			to = append(to, s.Redis)
		}
	}
	for _, addr := range to {
		l, err := dial(addr)
		if err != nil {
			return errors.Join(err, p.Close())
		}
		p.links = append(p.links, l)
	}
	p.out = make([]piece, len(p.links))
	return nil
}

// Redial connects again after Redis has been away. The books go on.
func (p *Publisher) Redial() error {
	_ = p.Close() // it is of no use any more
	return p.dial()
}

// Close ends the connection to Redis.
func (p *Publisher) Close() error {
	var err error
	for _, l := range p.links {
		err = errors.Join(err, l.close())
	}
	p.links = nil
	return err
}

// Among has the next run publish to the first so many users, from 1 to those of the pattern, beginning with the first.
func (p *Publisher) Among(users int) {
	p.picker.pattern.Users = users
	p.picker.turn = 0
}

// Published says how many a user was sent.
func (p *Publisher) Published(user int) uint32 { return p.books[user] }

// AwaitSubscriber publishes to nobody until somebody is subscribed to all users. Servers that never are need no waiting.
func (p *Publisher) AwaitSubscriber(ctx context.Context) error {
	if p.cfg.Dialect.EachUser {
		return nil
	}
	nobody := p.cfg.Dialect.AppendChannel(nil, p.cfg.Pattern.First+p.cfg.Pattern.Users)
	l := p.links[0]
	for {
		before := l.replies.subscribed
		if err := l.send(appendPublish(nil, plain, nobody, []byte(`{"type":"bench"}`)), 1); err != nil {
			return err
		}
		if err := l.awaitAnswers(0); err != nil {
			return err
		}
		if l.replies.subscribed > before {
			return nil
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("nobody is subscribed to %s: %w", nobody, context.Cause(ctx))
		}
	}
}

// Run publishes for a time, or until ctx ends.
func (p *Publisher) Run(ctx context.Context, length time.Duration) (Result, error) {
	if p.cfg.Window > 0 { // what was held back is not made up for
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, length)
		defer cancel()
	}
	return p.RunCount(ctx, int(length.Seconds()*float64(p.cfg.Rate)))
}

// RunCount publishes total notifications, fewer if ctx ends before.
func (p *Publisher) RunCount(ctx context.Context, total int) (Result, error) {
	runtime.LockOSThread() // sleeps below are this thread's
	defer runtime.UnlockOSThread()
	// Otherwise the kernel may let a thread sleep 50 µs longer than it asked for.
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0)

	var r Result
	s := schedule{start: time.Now(), rate: p.cfg.Rate, batch: p.cfg.Batch, burst: max(p.cfg.Pattern.Burst, 1)}
	began, expected := s.start, p.expected
	for r.Published < total && ctx.Err() == nil {
		p.hold(ctx, &s, &r)
		now := time.Now()
		n := s.due(r.Published, now)
		if n == 0 {
			nap(s.next(r.Published, now))
			continue
		}
		r.Behind = max(r.Behind, s.late(r.Published, now))
		if err := p.publish(min(n, total-r.Published)); err != nil {
			return r, err
		}
		r.Published += min(n, total-r.Published)
	}
	r.Elapsed, r.Expected = time.Since(began), p.expected-expected
	return r, p.awaitAnswers()
}

// awaitAnswers waits until all is answered.
func (p *Publisher) awaitAnswers() error {
	for _, l := range p.links {
		if err := l.awaitAnswers(0); err != nil {
			return err
		}
	}
	return nil
}

// publish sends n notifications in one piece.
func (p *Publisher) publish(n int) error {
	burst := max(p.cfg.Pattern.Burst, 1)
	user := 0
	for i := range n {
		if i%burst == 0 {
			user = p.picker.next()
		}
		p.append(user)
	}
	return p.flush()
}

// flush sends what has been appended.
func (p *Publisher) flush() error {
	for i := range p.out {
		o := &p.out[i]
		if o.count == 0 {
			continue
		}
		if err := p.links[i].send(o.commands, o.count); err != nil {
			return err
		}
		o.commands, o.count = o.commands[:0], 0
	}
	return nil
}

func (p *Publisher) append(user int) {
	p.books[user]++
	if p.cfg.Pattern.reads(user) {
		p.expected += max(p.cfg.FanOut, 1)
	}
	p.name = p.cfg.Dialect.AppendChannel(p.name[:0], user)
	p.text = note.Note{User: user, Seq: p.books[user], At: p.clock.Now()}.Append(p.text[:0], p.cfg.Pad)
	o, command := &p.out[0], plain
	if p.place != nil {
		o, command = &p.out[p.place[slotOf(p.name)]], sharded
	}
	p.packed = p.cfg.Dialect.AppendMessage(p.packed[:0], p.text)
	o.commands = appendPublish(o.commands, command, p.name, p.packed)
	o.count++
}

// hold waits while too many are on their way, and moves the schedule by as much.
func (p *Publisher) hold(ctx context.Context, s *schedule, r *Result) {
	if p.cfg.Window == 0 || p.expected-p.cfg.Arrived() <= p.cfg.Window {
		return
	}
	start := time.Now()
	for p.expected-p.cfg.Arrived() > p.cfg.Window && ctx.Err() == nil && time.Since(start) < time.Second {
		nap(100 * time.Microsecond)
	}
	waited := time.Since(start)
	s.start = s.start.Add(waited)
	r.Held += waited
}

// nap sleeps to the microsecond, which time.Sleep does not in a process that is
// otherwise idle.
func nap(d time.Duration) {
	t := unix.NsecToTimespec(int64(d))
	_ = unix.Nanosleep(&t, nil)
}
