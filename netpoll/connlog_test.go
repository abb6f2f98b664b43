package netpoll

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

// Of a storm the log has some lines, and the number of the others.
func TestConnectionLinesAreLimited(t *testing.T) {
	t.Parallel()
	const limit, clients = 1, 40 // more than a minute's
	var log lockedBuffer
	r := start(t, func(c *Config) { c.ConnectionLines, c.Logger = limit, slog.New(slog.NewTextHandler(&log, nil)) })
	for i := range clients {
		conn := r.connect(fmt.Sprint("user", i))
		_ = conn.Close()
	}
	eventually(t, "all are gone", func() bool { return r.server.Stats().Ended["client_gone"] == clients })
	accounted := func() (lines, left int) {
		for _, line := range strings.Split(log.String(), "\n") {
			var connected, disconnected int
			switch {
			case strings.Contains(line, "msg=connected"), strings.Contains(line, "msg=disconnected"):
				lines++
			case strings.Contains(line, "left out"):
				_, counts, _ := strings.Cut(line, "connected=")
				if _, err := fmt.Sscanf(counts, "%d disconnected=%d", &connected, &disconnected); err != nil {
					t.Fatalf("%s: %v", line, err)
				}
				left += connected + disconnected
			}
		}
		return lines, left
	}
	eventually(t, "each line is there, or counted as left out", func() bool { lines, left := accounted(); return lines+left == 2*clients })
	if lines, left := accounted(); lines < limit || left == 0 {
		t.Errorf("%d lines, %d left out:\n%s", lines, left, log.String())
	}
}

// Without a limit there is one.
func TestNoLineIsLeftOutWithoutALimit(t *testing.T) {
	t.Parallel()
	l := newConnLog(slog.New(slog.DiscardHandler), 0)
	for range 10_000 {
		if !l.allow(leftOut{connected: 1}) || !l.allow(leftOut{disconnected: 1}) {
			t.Fatal("a line was left out")
		}
	}
}
