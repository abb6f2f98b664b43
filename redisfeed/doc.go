// Package redisfeed carries notifications from Redis pub/sub to a [Sink].
//
// # Subscriptions
//
// A [Feed] keeps one connection subscribed to the channel user_noti_all and the patterns user_noti:*, user_ctl:* and
// group_noti:*, and hands every message to the sink from the goroutine that called [Feed.Run], in the order in which Redis
// sent them. In the modes [PerUser] and [Sharded] it has channels of single users in place of user_noti:*, on the same
// connection, or on one to each shard of a cluster with a goroutine of its own; one of them calls the sink at a time.
//
// [Feed.Acquire] and [Feed.Release] count the connections of each user (internal/subs). The manager (manager.go) has users
// subscribed and unsubscribed, on the feed's link or on those to the shards (shards.go, node.go); a sender on each link
// writes the commands in batches. Users whose link is lost are unsubscribed, and are subscribed again on the next; that they
// may have missed something is told once they are.
//
// # Backpressure
//
// A sink that blocks holds all links and so, through TCP, Redis: the feed has no queue and drops nothing. Messages that
// Redis itself drops (its client-output-buffer-limit for pubsub: by default 32 MB, or 8 MB for a minute) ends the connection
// and counts as a gap. A payload is read whole before the sink gets it. Its size is bounded by that limit, by Redis's
// proto-max-bulk-len (512 MB), and by resp.MaxBulk (1 GiB), beyond which the link ends. It may take two and a
// half times as much memory, as the buffer grows by doubling.
//
// # Links
//
// A link (link.go) is one connection, used once. A second goroutine under Run publishes a heartbeat on a channel that only
// this feed reads. It proves the whole way through Redis and measures it. A link is lost when nothing at all arrives for
// Config.HeartbeatTimeout, when it breaks, or when it carries a reply that no Redis sends. Lost links are replaced after the
// policy in Config (retry.go). Pub/sub keeps nothing for absent subscribers, so each replacement is a gap: counted, logged
// and told. A gap begins when the latest heartbeat was sent that has come back.
//
// With Config.Sentinels a third goroutine asks the sentinels who the master is, as often as there is a heartbeat, and as soon
// as one of them tells of a failover. A link to another server is ended: a master that was demoted goes on answering, and
// its heartbeat comes back.
//
// With Config.Nodes a goroutine asks nodes of the cluster as often who has which slots, and sooner when something seems to
// have changed. Answers of a node outside the majority are ignored. A shard is read at its master only: a replica that
// moves to another master does not tell its subscribers.
//
// # Handover
//
// A feed can go on in another process on the same host, with the same connections to Redis ([Feed.Freeze], [Feed.Import]):
// what the old process has not read the new one reads, so that nothing is lost, comes twice or in another order, and Redis
// notices nothing. While Redis is away the new process goes on with the outage. Links over TLS can't be handed over.
//
// # Packages
//
// publish publishes for users and groups, and presence writes who is online. Beneath them and the feed, internal/subs has
// the subscriptions of users, internal/topology asks sentinels and clusters, internal/pool has ordinary connections to the
// master, internal/redisnet opens sockets and explains refusals, internal/resp reads what Redis pushes, and
// internal/boottime is the clock for gaps.
//
// The package does not look into payloads, knows no connections of clients, and reads no environment. Only this folder
// imports go-redis. The Redis ACL needs what docs/redis.md lists, which errors name too (Config.Needs).
package redisfeed
