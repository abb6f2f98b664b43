// Package redisfeed carries notifications from Redis pub/sub to a [Sink].
//
// A [Feed] keeps one connection subscribed to the channel user_noti_all and the patterns user_noti:*, user_ctl:* and
// group_noti:*, and hands every message to the sink from the goroutine that called [Feed.Run], in the order in which
// Redis sent them. In the modes [PerUser] and [Sharded] it has channels of single users in place of user_noti:*, on the
// same connection, or on one to each shard of a cluster with a goroutine of its own; the sink has to do with one at a time.
// A sink that blocks holds them all and so, through TCP, Redis: the feed has no queue and drops nothing. What Redis itself
// drops (its client-output-buffer-limit for pubsub: by default 32 MB, or 8 MB for a minute) ends the connection and
// counts as a gap. A payload is read whole before the sink sees it, whatever its size, which only that limit and
// Redis's proto-max-bulk-len (512 MB) bound: twice that much memory may be needed, as the one before may not be
// collected yet.
//
// A second goroutine, also under Run, publishes a heartbeat on a channel that only this feed reads. It proves
// the whole way through Redis and measures it. A connection on which nothing at all arrives for
// Config.HeartbeatTimeout is lost, as is one that breaks, or that carries a reply that no Redis sends.
// Lost connections are replaced after the policy in Config (retry.go); pub/sub keeps nothing for absent subscribers, so
// each replacement is a gap, counted, logged and told. It begins where what is known to have come ends (gap.go): when the
// latest heartbeat was sent that has come back.
//
// Who the users are [Feed.Acquire] and [Feed.Release] say. The audience (audience.go, hearing.go) has how far the subscription of
// each is; a router has commands sent where they belong (router.go, and shards.go for a cluster); a subscriber on each link
// sends them in batches (subscriber.go). One command about a user is under way at a time, so an answer is never taken
// for another's. Users whose link is lost are unheard, and are asked for again; that they may have missed something is told
// when they are heard.
//
// With Config.Sentinels a third goroutine asks the sentinels, as often as there is a heartbeat, and as soon as one of them
// tells of a failover, who the master is. A link to another is ended: a master that was demoted goes on answering, and its
// heartbeat comes back.
//
// With Config.Nodes a goroutine asks nodes of the cluster as often who has which slots, and sooner when something seems to
// have changed. Nobody's answer counts who has lost the others. A shard is read at its master only: a replica that is
// given to another master says nothing of it to its subscribers.
//
// What the user of the Redis ACL needs, [Config] says in Needs, and +select where Config.DB is not 0; that of sentinels
// +sentinel|master and +sentinel|get-master-addr-by-name, and for what they tell topology.SwitchNeeds.
//
// Beside the feed, publish has what publishes for users and groups, and presence what writes who is online. Beneath them,
// internal/topology asks sentinels and clusters, internal/pool has ordinary connections to the master, internal/redisnet
// opens sockets and explains refusals, internal/resp reads what Redis pushes, and internal/boottime is the clock for gaps.
//
// The package does not look into payloads, knows no connections, and reads no environment. Apart from cmd only this folder
// imports go-redis.
package redisfeed
