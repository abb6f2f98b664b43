package supervisor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"roost/redisfeed/redistest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// ear is a supervisor that listens. Tests that have one can't be parallel: the environment says where it is.
type ear struct {
	t    *testing.T
	conn *net.UnixConn
}

// listen makes the environment that of a service whose watchdog waits for so long; 0 is none.
func listen(t *testing.T, watchdog time.Duration) *ear {
	t.Helper()
	path := filepath.Join(redistest.SocketDir(t), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	t.Setenv("NOTIFY_SOCKET", path)
	t.Setenv("WATCHDOG_USEC", "")
	if watchdog > 0 {
		t.Setenv("WATCHDOG_USEC", strconv.FormatInt(watchdog.Microseconds(), 10))
	}
	return &ear{t, conn}
}

// hear returns the next message, or "" when none comes in time. One that has come is returned, however late the test looks.
func (e *ear) hear(within time.Duration) string {
	e.t.Helper()
	_ = e.conn.SetReadDeadline(time.Now().Add(within))
	buffer := make([]byte, 4096)
	n, err := e.conn.Read(buffer)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		raw, rawErr := e.conn.SyscallConn()
		if rawErr != nil {
			e.t.Fatal(rawErr)
		}
		rawErr = raw.Control(func(fd uintptr) { n, _, err = unix.Recvfrom(int(fd), buffer, unix.MSG_DONTWAIT) })
		err = errors.Join(rawErr, err)
	}
	if err != nil {
		return ""
	}
	return string(buffer[:n])
}

// await returns the message that says something, and those before it.
func (e *ear) await(what string) (before []string) {
	e.t.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		said := e.hear(time.Until(deadline))
		if said == "" {
			e.t.Fatalf("%s does not come, only %q", what, before)
		}
		if strings.Contains(said, what) {
			return before
		}
		before = append(before, said)
	}
}

// service is one whose state a test sets.
type service struct {
	ready, stuck atomic.Bool
	hangs        chan struct{} // a token: it was asked while stuck
	status       atomic.Value
	log          bytes.Buffer // written on the Supervisor's goroutine; read after Close
}

// awaitHang waits until the service is asked while stuck.
func (v *service) awaitHang(t *testing.T) {
	t.Helper()
	select {
	case <-v.hangs:
	case <-time.After(time.Minute):
		t.Fatal("nobody asks whether it is alive")
	}
}

func start(t *testing.T) (*service, *Supervisor) {
	t.Helper()
	v := &service{hangs: make(chan struct{}, 1)}
	v.status.Store("fine")
	s := Start(Config{
		Ready: func(context.Context) error {
			if !v.ready.Load() {
				return errors.New("not yet")
			}
			return nil
		},
		Alive: func(ctx context.Context) error {
			if v.stuck.Load() {
				select {
				case v.hangs <- struct{}{}:
				default:
				}
				<-ctx.Done()
			}
			return ctx.Err()
		},
		Status: func() string { return v.status.Load().(string) },
		Logger: slog.New(slog.NewTextHandler(&v.log, nil)),
	})
	t.Cleanup(s.Close)
	return v, s
}

func TestConversation(t *testing.T) {
	ear := listen(t, 200*time.Millisecond)
	service, s := start(t)
	if said := ear.hear(time.Minute); said != "STATUS=fine" {
		t.Errorf("the first word is %q", said)
	}
	if said := ear.hear(300 * time.Millisecond); said != "" {
		t.Errorf("said %q before it was ready", said)
	}
	service.ready.Store(true)
	if before := ear.await("READY=1"); len(before) > 0 {
		t.Errorf("said %q before READY", before)
	}
	ear.await("WATCHDOG=1")
	service.status.Store("better")
	ear.await("STATUS=better")
	s.Stopping()
	ear.await("STOPPING=1")
	ear.await("WATCHDOG=1") // stopping may take longer than the watchdog waits
}

// The watchdog hears of a process that takes over at once, and of one that stops: the last word may be an interval old.
func TestWatchdogHearsOfEachPhaseAtOnce(t *testing.T) {
	ear := listen(t, 24*time.Hour)
	service, s := start(t)
	service.ready.Store(true)
	ear.await("READY=1\nMAINPID=" + strconv.Itoa(os.Getpid()) + "\nWATCHDOG=1\n")
	s.Stopping()
	ear.await("STOPPING=1\nWATCHDOG=1\n")
}

