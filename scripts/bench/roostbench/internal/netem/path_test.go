package netem

import (
	"bytes"
	"io"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"
)

// inside is set for the copy of these tests that runs in a namespace of its own.
const inside = "NETEM_TEST_INSIDE"

// TestPath runs TestInside in a fresh namespace.
func TestPath(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("/dev/net/tun"); err != nil {
		t.Skip(err)
	}
	if err := Command(t.Context(), "true").Run(); err != nil {
		t.Skip("no network namespaces here: ", err)
	}
	cmd := Command(t.Context(), os.Args[0], "-test.run=^TestInside$", "-test.v")
	cmd.Env = append(os.Environ(), inside+"=1")
	said, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	if !bytes.Contains(said, []byte("--- PASS: TestInside")) {
		t.Fatalf("it did not run:\n%s", said)
	}
}

func TestInside(t *testing.T) {
	if os.Getenv(inside) == "" {
		t.Skip("TestPath runs it")
	}
	if err := LoopbackUp(); err != nil {
		t.Fatal(err)
	}
	path, err := Open()
	if err != nil {
		t.Fatal(err)
	}
	defer path.Close()
	echo := serveEcho(t, path)

	// It may take longer where the machine is busy.
	data := bytes.Repeat([]byte("0123456789abcdef"), 10_000)
	tests := []struct {
		name  string
		link  Link
		bytes []byte
		least time.Duration
		drops bool
	}{
		{"a byte there and back takes the round trip", Link{Delay: 30 * time.Millisecond}, data[:1], 60 * time.Millisecond, false},
		{"a rate", Link{Rate: 500_000}, data, 300 * time.Millisecond, false},
		{"what is lost comes again", Link{Delay: time.Millisecond, Loss: 0.05}, data, 0, true},
		{"a short queue drops, and TCP goes on", Link{Delay: 5 * time.Millisecond, Rate: 1_000_000, Queue: 10_000}, data, 0, true},
	}
	for _, tt := range tests {
		path.Set(Link{})
		conn := dialFar(t, path, echo)
		path.Set(tt.link)
		before, began := path.Stats(), time.Now()
		go func() { _, _ = conn.Write(tt.bytes) }()
		got := make([]byte, len(tt.bytes))
		if _, err := io.ReadFull(conn, got); err != nil || !bytes.Equal(got, tt.bytes) {
			t.Fatalf("%s: %v", tt.name, err)
		}
		if took := time.Since(began); took < tt.least {
			t.Errorf("%s: it took %s, want %s at least", tt.name, took, tt.least)
		}
		after := path.Stats()
		if after.Carried == before.Carried || (after.Dropped > before.Dropped) != tt.drops {
			t.Errorf("%s: before %+v, after %+v; drops: %t", tt.name, before, after, tt.drops)
		}
		_ = conn.Close()
	}
}

func serveEcho(t *testing.T, path *Path) netip.AddrPort {
	t.Helper()
	listener, err := net.Listen("tcp4", net.JoinHostPort(path.Near().String(), "0"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() { _, _ = io.Copy(conn, conn); _ = conn.Close() }()
		}
	}()
	return listener.Addr().(*net.TCPAddr).AddrPort()
}

func dialFar(t *testing.T, path *Path, to netip.AddrPort) net.Conn {
	t.Helper()
	var conn net.Conn
	err := path.Do(func() (err error) {
		conn, err = net.DialTimeout("tcp4", to.String(), time.Minute)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.SetDeadline(time.Now().Add(5 * time.Minute))
	return conn
}
