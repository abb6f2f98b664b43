// Package topology finds the Redis to be connected to: [Sentinels] say which server is the master, and a [Cluster] which
// node has which slots. Both ask on connections of their own, by the methods' callers, who also decide what follows from
// the answers. A [View] is one answer of a cluster, and does not change.
package topology
