package main

import "runtime"

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
