// Package httpapi is the admin server that load balancers, supervisors, Prometheus and operators ask: /health,
// /metrics and, where that is wanted, Go's profiles, with net/http, on a port of its own. Backends without a Redis client
// publish on it (/publish).
//
// It is started by cmd/roost, which also hands it functions to read the other packages' state through; it imports none of
// them. Requests are served on net/http's goroutines. Server.PublicHealth alone is called on event loops as well, for /health
// on the WebSocket port, and for that reads nothing but what Config.Counts, Config.Redis and Config.Draining give, which
// must be atomics.
//
// It counts what concerns itself alone, and changes nothing in the process. /publish is the only path that changes anything
// anywhere: what it publishes Redis hands to all servers, this one too.
package httpapi
