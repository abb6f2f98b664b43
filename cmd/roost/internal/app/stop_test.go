package app

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestDrainTime(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		connections, rate int
		want              time.Duration
	}{
		{0, 500, time.Millisecond},
		{10, 500, 20 * time.Millisecond},
		{5_000, 500, 10 * time.Second},
		{30_000, 500, time.Minute},
		{100_000, 500, time.Minute},
		{10, 0, time.Minute},
		{1 << 31, 1, time.Minute},
	} {
		if got := drainTime(test.connections, test.rate, time.Minute); got != test.want {
			t.Errorf("%d connections at %d a second take %s, want %s", test.connections, test.rate, got, test.want)
		}
	}
}

// A drain of ten minutes is ten lines, the first of them soon.
func TestDrainTellsAHandfulOfLines(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
		defer cancel()
		begun := time.Now()
		left := func() int { return 600 - int(time.Since(begun).Seconds()) }
		tellProgress(ctx, slog.New(slog.NewTextHandler(&log, nil)), left)
		lines := strings.Split(strings.TrimSpace(log.String()), "\n")
		if len(lines) != 10 {
			t.Fatalf("%d lines:\n%s", len(lines), log.String())
		}
		if want := "msg=draining connections=599 at_the_beginning=600 for=1s at_most=9m59s"; !strings.HasSuffix(lines[0], want) {
			t.Errorf("the first is %s", lines[0])
		}
		if want := "connections=88 at_the_beginning=600 for=8m32s at_most=1m28s"; !strings.HasSuffix(lines[9], want) {
			t.Errorf("the last is %s", lines[9])
		}
	})
}
