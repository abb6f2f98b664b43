package gcpace

import "roost/cmd/roost/internal/sizing"

// SoftLimit is the GOMEMLIMIT, in bytes, for a process in a control group that may
// have limit bytes, with that many connections at most, and with that worst case.
// buffers says whether the group is charged for what is on its way in sockets.
// Without a limit (0) it is 0: none.
//
// It is nine tenths of the limit, less what the kernel may have at worst. Never is it
// less than what may be in use, and an eighth, as far as idle sockets leave that, nor
// than half of the limit: to collect without end would not make the group larger.
func SoftLimit(limit uint64, connections int, worst sizing.Worst, buffers bool) int64 {
	if limit == 0 {
		return 0
	}
	mapped := worst.Of(sizing.Mapped) // which the group is charged for, and Go does not count
	kernel := worst.Of(sizing.Sockets) + mapped
	if buffers {
		kernel += worst.Of(sizing.Buffers)
	}
	idle := uint64(max(connections, 0)) * sizing.KernelPerConnection
	soft, live := limit-limit/10, worst.Live()
	return int64(max(less(soft, kernel), min(live+live/8, less(soft, idle+mapped)), limit/2))
}

// less is a-b, and 0 where that is negative.
func less(a, b uint64) uint64 { return a - min(a, b) }
