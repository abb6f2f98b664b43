package redisfeed

import (
	"context"
	"time"

	"roost/internal/wirecodec"
	"roost/redisfeed/internal/boottime"
	"roost/redisfeed/internal/topology"
)

// importedManager is a manager's part of imported.
type importedManager struct {
	nodes []*importedNode
}

// importedNode is the link to a shard to go on with.
type importedNode struct {
	*importedLink
	id         uint16
	addr       string
	upSince    time.Time
	subscribed bool
}

// appendState appends the subscriptions of users, and the links to shards. The caller has the manager's turn, and the sink's
// lock. links are those that are handed over.
func (m *manager) appendState(dst []byte, links []frozenLink) []byte {
	m.mu.Lock()
	main := m.main
	dst = wirecodec.AppendInt(dst, int64(m.gap))
	dst = wirecodec.AppendInt(dst, int64(instantOf(m.back)))
	m.mu.Unlock()
	live := make(map[uint16]bool)
	for _, l := range links {
		if l.node != nil {
			live[l.node.id] = true
		}
	}
	dst = m.subs.Append(dst, time.Now(), func(link uint16) bool { return m.shards == nil || live[link] })
	if m.shards != nil {
		return m.shards.append(dst, links)
	}
	if main != nil {
		dst = main.commands.Append(dst)
	}
	return dst
}

// restore reads what appendState wrote.
func (m *manager) restore(r *wirecodec.Reader) (in importedManager) {
	m.gap = boottime.Instant(r.Int(-1<<62, 1<<62))
	m.back = timeOf(readInstant(r))
	m.subs.Restore(r, time.Now())
	switch {
	case m.shards != nil:
		in.nodes = m.shards.restore(r)
	case m.feed.imported.hasLink():
		m.feed.imported.link.commands.Restore(r)
	}
	return in
}

// takeOver goes on subscribing users on the feed's own link. Run's goroutine calls it.
func (m *manager) takeOver(l *link, from *imported) {
	if m.shards == nil {
		s := newSender(l, 0, PerUser)
		s.commands = from.link.commands
		m.send(s)
		signal(s.more)
	}
	m.subs.Notify()
}

// takeOver goes on with the links to shards.
func (s *shards) takeOver(ctx context.Context, nodes []*importedNode) {
	for _, from := range nodes {
		n := newNode(ctx, s.feed, from.id, from.addr)
		n.from, n.upSince, n.subscribed = from, from.upSince, from.subscribed
		n.sender.commands = from.commands
		signal(n.sender.more)
		s.links[n.id], s.byAddr[n.addr] = n, n
		n.start()
	}
}

// append appends the links to shards, what is known of the others, and the view. Users that wait for a node are unsubscribed
// in the manager's subscriptions, which is enough: they are looked for again.
func (s *shards) append(dst []byte, links []frozenLink) []byte {
	dst = wirecodec.AppendUint(dst, uint64(s.lastID))
	if dst = wirecodec.AppendBool(dst, s.view != nil); s.view != nil {
		dst = s.view.Append(dst)
	}
	nodes := 0
	for _, l := range links {
		if l.node != nil {
			nodes++
		}
	}
	dst = wirecodec.AppendUint(dst, uint64(nodes))
	for _, l := range links {
		if l.node != nil {
			dst = l.node.append(dst)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	dst = wirecodec.AppendUint(dst, uint64(len(s.down)))
	for addr := range s.down {
		dst = wirecodec.AppendString(dst, addr)
	}
	return dst
}

func (n *node) append(dst []byte) []byte {
	dst = wirecodec.AppendUint(dst, uint64(n.id))
	dst = wirecodec.AppendString(dst, n.addr)
	dst = wirecodec.AppendInt(dst, int64(instantOf(n.upSince)))
	dst = wirecodec.AppendBool(dst, n.subscribed)
	dst = appendLink(dst, n.link)
	return n.sender.commands.Append(dst)
}

// restore reads what append wrote.
func (s *shards) restore(r *wirecodec.Reader) (nodes []*importedNode) {
	s.lastID = uint16(r.Uint(1<<16 - 1))
	if r.Bool() {
		s.view = topology.ReadView(r)
	}
	for range r.Count(6) {
		n := &importedNode{id: uint16(r.Uint(1<<16 - 1)), addr: r.String(maxText)}
		n.upSince, n.subscribed = timeOf(max(1, readInstant(r))), r.Bool()
		n.importedLink = readLink(r)
		n.commands.Restore(r)
		nodes = append(nodes, n)
	}
	for range r.Count(1) {
		s.down[r.String(maxText)] = true
	}
	return nodes
}
