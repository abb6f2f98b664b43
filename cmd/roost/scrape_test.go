package main

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"roost/cmd/roost/internal/config"
	"roost/cmd/roost/internal/roosttest"
	"roost/netpoll"
	"roost/redisfeed/redistest"
)

// holdingHandler is a log that does what none may: it holds up whoever logs that a client has connected, which are the
// loops.
type holdingHandler struct {
	slog.Handler
	held    chan struct{} // gets one for each
	release chan struct{} // closed to let them go
}

func (h holdingHandler) Enabled(context.Context, slog.Level) bool { return true }

func (h holdingHandler) Handle(_ context.Context, r slog.Record) error {
	if r.Message == "connected" {
		h.held <- struct{}{}
		<-h.release
	}
	return nil
}

// TestScrapeWhileEveryLoopIsHeld looks inside, as an exception: no client can stop a loop.
func TestScrapeWhileEveryLoopIsHeld(t *testing.T) {
	t.Parallel()
	procs := runtime.GOMAXPROCS(0)
	t.Cleanup(func() { runtime.GOMAXPROCS(procs) })
	redis := redistest.Start(t)
	cfg, err := config.Read()
	if err != nil {
		t.Fatal(err)
	}
	cfg.JWTSecretKey, cfg.RedisHost, cfg.RedisPort, cfg.RedisMinIdleConns = roosttest.Secret, redis.Host(), redis.Port(), 0
	cfg.WSHost, cfg.WSPort, cfg.HTTPHost, cfg.HTTPPort = "127.0.0.1", 0, "127.0.0.1", 0
	log := holdingHandler{Handler: slog.DiscardHandler, held: make(chan struct{}, 100), release: make(chan struct{})}
	s, err := newService(t.Context(), cfg, slog.New(log))
	if err != nil {
		t.Fatal(err)
	}
	s.start()
	letGo := sync.OnceFunc(func() { close(log.release) })
	defer s.stopInTime(netpoll.GoingAway())
	defer letGo()

	// Each goes to the loop with the fewest, while one still accepts.
	for range s.loops {
		conn, err := net.Dial("tcp", s.localURL())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := io.WriteString(conn, roosttest.Head(roosttest.Token(t, "alice"))); err != nil {
			t.Fatal(err)
		}
		select {
		case <-log.held:
		case <-time.After(roosttest.Limit):
			t.Fatal("a loop is not held")
		}
	}
	client := &http.Client{Timeout: roosttest.Limit, Transport: &http.Transport{DisableKeepAlives: true}}
	for _, path := range []string{"/metrics?format=prometheus", "/metrics", "/health/live"} {
		response, err := client.Get("http://" + s.http.Addr().String() + path)
		if err != nil {
			t.Fatalf("%s while every loop is held: %v", path, err)
		}
		body, err := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if err != nil || response.StatusCode != http.StatusOK || !strings.HasSuffix(string(body), "\n") {
			t.Errorf("%s: %s %q %v", path, response.Status, body, err)
		}
	}
}
