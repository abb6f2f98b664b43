package httpapi

import "net/http"

// serviceName is how the JSON of /metrics names this service.
const serviceName = "websocket-service"

// metricsJSON is /metrics for those who ask for JSON.
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
	form, ok := metricsForm(r)
	if !ok {
		writeError(w, http.StatusBadRequest, "unknown format: json and prometheus are known")
		return
	}
	h := w.Header()
	h.Set("Vary", "Accept, Accept-Encoding")
	now := s.gatherer.current()
	h.Set("Server-Timing", now.age())
	if form.json {
		writeJSON(w, http.StatusOK, marshal(s.metrics(now)))
		return
	}
	kind := bodyKind{format: form.text, gzip: acceptsGzip(r.Header)}
	body, err := now.body(kind)
	if err != nil {
		s.cfg.Logger.Error("metrics can't be written", "error", err)
		writeError(w, http.StatusInternalServerError, "the metrics can't be written: the log says why")
		return
	}
	h.Set("Content-Type", string(kind.format))
	if kind.gzip {
		h.Set("Content-Encoding", "gzip")
	}
	write(w, http.StatusOK, body)
}

func (s *Server) metrics(now *snapshot) metricsJSON {
	stats := &now.stats
	m := metricsJSON{
		Service:       serviceName,
		Timestamp:     timestamp(now.at),
		UptimeSeconds: s.uptime(now.at),
		Connections:   connectionsJSON{Active: stats.Connections, Users: stats.Users},
		Messages:      messagesJSON{Received: stats.NotificationsReceived, Sent: stats.DeliveriesSent},
	}
	for _, n := range stats.DeliveriesFailed {
		m.Messages.Failed += n
	}
	return m
}
