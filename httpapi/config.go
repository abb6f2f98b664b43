package httpapi

import (
	"context"
	"crypto/tls"
	"io/fs"
	"log/slog"
	"time"

	"roost/internal/metric"
)

// Config is what the admin server needs. All functions may be called on any goroutine, at any time between New and the
// end of Run. Only Addr and Stats must be set.
type Config struct {
	Addr     string    // host:port to listen on; port 0: any free one
	Version  string    // of roost, for the build info; empty: dev
	Revision string    // of its source, for the build info; empty: unknown
	Started  time.Time // of the process, for the uptime; zero: when New is called

	// Stats reads all counters. It may take locks for a moment; it is not called on event loops.
	Stats func() Stats
	// Counters describes the counters in Stats.Counters.
	Counters []metric.Desc
	// Counts is the number of open connections and of users that have any. It is called on event loops: atomics only.
	// nil: taken from Stats.
	Counts func() (connections, users int)
	// Redis is the state of the link to Redis. It is called on event loops: atomics only. nil: connected.
	Redis func() RedisState
	// TokenKeys says why tokens can't be checked, nil if they can. It is called on event loops: atomics only. nil:
	// they can.
	TokenKeys func() error
	// Draining says whether the server is leaving. It is called on event loops: atomics only. nil: never.
	Draining func() bool
	// Probe proves that the service works from end to end, for /health?deep=1. It must return when ctx ends, at the
	// latest after 5 s. One is run at a time. nil: 501 is answered.
	Probe func(ctx context.Context) []ProbeStep
	// Why looks at a user's connections and, from the first time that it is asked for them on, at what becomes of their
	// notifications. It returns ErrNoSuchUser for what is no user id. nil: 501 is answered.
	Why func(ctx context.Context, user string) (Why, error)
	// Publishing publishes what comes to /publish, for those who have the token. nil: there is no such path.
	Publishing *Publishing
	// OpenAPI describes /publish, in YAML. Empty: there is no such page.
	OpenAPI string
	// Variables lists the configuration that the server runs with, secrets masked. nil: 501 is answered.
	Variables func() []Variable
	// Upgrade is what /upgrade answers. nil: 501 is answered.
	Upgrade func() Upgrade
	// TLS has the server speak HTTPS alone. It is HTTP/1.1, whatever NextProtos says. nil: plain HTTP.
	TLS *tls.Config
	// Console serves a page at / that shows how the server is.
	Console bool
	// Docs are the pages of the documentation, in Markdown, which the console shows. nil: none.
	Docs fs.FS
	// Limits says how close each limit is, for the page, the one on connections first. nil: nothing.
	Limits func(Stats) []Limit
	// Token is what has to be given as Authorization: Bearer, for everything but health, until SetToken. Empty: see
	// access.go.
	Token string
	// HealthStatusOnly leaves nothing but the status in PublicHealth.
	HealthStatusOnly bool
	// PProf serves Go's profiles under /debug/pprof/, to processes of this machine.
	PProf bool
	// Reserve serves connections when the process has no descriptor left. nil: none.
	Reserve Reserve
	// Logger gets what net/http complains about and failed deep checks. nil: nowhere.
	Logger *slog.Logger
}

// RedisState is the link to Redis as it was seen last.
type RedisState struct {
	Connected bool
	Mending   bool          // it is not, for so short a time that /health stays 200
	Ping      time.Duration // last round trip; 0: not measured yet
	Err       string        // why it is not connected
	Since     time.Time     // when it was connected, or lost; zero: not known
}

// ProbeStep is a part of a deep check.
type ProbeStep struct {
	Name string        // its key in the answer: redis_pubsub
	Took time.Duration // from its own start
	Err  error         // nil: it worked
}

func (c Config) withDefaults() Config {
	if c.Version == "" {
		c.Version = "dev"
	}
	if c.Revision == "" {
		c.Revision = "unknown"
	}
	if c.Started.IsZero() {
		c.Started = time.Now()
	}
	if c.Counts == nil {
		stats := c.Stats
		c.Counts = func() (int, int) { s := stats(); return s.Connections, s.Users }
	}
	if c.Redis == nil {
		c.Redis = func() RedisState { return RedisState{Connected: true} }
	}
	if c.TokenKeys == nil {
		c.TokenKeys = func() error { return nil }
	}
	if c.Draining == nil {
		c.Draining = func() bool { return false }
	}
	if c.Reserve == nil {
		c.Reserve = noReserve{}
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}
