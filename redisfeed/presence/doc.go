// Package presence writes to Redis which users of a [Registry] are connected, on a connection of its own ([Writer]), and
// reads how many instances a user is connected to ([Online]). It goes on when the feed has ended. For webhooks it keeps a list of its
// users, and reports those of instances that have died ([Writer.KeepList]).
//
// The user of the Redis ACL needs +evalsha, +eval, +time, +zadd, +zrem, +zremrangebyscore, +zrange, +pexpireat and +publish
// for it, on the keys user_online:* and the channel user_presence. Lists take more: see KeepList.
package presence
