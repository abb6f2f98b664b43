package tidymem

import "roost/cmd/roost/internal/sizing"

// SoftLimit is the GOMEMLIMIT, in bytes, for a process in a control group that
// may have limit bytes and that many connections at most: nine tenths of the
// limit, less the sockets' memory, which is the kernel's and yet charged to the
// group. Without a limit (0) it is 0: none.
//
// Half of the limit is the least. Where connections need more than that the group
// is too small for them, and to collect without end would not make it larger.
func SoftLimit(limit uint64, connections int) int64 {
	if limit == 0 {
		return 0
	}
	soft, kernel := limit-limit/10, uint64(max(connections, 0))*sizing.KernelPerConnection
	return int64(max(soft-min(kernel, soft), limit/2))
}
