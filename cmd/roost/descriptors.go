package main

import (
	"roost/cmd/roost/internal/config"
	"roost/cmd/roost/internal/spare"
	"roost/httpapi"
	"roost/netpoll"
)

// Descriptors that are kept aside for when the process has no others: see spare.
const (
	spareAdmin   = 4  // connections to the admin server
	spareUpgrade = 12 // pipes to the new process, and what starting it takes
	spareRedis   = 6  // a link to Redis, which has two for a moment, and finding out where that is
)

// otherDescriptors is what the process opens besides the WebSocket server and the pool of Redis connections: the admin
// server with its clients, what is kept aside, and the log, the subscription, a JWKS, alerts and files that are read.
const otherDescriptors = 1 + httpapi.MaxConnections + spareAdmin + spareUpgrade + spareRedis + 32

// reservedDescriptors is how many descriptors a process with so many loops needs for all but its clients.
func reservedDescriptors(cfg config.Config, loops int) int {
	return netpoll.OwnDescriptors(loops) + otherDescriptors + cfg.RedisPoolSize
}

// spares are the sets that are kept aside, one for each that must not take another's.
type spares struct{ admin, upgrade, redis *spare.Set }

func openSpares() (s spares, err error) {
	if s.admin, err = spare.Open(spareAdmin); err != nil {
		return s, err
	}
	if s.upgrade, err = spare.Open(spareUpgrade); err != nil {
		return s, err
	}
	s.redis, err = spare.Open(spareRedis)
	return s, err
}
