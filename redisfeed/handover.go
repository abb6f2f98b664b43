package redisfeed

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"roost/internal/wirecodec"
	"roost/redisfeed/internal/boottime"
	"roost/redisfeed/internal/redisnet"
	"roost/redisfeed/internal/resp"
	"roost/redisfeed/internal/subs"
	"roost/redisfeed/internal/topology"
)

// stateVersion is the version of what Export writes.
const stateVersion = 1

// Bounds of what is read, in bytes.
const (
	maxState = 1 << 30
	maxText  = 1 << 16 // of an address, a channel, an error
)

// Export writes down the state of a frozen feed for another process: its links and what was read from them, the
// subscriptions, an outage that goes on, and gaps that are not told yet. It calls send with pieces, one after the other, within
// the bounds of package wirecodec; the descriptors are the feed's. An error of send ends it. Counters stay here.
func (f *Feed) Export(send func(section []byte, descriptors []int) error) error {
	if !f.freeze.frozen {
		return errors.New("redisfeed: Export of a feed that is not frozen")
	}
	descriptors := make([]int, 0, len(f.freeze.links))
	for _, l := range f.freeze.links {
		descriptors = append(descriptors, l.descriptor)
	}
	return wirecodec.Send(f.appendState(nil), descriptors, send)
}

func (f *Feed) appendState(dst []byte) []byte {
	dst = wirecodec.AppendUint(dst, stateVersion)
	dst = wirecodec.AppendUint(dst, uint64(f.cfg.Mode))
	dst = wirecodec.AppendString(dst, f.beat.channel)
	dst = appendStrings(dst, f.channels())
	dst = appendStrings(dst, f.patterns())
	dst = wirecodec.AppendInt(dst, int64(f.begun))
	dst = wirecodec.AppendBool(dst, f.again)
	dst = wirecodec.AppendBool(dst, f.linkWait.Missed())
	dst = appendMaster(dst, f.at)
	dst = wirecodec.AppendInt(dst, int64(f.namedAt()))
	dst = f.retry.append(dst)
	dst = f.gap.append(dst)
	dst = wirecodec.AppendInt(dst, f.markers.last.Load())
	status := f.monitor.status()
	for _, t := range []time.Time{status.Since, status.Outage} {
		dst = wirecodec.AppendInt(dst, int64(instantOf(t)))
	}
	dst = wirecodec.AppendString(dst, status.Err[:min(len(status.Err), maxText)])
	if dst = wirecodec.AppendBool(dst, f.live != nil); f.live != nil {
		dst = appendLink(dst, f.live)
	}
	if f.manager != nil {
		dst = f.manager.appendState(dst, f.freeze.links)
	}
	return dst
}

// namedAt is when sentinels, or the cluster, last named the Redis of the latest link.
func (f *Feed) namedAt() boottime.Instant {
	if t := f.target.Load(); t != nil {
		return boottime.Instant(t.asked.Load())
	}
	return 0
}

func appendLink(dst []byte, l *link) []byte {
	dst = wirecodec.AppendInt(dst, int64(l.proven))
	return wirecodec.AppendBytes(dst, l.buf.Unread())
}

func appendStrings(dst []byte, all []string) []byte {
	dst = wirecodec.AppendUint(dst, uint64(len(all)))
	for _, s := range all {
		dst = wirecodec.AppendString(dst, s)
	}
	return dst
}

func readStrings(r *wirecodec.Reader) (all []string) {
	for range r.Count(1) {
		all = append(all, r.String(maxText))
	}
	return all
}

func appendMaster(dst []byte, m topology.Master) []byte {
	dst = wirecodec.AppendString(dst, m.Addr)
	dst = wirecodec.AppendInt(dst, m.Epoch)
	return wirecodec.AppendBool(dst, m.Sure)
}

// readInstant reads an instant, or none. One that is to come is now: it may be of before the machine was started.
func readInstant(r *wirecodec.Reader) boottime.Instant {
	return min(boottime.Instant(r.Int(0, 1<<62)), boottime.Now())
}

