package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"
)

func TestHealth(t *testing.T) {
	t.Parallel()
	started := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	now := started.Add(90*time.Second + 678*time.Millisecond).In(time.FixedZone("", 3600))
	const head, tail = `","timestamp":"2026-01-02T03:05:35.678Z","redis":`, `,"websocket":{"active_connections":3,"total_unique_users":2},"uptime_seconds":90}` + "\n"
	up := RedisState{Connected: true, Ping: 1234567}
	for _, tt := range []struct {
		name     string
		redis    RedisState
		draining bool
		status   int
		want     string
	}{
		{"healthy", up, false, 200, `{"status":"healthy` + head + `{"status":"connected","ping_ms":1.23}` + tail},
		{"no ping yet", RedisState{Connected: true}, false, 200, `{"status":"healthy` + head + `{"status":"connected","ping_ms":0}` + tail},
		{"redis is gone", RedisState{Err: `dial: "no"`, Ping: 5}, false, 503,
			`{"status":"degraded` + head + `{"status":"disconnected","error":"dial: \"no\""}` + tail},
		{"redis is gone for a moment", RedisState{Err: "EOF", Mending: true}, false, 200,
			`{"status":"degraded` + head + `{"status":"disconnected","error":"EOF"}` + tail},
		{"redis is gone, since when is known", RedisState{Err: "EOF", Since: time.Date(2026, 1, 2, 3, 4, 5, 6_000_000, time.UTC)}, false, 503,
			`{"status":"degraded` + head + `{"status":"disconnected","error":"EOF","since":"2026-01-02T03:04:05.006Z"}` + tail},
		{"draining", up, true, 503, `{"status":"draining` + head + `{"status":"connected","ping_ms":1.23}` + tail},
		{"draining without redis", RedisState{Err: "x"}, true, 503,
			`{"status":"draining` + head + `{"status":"disconnected","error":"x"}` + tail},
		{"draining, and redis is gone for a moment", RedisState{Err: "x", Mending: true}, true, 503,
			`{"status":"draining` + head + `{"status":"disconnected","error":"x"}` + tail},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, Config{Started: started,
				Redis:    func() RedisState { return tt.redis },
				Draining: func() bool { return tt.draining }})
			status, body := s.health(now).answer()
			if status != tt.status || string(body) != tt.want {
				t.Errorf("%d\ngot  %s\nwant %s", status, body, tt.want)
			}
			for _, path := range []string{"/health", "/health/ready"} {
				if resp := ask(s, "GET", path); resp.StatusCode != tt.status {
					t.Errorf("%s is served with %d", path, resp.StatusCode)
				}
			}
			// A restart would help in none of these cases.
			if resp := ask(s, "GET", "/health/live"); resp.StatusCode != 200 || text(t, resp.Body) != string(Live()) {
				t.Errorf("/health/live is served with %d", resp.StatusCode)
			}
		})
	}
}

// An instance that can check no token lets nobody in: it should get no clients.
func TestHealthWithoutTokenKeys(t *testing.T) {
	t.Parallel()
	var missing error = errors.New("none yet")
	s := newServer(t, Config{
		TokenKeys: func() error { return missing },
		Redis:     func() RedisState { return RedisState{Connected: missing == nil, Mending: missing != nil} }, // which excuses nothing else
	})
	status, body := s.health(time.Now()).answer()
	if want := `"token_keys":{"status":"missing","error":"none yet"}`; status != 503 || !strings.Contains(string(body), want) ||
		!strings.Contains(string(body), `"status":"degraded"`) {
		t.Errorf("%d %s", status, body)
	}
	missing = nil
	if status, body = s.health(time.Now()).answer(); status != 200 || strings.Contains(string(body), "token_keys") {
		t.Errorf("%d %s", status, body)
	}
}

