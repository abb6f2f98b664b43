// Package netpoll holds the connections: it accepts them, runs the event loops
// that own them, and writes to them. It is the only room that knows gnet.
//
// # Goroutines
//
//   - A few acceptors take sockets from the listener, check that descriptors are
//     left, and enroll each socket into the loop with the fewest connections.
//   - One goroutine a loop, gnet's. It owns its connections: their state, its
//     timing wheel, its write queues. Nothing else touches them.
//   - One stall watcher sits on an epoll of its own for sockets that the kernel
//     takes no more bytes for, and tells their loop when it does again.
//   - One prober, while anybody is connected, looks once a second whether every
//     loop still answers.
//
// An idle connection has no goroutine, no timer of the runtime's and no buffer:
// a conn, an entry in its loop's wheel, and its link in the hub.
//
// # The life of a connection
//
//	opening    the request head is not complete; the handshake deadline runs
//	open       registered in the hub, the 101 is written, pings go round
//	closing    the last words (a close frame, an HTTP answer) wait to be written
//	lingering  the last words are with the kernel and the sending side is shut;
//	           what still comes is thrown away until the client closes too
//	closed     gone; its handle may still be in a queue, and does nothing
//
// # Into a loop
//
// The outside world puts work into a loop's mailbox. A notification for a
// connection is an item there; the loop is woken for the first item only, moves
// items to the write queues of their connections, and then writes to each of
// these once. Loops never wait: not for each other, not for a lock that is held
// for longer than a few pointer writes, not for the log.
package netpoll
