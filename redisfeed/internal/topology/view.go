package topology

import (
	"net"
	"slices"

	"github.com/redis/go-redis/v9"

	"roost/redisfeed/internal/boottime"
)

// View says which node has which slots at one moment. It does not change.
type View struct {
	owner   [Slots]uint16    // 1 + the place in Masters; 0: nobody
	Masters []string         // host:port of those that have slots, in order
	Nodes   []string         // the same of those and their replicas
	Asked   boottime.Instant // it is not older than this
}

// newView reads an answer to CLUSTER SLOTS.
func newView(from string, ranges []redis.ClusterSlot) *View {
	v := &View{}
	for _, r := range ranges {
		for i, n := range r.Nodes {
			addr := reachable(n.Addr, from)
			v.Nodes = append(v.Nodes, addr)
			if i == 0 {
				v.Masters = append(v.Masters, addr)
			}
		}
	}
	for _, list := range []*[]string{&v.Masters, &v.Nodes} {
		slices.Sort(*list)
		*list = slices.Compact(*list)
	}
	for _, r := range ranges {
		if len(r.Nodes) == 0 {
			continue
		}
		at, _ := slices.BinarySearch(v.Masters, reachable(r.Nodes[0].Addr, from))
		for slot := max(0, r.Start); slot <= min(r.End, Slots-1); slot++ {
			v.owner[slot] = uint16(at + 1)
		}
	}
	return v
}

// reachable is a node's address as another says it, who may not know its own, or not the one that we reach it by.
func reachable(addr, from string) string {
	host, port, err := net.SplitHostPort(addr)
	fromHost, fromPort, fromErr := net.SplitHostPort(from)
	if err != nil || fromErr != nil {
		return addr
	}
	if ip := net.ParseIP(host); host == "" || host == "?" || ip != nil && ip.IsLoopback() && !isLoopback(fromHost) {
		host = fromHost
	}
	if port == "0" { // as of one that speaks TLS only
		port = fromPort
	}
	return net.JoinHostPort(host, port)
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// OwnerOf is the node that has a slot, "" for none.
func (v *View) OwnerOf(slot uint16) string {
	if at := v.owner[slot]; at > 0 {
		return v.Masters[at-1]
	}
	return ""
}

// HasMaster reports whether a node has slots.
func (v *View) HasMaster(addr string) bool { return slices.Contains(v.Masters, addr) }

// HasNode reports whether a node is one of the cluster's.
func (v *View) HasNode(addr string) bool { return slices.Contains(v.Nodes, addr) }

// Same reports whether two views say the same of who has which slots.
func (v *View) Same(other *View) bool {
	return other != nil && v.owner == other.owner && slices.Equal(v.Masters, other.Masters)
}
