package supervisor

import (
	"bytes"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A supervisor is told which process is the service's; where it can't be, the log says so.
func TestTellMainProcess(t *testing.T) {
	e := listen(t, 0)
	var log bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&log, nil))
	TellMainProcess(logger)
	if got, want := e.hear(time.Minute), fmt.Sprintf("MAINPID=%d", os.Getpid()); got != want || log.Len() > 0 {
		t.Errorf("told %q, want %q; the log: %s", got, want, &log)
	}
	t.Setenv("NOTIFY_SOCKET", filepath.Join(t.TempDir(), "nobody"))
	TellMainProcess(logger)
	if !strings.Contains(log.String(), "NOTIFY_SOCKET") {
		t.Errorf("the log does not say that nobody listens: %q", &log)
	}
}

// A supervisor that does not read holds nothing up, and hears of the new process when it reads again.
func TestTellMainProcessToWhoDoesNotRead(t *testing.T) {
	e := listen(t, 0)
	before := e.fill()
	var log bytes.Buffer
	TellMainProcess(slog.New(slog.NewTextHandler(&log, nil)))
	if !strings.Contains(log.String(), "does not read") {
		t.Errorf("the log is %q", &log)
	}
	e.await(fmt.Sprintf("MAINPID=%d", os.Getpid()))
	if before == 0 {
		t.Error("nothing filled its queue")
	}
}

// fill sends messages until no more fit into the supervisor's queue, and returns how many did.
func (e *ear) fill() (n int) {
	e.t.Helper()
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: os.Getenv("NOTIFY_SOCKET"), Net: "unixgram"})
	if err != nil {
		e.t.Fatal(err)
	}
	defer conn.Close()
	raw, err := conn.SyscallConn()
	if err != nil {
		e.t.Fatal(err)
	}
	for ; ; n++ {
		var full error
		if err := raw.Control(func(fd uintptr) { full = unix.Send(int(fd), []byte("STATUS=before"), unix.MSG_DONTWAIT) }); err != nil {
			e.t.Fatal(err)
		}
		if full != nil {
			return n
		}
	}
}
