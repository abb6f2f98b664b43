package redistest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// clusterView is what one node knows of the cluster, from CLUSTER NODES.
type clusterView []clusterNode

// clusterNode is a node as another, or itself, sees it.
type clusterNode struct {
	id, addr  string
	flags     []string
	master    string // id of the one it follows; "-" for a master
	connected bool   // to the one that was asked
	slots     []slotRange
}

type slotRange struct{ first, last int }

var errNoSuchNode = errors.New("no node says that it is that")

// parseClusterNodes reads the answer to CLUSTER NODES, sorted by address:
//
//	<id> <ip:port@bus[,hostname]> <flags> <master> <ping-sent> <pong-recv> <config-epoch> <link-state> <slots> ...
func parseClusterNodes(text string) (clusterView, error) {
	var v clusterView
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) < 8 {
			return nil, fmt.Errorf("CLUSTER NODES says %q", line)
		}
		addr, _, _ := strings.Cut(f[1], "@")
		n := clusterNode{
			id: f[0], addr: addr, flags: strings.Split(f[2], ","), master: f[3], connected: f[7] == "connected",
		}
		for _, slots := range f[8:] {
			if strings.HasPrefix(slots, "[") {
				continue // on its way to another node, or from there
			}
			r, err := parseSlotRange(slots)
			if err != nil {
				return nil, err
			}
			n.slots = append(n.slots, r)
		}
		v = append(v, n)
	}
	slices.SortFunc(v, func(a, b clusterNode) int { return strings.Compare(a.addr, b.addr) })
	return v, nil
}

// parseSlotRange reads "5" or "5-9".
func parseSlotRange(text string) (slotRange, error) {
	first, last, isRange := strings.Cut(text, "-")
	if !isRange {
		last = first
	}
	from, err := strconv.Atoi(first)
	to, err2 := strconv.Atoi(last)
	if err := errors.Join(err, err2); err != nil {
		return slotRange{}, fmt.Errorf("slots %q: %w", text, err)
	}
	return slotRange{from, to}, nil
}

func (n *clusterNode) is(flag string) bool { return n != nil && slices.Contains(n.flags, flag) }

// isMaster says whether it is one that serves somebody.
func (n *clusterNode) isMaster() bool { return n.is("master") && len(n.slots) > 0 }

// trusted says whether others take it for a member that is well.
func (n *clusterNode) trusted() bool {
	for _, bad := range []string{"fail", "fail?", "handshake", "noaddr"} {
		if n.is(bad) {
			return false
		}
	}
	return n != nil && n.connected
}

// of is what the view says of a node; nil when it does not know it.
func (v clusterView) of(s *Server) *clusterNode {
	return v.find(func(n *clusterNode) bool { return n.addr == s.Addr() })
}

func (v clusterView) byID(id string) *clusterNode {
	return v.find(func(n *clusterNode) bool { return n.id == id })
}

// owner is the master of a slot; nil when nobody is.
func (v clusterView) owner(slot int) *clusterNode {
	return v.find(func(n *clusterNode) bool {
		return slices.ContainsFunc(n.slots, func(r slotRange) bool { return r.first <= slot && slot <= r.last })
	})
}

func (v clusterView) find(ok func(*clusterNode) bool) *clusterNode {
	for i := range v {
		if ok(&v[i]) {
			return &v[i]
		}
	}
	return nil
}

// roles is everything on which the views of two nodes have to agree, as text: who follows whom and who owns what.
func (v clusterView) roles() string {
	var b strings.Builder
	for i := range v {
		fmt.Fprintf(&b, "%s %s of %s %v\n", v[i].addr, v[i].id, v[i].master, v[i].slots)
	}
	return b.String()
}

// view asks a node what it knows of the cluster.
func (s *Server) view() (clusterView, error) {
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	text, err := s.Client().ClusterNodes(ctx).Result()
	if err != nil {
		return nil, fmt.Errorf("CLUSTER NODES of %s: %w", s.Addr(), err)
	}
	return parseClusterNodes(text)
}

// running are the nodes that can be asked.
func (c *Cluster) running() []*Server {
	return slices.DeleteFunc(c.Nodes(), func(s *Server) bool { return !s.runs() })
}

// agreed is the one view of all nodes that run, or an error while they differ.
func (c *Cluster) agreed() (clusterView, error) {
	var first clusterView
	for i, s := range c.running() {
		v, err := s.view()
		if err != nil {
			return nil, err
		}
		if i == 0 {
			first = v
		}
		if v.roles() != first.roles() {
			return nil, fmt.Errorf("two nodes differ:\n%s\n%s", first.roles(), v.roles())
		}
	}
	if first == nil {
		return nil, errors.New("no node runs")
	}
	return first, nil
}

// acquainted is agreed for views in which each running node knows all, and takes those that run for members that are
// well.
func (c *Cluster) acquainted() (clusterView, error) {
	running := c.running()
	for _, s := range running {
		v, err := s.view()
		if err != nil {
			return nil, err
		}
		if len(v) != len(c.nodes) {
			return nil, fmt.Errorf("%s knows %d nodes of %d", s.Addr(), len(v), len(c.nodes))
		}
		for _, other := range running {
			if n := v.of(other); !n.trusted() {
				return nil, fmt.Errorf("%s has in its list %+v for %s", s.Addr(), n, other.Addr())
			}
		}
	}
	return c.agreed()
}

// server is the one at the address of a node.
func (c *Cluster) server(n *clusterNode) (*Server, error) {
	if n != nil {
		for _, s := range c.nodes {
			if s.Addr() == n.addr {
				return s, nil
			}
		}
	}
	return nil, errNoSuchNode
}
