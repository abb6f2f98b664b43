package redisfeed

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"roost/internal/pause"
	"roost/redisfeed/internal/boottime"
)

// A feed can go on in another process on this host, with the same connections to Redis: what one process has not read the
// other reads, so that nothing is lost, comes twice or in another order. The old one calls Prepare, Freeze and Export, and
// then Commit, or Unfreeze if the other process fails; the new one calls Import and FinishImport before Run.
//
// Frozen means that the locks are held under which links are read and written and users subscribed: manager.turn, sinkMu,
// and link.writing of each. A reader that waits in read(2) has none of them, and would take what comes. So from Prepare on
// readers wait until something can be read, take the lock, and read then (link.await).

// freeze is how far that has come.
type freeze struct {
	careful  atomic.Bool // readers take nothing from a socket without the sink's lock
	released atomic.Bool // another process has the links: nothing is to be read, written or told any more

	// Guarded by Feed.sinkMu.

	stop context.CancelFunc // ends Run; nil before

	// Of the goroutine that calls Freeze and the methods that follow it.

	frozen bool
	links  []frozenLink // the feed's own first, if there is one
}

// frozenLink is a link that can be handed over.
type frozenLink struct {
	*link
	node       *node // nil: it is the feed's own
	descriptor int   // of the socket: ours, whatever becomes of the link
}

// maxUnread bounds, in bytes, the part of a message that is handed over. The rest of a longer one is waited for.
const maxUnread = 16 << 20

// CanHandOver returns ErrOverTLS where the feed can't be frozen.
func (f *Feed) CanHandOver() error {
	if f.cfg.TLS != nil {
		return ErrOverTLS
	}
	return nil
}

// Prepare makes Freeze quick, which then waits for nothing that Redis does. It takes as long as Redis needs for a heartbeat;
// where Redis does not answer, up to Config.HeartbeatTimeout, after which the link is lost. The feed goes on. Unfreeze undoes
// it. Call it, and the methods below, from one goroutine, while Run runs.
func (f *Feed) Prepare(ctx context.Context) error {
	if err := f.CanHandOver(); err != nil {
		return err
	}
	f.freeze.careful.Store(true)
	for poked := (time.Time{}); ; {
		hot, err := f.hotLinks(ctx)
		if len(hot) == 0 || err != nil {
			return err
		}
		if time.Since(poked) >= f.cfg.HeartbeatInterval/2 {
			poked = time.Now()
			for _, l := range hot {
				f.poke(l)
			}
		}
		if err := wait(ctx, "redis to send something"); err != nil {
			return err
		}
	}
}

// hotLinks returns the links whose readers may be in read(2).
func (f *Feed) hotLinks(ctx context.Context) (hot []*link, err error) {
	if t := f.target.Load(); t != nil && t.link.hot.Load() {
		hot = append(hot, t.link)
	}
	if f.manager == nil || f.manager.shards == nil {
		return hot, nil
	}
	if err := lockWithin(ctx, &f.manager.turn, "the subscriptions"); err != nil {
		return hot, err
	}
	defer f.manager.turn.Unlock()
	for _, n := range f.manager.shards.links {
		if n.link.hot.Load() {
			hot = append(hot, n.link)
		}
	}
	return hot, nil
}

// poke has Redis send something on a link.
func (f *Feed) poke(l *link) {
	if l == f.target.Load().link {
		f.beat.soon() // a PING would need a permission more
		return
	}
	_ = l.sendPing() // an error shows when it is read
}

// Freeze stops the feed between two reads: what was read is handed to the sink but for the beginning of a message that has not
// come whole, and Redis keeps the rest, or the kernel does. When it returns nil nothing is read, written, delivered or told
// until Unfreeze or Commit, and there has to be one of these. Users who are acquired meanwhile wait as while Redis is away. The
// error says what did not stop before ctx ended; then nothing is frozen.
func (f *Feed) Freeze(ctx context.Context) error {
	err := f.Prepare(ctx)
	for err == nil {
		var stable bool
		if stable, err = f.tryFreeze(ctx); stable || err != nil {
			break
		}
		err = wait(ctx, "the end of a link, or of a message")
	}
	if err != nil {
		f.freeze.careful.Store(false)
		return fmt.Errorf("freezing the redis feed: %w", err)
	}
	f.freeze.frozen = true
	return nil
}

