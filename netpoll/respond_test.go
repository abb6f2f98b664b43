package netpoll

import (
	"bufio"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"testing"
	"time"

	"roost/hub"
)

// ask sends an upgrade as a user and returns the status, and what comes behind
// the head.
func (r *rig) ask(user string) (response *http.Response, rest *bufio.Reader) {
	r.t.Helper()
	conn, err := r.dialTCP()
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(conn, upgradeRequest(r.t, user)); err != nil {
		r.t.Fatal(err)
	}
	rest = bufio.NewReader(conn)
	if response, err = http.ReadResponse(rest, nil); err != nil {
		r.t.Fatal(err)
	}
	return response, rest
}

// A storm of handshakes beyond the rate is refused, told to come back at
// different times, and who is connected feels nothing.
func TestHandshakeRate(t *testing.T) {
	t.Parallel()
	r := start(t, func(c *Config) { c.HandshakeRate, c.HandshakeBurst, c.RetryAfter = 1, 3, 20*time.Second })
	begun := time.Now()
	staying := r.connect("alice")
	const storm = 40
	admitted, waits := 0, map[string]bool{}
	for range storm {
		response, _ := r.ask("storm")
		switch response.StatusCode {
		case http.StatusSwitchingProtocols:
			admitted++
		case http.StatusServiceUnavailable:
			wait, err := strconv.Atoi(response.Header.Get("Retry-After"))
			if err != nil || wait < 20 || wait > 40 {
				t.Fatalf("Retry-After %q, want 20 to 40", response.Header.Get("Retry-After"))
			}
			waits[response.Header.Get("Retry-After")] = true
		default:
			t.Fatalf("answered %s", response.Status)
		}
	}
	if most := 3 + int(time.Since(begun).Seconds()); admitted < 2 || admitted > most { // the burst, and one a second
		t.Errorf("%d of %d were admitted, want 2 to %d", admitted, storm, most)
	}
	if storm-admitted >= storm/2 && len(waits) < 3 {
		t.Errorf("%d were told to wait %v", storm-admitted, waits)
	}
	if n := r.server.Stats().Refused["handshake_rate"]; n != uint64(storm-admitted) {
		t.Errorf("%d are counted, want %d", n, storm-admitted)
	}
	conn, err := r.dialTCP()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, _ = io.WriteString(conn, "GET /health HTTP/1.1\r\nHost: lb\r\n\r\n")
	if response, err := http.ReadResponse(bufio.NewReader(conn), nil); err != nil || response.StatusCode != http.StatusOK {
		t.Errorf("health in the storm: %v, %v", response, err)
	}
	r.deliver("alice", `{"type":"n"}`)
	if _, _, err := staying.ReadMessage(); err != nil {
		t.Error(err)
	}
}

// startWithHub is start with limits that the hub keeps.
func startWithHub(t *testing.T, limits hub.Config, change func(*Config)) *rig {
	limits.Logger = slog.New(slog.DiscardHandler)
	h := hub.New(limits)
	r := start(t, func(c *Config) {
		c.Hub = h
		if change != nil {
			change(c)
		}
	})
	r.hub = h
	return r
}

func TestUserLimitRefuses(t *testing.T) {
	t.Parallel()
	r := startWithHub(t, hub.Config{Limits: hub.Limits{MaxPerUser: 2}}, nil)
	r.connect("alice")
	first := r.connect("alice")
	for range 5 {
		if response, _ := r.ask("alice"); response.StatusCode != http.StatusTooManyRequests || response.Header.Get("Retry-After") == "" {
			t.Fatalf("the third is answered %s", response.Status)
		}
	}
	r.connect("bob")
	_ = first.Close()
	eventually(t, "there is room", func() bool { return r.hub.ConnectionsOf("alice") == 1 })
	r.connect("alice")
	if n := r.server.Stats().Refused["user_full"]; n != 5 {
		t.Errorf("%d refusals are counted, want 5", n)
	}
}

// The oldest connection makes room: it gets what was delivered before, and 4429.
func TestUserLimitReplaces(t *testing.T) {
	t.Parallel()
	r := startWithHub(t, hub.Config{Limits: hub.Limits{MaxPerUser: 1, ReplaceOldest: true}}, nil)
	var last *raw
	const times = 20
	for i := range times {
		next := r.upgrade("alice")
		if last != nil {
			if opcode, payload := last.readFrame(t); opcode != 0x88 || string(payload[:2]) != "\x11\x4d" {
				t.Fatalf("%d: the oldest got %x % x, want a close frame with 4429", i, opcode, payload)
			}
		}
		r.deliver("alice", `{"type":"n"}`)
		if opcode, _ := next.readFrame(t); opcode != 0x81 {
			t.Fatalf("%d: the newest got %x", i, opcode)
		}
		last = next
	}
	eventually(t, "all but one are gone", func() bool {
		return r.server.Stats().Ended["replaced"] == times-1 && r.hub.Connections() == 1 && r.hub.Users() == 1
	})
	r.balanced()
}

func TestRejectAfterUpgrade(t *testing.T) {
	t.Parallel()
	r := startWithHub(t, hub.Config{Limits: hub.Limits{MaxPerUser: 1}}, func(c *Config) { c.RejectAfterUpgrade = RejectAlways })
	r.connect("alice")
	response, rest := r.ask("alice")
	if response.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("answered %s", response.Status)
	}
	frame, err := io.ReadAll(rest)
	if want := "\x88\x22\x11\x4dtoo many connections of this user"; err != nil || string(frame) != want[:1]+string(rune(len(want)-2))+want[2:] {
		t.Errorf("got %q, %v, want a close frame with 4429", frame, err)
	}
	s := r.server.Stats()
	if s.Refused["user_full"] != 1 || s.Opened != 1 {
		t.Errorf("refused %v, opened %d", s.Refused, s.Opened)
	}
}
