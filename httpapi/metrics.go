package httpapi

import (
	"net/http"
	"time"
)

// serviceName is how the JSON of /metrics names this service.
const serviceName = "websocket-service"

// metricsJSON is /metrics for those who are not Prometheus.
type metricsJSON struct {
	Service       string          `json:"service"`
	Timestamp     string          `json:"timestamp"`
	UptimeSeconds int64           `json:"uptime_seconds"`
	Connections   connectionsJSON `json:"connections"`
	Messages      messagesJSON    `json:"messages"`
}

type connectionsJSON struct {
	Active int `json:"active"`
	Users  int `json:"total_unique_users"`
}

type messagesJSON struct {
	Received uint64 `json:"received_from_redis"`
	Sent     uint64 `json:"sent_to_clients"` // last byte taken by the kernel
	Failed   uint64 `json:"failed"`          // deliveries given up, for whatever reason
}

func (s *Server) serveMetrics(w http.ResponseWriter, r *http.Request) {
	prometheus, ok := wantsPrometheus(r)
	switch {
	case !ok:
		writeError(w, http.StatusBadRequest, "unknown format: json and prometheus are known")
	case prometheus:
		s.scrapes.ServeHTTP(w, r)
	default:
		w.Header().Set("Vary", "Accept")
		writeJSON(w, http.StatusOK, marshal(s.metrics(time.Now())))
	}
}

func (s *Server) metrics(now time.Time) metricsJSON {
	stats := s.cfg.Stats()
	m := metricsJSON{
		Service:       serviceName,
		Timestamp:     timestamp(now),
		UptimeSeconds: s.uptime(now),
		Connections:   connectionsJSON{Active: stats.Connections, Users: stats.Users},
		Messages:      messagesJSON{Received: stats.NotificationsReceived, Sent: stats.DeliveriesSent},
	}
	for _, n := range stats.DeliveriesFailed {
		m.Messages.Failed += n
	}
	return m
}
