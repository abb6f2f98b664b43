package main

import (
	"roost/cmd/roost/internal/config"
	"roost/hub"
	"roost/netpoll"
	"roost/wsproto/handshake"
)

// settings are what a reload replaces, all at once. Static after construction.
type settings struct {
	cfg      config.Config // service.cfg, but for what was reloaded
	source   config.Source // what cfg was read from last
	read     config.Config // what that says; cfg, but for what waits for a restart
	budget   netpoll.Budget
	upgrader *handshake.Upgrader
}

// rules are netpoll's part.
func (s settings) rules() netpoll.Rules {
	return netpoll.Rules{
		Upgrader:        s.upgrader,
		MaxPerIP:        s.cfg.WSMaxConnectionsPerIP,
		HandshakeRate:   s.cfg.WSHandshakeRate,
		HandshakeBurst:  s.cfg.WSHandshakeBurst,
		MessageRate:     s.cfg.WSMessageRate,
		MessageBurst:    s.cfg.WSMessageBurst,
		QueueBytes:      s.cfg.WSQueueBytes,
		QueueMessages:   s.cfg.WSQueueMessages,
		QueueTotal:      s.cfg.WSMaxQueuedBytes,
		PendingTotal:    s.cfg.WSMaxPendingBytes,
		MaxSockets:      s.budget.Sockets,
		ConnectionLines: s.cfg.LoggerConnectionRate,
	}
}

// limits are the hub's part.
func (s settings) limits() hub.Limits {
	return hub.Limits{
		MaxConnections: s.budget.Connections, MaxNotification: s.cfg.WSMaxNotificationSize,
		MaxPerUser: s.cfg.WSMaxConnectionsPerUser, ReplaceOldest: s.cfg.WSUserLimit == "replace",
		MaxBroadcastBytes: s.cfg.WSMaxBroadcastBytes,
	}
}

// rejectMode is WS_REJECT_AFTER_UPGRADE for netpoll.
func rejectMode(value string) netpoll.RejectMode {
	switch value {
	case "true":
		return netpoll.RejectAlways
	case "false":
		return netpoll.RejectNever
	}
	return netpoll.RejectKnowing
}
