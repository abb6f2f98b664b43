package redistest

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os/exec"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

const (
	host       = "127.0.0.1"
	startLimit = 20 * time.Second // for a machine that is busy with other tests
	replyLimit = 30 * time.Second // for a reply to a client of the tests
	portTries  = 20
)

var errPortTaken = errors.New("port is taken")

// Server is a redis-server process.
type Server struct {
	t      testing.TB
	binary string
	args   []string // of the caller
	tls    *TLS     // nil: none
	conf   string   // a sentinel's configuration; empty for a server
	nodes  string   // file in which a node of a cluster keeps what it knows of the others; empty: no cluster
	port   int
	bus    int         // port on which the nodes of a cluster speak to each other; 0: no cluster
	places []io.Closer // reservations of both
	proc   *process    // nil while killed
	paused bool
	client *redis.Client
	told   func() // called when it was killed or paused, or runs again; nil: nobody is told
}

// Start starts a server and waits until it answers. args are given to redis-server after our own, so that they can
// override them: "--requirepass", "secret". The test fails, and does not skip, where redis-server is missing.
func Start(t testing.TB, args ...string) *Server {
	t.Helper()
	return begin(t, &Server{args: args})
}

// StartTLS is Start for a server that speaks nothing but TLS.
func StartTLS(t testing.TB, secured TLS, args ...string) *Server {
	t.Helper()
	return begin(t, &Server{args: args, tls: &secured})
}

// begin starts a server on a port that is free.
func begin(t testing.TB, s *Server) *Server {
	t.Helper()
	binary, err := exec.LookPath("redis-server")
	if err != nil {
		t.Fatalf("redistest: these tests need a real redis-server (apt-get install redis-server): %v", err)
	}
	s.t, s.binary = t, binary
	t.TempDir() // the first call, before the cleanup: what the server writes is removed once it has ended
	t.Cleanup(s.cleanup)
	for range portTries {
		s.port = s.reservePort()
		if s.nodes != "" {
			s.bus = s.reservePort()
		}
		if err = s.start(); !errors.Is(err, errPortTaken) {
			break
		}
	}
	if err != nil {
		t.Fatalf("redistest: %v", err)
	}
	return s
}

// reservePort takes a port that no other Server has before the test ends, in whichever process: while this one is down
// another would be taken for it.
func (s *Server) reservePort() int {
	port, place := reserve()
	s.places = append(s.places, place)
	return port
}

// reserve takes a port that nobody else gets here, in whichever process, before place is closed. It is below the ephemeral range, from
// which a client's socket could take the port while nobody listens, or a client that dials it even connect to itself.
func reserve() (port int, place io.Closer) {
	for {
		port := 10000 + rand.IntN(20000)
		// The name is in no file system, and is free again when this process ends, however it does.
		if place, err := net.Listen("unix", "@redistest-port-"+strconv.Itoa(port)); err == nil {
			return port, place
		}
	}
}

// FreePort is a port on which nothing listens, at no address, for a program that can't take any free one. Nobody who asks here gets it, and
// no Server, before the test ends.
func FreePort(t testing.TB) int {
	t.Helper()
	for range portTries {
		port, place := reserve()
		t.Cleanup(func() { _ = place.Close() })
		if isFree(port) {
			return port
		}
	}
	t.Fatalf("redistest: none of %d ports is free", portTries)
	return 0
}

// isFree reports whether nothing listens on a port, and leaves it free.
func isFree(port int) bool {
	syscall.ForkLock.RLock() // or a program that is started meanwhile has a copy of the socket for a moment, and with it the port
	defer syscall.ForkLock.RUnlock()
	l, err := net.Listen("tcp4", ":"+strconv.Itoa(port))
	if err == nil {
		_ = l.Close()
	}
	return err == nil
}

// Addr is the host and port.
func (s *Server) Addr() string { return net.JoinHostPort(host, strconv.Itoa(s.port)) }

// Host is an IP address.
func (s *Server) Host() string { return host }

// Port is the same for the life of the Server.
func (s *Server) Port() int { return s.port }

// Kill ends the server as a crash would, and waits until it is gone. A server that is not running stays so.
func (s *Server) Kill() {
	s.t.Helper()
	if s.proc == nil {
		return
	}
	s.proc.kill()
	s.proc = nil
	s.tell()
}