// tryFreeze takes all locks. stable is false where something goes on that has to end first; then none is held.
func (f *Feed) tryFreeze(ctx context.Context) (stable bool, err error) {
	if f.manager != nil {
		if err := lockWithin(ctx, &f.manager.turn, "the subscriptions"); err != nil {
			return false, err
		}
	}
	if err := lockWithin(ctx, &f.sinkMu, "what takes the notifications"); err != nil {
		f.unlock(false)
		return false, err
	}
	var links []frozenLink
	stable = f.freeze.stop != nil
	for _, l := range f.liveLinks() {
		if l.ctx.Err() != nil || len(l.buf.Unread()) > maxUnread {
			stable = false
			break
		}
		if err = lockWithin(ctx, &l.writing, "a write to redis"); err != nil {
			break
		}
		if l.descriptor, err = l.stream.Duplicate(); err != nil {
			l.writing.Unlock()
			err = fmt.Errorf("another descriptor for a link to redis: %w", err)
			break
		}
		links = append(links, l)
	}
	f.freeze.links = links
	if !stable || err != nil {
		f.unlock(true)
		return false, err
	}
	return true, nil
}

// liveLinks are the links that can be handed over. The caller has the manager's turn and sinkMu.
func (f *Feed) liveLinks() (all []frozenLink) {
	if f.live != nil {
		all = append(all, frozenLink{link: f.live})
	}
	if f.manager == nil || f.manager.shards == nil {
		return all
	}
	for _, n := range f.manager.shards.links {
		if !n.upSince.IsZero() {
			all = append(all, frozenLink{link: n.link, node: n})
		}
	}
	return all
}

// unlock gives the locks back. sink says whether that of the sink is held.
func (f *Feed) unlock(sink bool) {
	for _, l := range f.freeze.links {
		_ = unix.Close(l.descriptor)
		l.writing.Unlock()
	}
	f.freeze.links = nil
	if sink {
		f.sinkMu.Unlock()
	}
	if f.manager != nil {
		f.manager.turn.Unlock()
	}
}

// Unfreeze goes on as if nothing had been. It also undoes Prepare, and does nothing else where the feed is not frozen.
func (f *Feed) Unfreeze() {
	f.freeze.careful.Store(false)
	if f.freeze.frozen {
		f.freeze.frozen = false
		f.unlock(true)
	}
}

// Commit ends a frozen feed whose links another process has: Run returns nil soon. Connections are closed, and their other end
// does not notice; nothing is unsubscribed.
func (f *Feed) Commit() {
	if !f.freeze.frozen {
		return
	}
	f.freeze.released.Store(true)
	for _, l := range f.freeze.links {
		l.stream.Release()
	}
	f.freeze.stop()
	f.freeze.frozen = false
	f.unlock(true)
}

// lockWithin takes a lock, or says that it was not free before ctx ended. what is what holds it.
func lockWithin(ctx context.Context, mu *sync.Mutex, what string) error {
	if mu.TryLock() {
		return nil
	}
	locked := make(chan struct{})
	go func() {
		mu.Lock()
		close(locked)
	}()
	select {
	case <-locked:
		return nil
	case <-ctx.Done():
		go func() {
			<-locked
			mu.Unlock()
		}()
		return fmt.Errorf("%s did not stop in time: %w", what, context.Cause(ctx))
	}
}

// wait waits a moment before the caller looks again. Its error names what the caller waits for.
func wait(ctx context.Context, what string) error {
	if !pause.For(ctx, time.Millisecond) {
		return fmt.Errorf("waiting for %s: %w", what, context.Cause(ctx))
	}
	return nil
}

// instantOf is when t was, and timeOf the way back: what is handed over is in instants, which are the same in all processes.
func instantOf(t time.Time) boottime.Instant {
	if t.IsZero() {
		return 0
	}
	return boottime.Now().Add(-time.Since(t))
}

func timeOf(i boottime.Instant) time.Time {
	if i == 0 {
		return time.Time{}
	}
	return time.Now().Add(time.Duration(i - boottime.Now()))
}
