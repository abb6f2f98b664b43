package redisfeed

import (
	"context"
	"strings"
	"sync"
	"time"

	"roost/redisfeed/internal/boottime"
	"roost/redisfeed/internal/resp"
	"roost/redisfeed/internal/subs"
	"roost/redisfeed/publish"
)

// manager subscribes users who are not subscribed, and unsubscribes users who have left, each on their link: the feed's
// only one, or, for Sharded, that to the node of the cluster which has their slot.
type manager struct {
	feed   *Feed
	subs   *subs.Subscriptions
	shards *shards    // nil unless Sharded
	turn   sync.Mutex // held by run while it works, and while the feed is frozen. Taken before the sink's lock

	imported []*importedNode // of another process, for run to begin with; static once that has begun

	mu   sync.Mutex
	main *sender          // guarded by mu: that of the feed's own link, PerUser and while that is up
	stop func()           // guarded by mu: ends main, and waits for that
	gap  boottime.Instant // guarded by mu: since when there is a gap that is told once all users are subscribed; 0: none
	back time.Time        // guarded by mu: since when there has been a link again
}

func newManager(f *Feed) *manager {
	m := &manager{feed: f, subs: f.subs}
	if f.cfg.Mode == Sharded {
		m.shards = newShards(f)
	}
	return m
}

