package app

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cloudflare/tableflip"
	"github.com/coreos/go-systemd/v22/activation"

	"roost/cmd/roost/internal/config"
)

// The names of the listening sockets, also in FileDescriptorName= of systemd's socket units.
const (
	socketWebSocket = "websocket"
	socketTLS       = "websocket-tls"
	socketHTTP      = "http"
)

// upgradeLimit is how long a new process has to become ready. The old one goes on if it does not.
const upgradeLimit = time.Minute

// Sockets has the listening sockets: inherited from the process that this one takes over from, given by systemd, or opened
// here. An upgrade passes the same sockets on. It never opens a second one with SO_REUSEPORT, since closing one of two resets
// the clients in its accept queue. The zero value opens all sockets and passes none on.
type Sockets struct {
	upgrader  *tableflip.Upgrader // nil: nothing is handed on
	activated map[string]net.Listener
	held      bool // a supervisor keeps the WebSocket port open: clients in its queue wait for the next process

	handing sync.Mutex // held while a new process is started
	handed  bool       // guarded by handing: a new process has the sockets

	taking   sync.Mutex // held for a moment
	ended    bool       // guarded by taking: this process is stopping and may not take over
	tookOver bool       // guarded by taking: this process has taken over
}

// heldVariable tells the process after an upgrade that a supervisor keeps its sockets.
const heldVariable = "ROOST_SOCKETS_HELD"

// InheritSockets takes the sockets that another process or systemd has passed to this one. It is called once.
func InheritSockets() (*Sockets, error) {
	upgrader, err := tableflip.New(tableflip.Options{UpgradeTimeout: upgradeLimit})
	if err != nil {
		return nil, fmt.Errorf("taking over from another process: %w", err)
	}
	if upgrader.HasParent() {
		_ = os.Unsetenv("WATCHDOG_PID") // the supervisor meant the process before; it is told of this one
	}
	s := &Sockets{upgrader: upgrader, activated: make(map[string]net.Listener)}
	given, err := activation.ListenersWithNames()
	if err != nil {
		return nil, fmt.Errorf("taking the sockets of systemd: %w", err)
	}
	for name, listeners := range given {
		known := []string{socketWebSocket, socketTLS, socketHTTP}
		if len(given) == 1 && len(listeners) == 1 && !slices.Contains(known, name) {
			name = socketWebSocket // the only one needs no name
		}
		if len(listeners) != 1 || !slices.Contains(known, name) {
			return nil, fmt.Errorf("systemd gives sockets named %s: there may be one each with FileDescriptorName=%s",
				strings.Join(slices.Sorted(maps.Keys(given)), ", "), strings.Join(known, ", "))
		}
		s.activated[name] = listeners[0]
	}
	s.held = s.activated[socketWebSocket] != nil || s.activated[socketTLS] != nil || os.Getenv(heldVariable) != ""
	if s.held {
		_ = os.Setenv(heldVariable, "true")
	}
	return s, nil
}

// listen returns the socket of that name and address. If it was not inherited, open opens it.
func (s *Sockets) listen(name, address string, open func() (net.Listener, error)) (net.Listener, error) {
	if s.upgrader == nil {
		return open()
	}
	key := name + " " + address // two sockets can have the same address: any free port
	ln, err := s.upgrader.Listener("tcp", key)
	if ln != nil || err != nil {
		return ln, err
	}
	if ln = s.activated[name]; ln == nil {
		if ln, err = open(); err != nil {
			return nil, err
		}
	}
	kept, ok := ln.(tableflip.Listener)
	if !ok {
		return nil, fmt.Errorf("a socket of %s can't be handed on", ln.Addr().Network())
	}
	return ln, s.upgrader.AddListener("tcp", key, kept)
}

// unused reports a socket that systemd gives and that no setting has a use for: clients would wait in its queue for ever.
func (s *Sockets) unused(cfg config.Config) error {
	switch {
	case s.activated[socketTLS] != nil && !cfg.WSTLS():
		return fmt.Errorf("systemd gives a socket named %s: set WS_TLS_CERT_FILE and WS_TLS_KEY_FILE, or WS_TLS_ACME_DOMAIN, or take it out of the socket unit", socketTLS)
	case s.activated[socketWebSocket] != nil && !cfg.WSPlain:
		return fmt.Errorf("systemd gives a socket named %s, and WS_PLAIN=false: take it out of the socket unit", socketWebSocket)
	}
	return nil
}

