package redisfeed

import "roost/redisfeed/internal/boottime"

// gap is the time in which what is published is lost, of the feed's own link. It is a plain value of Run's goroutine.
type gap struct {
	since boottime.Instant // none: there is no gap
	doubt boottime.Instant // the same, where the next link is to another Redis
	from  string           // the Redis whose link was lost first
}

// begin notes that the link to t, which was up, has ended. A gap that is not told yet goes on.
func (g *gap) begin(t *target) {
	if g.since == 0 {
		g.from = t.Addr
	}
	g.since = boottime.Earlier(g.since, t.link.lostSince())
	g.doubt = boottime.Earlier(g.doubt, t.named().Add(-t.link.cfg.HeartbeatTimeout))
}

// end returns since when something may be missing, and forgets it: there is a link to the Redis at addr. Another one may
// have been published on for a while before the first was lost: from when the sentinels, or the cluster, last named that,
// less HeartbeatTimeout, because they do not all learn of a failover at once.
func (g *gap) end(addr string) (since boottime.Instant) {
	since = g.since
	if addr != g.from {
		since = boottime.Earlier(since, g.doubt)
	}
	*g = gap{}
	return since
}
