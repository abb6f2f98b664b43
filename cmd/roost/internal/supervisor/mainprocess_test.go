package supervisor

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
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