func (r *retry) append(dst []byte) []byte {
	for _, n := range []int{r.failures, r.flaps} {
		dst = wirecodec.AppendUint(dst, uint64(n))
	}
	dst = wirecodec.AppendInt(dst, int64(r.spent))
	for _, t := range r.times() {
		dst = wirecodec.AppendInt(dst, int64(instantOf(*t)))
	}
	return dst
}

func (r *retry) restore(from *wirecodec.Reader) {
	const most = 1 << 40
	r.failures, r.flaps = int(from.Uint(most)), int(from.Uint(most))
	r.spent = time.Duration(from.Int(0, 1<<62))
	for _, t := range r.times() {
		*t = timeOf(readInstant(from))
	}
}

// times are what is handed over of a retry, beside its numbers.
func (r *retry) times() [5]*time.Time {
	return [...]*time.Time{&r.counted, &r.began, &r.upSince, &r.lostAt, &r.outage}
}

func (g *gap) append(dst []byte) []byte {
	dst = wirecodec.AppendInt(dst, int64(g.since))
	dst = wirecodec.AppendInt(dst, int64(g.doubt))
	return wirecodec.AppendString(dst, g.from)
}

func (g *gap) restore(r *wirecodec.Reader) {
	// A gap may begin before the machine was started.
	g.since, g.doubt = boottime.Instant(r.Int(-1<<62, 1<<62)), boottime.Instant(r.Int(-1<<62, 1<<62))
	g.from = r.String(maxText)
}

// imported is what another process has left to this one.
type imported struct {
	pieces wirecodec.Pieces

	at      topology.Master
	asked   boottime.Instant // when it was last named
	link    *importedLink    // nil: there was none
	missed  bool
	manager importedManager
}

// importedLink is a link to go on with.
type importedLink struct {
	descriptor int // -1: somebody has taken it
	proven     boottime.Instant
	unread     []byte
	commands   *subs.Commands
}

// Import takes a piece of what Export wrote in another process, of which it keeps a copy. The descriptors are the feed's from
// now on, also after an error. Nothing is done to them before Run. Call it before Run, with all pieces in order, and then
// FinishImport; from one goroutine.
func (f *Feed) Import(section []byte, descriptors []int) error {
	if f.imported == nil {
		f.imported = &imported{}
	}
	return f.imported.pieces.Add(section, descriptors, maxState)
}

// DiscardImport closes the descriptors of a feed that will not run. The connections stay the other process's.
func (f *Feed) DiscardImport() {
	if f.imported != nil {
		for _, fd := range f.imported.pieces.Descriptors {
			_ = unix.Close(fd)
		}
		f.imported = nil
	}
}

// FinishImport reads what was imported. The error says what is wrong with it, or what this feed is configured to do otherwise;
// then it can only be discarded. From now on Status and Subscribed say what they said in the other process, and Acquire counts
// that process's connections; Run reads on.
func (f *Feed) FinishImport() error {
	if f.imported == nil {
		return errors.New("redisfeed: nothing was imported")
	}
	r := wirecodec.NewReader(f.imported.pieces.State)
	if version := r.Uint(1 << 32); r.Err() == nil && version != stateVersion {
		return fmt.Errorf("the redis feed's state has version %d, this release reads %d", version, stateVersion)
	}
	if err := f.sameFeed(r); err != nil {
		return err
	}
	f.restore(r)
	if err := r.Done(); err != nil {
		return fmt.Errorf("the redis feed's state: %w", err)
	}
	descriptors := f.imported.pieces.Descriptors
	for _, l := range f.imported.links() {
		if len(descriptors) == 0 || !redisnet.IsStream(descriptors[0]) {
			return errors.New("the redis feed's state: a link without its socket")
		}
		l.descriptor, descriptors = descriptors[0], descriptors[1:]
	}
	if len(descriptors) > 0 {
		return errors.New("the redis feed's state: a socket without its link")
	}
	f.imported.pieces.State = nil
	f.takeOver()
	return nil
}

