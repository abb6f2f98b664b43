package swarm

import (
	"context"
	"crypto/tls"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"roost/bench/roostbench/internal/note"
)

// serve starts a server that calls talk for each connection it upgrades, and
// reads what comes until the connection ends.
func serve(t *testing.T, talk func(*websocket.Conn)) netip.AddrPort {
	t.Helper()
	return serveWith(t, httptest.NewServer, talk)
}

// serveWith is serve with TLS, or without.
func serveWith(t *testing.T, start func(http.Handler) *httptest.Server, talk func(*websocket.Conn)) netip.AddrPort {
	t.Helper()
	upgrader := websocket.Upgrader{CheckOrigin: func(*http.Request) bool { return true }}
	server := start(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer conn.Close()
		talk(conn)
		for {
			if _, _, err := conn.ReadMessage(); err != nil {
				return
			}
		}
	}))
	t.Cleanup(server.Close)
	return netip.MustParseAddrPort(server.Listener.Addr().String())
}

func opened(t *testing.T, cfg Config, n int) (*Swarm, context.Context) {
	t.Helper()
	cfg.Path, cfg.Secret = "/ws", []byte("0123456789abcdef0123456789abcdef")
	s, err := New(cfg, note.NewClock())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	if err := s.Open(ctx, 0, n, Pace{}); err != nil {
		t.Fatalf("%v, %+v, %v", err, s.Stats(), s.Problems())
	}
	return s, ctx
}

// Over TLS connections are opened, pinged, notified and left as without it.
func TestTLS(t *testing.T) {
	t.Parallel()
	for _, least := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		server := serveWith(t, func(h http.Handler) *httptest.Server {
			s := httptest.NewUnstartedServer(h)
			s.TLS = &tls.Config{MinVersion: least, MaxVersion: least}
			s.StartTLS()
			return s
		}, func(conn *websocket.Conn) {
			_ = conn.WriteControl(websocket.PingMessage, []byte("x"), time.Now().Add(time.Minute))
			_ = conn.WriteMessage(websocket.TextMessage, note.Note{User: 0, Seq: 1, At: time.Now().UnixNano()}.Append(nil, 30_000))
		})
		s, ctx := opened(t, Config{Server: server, TLS: true, PerUser: 100}, 20)
		waitFor(t, ctx, s, func(now Stats) bool { return now.Received == 20 && now.Pings == 20 })
		if err := s.Leave(ctx, 0); err != nil {
			t.Fatal(err)
		}
		if now := s.Stats(); now.Open != 0 || now.Lost != 0 || now.Failed != 0 {
			t.Errorf("%+v, %v", now, s.Problems())
		}
	}
}

func waitFor(t *testing.T, ctx context.Context, s *Swarm, ok func(Stats) bool) {
	t.Helper()
	if err := s.wait(ctx, ok); err != nil {
		t.Fatalf("%v, %+v, %v", err, s.Stats(), s.Problems())
	}
}

func send(conn *websocket.Conn, n note.Note) {
	n.At = time.Now().UnixNano()
	_ = conn.WriteMessage(websocket.TextMessage, n.Append(nil, 10))
}

func TestOpenAndLeave(t *testing.T) {
	t.Parallel()
	server := serve(t, func(*websocket.Conn) {})
	s, ctx := opened(t, Config{Server: server, Loops: 2}, 100)
	if now := s.Stats(); now.Open != 100 || now.Failed != 0 || s.Handshakes().TotalCount() != 100 {
		t.Fatalf("%+v, %v", now, s.Problems())
	}
	for range 2 { // slots are used again
		if err := s.Leave(ctx, 10); err != nil || s.Stats().Open != 10 {
			t.Fatalf("%v, %+v", err, s.Stats())
		}
		if err := s.Open(ctx, 0, 100, Pace{Rate: 10_000, InFlight: 7}); err != nil {
			t.Fatal(err)
		}
	}
	if now := s.Stats(); now.Open != 100 || now.Opened != 280 || now.Lost != 0 {
		t.Errorf("%+v, %v", now, s.Problems())
	}
}

