// Package publish publishes on the channels that a feed is subscribed to. A [Publisher] has a pool of ordinary connections,
// follows the master with Redis Sentinel, and goes by another node of a Redis Cluster when one can't be reached. Any
// goroutine may use it. It does not look into payloads.
package publish
