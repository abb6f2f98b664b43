package main

import "roost/httpapi"

// limits is how close each limit is, for the console.
func (s *service) limits(stats httpapi.Stats) []httpapi.Limit {
	now := s.current.Load()
	connections := "WS_MAX_CONNECTIONS"
	if now.budget.Connections < now.cfg.WSMaxConnections {
		connections = "the limit on open files (ulimit -n)"
	}
	return []httpapi.Limit{
		{Name: "Connections", Variable: connections, Used: int64(stats.Connections), Max: int64(now.budget.Connections)},
		{Name: "Client sockets, in every state", Variable: "follows from the connections and ulimit -n",
			Used: int64(stats.Sockets), Max: int64(now.budget.Sockets)},
		{Name: "Waiting for clients that take nothing", Variable: "WS_MAX_QUEUED_BYTES", Unit: "bytes",
			Used: int64(stats.QueuedBytes), Max: int64(now.cfg.WSMaxQueuedBytes)},
		{Name: "Waiting for everyone and groups", Variable: "WS_MAX_BROADCAST_BYTES", Unit: "bytes",
			Used: int64(stats.BroadcastBytes), Max: int64(now.cfg.WSMaxBroadcastBytes)},
		{Name: "Kept for clients that are not let in yet", Variable: "WS_MAX_PENDING_BYTES", Unit: "bytes",
			Used: int64(stats.PendingBytes), Max: int64(now.cfg.WSMaxPendingBytes)},
	}
}
