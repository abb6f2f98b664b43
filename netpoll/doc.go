// Package netpoll holds the connections: it accepts them, runs the event loops that own them, reads from them and writes to
// them. It is the only package that uses the sockets of clients.
//
// # Goroutines
//
//   - One goroutine a loop, asleep in epoll_wait. It owns the loop's connections: their state, its timing wheel, their send
//     queues. A goroutine that touches these holds the loop's lock: the loop's own while it is awake, and in Flush, while
//     the loop sleeps, the one that delivers.
//   - A few workers do what takes longer than a loop may (workers.go): they check tokens, of whose request they have a
//     copy (authenticate.go), also those that renew an open connection's (renew.go), and do the public-key part of TLS
//     handshakes, which are theirs meanwhile (tls_handshake.go). They post the result to the loop.
//   - One watchdog checks once a second, while any client is connected, that every loop still answers (watchdog.go).
//
// The listening socket goes from loop to loop (accept.go). An idle connection has no goroutine, no timer of the runtime and
// no buffer: it is a conn, a place in its loop's wheel, and an entry in the hub.
//
// # States of a connection
//
//	TLS             on the TLS port: the PROXY header or the TLS handshake is not complete; the handshake deadline runs
//	request         the request head, or the PROXY header before it, is not complete; the handshake deadline runs
//	authenticating  the head is complete and a worker checks the token; the deadline runs
//	subscribing     the token is good, and Redis has not confirmed the user's subscription (Config.Subscriptions); the
//	                handshake goes on without after Config.SubscribeWait
//	open            registered in the hub, the 101 is written, pings are sent; an event stream, too, see eventstream.go
//	closing         the close message (a close frame, an HTTP answer) waits to be written
//	lingering       the kernel has the close message; what the client still sends is discarded until it closes its side; over
//	                TLS a close_notify may still wait to be written
//	closed          the socket is closed; the handle may still be in a mailbox, and does nothing
//
// # Work for a loop
//
// A notification for a connection is an item of its loop's mailbox. At the end of a batch Flush sees to it: few items are
// written by the caller, which saves switching to another thread; many items wake their loops, which write at the same
// time. Either way the items move to the send queues of their connections, and then each of these is written to once. Other
// work is posted with loop.do. Loops never wait: not for each other, not for a lock that is held for longer than a few
// writes, not for the log.
//
// # Invariants
//
//  1. One function writes to clients: conn.write. It checks that the connection is not closed, because its descriptor
//     number may then be another client's. It writes its bytes as they are: conn.seal has encrypted them before.
//  2. One function closes a client's socket: conn.closeNow, which frees everything in cleanup. conn.closeWith sends a close
//     message first and comes to it in the end. Only a socket that never got a connection is closed elsewhere
//     (Server.closeUnanswered), and the descriptor of one that is another process's (conn.handOver).
//  3. A connection has one timer, in its loop's wheel, from accept to close: the handshake deadline, pings, pong wait, write
//     wait, the end of lingering. So the wheel is also the list of a loop's connections.
//  4. A connection is registered in the hub before its 101 is written, both while the loop's lock is held. If Redis has to
//     subscribe its user, that comes before both.
//  5. Accepted = sent + failed + waiting + handed over, at every instant. Mailbox.Push accepts, as does TakingOver.Take; a
//     notification leaves its send queue only through conn.countSent or conn.countFailed, or with its connection through conn.forget.
//
// # Handover
//
// The open connections can be given to another process, see handover.go. There a connection ends without any of the above: conn.forget
// frees what it has here and leaves the socket to the other process. From HandingOver.PreCopy on both have descriptors of the
// same sockets, and conn.closeNow shuts a socket down before it closes it. While a server is frozen, each loop waits in a task of its own and
// holds its lock; the goroutine of HandingOver reads what the loops own, and takes the hub's and the counts' locks.
//
// # Lock order
//
// A goroutine that holds a lock takes only locks further right:
//
//	the feed's → loop.mu → listener.mu → { the hub's stream.mu → a hub shard's → a group shard's; the subscriptions'; the
//	mailbox's, the task list's, workers.mu, spareFD.mu, the counts' of addresses and of TLS, the loggers' }
//
// The hub's order.mu comes behind the feed's, and before stream.mu, a shard's and a mailbox's. Mailboxes are waited for while it is
// held, so it is never held together with a loop's lock. The same is true of the hub's turn, which takes the place of order.mu
// where clients can't resume.
//
// A worker that changes the groups of a connection holds the gate of renewals (renew.go) and no other lock, and then takes the hub's
// order.mu, or its turn. A handover waits for the gate while the loops go on and the feed stands still.
//
// A loop takes another loop's lock only with TryLock (evict.go): the other one may be waiting for this one.
package netpoll