func TestWhatArrivesIsChecked(t *testing.T) {
	t.Parallel()
	server := serve(t, func(conn *websocket.Conn) {
		for _, seq := range []uint32{1, 3, 2, 2, 6} {
			send(conn, note.Note{User: 5, Seq: seq})
		}
		_ = conn.WriteControl(websocket.PingMessage, []byte("x"), time.Now().Add(time.Minute))
	})
	s, ctx := opened(t, Config{Server: server, FirstUser: 5}, 1)
	waitFor(t, ctx, s, func(now Stats) bool { return now.Pings == 1 })
	now := s.Stats()
	if now.Received != 5 || now.Disorder != 1 || now.Duplicates != 1 || now.WrongUser != 0 {
		t.Errorf("%+v", now)
	}
	if missing := s.Missing(func(int) uint32 { return 7 }); missing != 3 {
		t.Errorf("%d missing, want 4, 5 and 7", missing)
	}
	if n := s.Latencies().TotalCount(); n != 5 {
		t.Errorf("%d latencies", n)
	}
}

func TestAnothersNotificationIsNoticed(t *testing.T) {
	t.Parallel()
	server := serve(t, func(conn *websocket.Conn) { send(conn, note.Note{User: 6, Seq: 1}) })
	s, ctx := opened(t, Config{Server: server, FirstUser: 5}, 1)
	waitFor(t, ctx, s, func(now Stats) bool { return now.WrongUser == 1 && now.Lost == 1 })
}

func TestPingsAreAnswered(t *testing.T) {
	t.Parallel()
	answered := make(chan string, 1)
	server := serve(t, func(conn *websocket.Conn) {
		conn.SetPongHandler(func(text string) error { answered <- text; return nil })
		_ = conn.WriteControl(websocket.PingMessage, []byte("are you there"), time.Now().Add(time.Minute))
	})
	_, ctx := opened(t, Config{Server: server}, 1)
	select {
	case text := <-answered:
		if text != "are you there" {
			t.Errorf("answered %q", text)
		}
	case <-ctx.Done():
		t.Error("no pong")
	}
}

func TestServerEndsConnection(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		end  func(*websocket.Conn)
		want string
	}{
		"with a close frame": {func(conn *websocket.Conn) {
			_ = conn.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(1001, "bye"), time.Now().Add(time.Minute))
		}, "1001 bye"},
		"without":              {func(conn *websocket.Conn) { conn.Close() }, errEOF.Error()},
		"with a broken frame":  {func(conn *websocket.Conn) { _, _ = conn.NetConn().Write([]byte{0xC1, 0}) }, "reserved bits"},
		"with a strange frame": {func(conn *websocket.Conn) { _ = conn.WriteMessage(websocket.BinaryMessage, nil) }, "binary"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, ctx := opened(t, Config{Server: serve(t, tt.end)}, 1)
			waitFor(t, ctx, s, func(now Stats) bool { return now.Lost == 1 && now.Open == 0 })
			for problem := range s.Problems() {
				if !strings.Contains(problem, tt.want) {
					t.Errorf("got %q, want %q", problem, tt.want)
				}
			}
		})
	}
}

func TestRefusalsAreFailures(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(server.Close)
	s, _ := opened(t, Config{Server: netip.MustParseAddrPort(server.Listener.Addr().String())}, 3)
	if now := s.Stats(); now.Failed != 3 || now.Open != 0 {
		t.Errorf("%+v, %v", now, s.Problems())
	}
}

func TestOnlyLoopback(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"192.0.2.1:8081", "[::1]:8081", "[2001:db8::1]:8081"} {
		if _, err := New(Config{Server: netip.MustParseAddrPort(address)}, note.NewClock()); !errors.Is(err, ErrNotLoopback) {
			t.Errorf("%s: got %v", address, err)
		}
	}
}
