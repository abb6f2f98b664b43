package redisd

import (
	"context"
	"fmt"
	"strconv"
	"strings"
)

// Info is what INFO says in numbers, added up over all servers: fields by their names, and of commandstats the calls as
// "calls:subscribe". Values that are not numbers are left out.
type Info map[string]int64

// The fields that are asked for here.
const (
	UsedMemory    = "used_memory" // bytes
	Clients       = "connected_clients"
	Output        = "total_net_output_bytes" // to clients
	Channels      = "pubsub_channels"
	Patterns      = "pubsub_patterns"
	ShardChannels = "pubsubshard_channels"
)

// Info asks all servers.
func (r *Redis) Info(ctx context.Context) (Info, error) {
	sum := Info{}
	for _, n := range r.nodes {
		text, err := n.client.Info(ctx, "memory", "stats", "clients", "commandstats").Result()
		if err != nil {
			return sum, fmt.Errorf("INFO of node %s: %w", n.port, err)
		}
		sum.add(text)
	}
	return sum, nil
}

// add reads one answer: lines like "used_memory:1000" and "cmdstat_subscribe:calls=3,usec=7,…".
func (i Info) add(text string) {
	for line := range strings.Lines(text) {
		name, value, found := strings.Cut(strings.TrimSpace(line), ":")
		if !found {
			continue
		}
		if command, ok := strings.CutPrefix(name, "cmdstat_"); ok {
			name = "calls:" + command
			value, _, _ = strings.Cut(strings.TrimPrefix(value, "calls="), ",")
		}
		if number, err := strconv.ParseInt(value, 10, 64); err == nil {
			i[name] += number
		}
	}
}

// Since is what was added since an earlier look.
func (i Info) Since(earlier Info, name string) int64 { return i[name] - earlier[name] }
