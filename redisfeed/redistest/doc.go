// Package redistest runs a real redis-server for a test: on a port of its own, without persistence, killed when the
// test ends. The server can be killed, started again on the same port, and stopped dead (SIGSTOP) in between. A [Trio]
// is several of them under Sentinel, a [Cluster] several as a Redis Cluster.
//
// All methods are for the test's own goroutine, because they fail the test when something goes wrong; Addr, Host and
// Port may be called from any.
package redistest
