package netpoll

import (
	"errors"
	"math"
	"time"

	"golang.org/x/sys/unix"

	"roost/hub"
	"roost/internal/wirecodec"
)

// A handover gives the open connections of one process to another one on the same machine, which serves them from then on, over
// the same sockets. Their clients notice nothing. Here are netpoll's two sides of it: HandingOver in the old process, TakingOver in
// the new one. Between them go sections, which are bytes and descriptors that somebody else carries, in order.
//
//	old                                         new
//	BeginHandover                               BeginTakeover, of a server whose loops are held back
//	PreCopy: duplicates of the descriptors ──▶  Take: puts them into the epolls of the loops that will own them
//	Freeze: what opened and closed since   ──▶  Take
//	Export: the state of each connection   ──▶  Take: makes the connections, registers them in the hub
//	                                            Finish: everything came, nothing too much
//	Commit: forgets them                        Serve: the loops start
//	Late: handshakes as they become complete ─▶ TakeLate
//
// Until Commit the old process may take all back with Abort, and nothing has happened: Export only reads, and the new process
// neither reads from a socket nor writes to one. From Commit on the old process does neither: it takes the descriptors out of its epolls
// and closes them.
//
// So of the two only one ever uses the keys of a TLS connection. Export copies keys and record numbers while the loops
// are frozen, so that nothing is sealed behind the copy. Then either Commit wipes the original, before the loop goes on, or Abort lets the
// loops go on, and the copy has sealed nothing and never will: a loop of the new process runs only after Serve, which is called only
// where the old process has promised to commit. Records that were sealed and not written yet go along as they are. A nonce is
// used once.
//
// While both have the descriptors, closing one does not end the connection, nor does it end being watched: the other's duplicate keeps the
// socket open. So from PreCopy on conn.closeNow takes a descriptor out of its epoll and shuts the socket down before it closes it
// (Server.shared).
//
// Times need no translation: the new server takes over the moment from which the old one counts (Server.started), so every instant stays
// what it is. That of notifications is the hub's, and goes along as an age.

// handoverVersion is the version of the sections. A release reads its own and the one before it.
const handoverVersion = 1

// The kinds of sections: their first byte.
const (
	sectionBegin       byte = 1 + iota // version and clock; the first one
	sectionDescriptors                 // descriptors that were duplicated, and numbers of those that are no longer wanted
	sectionFrozen                      // the times at which the state was written down
	sectionFrames                      // frames that wait, each once
	sectionFramePart                   // one more piece of the last frame, which was too long for a section
	sectionConns                       // open connections
	sectionHandshakes                  // pending handshakes
	sectionEnd                         // how much there was
	sectionLate                        // a pending handshake that became complete after Commit
)

const (
	// sectionSize is how long sections become, and maxSection what they may not exceed.
	sectionSize = 256 << 10
	maxSection  = 1 << 20

	// descriptorBatch is how many descriptors a section has at most, and how many are duplicated on a loop between its other work.
	descriptorBatch = 200

	// maxWaitingFrame bounds, in bytes, one frame of a notification.
	maxWaitingFrame = 1 << 30
)

// Send carries a section and copies of descriptors to the other process, at most 1 MiB and 250 at a time. It may keep neither: they
// are the caller's again when it returns.
type Send = func(section []byte, fds []int) error

// The flags of an open connection in its state.
const (
	flagStream  uint64 = 1 << iota // an event stream
	flagExpires                    // its token expires
	flagCounted                    // counted among the connections of its address
	flagTLS                        // has a record layer
	flagQueue                      // something waits to be written
	flagExtra                      // in the middle of a message or record
	flagInbound                    // has sent more lately than its allowance
	flagGap                        // is to be told of a gap
	flagAnswer                     // the answer to a token waits to be written; from here on unknown to releases that renew none
	flagRenewal                    // a token is being checked
	flagRenewed                    // has sent tokens of late
	flagsOpen   = 1<<iota - 1
)

var (
	errVersion  = errors.New("netpoll: a handover of another version")
	errSection  = errors.New("netpoll: a section that can't come here")
	errNumber   = errors.New("netpoll: a descriptor of a number that is not expected")
	errNoTLS    = errors.New("netpoll: the connections use TLS, and this process has none")
	errRoom     = errors.New("netpoll: not enough descriptors for all sockets")
	errUnframed = errors.New("netpoll: a frame without its end")
)

// monotonic is the machine's clock that all its processes share, in nanoseconds since it started.
func monotonic() (time.Duration, error) {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		return 0, err
	}
	return time.Duration(now.Nano()), nil
}

// readTogether returns what monotonic and another clock show at one moment. A goroutine may have to wait for the processor between two
// readings, so of several attempts the closest counts.
func readTogether(clock func() time.Duration) (shared, other time.Duration, err error) {
	const attempts, closeEnough = 10, 50 * time.Microsecond
	for i, closest := 0, time.Duration(math.MaxInt64); i < attempts && closest > closeEnough; i++ {
		before := clock()
		at, err := monotonic()
		if err != nil {
			return 0, 0, err
		}
		if apart := clock() - before; apart < closest {
			closest, shared, other = apart, at, before+apart/2
		}
	}
	return shared, other, nil
}

// appendBegin appends the first section.
func (s *Server) appendBegin(dst []byte) ([]byte, error) {
	at, now, err := readTogether(s.now)
	if err != nil {
		return nil, err
	}
	dst = wirecodec.AppendUint(append(dst, sectionBegin), handoverVersion)
	return wirecodec.AppendInt(dst, int64(at-now)), nil
}