// run sends commands until ctx ends.
func (m *manager) run(ctx context.Context) {
	if m.shards != nil {
		m.turn.Lock()
		m.shards.takeOver(ctx, m.imported)
		m.turn.Unlock()
		defer m.shards.close()
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	var users []string
	for {
		var pause time.Duration
		users, pause = m.work(ctx, users)
		timer.Reset(pause)
		select {
		case <-ctx.Done():
			return
		case <-m.subs.Work():
		case <-timer.C:
		}
	}
}

// work does what there is to do. It returns subscribeAll's room, and for how long there is nothing more.
func (m *manager) work(ctx context.Context, room []string) (_ []string, pause time.Duration) {
	m.turn.Lock()
	defer m.turn.Unlock()
	if m.feed.freeze.released.Load() {
		return nil, time.Hour // Run ends
	}
	if m.shards != nil {
		m.shards.update(ctx)
	}
	room = m.subscribeAll(ctx, room)
	m.unsubscribeExpired()
	m.tellRestored()
	return room, m.pause()
}

// pause is how long there is nothing to do unless somebody says so.
func (m *manager) pause() time.Duration {
	pause := time.Hour
	if m.subs.Idle() {
		pause = min(max(m.feed.cfg.UnsubscribeDelay/8, subs.MinDelay), time.Second)
	}
	if m.shards != nil {
		pause = min(pause, m.shards.pause())
	}
	return pause
}

// subscribeAll subscribes all users who are not subscribed. It returns its room for users, for the next time.
func (m *manager) subscribeAll(ctx context.Context, room []string) []string {
	for {
		users, ok := m.subscribeSome(ctx, room[:0])
		if !ok {
			clear(room[:cap(room)]) // keep no names of users who are gone
			return room
		}
		room = users
	}
}

// subscribeSome takes a batch of users from the queue and has them subscribed. It is false when there are none, or no link.
func (m *manager) subscribeSome(ctx context.Context, room []string) (users []string, ok bool) {
	m.mu.Lock() // the link stays until they are its
	defer m.mu.Unlock()
	if m.main == nil && m.shards == nil {
		return nil, false
	}
	if users = m.subs.Next(room, subs.Batch); len(users) == 0 {
		return nil, false
	}
	if m.shards != nil {
		m.shards.subscribe(ctx, users)
		return users, true
	}
	commands := make([]subs.Command, 0, len(users))
	for _, user := range users {
		if m.subs.Subscribing(user, m.main.id) {
			commands = append(commands, subs.Command{User: user})
		}
	}
	m.main.add(commands...)
	return users, true
}

// unsubscribeExpired has users unsubscribed whose delay is over.
func (m *manager) unsubscribeExpired() {
	expired := m.subs.Expire(nil, time.Now())
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, e := range expired {
		switch {
		case m.shards != nil:
			m.shards.unsubscribe(e)
		case m.main != nil: // else the end of the link ends the subscription
			m.main.add(subs.Command{User: e.User, Unsubscribe: true})
		}
	}
}

// linkUp is called when the feed's link is up.
func (m *manager) linkUp(l *link) {
	if m.shards == nil {
		m.send(newSender(l, 0, PerUser))
	}
	m.subs.Notify()
}

// send has the feed's own link send commands.
func (m *manager) send(s *sender) {
	ctx, cancel := context.WithCancel(s.link.ctx)
	var wg sync.WaitGroup
	wg.Go(func() { s.run(ctx) })
	m.mu.Lock()
	defer m.mu.Unlock()
	m.main, m.stop = s, func() { cancel(); wg.Wait() }
}

// linkLost is called when that link has ended, or will never be up. Since is since when what was published may be lost.
func (m *manager) linkLost(since boottime.Instant) {
	if m.shards != nil {
		return
	}
	m.mu.Lock()
	main, stop := m.main, m.stop
	m.main, m.stop = nil, nil
	m.mu.Unlock()
	if main == nil {
		return
	}
	main.link.cancel(errSpent) // a write that waits has to end
	stop()
	m.subs.LinkLost(main.id, since, false) // LinkWait tells those who have waited for too long
}

// answered takes Redis's answer about a user's channel on the feed's own link, and is false for one to no command of ours.
// The link's reader calls it.
func (m *manager) answered(r resp.Reply) bool {
	m.mu.Lock()
	main := m.main
	m.mu.Unlock()
	user, ok := strings.CutPrefix(string(r.Channel), publish.ChannelPrefix)
	if !ok || main == nil {
		return false
	}
	command, ok := main.answered()
	if !ok || command != (subs.Command{User: user, Unsubscribe: r.Kind == resp.Unsubscribe}) {
		return false
	}
	if command.Unsubscribe {
		m.subs.Ended(user, main.id)
	} else if since := m.subs.Confirmed(user, main.id); since != 0 && !m.tellRestored() {
		m.feed.tellUserGap(user, since)
	}
	return true
}

// heard notes that a user is subscribed, who has lost what was published since then; 0: nothing.
func (m *manager) heard(user string, since boottime.Instant) {
	m.mu.Lock()
	later := m.gap != 0
	m.mu.Unlock()
	if since == 0 || later {
		m.feed.cfg.UserHeard(user, time.Time{})
		return
	}
	m.feed.cfg.UserHeard(user, since.Wall())
}

// tellLater has a gap told when all users are subscribed again.
func (m *manager) tellLater(since boottime.Instant) {
	m.mu.Lock()
	if m.gap == 0 {
		m.back = time.Now()
	}
	m.gap = boottime.Earlier(m.gap, since)
	m.mu.Unlock()
	m.subs.Notify()
}

// tellRestored tells of a gap that is over, or leaves it to a later call. It is false if there is none.
func (m *manager) tellRestored() bool {
	m.mu.Lock()
	since, back := m.gap, m.back
	if m.main == nil || since == 0 || m.subs.Lost() > 0 {
		m.mu.Unlock()
		return since != 0
	}
	m.gap = 0
	m.mu.Unlock()
	m.feed.cfg.Logger.Info("redis feed is subscribed to all users again", "users", m.subs.Counts().Subscribed,
		"after", time.Since(back).Round(time.Millisecond))
	m.feed.tellGap(since)
	return true
}

// sender sends the commands about users' channels on one link, many at a time, from a goroutine of its own: neither who
// adds commands nor who reads the answers waits for a write.
type sender struct {
	link     *link
	id       uint16 // of the link, for the subscriptions
	sharded  bool
	ping     time.Duration // between two PINGs; 0: none
	more     chan struct{} // capacity 1: there are commands, or room in the window
	commands *subs.Commands
}

func newSender(l *link, id uint16, mode Mode) *sender {
	return &sender{link: l, id: id, sharded: mode == Sharded, more: make(chan struct{}, 1), commands: new(subs.Commands)}
}

// add takes commands. Any goroutine.
func (s *sender) add(commands ...subs.Command) {
	s.commands.Add(commands...)
	signal(s.more)
}

// answered takes the oldest command without an answer, and is false if there is none. The reader calls it.
func (s *sender) answered() (command subs.Command, ok bool) {
	command, more, ok := s.commands.Answered()
	if more {
		signal(s.more)
	}
	return command, ok
}

// run sends until ctx ends, or until it can't: then it ends the link.
func (s *sender) run(ctx context.Context) {
	var pings <-chan time.Time
	if s.ping > 0 {
		ticker := time.NewTicker(s.ping)
		defer ticker.Stop()
		pings = ticker.C
	}
	for {
		var err error
		select {
		case <-ctx.Done():
			return
		case <-s.more:
			err = s.sendAll()
		case <-pings:
			err = s.link.sendPing()
		}
		if err != nil {
			s.link.cancel(err)
			return
		}
	}
}

// sendAll sends what is waiting, as far as the window lets it.
func (s *sender) sendAll() error {
	for more := true; more; {
		err := s.link.send(func() []byte {
			batch := s.commands.Take()
			more = len(batch) > 0
			return s.appendCommands(nil, batch)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// appendCommands appends commands of one kind. A sharded command is for one slot, so each user has one of its own; Redis takes
// any number of channels otherwise.
func (s *sender) appendCommands(dst []byte, batch []subs.Command) []byte {
	if len(batch) == 0 {
		return dst
	}
	name := "SUBSCRIBE"
	if batch[0].Unsubscribe {
		name = "UN" + name
	}
	channels := make([]string, len(batch))
	for i, c := range batch {
		channels[i] = publish.ChannelPrefix + c.User
	}
	if !s.sharded {
		return resp.AppendCommand(dst, name, channels...)
	}
	for _, channel := range channels {
		dst = resp.AppendCommand(dst, "S"+name, channel)
	}
	return dst
}
