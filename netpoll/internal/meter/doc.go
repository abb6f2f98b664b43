// Package meter counts what loops do where one goroutine writes and anybody reads at any
// instant, without a lock: time at work, and durations by buckets.
package meter
