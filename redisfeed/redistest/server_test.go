package redistest

import (
	"context"
	"errors"
	"net"
	"strconv"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// answers says whether the server answers within the limit.
func answers(s *Server, limit time.Duration) bool {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	client := s.Client().WithTimeout(limit)
	return client.Ping(ctx).Err() == nil
}

func TestLife(t *testing.T) {
	t.Parallel()
	s := Start(t)
	if want := net.JoinHostPort(s.Host(), strconv.Itoa(s.Port())); s.Addr() != want {
		t.Errorf("Addr %s, want %s", s.Addr(), want)
	}
	addr := s.Addr()
	if n := s.Publish("nobody", "x"); n != 0 {
		t.Errorf("%d receivers", n)
	}
	s.Pause()
	if answers(s, 100*time.Millisecond) {
		t.Error("answers while paused")
	}
	s.Resume()
	if !answers(s, startLimit) {
		t.Error("does not answer after Resume")
	}
	s.Kill()
	s.Kill()
	if answers(s, time.Second) {
		t.Error("answers after Kill")
	}
	s.Restart()
	if !answers(s, startLimit) || s.Addr() != addr {
		t.Error("does not answer on its port after Restart")
	}
	s.Restart()
	s.Pause() // cleanup ends a stopped server too
}

func TestArguments(t *testing.T) {
	t.Parallel()
	s := Start(t, "--requirepass", "secret", "--databases", "3")
	if answers(s, startLimit) {
		t.Error("answers without the password")
	}
}

func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	ports := make(map[int]bool)
	for range 5 {
		s := Start(t)
		if ports[s.Port()] {
			t.Errorf("port %d twice", s.Port())
		}
		ports[s.Port()] = true
	}
}

func TestTakenPortIsRecognised(t *testing.T) {
	t.Parallel()
	s := Start(t)
	other := &Server{t: t, binary: s.binary, port: s.port}
	if err := other.start(); !errors.Is(err, errPortTaken) {
		t.Errorf("a second server on the port: %v", err)
	}
}

func TestRestartWaitsForItsPort(t *testing.T) {
	t.Parallel()
	s := Start(t)
	s.Kill()
	ln, err := net.Listen("tcp", s.Addr())
	if err != nil {
		t.Skipf("somebody else took the port: %v", err)
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		defer ln.Close()
		timer := time.NewTimer(200 * time.Millisecond)
		<-timer.C
	})
	s.Restart()
	if !answers(s, startLimit) {
		t.Error("does not answer")
	}
}

func TestOutputFindsTheReadyLineAcrossWrites(t *testing.T) {
	t.Parallel()
	o := newOutput()
	for _, piece := range []string{"noise\nReady to acc", "ept connections tcp\n", "Ready to accept connections\n"} {
		_, _ = o.Write([]byte(piece))
	}
	select {
	case <-o.ready:
	default:
		t.Error("not found")
	}
	_, _ = o.Write(make([]byte, 2*outputKept))
	if n := len(o.tail()); n != outputKept {
		t.Errorf("keeps %d bytes", n)
	}
}

func TestTrio(t *testing.T) {
	t.Parallel()
	tr := StartTrio(t, nil)
	tr.AwaitMaster(tr.Master)
	tr.AwaitReplica(tr.Replica)
	tr.Master.Kill()
	tr.AwaitMaster(tr.Replica)
	tr.Master.Restart()
	tr.AwaitReplica(tr.Master)
}

func TestTLS(t *testing.T) {
	t.Parallel()
	a := NewAuthority(t)
	s := StartTLS(t, TLS{Authority: a, Shown: a.Issue("127.0.0.1"), Clients: true})
	if !answers(s, startLimit) {
		t.Error("does not answer")
	}
}

func TestFreePortIsKept(t *testing.T) {
	t.Parallel()
	port := FreePort(t)
	if place, err := net.Listen("unix", "@redistest-port-"+strconv.Itoa(port)); err == nil {
		_ = place.Close()
		t.Errorf("somebody else gets port %d", port)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(port))
	if err != nil {
		t.Fatal(err)
	}
	_ = listener.Close()
}