// readBegin takes over the moment from which the other process counts. The loops must not run yet.
func (s *Server) readBegin(r *wirecodec.Reader) error {
	if version := r.Uint(math.MaxUint32); r.Err() == nil && version != handoverVersion {
		return errVersion
	}
	origin := time.Duration(r.Int(math.MinInt64, math.MaxInt64))
	if err := r.Done(); err != nil {
		return err
	}
	begun := time.Now()
	at, since, err := readTogether(func() time.Duration { return time.Since(begun) })
	if err != nil {
		return err
	}
	s.started = begun.Add(since + origin - at)
	return nil
}

// clocks are the moment at which state was written down, by the clock of all processes, and by that of the old process's hub.
type clocks struct{ at, hub time.Duration }

func (s *Server) clocks() (c clocks, err error) {
	c.at, c.hub, err = readTogether(s.cfg.Hub.Clock)
	return c, err
}

// frozenAt is that moment by this process's hub.
func (s *Server) frozenAt(at time.Duration) (time.Duration, error) {
	now, err := s.clocks()
	return now.hub - max(0, now.at-at), err
}

// appendConn appends the state of an open connection. id is the number of its descriptor, state what the hub says of it.
// gap is since when it is to be told that it missed something; the zero time: it is not.
func (c *conn) appendConn(dst []byte, id uint32, state []byte, gap time.Time, number func(*hub.Notification) uint64) []byte {
	l, s := c.loop, c.loop.server
	record := s.records.Get(c.fd)
	whole, limited := l.inbound.Whole(c)
	source, counted := s.perIP.SourceOf(c.ipSlot)
	renewed, renews := l.renewed.Whole(c)
	renewal := c.renewal()
	flags := uint64(0)
	for _, one := range [...]struct {
		set  bool
		flag uint64
	}{{c.stream, flagStream}, {c.expires != 0, flagExpires}, {counted, flagCounted}, {record != nil, flagTLS},
		{c.out != nil, flagQueue}, {c.extra != nil, flagExtra}, {limited, flagInbound}, {!gap.IsZero(), flagGap},
		{c.out != nil && c.out.Answer != nil, flagAnswer}, {renewal != nil, flagRenewal}, {renews, flagRenewed}} {
		if one.set {
			flags |= one.flag
		}
	}
	dst = wirecodec.AppendUint(dst, uint64(id))
	dst = wirecodec.AppendUint(dst, flags)
	dst = wirecodec.AppendString(dst, c.link.User())
	dst = wirecodec.AppendBytes(dst, state)
	dst = wirecodec.AppendUint(dst, uint64(c.lastRead))
	dst = wirecodec.AppendUint(dst, uint64(c.lastPing))
	dst = wirecodec.AppendUint(dst, uint64(s.conns.Opened(c.fd)/time.Second))
	dst = wirecodec.AppendUint(dst, uint64(c.written))
	if flags&flagExpires != 0 {
		dst = wirecodec.AppendUint(dst, uint64(c.expires))
	}
	if counted {
		dst = wirecodec.AppendUint(dst, uint64(source))
	}
	if record != nil {
		dst = appendRecord(dst, record)
	}
	if c.out != nil {
		dst = c.out.gapState.appendState(c.out.AppendState(dst, number))
	}
	if c.extra != nil {
		dst = c.extra.appendState(dst)
	}
	if limited {
		dst = wirecodec.AppendUint(dst, uint64(whole))
	}
	if !gap.IsZero() {
		dst = wirecodec.AppendUint(dst, uint64(gap.UnixMilli()))
	}
	if flags&flagAnswer != 0 {
		dst = wirecodec.AppendBytes(dst, c.out.Answer)
	}
	if renewal != nil {
		dst = wirecodec.AppendBytes(dst, renewal.token)
	}
	if renews {
		dst = wirecodec.AppendUint(dst, uint64(renewed))
	}
	return dst
}

// appendState appends the state of an open connection that is in the middle of a message or record.
func (e *extra) appendState(dst []byte) []byte {
	dst = wirecodec.AppendBytes(dst, e.record)
	dst = wirecodec.AppendUint(dst, uint64(e.began))
	dst = wirecodec.AppendBool(dst, e.free)
	dst = wirecodec.AppendUint(dst, uint64(max(e.discardLeft, 0)))
	dst = wirecodec.AppendBool(dst, !e.decoder.Idle())
	if e.decoder.Idle() {
		return dst
	}
	return e.decoder.AppendState(dst)
}

// readState reads what appendState wrote, but for the record, which it returns: it has to be counted.
func (e *extra) readState(r *wirecodec.Reader) (record []byte) {
	record = r.Bytes(recordMost)
	e.began = instant(r.Uint(math.MaxUint32))
	e.free = r.Bool()
	e.discardLeft = int32(r.Uint(math.MaxInt32))
	if r.Bool() {
		e.decoder.ReadState(r)
	}
	return record
}

func (g *gapState) appendState(dst []byte) []byte {
	dst = wirecodec.AppendUint(dst, uint64(len(g.untold)))
	for _, ms := range g.untold {
		dst = wirecodec.AppendInt(dst, ms)
	}
	lost := int64(0)
	if !g.lostSince.IsZero() {
		lost = g.lostSince.UnixMilli()
	}
	dst = wirecodec.AppendInt(dst, lost)
	dst = wirecodec.AppendBool(dst, g.lostSlow)
	return wirecodec.AppendUint(dst, uint64(g.told))
}

func (g *gapState) readState(r *wirecodec.Reader) {
	for i := range r.Uint(uint64(len(g.untold))) {
		g.untold[i] = r.Int(math.MinInt64, math.MaxInt64)
	}
	if lost := r.Int(math.MinInt64, math.MaxInt64); lost != 0 {
		g.lostSince = time.UnixMilli(lost)
	}
	g.lostSlow = r.Bool()
	g.told = time.Duration(r.Uint(math.MaxInt64))
}