// A watchdog that waits 400 ms hears of us every 200.
func TestWatchdogIsToldInTime(t *testing.T) {
	ear := listen(t, 400*time.Millisecond)
	service, s := start(t)
	if got := s.interval(); got != 200*time.Millisecond {
		t.Errorf("every %s, want half of the watchdog's patience", got)
	}
	begun := time.Now()
	service.ready.Store(true)
	ear.await("READY=1")
	for range 5 {
		ear.await("WATCHDOG=1")
	}
	if took := time.Since(begun); took < time.Second {
		t.Errorf("five times within %s: too often", took)
	}
}

func TestWatchdogHearsNothingOfWhatHangs(t *testing.T) {
	ear := listen(t, 100*time.Millisecond)
	service, s := start(t)
	service.ready.Store(true)
	ear.await("WATCHDOG=1")
	service.stuck.Store(true)
	service.awaitHang(t)
	for ear.hear(time.Millisecond) != "" { // said before
	}
	if said := ear.hear(500 * time.Millisecond); said != "" {
		t.Errorf("said %q although nothing answers", said)
	}
	service.awaitHang(t) // for the second time at least: the first is logged
	s.Stopping()         // is heard at once, all the same
	ear.await("STOPPING=1")
	s.Close()
	if !strings.Contains(service.log.String(), "watchdog is not told") {
		t.Errorf("the log does not say so: %s", service.log.String())
	}
}

func TestStoppingBeforeReady(t *testing.T) {
	ear := listen(t, 0)
	_, s := start(t)
	ear.await("STATUS=fine")
	s.Stopping()
	if before := ear.await("STOPPING=1"); len(before) > 0 {
		t.Errorf("said %q before", before)
	}
	s.Close()
	if said := ear.hear(50 * time.Millisecond); said != "" {
		t.Errorf("said %q after its end", said)
	}
}

func TestNobodyToTalkTo(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	service, s := start(t)
	s.Stopping()
	s.Close()
	if service.log.Len() > 0 {
		t.Errorf("said %s", service.log.String())
	}
}

func TestSocketThatIsNotThere(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", filepath.Join(t.TempDir(), "none"))
	service, s := start(t)
	<-s.done
	if !strings.Contains(service.log.String(), "NOTIFY_SOCKET") {
		t.Errorf("the log says nothing: %s", service.log.String())
	}
}

func TestWatchdogThatMakesNoSense(t *testing.T) {
	ear := listen(t, 0)
	t.Setenv("WATCHDOG_USEC", "soon")
	service, s := start(t)
	service.ready.Store(true)
	ear.await("READY=1")
	s.Close()
	if !strings.Contains(service.log.String(), "WATCHDOG_USEC") {
		t.Errorf("the log says nothing: %s", service.log.String())
	}
}

// A reload is told while the service is ready, at both ends, and not while it is not.
func TestReload(t *testing.T) {
	ear := listen(t, 0)
	service, s := start(t)
	ear.await("STATUS=fine")
	s.Reloading()
	s.Reloaded()
	service.ready.Store(true)
	ear.await("MAINPID=") // READY of the start
	before := monotonic()
	s.Reloading()
	service.status.Store("better")
	s.Reloaded()
	for at := int64(0); time.Duration(at)*time.Microsecond < before.Truncate(time.Microsecond); {
		said := ear.hear(time.Minute) // of the first reload too, if the service was ready by then
		if _, err := fmt.Sscanf(said, "RELOADING=1\nMONOTONIC_USEC=%d\n", &at); said == "" || strings.HasPrefix(said, "RELOADING=1") && err != nil {
			t.Fatalf("said %q, it was %s before: %v", said, before, err)
		}
	}
	if said := ear.hear(time.Minute); said != "READY=1\nSTATUS=better" {
		t.Errorf("afterwards said %q", said)
	}
}

// A process that is about to take over says nothing before it has, nor when it ends without.
func TestWhoDoesNotSpeak(t *testing.T) {
	ear := listen(t, 0)
	s := Start(Config{
		Ready: func(context.Context) error { return errors.New("not yet") }, Alive: func(context.Context) error { return nil },
		Status: func() string { return "new" }, Speaks: func() bool { return false }, Logger: slog.New(slog.DiscardHandler),
	})
	s.Reloading()
	s.Stopping()
	s.Close()
	if said := ear.hear(50 * time.Millisecond); said != "" {
		t.Errorf("said %q", said)
	}
}

// A supervisor that does not read holds nobody up.
func TestReloadsThatNobodyReads(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	service, s := start(t)
	<-s.done
	for range 2 * maxNews {
		s.Reloading()
	}
	if service.log.Len() > 0 {
		t.Errorf("said %s to nobody", service.log.String())
	}
}
