package app

import (
	"log/slog"
	"math"
	"os"
	"runtime"
	"runtime/debug"

	"roost/cmd/roost/internal/cgroup"
	"roost/cmd/roost/internal/config"
	"roost/cmd/roost/internal/gcpace"
	"roost/cmd/roost/internal/sizing"
	"roost/cmd/roost/internal/spare"
	"roost/httpapi"
	"roost/netpoll"
)

// MemoryBounds are the settings that bound the memory of a process with so many loops.
func MemoryBounds(cfg config.Config, loops int) sizing.Bounds {
	return sizing.Bounds{
		Loops: loops, QueueBytes: cfg.WSQueueBytes, QueuedBytes: cfg.WSMaxQueuedBytes, PendingBytes: cfg.WSMaxPendingBytes,
		BroadcastBytes: cfg.WSMaxBroadcastBytes, WriteBuffer: cfg.WSWriteBufferSize,
	}
}

// limitMemory has Go collect sooner when the heap nears what the control group
// leaves for it: by its own rule the heap may be twice what is alive, and the
// kernel ends the process that goes beyond. GOMEMLIMIT in the environment
// overrides it, and without a group's limit there is none.
//
// It returns the limit for the log: bytes, or "none".
func limitMemory(cfg config.Config, budget netpoll.Budget, loops int, log *slog.Logger) slog.Attr {
	if os.Getenv("GOMEMLIMIT") == "" { // whoever sets it knows better
		limit, source, err := cgroup.Memory(os.DirFS("/"))
		if err != nil {
			log.Warn("a memory limit of the control group can't be read", "error", err)
		}
		worst := sizing.WorstCase(MemoryBounds(cfg, loops), sizing.Room{Connections: budget.Connections, Sockets: budget.Sockets})
		if soft := gcpace.SoftLimit(limit, budget.Connections, worst, cgroup.CountsBuffers(source)); soft > 0 {
			debug.SetMemoryLimit(soft)
			log.Debug("the control group limits memory", "bytes", limit, "file", "/"+source, "soft_limit", soft)
		}
	}
	if inForce := debug.SetMemoryLimit(-1); inForce < math.MaxInt64 {
		return slog.Int64("memory_limit", inForce)
	}
	return slog.String("memory_limit", "none")
}

// loopsAndTwoMore returns how many event loops there shall be, one for each
// processor that the process may use (GOMAXPROCS, which Go reads from the
// cgroup), and lets Go schedule on two more.
//
// A loop sleeps in epoll_wait, and the feed in read: system calls that Go knows
// nothing about. Each keeps its slot in the scheduler until a watchdog takes it
// away, up to 10 ms later. With no more slots than sleepers nothing would be left
// to run the other goroutines.
func loopsAndTwoMore() int {
	loops := runtime.GOMAXPROCS(0)
	runtime.GOMAXPROCS(loops + 2)
	return loops
}

// Descriptors that are kept aside for when the process has no others: see spare.
const (
	spareAdmin   = 4  // connections to the admin server
	spareUpgrade = 12 // pipes to the new process, and what starting it takes
	spareRedis   = 6  // a link to Redis, which has two for a moment, and finding out where that is
)

// otherDescriptors is what the process opens besides the WebSocket server and the pool of Redis connections: the admin
// server with its clients, what is kept aside, and the log, the subscription, a JWKS, alerts and files that are read.
const otherDescriptors = 1 + httpapi.MaxConnections + spareAdmin + spareUpgrade + spareRedis + 32

// spares are the sets that are kept aside, one for each that must not take another's.
type spares struct{ admin, upgrade, redis *spare.Set }

func openSpares() (s spares, err error) {
	if s.admin, err = spare.Open(spareAdmin); err != nil {
		return s, err
	}
	if s.upgrade, err = spare.Open(spareUpgrade); err != nil {
		return s, err
	}
	s.redis, err = spare.Open(spareRedis)
	return s, err
}

// ReservedDescriptors is how many the process needs besides those of clients, with so many loops.
func ReservedDescriptors(cfg config.Config, loops int) int {
	return netpoll.OwnDescriptors(loops) + otherDescriptors + cfg.RedisPoolSize
}
