// Package redisnet says which Redis to use ([Config]) and opens connections to it: sockets with their time limits, TLS,
// the options that every go-redis client of Roost has, and the words in which a refusal is explained to an operator. Any
// goroutine may call it. It does not reconnect, and knows nothing of pub/sub.
package redisnet
