package swarm

import (
	"maps"
	"sync/atomic"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// counters are one loop's. The loop writes them, any goroutine reads.
type counters struct {
	Open, Failed, Lost          atomic.Int64 // connections: open now, never opened, ended by the server
	Pings, Received             atomic.Int64
	WrongUser, Disorder         atomic.Int64
	Duplicates, Opened, Waiting atomic.Int64 // Waiting: to be opened, or being opened
	Resumed                     atomic.Int64 // TLS handshakes
}

// Stats are sums over all loops.
type Stats struct {
	Open, Failed, Lost  int // connections: open now, never opened, ended by the server
	Opened, Waiting     int // opened in all; to be opened or being opened
	Pings, Received     int
	WrongUser, Disorder int // notifications that are another user's; that came behind a later one
	Duplicates          int
	Resumed             int // TLS handshakes that resumed a session
}

// Stats may be called by any goroutine at any time.
func (s *Swarm) Stats() Stats {
	var sum Stats
	for _, l := range s.loops {
		c := l.stats
		sum.Open += int(c.Open.Load())
		sum.Failed += int(c.Failed.Load())
		sum.Lost += int(c.Lost.Load())
		sum.Opened += int(c.Opened.Load())
		sum.Waiting += int(c.Waiting.Load())
		sum.Pings += int(c.Pings.Load())
		sum.Received += int(c.Received.Load())
		sum.WrongUser += int(c.WrongUser.Load())
		sum.Disorder += int(c.Disorder.Load())
		sum.Duplicates += int(c.Duplicates.Load())
		sum.Resumed += int(c.Resumed.Load())
	}
	return sum
}

// Plus adds stats of different swarms.
func (s Stats) Plus(o Stats) Stats {
	return Stats{
		Open: s.Open + o.Open, Failed: s.Failed + o.Failed, Lost: s.Lost + o.Lost,
		Opened: s.Opened + o.Opened, Waiting: s.Waiting + o.Waiting,
		Pings: s.Pings + o.Pings, Received: s.Received + o.Received,
		WrongUser: s.WrongUser + o.WrongUser, Disorder: s.Disorder + o.Disorder,
		Duplicates: s.Duplicates + o.Duplicates, Resumed: s.Resumed + o.Resumed,
	}
}

// maxLatency is the longest latency that is told from longer ones, in ns.
const maxLatency = int64(60e9)

// newHistogram has 3 significant digits from 1 µs to maxLatency.
func newHistogram() *hdrhistogram.Histogram { return hdrhistogram.New(1_000, maxLatency, 3) }

// Latencies merges what the loops measured, in nanoseconds.
func (s *Swarm) Latencies() *hdrhistogram.Histogram {
	sum := newHistogram()
	s.each(func(l *loop) { sum.Merge(l.latencies) })
	return sum
}

// Handshakes merges the times from connect to the server's answer.
func (s *Swarm) Handshakes() *hdrhistogram.Histogram {
	sum := newHistogram()
	s.each(func(l *loop) { sum.Merge(l.handshakes) })
	return sum
}

// Problems says how often what went wrong.
func (s *Swarm) Problems() map[string]int {
	sum := map[string]int{}
	s.each(func(l *loop) {
		for problem, n := range l.problems {
			sum[problem] += n
		}
	})
	return maps.Clone(sum)
}

// Missing compares what each connection got with what was published for its
// user, and returns how many notifications are missing. Connections that stall
// on purpose don't count.
func (s *Swarm) Missing(published func(user int) uint32) int {
	missing := 0
	s.each(func(l *loop) {
		for _, c := range l.conns {
			if !c.stalled && c.asked {
				missing += c.checker.Lost(published(c.user))
			}
		}
	})
	return missing
}

// Behind is how many of these connections have not got the latest that was published for their user. Behind that one nothing is on its way.
func (s *Swarm) Behind(published func(user int) uint32) int {
	behind := 0
	s.each(func(l *loop) {
		for _, c := range l.conns {
			if !c.stalled && c.asked && c.checker.Highest() < published(c.user) {
				behind++
			}
		}
	})
	return behind
}
