package redisfeed

// Mode is how a feed hears what is published for users.
type Mode uint8

const (
	// Pattern subscribes to user_noti:* and hears what is published for anybody, wherever they are connected.
	Pattern Mode = iota
	// PerUser subscribes to user_noti:<user> while the user has a connection here (see [Feed.Acquire]).
	PerUser
	// Sharded is PerUser with the sharded channels of Redis Cluster 7 and later: the backend sends SPUBLISH, and only
	// the shard that the channel belongs to carries it. What is for more than one user goes through PUBLISH as ever.
	Sharded
)
