package main

import (
	"roost/bench/roostbench/internal/report"
	"roost/bench/roostbench/internal/swarm"
)

// Names of figures that the page has.
const (
	figCPU       = "CPU of one instance"
	figCPUNote   = "CPU of a notification that it delivers"
	figDelivers  = "notifications that it delivers"
	figReads     = "messages that it reads from Redis"
	figRedisCPU  = "CPU of Redis, all its processes"
	figRedisNote = "CPU of Redis a notification"
	figRedisOut  = "Redis sends"
	figP50       = "latency p50"
	figP99       = "latency p99"
	figBusy      = "the machine is busy"

	figPublished = "published"
	figMissing   = "missing"
	figTwice     = "twice"
	figAstray    = "for another user"
	figDisorder  = "out of order"
	figLost      = "connections lost"

	figConnected   = "first connect to last 101"
	figHandshake   = "CPU a handshake"
	figHandRedis   = "CPU of Redis a handshake"
	figHand50      = "handshake p50"
	figHand99      = "handshake p99"
	figCommands    = "SUBSCRIBE and SSUBSCRIBE commands"
	figAnon        = "RssAnon"
	figHeap        = "heap in use"
	figRedisMemory = "used_memory of Redis"
	figClients     = "connections of the instance to Redis"

	figFastRoost   = "20,000 notifications a second: CPU of Roost for one"
	figFastRedis   = "20,000 notifications a second: CPU of Redis for one"
	figCut         = "cut: all are heard again after"
	figCutDeaf     = "cut: a user was not heard for, on average"
	figCutCPU      = "cut: CPU of Roost"
	figCutRedis    = "cut: CPU of Redis"
	figCutP99      = "cut: latency p99 of what came"
	figCutPong     = "cut: slowest pong"
	figCutPong99   = "cut: pong p99"
	figAway        = "restart: Redis is away for"
	figBack        = "restart: all are heard again after that"
	figRestartCPU  = "restart: CPU of Roost"
	figRestartPong = "restart: slowest pong"
)

// addBooks adds what became of notifications.
func addBooks(r *report.Report, published, missing int, now swarm.Stats) {
	r.Add(figPublished, float64(published), "")
	r.Add(figMissing, float64(missing), "")
	r.Add(figTwice, float64(now.Duplicates), "")
	r.Add(figAstray, float64(now.WrongUser), "")
	r.Add(figDisorder, float64(now.Disorder), "")
	r.Add(figLost, float64(now.Lost), "")
}