// takingOver reports whether another process waits for this one to be ready.
func (s *Sockets) takingOver() bool { return s.upgrader != nil && s.upgrader.HasParent() }

// errEnded is what takeOver returns to a process that is about to end.
var errEnded = errors.New("this process is about to end")

// takeOver calls serve, which begins to accept, tells the old process, if there is one, to drain, and then calls done. It does
// nothing after takeNothing.
func (s *Sockets) takeOver(serve, done func()) error {
	s.taking.Lock()
	defer s.taking.Unlock()
	if s.ended {
		return errEnded
	}
	serve()
	if s.upgrader != nil {
		s.tookOver = true
		if err := s.upgrader.Ready(); err != nil {
			return err
		}
	}
	done()
	return nil
}

// errOldProcess fails an upgrade that comes too soon after the last one.
var errOldProcess = errors.New("the process before this one still lets its connections go (WS_DRAIN_WINDOW); once it has stopped, try again")

// oldProcessRuns reports whether the process that this one has replaced still runs after a while.
func (s *Sockets) oldProcessRuns(while time.Duration) bool {
	if !s.upgrader.HasParent() {
		return false
	}
	ctx, cancel := context.WithTimeout(context.Background(), while)
	defer cancel()
	return errors.Is(s.upgrader.WaitForParent(ctx), context.DeadlineExceeded)
}

// takeNothing keeps a process that has not taken over yet from doing so, and waits for one that is about to. In any other process it
// does nothing.
func (s *Sockets) takeNothing() {
	s.taking.Lock()
	defer s.taking.Unlock()
	s.ended = true
}

// handoverSocket is what the new process inherits the socket of a handover as.
const handoverSocket = "handover"

// inheritedHandover returns the socket over which the old process offers its connections; nil if there is no old process, or it is of a
// release that offers none.
func (s *Sockets) inheritedHandover() (*os.File, error) {
	if !s.takingOver() {
		return nil, nil
	}
	file, err := s.upgrader.File(handoverSocket)
	if err != nil {
		return nil, fmt.Errorf("taking the socket of the handover: %w", err)
	}
	return file, nil
}

// handOver starts a new process of the program with the same sockets and one end of the handover's, which it closes here, and returns when
// that is ready. The process before this one has to end first, for which there is a while. After an error the new process has ended, and
// handOver may be called again.
func (s *Sockets) handOver(inherited *os.File, while time.Duration) error {
	defer func() { _ = inherited.Close() }()
	if s.upgrader == nil {
		return errors.New("this process can't be upgraded")
	}
	if s.oldProcessRuns(while) {
		return errOldProcess
	}
	s.handing.Lock()
	defer s.handing.Unlock()
	if err := s.upgrader.AddFile(handoverSocket, inherited); err != nil {
		return fmt.Errorf("passing on the socket of the handover: %w", err)
	}
	err := s.upgrader.Upgrade()
	// tableflip says that the process before has ended a moment before it counts on that itself.
	for began := time.Now(); isParentThere(err) && time.Since(began) < while; err = s.upgrader.Upgrade() {
		time.Sleep(time.Millisecond)
	}
	if err != nil {
		return fmt.Errorf("starting a new process of %s: %w", os.Args[0], err)
	}
	s.handed = true
	return nil
}

// isParentThere reports whether tableflip starts no new process because the one before has not ended. It has no error of its own for that.
func isParentThere(err error) bool {
	return err != nil && strings.Contains(err.Error(), "parent hasn't exited")
}

// shared reports whether another process has the WebSocket port's socket too: the supervisor, the new process, or the old one
// if it goes on. It may be called after close and takeNothing only.
func (s *Sockets) shared() bool {
	s.handing.Lock()
	defer s.handing.Unlock()
	s.taking.Lock()
	defer s.taking.Unlock()
	return s.held || s.handed || (s.takingOver() && !s.tookOver)
}

// close drops the copies that are kept for an upgrade. From then on closing a listener closes its port, unless another
// process has the socket.
func (s *Sockets) close() {
	if s.upgrader != nil {
		s.upgrader.Stop()
		<-s.upgrader.Exit()
	}
}
