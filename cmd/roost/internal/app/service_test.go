package app

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"roost/cmd/roost/internal/alert"
	"roost/cmd/roost/internal/config"
	"roost/cmd/roost/internal/handover"
	"roost/cmd/roost/internal/remote"
	"roost/cmd/roost/internal/roosttest"
	"roost/netpoll"
	"roost/redisfeed/redistest"
)

// The tests here look inside the program, as an exception: no client can stop a loop or the feed, but a log can.

// holdingLog is a log that does what none may: it holds up whoever says a thing.
type holdingLog struct {
	slog.Handler
	said string
	hold func()
}

func (h holdingLog) Enabled(context.Context, slog.Level) bool { return true }

func (h holdingLog) Handle(_ context.Context, r slog.Record) error {
	if strings.HasPrefix(r.Message, h.said) {
		h.hold()
	}
	return nil
}

// processors is GOMAXPROCS as it is before the first service raises it.
var processors = runtime.GOMAXPROCS(0)

// newInProcess makes a service in the test's own process.
func newInProcess(t *testing.T, redis *redistest.Server, log slog.Handler) *Service {
	t.Helper()
	t.Cleanup(func() { runtime.GOMAXPROCS(processors) }) // others run beside it, and have raised it as well
	cfg, err := config.Read()
	if err != nil {
		t.Fatal(err)
	}
	cfg.JWTSecretKey, cfg.RedisHost, cfg.RedisPort, cfg.RedisMinIdleConns = roosttest.Secret, redis.Host(), redis.Port(), 0
	cfg.WSHost, cfg.WSPort, cfg.HTTPHost, cfg.HTTPPort = "127.0.0.1", 0, "127.0.0.1", 0
	s, err := newService(t.Context(), cfg, config.Source{}, slog.New(log), new(Sockets))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// inProcess runs a service in the test's own process until the test ends, or stop is called.
func inProcess(t *testing.T, redis *redistest.Server, log slog.Handler) (s *Service, stop func()) {
	t.Helper()
	s = newInProcess(t, redis, log)
	s.start()
	stop = sync.OnceFunc(func() { _ = s.stopInTime(askedTo) })
	t.Cleanup(stop)
	return s, stop
}

func TestScrapeWhileEveryLoopIsHeld(t *testing.T) {
	t.Parallel()
	held, release := make(chan struct{}, 100), make(chan struct{})
	s, stop := inProcess(t, redistest.Start(t), holdingLog{slog.DiscardHandler, "connected", func() { held <- struct{}{}; <-release }})
	defer stop()
	defer close(release)
	// Each goes to the loop with the fewest, while one still accepts.
	for range s.loops {
		conn, err := net.Dial("tcp", s.WebSocketAddr())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := io.WriteString(conn, roosttest.Head(roosttest.Token(t, "alice"))); err != nil {
			t.Fatal(err)
		}
		select {
		case <-held:
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

// TestDeliveryTimeBeginsWithTheRead holds the feed up between two notifications that one read brought: the second has
// waited for the first.
func TestDeliveryTimeBeginsWithTheRead(t *testing.T) {
	t.Parallel()
	const wait = 100 * time.Millisecond
	server := redistest.Start(t)
	s, _ := inProcess(t, server, holdingLog{slog.DiscardHandler, "notification skipped", func() { time.Sleep(wait) /* the feed stands still */ }})
	conn, err := remote.Dial(t.Context(), s.ports.url("ws", "wss")+"/ws?token="+roosttest.Token(t, "alice"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.CloseNow() }()
	roosttest.WaitFor(t, "the subscription", func() bool { return s.feed.Status().Connected })
	_, err = server.Client().TxPipelined(t.Context(), func(pipe redis.Pipeliner) error {
		pipe.Publish(t.Context(), "user_noti:alice", "nonsense")
		pipe.Publish(t.Context(), "user_noti:alice", `{"type":"n","payload":1}`)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	roosttest.WaitFor(t, "the delivery", func() bool { return s.stats().DeliveriesSent == 1 })
	if took := s.stats().DeliveryTimes.Sum; took < wait {
		t.Errorf("it took %s from Redis to the socket, want more than the %s that it waited", took, wait)
	}
}

// A process that has said that it stops leaves the old one in charge.
func TestNothingIsTakenOverWhileStopping(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	var s *Service
	var err error
	s = newInProcess(t, redistest.Start(t), holdingLog{slog.DiscardHandler, "stopping", func() { err = s.sockets.takeOver(func() {}, func() {}) }})
	alerts := alert.New(alert.Config{Logger: slog.New(slog.DiscardHandler)})
	defer func() { _ = alerts.Close(roosttest.Limit) }()
	if err := s.run(ctx, func(*Service) { cancel() }, alerts); err != nil {
		t.Fatal(err)
	}
	if !errors.Is(err, errEnded) {
		t.Errorf("taking over behind the line says %v, want %v", err, errEnded)
	}
}

// A process that has the connections already, and is to stop before it has taken over the rest, does take it over: nobody else would
// close them.
func TestWhoHasTheConnectionsTakesOver(t *testing.T) {
	t.Parallel()
	s := newInProcess(t, redistest.Start(t), slog.DiscardHandler)
	s.took.from = new(handover.New)
	begun, settled := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(settled)
		close(begun)
		s.settleTakeover()
	}()
	<-begun
	select { // what waits for nothing ends now
	case <-settled:
	case <-time.After(50 * time.Millisecond):
	}
	served := make(chan error, 1)
	go func() { served <- s.serveClients(t.Context()) }()
	<-settled
	if !s.isActive() {
		t.Error("it has not taken over")
	}
	if err := s.ws.Shutdown(t.Context(), netpoll.GoingAway()); err != nil {
		t.Error(err)
	}
	if err := <-served; !errors.Is(err, netpoll.ErrClosed) {
		t.Error(err)
	}
}