// sameFeed reads what has to be the same in both processes.
func (f *Feed) sameFeed(r *wirecodec.Reader) error {
	if mode := Mode(r.Uint(uint64(Sharded))); r.Err() == nil && mode != f.cfg.Mode {
		return fmt.Errorf("the other process has another way to subscribe to what is for users, number %d and not %d (REDIS_FEED)", mode, f.cfg.Mode)
	}
	f.beat.channel = r.String(maxText)
	channels, patterns := readStrings(r), readStrings(r)
	if r.Err() == nil && (!slices.Equal(channels, f.channels()) || !slices.Equal(patterns, f.patterns())) {
		return fmt.Errorf("the other process is subscribed to %q and %q, this one would be to %q and %q", channels, patterns, f.channels(), f.patterns())
	}
	return nil
}

// restore reads the rest.
func (f *Feed) restore(r *wirecodec.Reader) {
	in := f.imported
	f.begun, f.again, in.missed = readInstant(r), r.Bool(), r.Bool()
	in.at = topology.Master{Addr: r.String(maxText), Epoch: r.Int(-1<<62, 1<<62), Sure: r.Bool()}
	in.asked = readInstant(r)
	f.retry.restore(r)
	f.gap.restore(r)
	f.markers.last.Store(r.Int(0, 1<<62))
	since, outage := timeOf(readInstant(r)), timeOf(readInstant(r))
	why := r.String(maxText)
	if r.Bool() {
		in.link = readLink(r)
	}
	if f.manager != nil {
		in.manager = f.manager.restore(r)
	}
	f.monitor.restore(in.link != nil, since, why, outage, f.retry.failures)
}

func readLink(r *wirecodec.Reader) *importedLink {
	return &importedLink{descriptor: -1, proven: readInstant(r), unread: slices.Clone(r.Bytes(maxUnread)), commands: new(subs.Commands)}
}

// links are all, in the order of their descriptors.
func (in *imported) links() (all []*importedLink) {
	if in.link != nil {
		all = append(all, in.link)
	}
	for _, n := range in.manager.nodes {
		all = append(all, n.importedLink)
	}
	return all
}

// hasLink reports whether there is a link of the feed's own to go on with.
func (in *imported) hasLink() bool { return in != nil && in.link != nil }

// takeOver has Acquire, Status and others answer as in the other process.
func (f *Feed) takeOver() {
	in := f.imported
	f.at = in.at
	if in.hasLink() {
		f.linkWait.Up()
	} else {
		f.linkWait.Resume(in.missed)
	}
}

// takeOverLink goes on with the feed's own link. Run's goroutine calls it.
func (f *Feed) takeOverLink(l *link, from *imported) error {
	l.wants = make(map[subscription]bool)
	for _, name := range f.channels() {
		l.wants[subscription{resp.Subscribe, name}] = true
	}
	for _, name := range f.patterns() {
		l.wants[subscription{resp.PSubscribe, name}] = true
	}
	if err := l.takeOver(from.link); err != nil {
		return err
	}
	f.live = l
	f.monitor.proven.Store(int64(l.proven))
	if f.manager != nil {
		f.manager.takeOver(l, from)
	}
	f.beat.soon()
	f.cfg.Logger.Info("redis feed goes on with the link of the process before", "addr", f.at.Addr)
	return nil
}

// takeOver goes on with a link, and has the sink's lock then, until the first batch ends.
func (l *link) takeOver(from *importedLink) error {
	l.timer.Stop()
	l.prove(from.proven)
	fd := from.descriptor
	from.descriptor = -1
	stream, err := redisnet.TakeOverStream(fd, l.cfg.HeartbeatTimeout, l.in.excused)
	if err != nil {
		return l.reason(err)
	}
	if err := l.in.enter(); err != nil {
		return err
	}
	l.stream, l.buf, l.answered = stream, resp.NewBuffer(readBuffer), true
	l.buf.Load(from.unread)
	l.closeAtEnd()
	return nil
}

// begin is the beginning of Run: connections that came along are counted by now.
func (f *Feed) begin(stop func()) {
	f.sinkMu.Lock()
	defer f.sinkMu.Unlock()
	f.freeze.stop = stop
	if f.imported != nil && f.manager != nil {
		f.subs.ReleaseUnused(time.Now())
		f.manager.imported = f.imported.manager.nodes
	}
}
