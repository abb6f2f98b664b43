// Package hub knows which users are here, on which connections, and hands each
// notification to every connection of its user.
//
// It is called from two sides. The event loops call Admit and Remove, for the
// connections that they own. The feed's one goroutine calls Deliver (a health
// check may, too, for a connection of its own). Everything else (counts,
// look-ups) may be called from any goroutine.
//
// Broadcasts, and notifications for the groups that connections were admitted with, the feed only puts on a queue
// (Broadcast, DeliverGroup). One more goroutine, that of RunBroadcasts, hands them over in pieces.
//
// The registry is cut into shards, each behind a lock of its own. Nothing is
// pushed, written or called out while a lock is held: Deliver collects the
// connections of a user, lets go of the lock, and only then hands over. A
// connection that closes in between is not an error; whoever owns it counts
// the notification as failed.
//
// A registered connection costs a [Link] of 24 bytes and its part of the shard's
// table, 18 bytes a slot; the memory goes back when connections do. A user with
// several connections has one slot for all of them. One that is in a group
// costs some 100 bytes more, and those that are in none nothing.
//
// The hub does no I/O, starts no goroutine and knows no network.
package hub
