package app

import (
	"log/slog"
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"time"

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
	b := sizing.Bounds{
		Loops: loops, QueueBytes: cfg.WSQueueBytes, QueuedBytes: cfg.WSMaxQueuedBytes, NotificationBytes: cfg.WSMaxNotificationSize,
		PendingBytes: cfg.WSMaxPendingBytes, BroadcastBytes: cfg.WSMaxBroadcastBytes, WriteBuffer: cfg.WSWriteBufferSize,
		RedisConns: cfg.RedisPoolSize, Publishes: cfg.HTTPToken != "", OldTLS: cfg.WSTLS() && cfg.WSTLSMinVersion == "1.2",
	}
	if cfg.WSHandshakeRate > 0 {
		b.HandshakeBurst = max(cfg.WSHandshakeBurst, cfg.WSHandshakeRate)
	}
	if cfg.WSResumeWindow > 0 {
		b.ResumeBytes = cfg.WSResumeBytes
	}
	if cfg.WebhookURL != "" {
		b.WebhookBytes = cfg.WebhookQueueBytes
	}
	var after time.Duration // for how long a user is followed who has gone
	if cfg.RedisPresence {
		b.Followed, after = true, cfg.RedisPresenceTTL
	}
	if cfg.RedisFeed != "pattern" {
		b.Followed, after = true, max(after, cfg.RedisUnsubscribeDelay, cfg.WSResumeWindow)
	}
	if b.Followed {
		b.Gone = b.HandshakeBurst + cfg.WSHandshakeRate*int(after.Seconds())
	}
	return b
}

// limitMemory sets Go's memory limit from that of the control group, so that Go collects sooner when the heap comes near it:
// by default the heap may grow to twice what is alive, and the kernel kills a process that exceeds its group's limit.
// GOMEMLIMIT in the environment overrides it. It returns the limit for the log: bytes, or "none".
func limitMemory(cfg config.Config, budget netpoll.Budget, loops int, log *slog.Logger) slog.Attr {
	if os.Getenv("GOMEMLIMIT") == "" { // the operator has decided
		limit, source, err := cgroup.Memory(os.DirFS("/"))
		if err != nil {
			log.Warn("a memory limit of the control group can't be read", "error", err)
		}
		bounds := MemoryBounds(cfg, loops)
		// A limit that allows for these would leave the kernel too little, and they are hardly ever full.
		bounds.NotificationBytes, bounds.OldTLS = 0, false
		worst := sizing.WorstCase(bounds, sizing.Room{Connections: budget.Connections, Sockets: budget.Sockets})
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

// loopsAndTwoMore returns the number of event loops, one for each processor that the process may use (GOMAXPROCS, which Go
// reads from the control group), and raises GOMAXPROCS by two.
//
// Loops sleep in epoll_wait and the feed in read(2), which are system calls that Go's scheduler is not told about. Each keeps
// its P until sysmon takes it away, up to 10 ms later. Without two more no P would be left for other goroutines.
func loopsAndTwoMore() int {
	loops := runtime.GOMAXPROCS(0)
	runtime.GOMAXPROCS(loops + 2)
	return loops
}

// Descriptors that are reserved for when the process has no others: see spare.
const (
	spareAdmin   = 4  // connections to the admin server
	spareUpgrade = 32 // pipes to the new process, what starting it takes, and some connections at a time that are duplicated
	spareRedis   = 6  // a link to Redis, which has two for a moment, and finding out where that is
)

// otherDescriptors is how many descriptors the process opens beyond the WebSocket server's and those of the pool of Redis
// connections: the admin server with its clients, the reserved ones, the log, the subscription, a JWKS, alerts, the webhook, files.
const otherDescriptors = 1 + httpapi.MaxConnections + spareAdmin + spareUpgrade + spareRedis + 32

// spares are the reserved sets. Each has one user, so that none takes another's.
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

// ReservedDescriptors is how many descriptors the process needs beyond those of clients, with so many loops.
func ReservedDescriptors(cfg config.Config, loops int) int {
	own := netpoll.OwnDescriptors(loops)
	if cfg.WSTLS() {
		own++ // its listener
	}
	return own + otherDescriptors + cfg.RedisPoolSize
}
