package roosttest

import (
	"cmp"
	"encoding/json"
	"io"
	"maps"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Redis is the Redis that a server uses: a *redistest.Server is one.
type Redis interface {
	Host() string
	Port() int
}

// RedisAt is the Redis at an address, host:port, which may be a relay's.
func RedisAt(addr string) Redis {
	host, port, _ := net.SplitHostPort(addr)
	number, _ := strconv.Atoi(port)
	return redisAt{host, number}
}

type redisAt struct {
	host string
	port int
}

func (r redisAt) Host() string { return r.host }
func (r redisAt) Port() int    { return r.port }

// Server is a roost that serves.
type Server struct {
	*Process
	WS   string // host:port of the WebSocket port
	WSS  string // host:port of the one for wss://; empty: none
	HTTP string // host:port of the admin server

	http   *http.Client
	token  string // sent to the admin server; empty: none
	scheme string // of the admin server; empty: http
}

// Start starts a server on free ports and waits until it is ready. env overrides what is set here.
func Start(t testing.TB, redis Redis, env Env) *Server {
	t.Helper()
	return StartWrapped(t, redis, env)
}

// StartWrapped is Start with a program that replaces itself by roost (see Command.Wrap).
func StartWrapped(t testing.TB, redis Redis, env Env, wrap ...string) *Server {
	t.Helper()
	s := Launch(t, redis, env, wrap...)
	s.WaitLine("redis feed is subscribed")
	return s
}

// Launch is StartWrapped without waiting for Redis. It gives no subcommand: serving is what roost does by itself.
func Launch(t testing.TB, redis Redis, env Env, wrap ...string) *Server {
	t.Helper()
	return Serving(t, Run(t, Command{Env: ServerEnv(redis, env), Wrap: wrap}))
}

// Serving waits until a process that serves listens.
func Serving(t testing.TB, process *Process) *Server {
	t.Helper()
	s := &Server{Process: process}
	line := s.WaitLine("listening")
	s.WS, s.HTTP = line.Text("websocket"), line.Text("http")
	if s.WSS, _ = line["websocket_tls"].(string); s.WSS == "" && s.WS == "" {
		t.Fatalf("it listens nowhere: %v", line)
	}
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	s.http = &http.Client{Transport: transport, Timeout: Limit}
	return s
}

// As is the server for a subtest: what is opened through it ends with that, and failures are that one's.
func (s *Server) As(t testing.TB) *Server {
	process := *s.Process
	process.t = t
	as := *s
	as.Process = &process
	return &as
}

// WithToken is the server with the HTTP_TOKEN that the admin server is asked with.
func (s *Server) WithToken(token string) *Server {
	with := *s
	with.token = token
	return &with
}

// Through is the server with its admin server asked by client, over http or https.
func (s *Server) Through(client *http.Client, scheme string) *Server {
	through := *s
	through.http, through.scheme = client, scheme
	return &through
}

// admin is the address of a page of the admin server.
func (s *Server) admin(path string) string { return cmp.Or(s.scheme, "http") + "://" + s.HTTP + path }

// ServerEnv is what a server of the tests is told: loopback, free ports, the tests' Redis and secret, two processors
// and so two loops, few connections to Redis, and then env.
func ServerEnv(redis Redis, env Env) Env {
	all := Env{
		"WS_HOST": "127.0.0.1", "WS_PORT": "0", "HTTP_HOST": "127.0.0.1", "HTTP_PORT": "0",
		"REDIS_HOST": redis.Host(), "REDIS_PORT": strconv.Itoa(redis.Port()),
		"REDIS_MIN_IDLE_CONNS": "1", "REDIS_POOL_SIZE": "4", "REDIS_FEED_RETRY_DELAY": "100ms",
		"REDIS_FEED_MAX_ATTEMPTS": "0", "REDIS_HEALTH_GRACE": "0s", "JWT_SECRET_KEY": Secret, "GOMAXPROCS": "2",
		"LOGGER_CONNECTION_RATE": "0",  // tests look for lines
		"WS_HANDSHAKE_TIMEOUT":   "3m", // on a busy machine a test may take long between two parts of a request
	}
	maps.Copy(all, env)
	return all
}

// URL is where a user connects.
func (s *Server) URL(token string) string { return "ws://" + s.WS + "/ws?token=" + token }

// Metrics are the numbers of the Prometheus text by their name with labels: roost_connections, or
// roost_deliveries_failed_total{reason="queue_full"}.
type Metrics map[string]float64

// Metrics scrapes the admin server until it has numbers that are newer than the call: a gathering is shared for a second
// by all who ask.
func (s *Server) Metrics() (all Metrics) {
	s.t.Helper()
	asked := time.Now()
	s.waitScraping("new metrics", func() bool {
		var gathered time.Time
		all, gathered = s.scrape()
		return gathered.After(asked)
	})
	return all
}

// waitScraping is WaitFor for a condition that scrapes. It asks more and more seldom: numbers are gathered five times in a
// row, and then once a second.
func (s *Server) waitScraping(what string, holds func() bool) {
	s.t.Helper()
	pause := 5 * time.Millisecond
	for deadline := time.Now().Add(Limit); !holds(); pause = min(2*pause, 100*time.Millisecond) {
		if time.Now().After(deadline) {
			s.t.Fatalf("waited %s for %s", Limit, what)
		}
		<-time.After(pause)
	}
}

// scrape scrapes the admin server, and says when the numbers were gathered.
func (s *Server) scrape() (all Metrics, gathered time.Time) {
	s.t.Helper()
	_, header, body := s.GetWithHeader("/metrics?format=prometheus")
	_, desc, _ := strings.Cut(header.Get("Server-Timing"), `desc="`)
	gathered, err := time.Parse(time.RFC3339Nano, strings.TrimSuffix(desc, `"`))
	if err != nil {
		s.t.Fatalf("Server-Timing is %q: %v", header.Get("Server-Timing"), err)
	}
	return readMetrics(body), gathered
}

// TryMetrics are the latest numbers that were gathered, from a server that may have ended.
func (s *Server) TryMetrics() (Metrics, error) {
	response, err := s.http.Get(s.admin("/metrics?format=prometheus"))
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return readMetrics(body), err
}

func readMetrics(body []byte) Metrics {
	all := make(Metrics)
	for line := range strings.Lines(string(body)) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), "} ")
		if ok {
			name += "}"
		} else {
			name, value, _ = strings.Cut(strings.TrimSpace(line), " ")
		}
		if n, err := strconv.ParseFloat(value, 64); err == nil && name != "#" {
			all[name] = n
		}
	}
	return all
}

