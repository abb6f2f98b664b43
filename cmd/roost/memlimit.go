package main

import (
	"log/slog"
	"math"
	"os"
	"runtime/debug"

	"roost/cmd/roost/internal/cgroup"
	"roost/cmd/roost/internal/config"
	"roost/cmd/roost/internal/sizing"
	"roost/cmd/roost/internal/tidymem"
	"roost/netpoll"
)

// memoryBounds are the settings that bound the memory of a process with so many loops.
func memoryBounds(cfg config.Config, loops int) sizing.Bounds {
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
		worst := sizing.WorstCase(memoryBounds(cfg, loops), sizing.Room{Connections: budget.Connections, Sockets: budget.Sockets})
		if soft := tidymem.SoftLimit(limit, budget.Connections, worst, cgroup.CountsBuffers(source)); soft > 0 {
			debug.SetMemoryLimit(soft)
			log.Debug("the control group limits memory", "bytes", limit, "file", "/"+source, "soft_limit", soft)
		}
	}
	if inForce := debug.SetMemoryLimit(-1); inForce < math.MaxInt64 {
		return slog.Int64("memory_limit", inForce)
	}
	return slog.String("memory_limit", "none")
}
