package readers

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"roost/bench/roostbench/internal/note"
	"roost/bench/roostbench/internal/raw"
)

// limit is how long a test waits for what has to come.
const limit = time.Minute

// serve upgrades every client and hands its connection over.
func serve(t *testing.T) (raw.Target, <-chan *websocket.Conn) {
	t.Helper()
	conns := make(chan *websocket.Conn, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		upgrader := websocket.Upgrader{CheckOrigin: func(*http.Request) bool { return true }}
		conn, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		conns <- conn
		for err == nil {
			_, _, err = conn.ReadMessage()
		}
	}))
	t.Cleanup(server.Close)
	return raw.Target{Server: netip.MustParseAddrPort(strings.TrimPrefix(server.URL, "http://")), Path: "/ws", Patience: limit}, conns
}

func open(t *testing.T, speed Speed) (*Reader, *websocket.Conn) {
	t.Helper()
	target, conns := serve(t)
	r, err := Open(t.Context(), target, 7, speed)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r, <-conns
}

func send(t *testing.T, conn *websocket.Conn, user int, seq uint32, pad int) {
	t.Helper()
	if err := conn.WriteMessage(websocket.TextMessage, note.Note{User: user, Seq: seq, At: 1}.Append(nil, pad)); err != nil {
		t.Fatal(err)
	}
}

func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	for !ok() {
		select {
		case <-ctx.Done():
			t.Fatalf("%s did not come", what)
		case <-time.After(time.Millisecond):
		}
	}
}

func TestReaderCounts(t *testing.T) {
	t.Parallel()
	r, conn := open(t, Full)
	send(t, conn, 7, 1, 0)
	await(t, "the first", func() bool { return r.Result().Received == 1 })
	r.Expect(1)
	for _, seq := range []uint32{2, 4, 3, 3} { // 3 is late, and then comes twice
		send(t, conn, 7, seq, 10)
	}
	send(t, conn, 8, 5, 10)
	if err := conn.WriteMessage(websocket.TextMessage, []byte(`{"type":"_gap"}`)); err != nil {
		t.Fatal(err)
	}
	_ = conn.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(1013, "slow"), time.Now().Add(limit))
	_ = conn.Close()
	await(t, "the end", func() bool { return !r.Result().Ended.IsZero() })
	got := r.Result()
	if got.Received != 4 || got.Wrong != 3 || got.Asides != 1 || got.Code != 1013 || got.Err == nil || got.Last.IsZero() ||
		got.Highest != 5 || r.Lost(7) != 2 {
		t.Errorf("%+v", got)
	}
}

// A stalled reader takes nothing, a slow one no more than its speed, a full one all that is left.
func TestReaderSpeeds(t *testing.T) {
	t.Parallel()
	r, conn := open(t, 2000)
	r.SetSpeed(Stalled)
	const messages, pad = 40, 900
	for seq := uint32(1); seq <= messages; seq++ {
		send(t, conn, 7, seq, pad)
	}
	if got := r.Result().Received; got != 0 {
		t.Errorf("stalled, it got %d", got)
	}
	began := time.Now()
	r.SetSpeed(2000)
	await(t, "some", func() bool { return r.Result().Received >= 4 })
	// 4,000 bytes at 2,000 a second: two seconds but for the first piece. A busy machine is slower yet.
	if took := time.Since(began); took < 1500*time.Millisecond {
		t.Errorf("4 of 1,000 bytes at 2,000 bytes a second came within %s", took)
	}
	r.SetSpeed(Full)
	await(t, "all", func() bool { return r.Result().Received == messages })
	if got := r.Result(); got.Wrong != 0 || got.Err != nil {
		t.Errorf("%+v", got)
	}
}

func TestOpenFails(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := netip.MustParseAddrPort(listener.Addr().String())
	_ = listener.Close()
	if r, err := Open(t.Context(), raw.Target{Server: server, Path: "/ws", Patience: limit}, 1, Full); err == nil {
		r.Close()
		t.Error("it opened where nobody listens")
	} else if refused := new(net.OpError); !errors.As(err, &refused) {
		t.Error(err)
	}
}