// Restart starts the server again on the same port, after a Kill if it runs.
func (s *Server) Restart() {
	s.t.Helper()
	s.Kill()
	deadline := time.Now().Add(startLimit)
	err := s.start()
	for errors.Is(err, errPortTaken) && time.Now().Before(deadline) {
		err = s.start()
	}
	if err != nil {
		s.t.Fatalf("redistest: restart: %v", err)
	}
	s.tell()
}

// Pause stops the process: its sockets stay open and the kernel goes on accepting for it, but nothing answers.
func (s *Server) Pause() {
	s.t.Helper()
	s.signal(syscall.SIGSTOP)
	s.paused = true
	s.tell()
}

// Resume ends a Pause.
func (s *Server) Resume() {
	s.t.Helper()
	s.signal(syscall.SIGCONT)
	s.paused = false
	s.tell()
}

// tell has those know who watch over it.
func (s *Server) tell() {
	if s.told != nil {
		s.told()
	}
}

// runs says whether it can answer.
func (s *Server) runs() bool { return s.proc != nil && !s.paused }

func (s *Server) signal(sig syscall.Signal) {
	s.t.Helper()
	if s.proc == nil {
		s.t.Fatalf("redistest: %s to a server that is not running", sig)
	}
	if err := s.proc.cmd.Process.Signal(sig); err != nil {
		s.t.Fatalf("redistest: %s: %v", sig, err)
	}
}

// Client returns a client of the server, the same each time; the Server closes it. It has no password: tests that
// start a server with one make their own.
func (s *Server) Client() *redis.Client {
	if s.client == nil {
		secured, err := s.clientTLS()
		if err != nil {
			s.t.Fatalf("redistest: %v", err)
		}
		s.client = redis.NewClient(&redis.Options{
			Addr:      s.Addr(),
			TLSConfig: secured,
			// After a timeout the client tries again, and what it publishes could come twice: a server that gets no processor
			// for a while is waited for.
			ReadTimeout:              replyLimit,
			WriteTimeout:             replyLimit,
			Protocol:                 2,
			DisableIdentity:          true,
			MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
		})
	}
	return s.client
}

// Publish publishes on a channel and returns how many subscriptions got it.
func (s *Server) Publish(channel, payload string) int64 {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	n, err := s.Client().Publish(ctx, channel, payload).Result()
	if err != nil {
		s.t.Fatalf("redistest: publish on %q: %v", channel, err)
	}
	return n
}

func (s *Server) start() error {
	secured, err := s.clientTLS()
	if err != nil {
		return err
	}
	p, err := startProcess(s.binary, s.allArgs())
	if err != nil {
		return err
	}
	if err := p.awaitReady(s.Addr(), secured, startLimit); err != nil {
		p.kill()
		return fmt.Errorf("%w; redis-server said:\n%s", err, p.log.tail())
	}
	s.proc, s.paused = p, false
	return nil
}

// allArgs are ours and then the caller's.
func (s *Server) allArgs() []string {
	ports := []string{"--port", strconv.Itoa(s.port)}
	if s.tls != nil {
		ports = append([]string{"--port", "0", "--tls-port", strconv.Itoa(s.port)}, s.tls.args()...)
	}
	if s.conf != "" {
		return slices.Concat([]string{s.conf, "--bind", host, "--dir", s.t.TempDir()}, ports, []string{"--sentinel"})
	}
	return slices.Concat([]string{
		"--bind", host, "--save", "", "--appendonly", "no", "--dir", s.t.TempDir(), "--daemonize", "no",
	}, ports, s.clusterArgs(), s.args)
}

// clientTLS is how to connect; nil is without TLS.
func (s *Server) clientTLS() (*tls.Config, error) {
	if s.tls == nil {
		return nil, nil
	}
	return s.tls.client()
}

func (s *Server) cleanup() {
	defer func() {
		for _, place := range s.places {
			_ = place.Close()
		}
	}()
	if s.client != nil {
		_ = s.client.Close()
	}
	if s.proc == nil {
		return
	}
	s.proc.kill()
	if s.t.Failed() {
		s.t.Logf("redis-server on port %d said:\n%s", s.port, s.proc.log.tail())
	}
}
