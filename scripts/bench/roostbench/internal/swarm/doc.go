// Package swarm holds many WebSocket connections at little cost of its own, so
// that what is measured is the server: one goroutine with an epoll for each
// loop, none for a connection, one read buffer for all connections of a loop.
// It checks every frame and every notification, and answers pings.
//
// # Goroutines
//
// A loop's goroutine owns its connections, its histogram and its book of
// problems. The rest of the program gives it orders, which it works off between
// two rounds of epoll, and reads its counters, which are atomics.
package swarm