// Sum adds up a metric over its labels.
func (m Metrics) Sum(name string) float64 {
	var sum float64
	for key, value := range m {
		if strings.HasPrefix(key, name+"{") {
			sum += value
		}
	}
	return sum
}

// WaitMetric waits until a metric has a value.
func (s *Server) WaitMetric(name string, value float64) {
	s.t.Helper()
	s.waitScraping(name+" to be "+strconv.FormatFloat(value, 'f', -1, 64), func() bool {
		all, _ := s.scrape()
		return all[name] == value
	})
}

// Goroutines is how many goroutines the server has while nothing happens: the most of several counts, as the runtime counts without
// stopping what goes on, and is too low by one or two now and then.
func (s *Server) Goroutines() int {
	s.t.Helper()
	most := 0.0
	for range 10 {
		most = max(most, s.Metrics()["go_goroutines"])
	}
	return int(most)
}

// Health is what /health says.
type Health struct {
	Code      int    `json:"-"`
	Status    string `json:"status"`
	Timestamp string `json:"timestamp"`
	Redis     struct {
		Status string   `json:"status"`
		PingMS *float64 `json:"ping_ms"`
		Error  string   `json:"error"`
	} `json:"redis"`
	WebSocket struct {
		Connections *int `json:"active_connections"`
		Users       *int `json:"total_unique_users"`
	} `json:"websocket"`
	Uptime *int64 `json:"uptime_seconds"`
	Deep   map[string]struct {
		Status string  `json:"status"`
		MS     float64 `json:"ms"`
		Error  string  `json:"error"`
	} `json:"deep"`
}

// Health asks the admin server, or with deep has it try everything out.
func (s *Server) Health(deep bool) Health {
	s.t.Helper()
	path := "/health"
	if deep {
		path += "?deep=1"
	}
	code, body := s.Get(path)
	return ReadHealth(s.t, code, body)
}

// ReadHealth reads an answer of /health.
func ReadHealth(t testing.TB, code int, body []byte) Health {
	t.Helper()
	h := Health{Code: code}
	if err := json.Unmarshal(body, &h); err != nil {
		t.Fatalf("/health answered %d %q: %v", code, body, err)
	}
	return h
}

// Get asks the admin server.
func (s *Server) Get(path string) (code int, body []byte) {
	s.t.Helper()
	code, _, body = s.GetWithHeader(path)
	return code, body
}

// GetWithHeader is Get with the header of the answer.
func (s *Server) GetWithHeader(path string) (code int, header http.Header, body []byte) {
	s.t.Helper()
	request, err := http.NewRequest(http.MethodGet, s.admin(path), nil)
	if err != nil {
		s.t.Fatalf("GET %s: %v", path, err)
	}
	if s.token != "" {
		request.Header.Set("Authorization", "Bearer "+s.token)
	}
	// The admin server closes a connection on which no head comes for five seconds, for which a busy machine may stand still.
	var response *http.Response
	within(Limit, func() bool {
		begun := time.Now()
		response, err = s.http.Do(request)
		return err == nil || time.Since(begun) < 4*time.Second || s.Exited()
	})
	if err != nil {
		s.t.Fatalf("GET %s: %v", path, err)
	}
	defer response.Body.Close()
	if body, err = io.ReadAll(response.Body); err != nil {
		s.t.Fatalf("GET %s: %v", path, err)
	}
	return response.StatusCode, response.Header, body
}
