package netpoll

import (
	"bytes"
	"context"
	"crypto/tls"
	"flag"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"roost/hub"
	"roost/internal/wirecodec"
	"roost/wsproto/auth"
	"roost/wsproto/handshake"
)

// sink is a TakingOver that gets sections without descriptors: instead of those of another process it opens its own.
func sink(t testing.TB, withTLS bool) *TakingOver {
	cfg := Config{Rules: Rules{Upgrader: newUpgrader(t, auth.Config{}, handshake.Config{}), MaxSockets: 100}, Hub: hub.New(hub.Config{}), Loops: 2, HoldLoops: true, Logger: slog.New(slog.DiscardHandler)}
	if withTLS {
		cfg.TLS = testTLS(t, TLSOptions{})
	}
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	in, err := s.BeginTakeover()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Abort()
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := s.Shutdown(ctx, GoingAway()); err != nil {
			t.Error(err)
		}
	})
	return in
}

// takeAll takes sections that came one behind the other, each behind its length, with descriptors of the test's own.
func takeAll(in *TakingOver, b []byte, socket func() int) error {
	r := wirecodec.NewReader(b)
	for r.Len() > 0 {
		section := bytes.Clone(r.Bytes(maxSection))
		fds := make([]int, r.Uint(250))
		if r.Err() != nil {
			return r.Err()
		}
		for i := range fds {
			fds[i] = socket()
		}
		if err := in.Take(section, fds); err != nil {
			return err
		}
	}
	_, err := in.Finish()
	return err
}

// fixture has the sections of a handover, as version 1 was when it was recorded.
const fixture = "testdata/handover-v1.bin"

var recordFixture = flag.Bool("record-fixture", false, "record "+fixture+" again: only before a version of the format is released")

// eventfd is a descriptor in place of another process's.
func eventfd(t testing.TB) int {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		t.Fatal(err)
	}
	return fd
}

// TestRecordHandover records the fixture, where it is asked to.
func TestRecordHandover(t *testing.T) {
	if !*recordFixture {
		t.Skip("go test -run RecordHandover -record-fixture ./netpoll")
	}
	r := secureRig(t, func(c *Config) {
		withStreams(t, c)
		c.MaxPerIP, c.CloseOnExpiry, c.MessageRate, c.MessageBurst, c.HandshakeTimeout = 100, true, 10, 10, patience
	})
	dial := func() (*halvingConn, *tls.Conn) {
		conn, err := net.Dial("tcp", r.addr)
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.(*net.TCPConn).SetReadBuffer(16 << 10)
		halves := &halvingConn{Conn: conn}
		return halves, tls.Client(halves, &tls.Config{InsecureSkipVerify: true})
	}
	open := func(user string) (*halvingConn, *raw) {
		halves, secure := dial()
		return halves, upgraded(t, secure, user)
	}
	open("idle")
	_, stream := dial()
	_, _ = io.WriteString(stream, streamHead(t, "stream"))
	_, half := open("half")
	_, _ = half.Write(masked(0x81, "abc")[:7])
	halves, record := open("record")
	halves.hold = true
	_, _ = record.Write(masked(0x81, "abc"))
	_, deaf := open("deaf")
	_, pending := dial()
	_, _ = io.WriteString(pending, upgradeRequest(t, "pending")[:50])
	eventually(t, "they are where they should be", func() bool {
		for range 5 {
			r.deliver("deaf", `{"type":"n","payload":"`+strings.Repeat("x", 2000)+`"}`)
		}
		s := r.server.Stats()
		return s.Waiting >= 5 && s.RecordBytes > 0 && s.Pending == 1 && r.server.unfinished() == 1 && r.hub.Connections() == 5
	})
	m, _ := r.begin(nil)
	m.freeze()
	m.out.Abort()
	m.in.Abort()
	_ = deaf.Close()
	var b []byte
	for i, section := range m.kept {
		b = wirecodec.AppendUint(wirecodec.AppendBytes(b, section), uint64(m.keptFDs[i]))
	}
	if err := os.WriteFile(fixture, b, 0o644); err != nil {
		t.Fatal(err)
	}
}

// Any bytes as a section do no harm, and all that was taken can be given back.
func FuzzTakingOver(f *testing.F) {
	if b, err := os.ReadFile(fixture); err == nil {
		f.Add(b)
	}
	in := sink(f, true)
	f.Fuzz(func(t *testing.T, b []byte) {
		again, err := in.s.BeginTakeover()
		if err != nil {
			t.Fatal(err)
		}
		_ = takeAll(again, b, func() int { return eventfd(t) })
		again.Abort()
		stats := in.s.Stats()
		if stats.Sockets != 0 || stats.Pending != 0 || stats.TLS13 != 0 || stats.RecordBytes != 0 || stats.QueuedBytes != 0 || stats.Stalled != 0 || in.s.perIP.Len() != 0 || in.s.cfg.Hub.Connections() != 0 {
			t.Fatalf("something is left: %+v", stats)
		}
	})
}

// TestHandoverOfAnOlderRelease takes what this release's format was when it was recorded: the next release still has to take it.
func TestHandoverOfAnOlderRelease(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile(fixture)
	if err != nil {
		t.Fatal(err)
	}
	in := sink(t, true)
	if err := takeAll(in, b, func() int { return eventfd(t) }); err != nil {
		t.Fatal(err)
	}
	got := in.sum
	if got.Connections != 5 || got.Handshakes != 1 || got.Notifications < 3 || len(got.Refused) != 0 {
		t.Errorf("%+v", got)
	}
	users := in.s.openByUser()
	for _, user := range []string{"idle", "stream", "half", "deaf", "record"} {
		if users[user] == nil {
			t.Errorf("%s is not there", user)
		}
	}
	if t.Failed() {
		return
	}
	if !users["stream"].stream || users["half"].extra.decoder.Idle() || users["deaf"].out.Len() == 0 || len(users["record"].extra.record) == 0 {
		t.Error("something of the connections is not there")
	}
	if n := in.s.cfg.Hub.Connections(); n != 5 {
		t.Errorf("the hub has %d connections", n)
	}
}
