// Package netpoll holds the connections: it accepts them, runs the event loops
// that own them, and writes to them. It is the only room that knows sockets of
// clients.
//
// # Goroutines
//
//   - One goroutine a loop, asleep in epoll_wait. The loop owns its connections:
//     their state, its timing wheel, its write queues. Whoever touches them has
//     taken the loop's turn, a lock: the loop's goroutine while it is awake, and
//     in Flush, while it sleeps, the goroutine that delivers.
//   - A few workers check the tokens that take longer than a loop may (tokencheck.go).
//     They have a copy of the request, and give the answer back through the loop.
//   - One prober, while anybody is connected, looks once a second whether every
//     loop still answers.
//
// A loop that has to make room may find that what goes first is another's: then it tries
// that one's lock, and never waits for it (evict.go).
//
// The listening socket goes from loop to loop (accept.go), so that nothing else
// accepts. An idle connection has no goroutine, no timer of the runtime's and no
// buffer: a conn, a place in its loop's wheel, and its place in the hub.
//
// # The life of a connection
//
//	opening    the request head, or the PROXY header before it, is not complete; the
//	           handshake deadline runs
//	checking   the head is complete and a worker has the token; the deadline runs
//	awaiting   the token is good, but what is published for the user is not heard yet
//	           (Config.Subscriptions); it is waited for, for a second
//	open       registered in the hub, the 101 is written, pings go round
//	closing    the last words (a close frame, an HTTP answer) wait to be written
//	lingering  the last words are with the kernel and the sending side is shut;
//	           what still comes is thrown away until the client closes too
//	closed     gone; its handle may still be in a queue, and does nothing
//
// # Into a loop
//
// The outside world puts work into a loop's mailbox. A notification for a
// connection is an item there. When the batch is over, Flush sees to it: a few
// items are written by the caller, in the loop's place, which costs no switch to
// another thread; many wake their loops, which write at the same time. Items
// move to the write queues of their connections, and then each of these is
// written to once. Loops never wait: not for each other, not for a lock that is
// held for longer than a few writes, not for the log.
package netpoll
