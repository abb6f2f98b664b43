// Package hub knows which users are connected, on which connections, and delivers each
// notification to every connection of its user.
//
// Two sides call it. The event loops call Admit and Remove for the connections that
// they own. The feed's goroutine calls Deliver (a health check does too, for a
// connection of its own), Broadcast, DeliverGroup and Control. Everything else (counts,
// look-ups) may be called from any goroutine.
//
// Notifications for everyone, and for the groups that connections were admitted with, the feed only puts on a queue.
// One more goroutine, that of RunBroadcasts, delivers them in pieces. Package hub/internal/fairqueue decides whose turn it is.
//
// The registry is divided into shards, each with a lock of its own. Nothing is
// written or called while a lock is held: Deliver copies the list of the
// user's connections, releases the lock, and only then delivers. A
// connection may close in between: its owner counts
// the notification as failed.
//
// A registered connection costs a [Link] of 24 bytes and its part of the shard's table,
// 24 to 29 bytes; the memory is released when connections are. A user with several
// connections has one entry for all of them. A connection that is in a group
// costs some 100 bytes more.
//
// A hub can go on in another process on the same host (Export, Import, Members, Join), with the broadcasts that wait for their
// turn, and with the ring of what was heard, whose memory both processes map: positions go on, and clients resume across it.
// Counters, and those who watch a user, stay behind.
//
// The hub does no I/O, starts no goroutine and knows no network.
package hub