// A deep check that fails is no matter of a moment.
func TestDeepFailureIsNotExcused(t *testing.T) {
	t.Parallel()
	s := newServer(t, Config{
		Redis: func() RedisState { return RedisState{Mending: true} },
		Probe: func(context.Context) []ProbeStep { return []ProbeStep{{Name: "a", Err: errors.New("no answer")}} },
	})
	if resp := ask(s, "GET", "/health"); resp.StatusCode != 200 {
		t.Errorf("/health says %d", resp.StatusCode)
	}
	if resp := ask(s, "GET", "/health?deep=1"); resp.StatusCode != 503 {
		t.Errorf("the deep check says %d", resp.StatusCode)
	}
}

// Strangers learn whether the service is well, and nothing of what is behind it.
func TestHealthForStrangers(t *testing.T) {
	t.Parallel()
	const secret = "dial tcp 10.1.2.3:6379: refused"
	const token = "0123456789abcdef"
	cfg := Config{
		Token:     token,
		Redis:     func() RedisState { return RedisState{Err: secret} },
		TokenKeys: func() error { return errors.New(secret) },
		Probe:     func(context.Context) []ProbeStep { return []ProbeStep{{Name: "redis_pubsub", Err: errors.New(secret)}} },
	}
	s := newServer(t, cfg)
	members := `"redis":{"status":"disconnected"},"token_keys":{"status":"missing"},"websocket":{"active_connections":3,"total_unique_users":2}`
	status, body := s.PublicHealth()
	if status != 503 || !strings.Contains(string(body), members) || strings.Contains(string(body), "10.1.2.3") {
		t.Errorf("on the public port: %d %s", status, body)
	}
	for _, path := range []string{"/health", "/health/ready", "/health?deep=1"} {
		if said := text(t, ask(s, "GET", path).Body); !strings.Contains(said, members) || strings.Contains(said, "10.1.2.3") {
			t.Errorf("%s without the token: %s", path, said)
		}
		said := text(t, ask(s, "GET", path, "Authorization", "Bearer "+token).Body)
		if want := 2 + strings.Count(path, "deep"); strings.Count(said, "10.1.2.3") != want {
			t.Errorf("%s with the token: %s", path, said)
		}
	}
	if said := text(t, ask(newServer(t, Config{Redis: cfg.Redis}), "GET", "/health").Body); !strings.Contains(said, "10.1.2.3") {
		t.Errorf("where no token is needed: %s", said)
	}

	cfg.HealthStatusOnly = true
	if status, body := newServer(t, cfg).PublicHealth(); status != 503 || string(body) != `{"status":"degraded"}`+"\n" {
		t.Errorf("the status alone: %d %s", status, body)
	}
	if status, body := newServer(t, Config{HealthStatusOnly: true}).PublicHealth(); status != 200 || string(body) != `{"status":"healthy"}`+"\n" {
		t.Errorf("the status alone: %d %s", status, body)
	}
}

// Event loops call Health: it must leave Stats, which takes locks, alone.
func TestHealthReadsCountsOnly(t *testing.T) {
	t.Parallel()
	s := newServer(t, Config{
		Stats:  func() Stats { panic("Stats was called") },
		Counts: func() (int, int) { return 7, 5 },
		Probe:  nil,
	})
	status, body := s.PublicHealth()
	var h healthJSON
	if err := json.Unmarshal(body, &h); err != nil {
		t.Fatal(err)
	}
	if status != 200 || h.WebSocket != (webSocketJSON{Connections: 7, Users: 5}) {
		t.Errorf("%d %s", status, body)
	}
	if at, err := time.Parse(time.RFC3339, h.Timestamp); err != nil || time.Since(at) > soon || !strings.HasSuffix(h.Timestamp, "Z") {
		t.Errorf("timestamp %s: %v", h.Timestamp, err)
	}
}

func BenchmarkHealth(b *testing.B) {
	s := New(Config{Stats: someStats, Counts: func() (int, int) { return 1, 1 }})
	defer s.stop()
	b.ReportAllocs()
	for b.Loop() {
		s.PublicHealth()
	}
}
