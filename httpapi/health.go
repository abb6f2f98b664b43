package httpapi

import (
	"math"
	"net/http"
	"strconv"
	"time"
)

// healthJSON is the answer of /health.
type healthJSON struct {
	Status        string              `json:"status"` // healthy, degraded or draining
	Timestamp     string              `json:"timestamp"`
	Redis         redisJSON           `json:"redis"`
	TokenKeys     *tokenKeysJSON      `json:"token_keys,omitempty"` // when tokens can't be checked
	WebSocket     webSocketJSON       `json:"websocket"`
	UptimeSeconds int64               `json:"uptime_seconds"`
	Deep          map[string]stepJSON `json:"deep,omitempty"` // by the step's name

	mending bool // all that is wrong is that the link to Redis is being mended
}

type redisJSON struct {
	Status string   `json:"status"` // connected or disconnected
	PingMS *float64 `json:"ping_ms,omitempty"`
	Error  string   `json:"error,omitempty"`
	Since  string   `json:"since,omitempty"` // when it was lost
}

type tokenKeysJSON struct {
	Status string `json:"status"` // missing
	Error  string `json:"error,omitempty"`
}

type webSocketJSON struct {
	Connections int `json:"active_connections"`
	Users       int `json:"total_unique_users"`
}

type stepJSON struct {
	Status string  `json:"status"` // ok or failed
	MS     float64 `json:"ms"`
	Error  string  `json:"error,omitempty"`
}

const (
	healthy  = "healthy"
	degraded = "degraded"
	draining = "draining"
)

// PublicHealth is the status and the body of /health for strangers: without the texts of errors, which name Redis and
// the issuer, and with Config.HealthStatusOnly nothing but the status. It may be called on event loops: it reads atomics
// only, takes a few microseconds and never waits.
func (s *Server) PublicHealth() (status int, body []byte) { return s.public(s.health(time.Now())) }

// public is an answer of PublicHealth.
func (s *Server) public(h *healthJSON) (status int, body []byte) {
	if s.cfg.HealthStatusOnly {
		return h.code(), marshal(map[string]string{"status": h.Status})
	}
	h.Redis.Error = ""
	if h.TokenKeys != nil {
		h.TokenKeys.Error = ""
	}
	for name, step := range h.Deep {
		step.Error = ""
		h.Deep[name] = step
	}
	return h.answer()
}

func (s *Server) health(now time.Time) *healthJSON {
	connections, users := s.cfg.Counts()
	redis := s.cfg.Redis()
	h := &healthJSON{
		Status:        healthy,
		Timestamp:     timestamp(now),
		Redis:         redisHealth(redis),
		WebSocket:     webSocketJSON{Connections: connections, Users: users},
		UptimeSeconds: s.uptime(now),
	}
	if !redis.Connected {
		h.Status, h.mending = degraded, redis.Mending
	}
	if err := s.cfg.TokenKeys(); err != nil {
		h.Status, h.mending, h.TokenKeys = degraded, false, &tokenKeysJSON{Status: "missing", Error: err.Error()}
	}
	if s.cfg.Draining() {
		h.Status, h.mending = draining, false
	}
	return h
}

func redisHealth(state RedisState) redisJSON {
	if !state.Connected {
		lost := redisJSON{Status: "disconnected", Error: state.Err}
		if !state.Since.IsZero() {
			lost.Since = timestamp(state.Since)
		}
		return lost
	}
	ping := milliseconds(state.Ping)
	return redisJSON{Status: "connected", PingMS: &ping}
}

func (h *healthJSON) answer() (status int, body []byte) {
	return h.code(), marshal(h)
}

// code is the HTTP status. Balancers that took an instance out for the moment that it takes to mend a link would take out
// all at once, since all have lost the same Redis.
func (h *healthJSON) code() int {
	if h.Status != healthy && !h.mending {
		return http.StatusServiceUnavailable
	}
	return http.StatusOK
}

func (s *Server) serveHealth(w http.ResponseWriter, r *http.Request) {
	deep, err := wantsDeep(r)
	if err != nil {
		writeError(w, http.StatusBadRequest, "deep is 1 or 0")
		return
	}
	if deep && s.cfg.Probe == nil {
		writeError(w, http.StatusNotImplemented, "no deep check is set up")
		return
	}
	h := s.health(time.Now())
	if deep && h.Status != draining {
		h.addDeep(s.deep.result(r.Context()))
	}
	answer := h.answer
	if !s.carriesToken(r) {
		answer = func() (int, []byte) { return s.public(h) }
	}
	status, body := answer()
	writeJSON(w, status, body)
}

// addDeep adds the steps' outcome, and counts the service as degraded when one failed.
func (h *healthJSON) addDeep(steps []ProbeStep) {
	h.Deep = make(map[string]stepJSON, len(steps))
	for _, step := range steps {
		j := stepJSON{Status: "ok", MS: milliseconds(step.Took)}
		if step.Err != nil {
			j.Status, j.Error = "failed", step.Err.Error()
			h.Status, h.mending = degraded, false
		}
		h.Deep[step.Name] = j
	}
}

func wantsDeep(r *http.Request) (bool, error) {
	deep := r.URL.Query().Get("deep")
	if deep == "" {
		return false, nil
	}
	return strconv.ParseBool(deep)
}

// milliseconds is d with two decimals: finer than anything that a network does.
func milliseconds(d time.Duration) float64 {
	return math.Round(d.Seconds()*1e5) / 100
}

// timestamp is RFC 3339 with milliseconds, in UTC.
func timestamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z07:00") }

func (s *Server) uptime(now time.Time) int64 { return int64(now.Sub(s.cfg.Started).Seconds()) }
