package redisnet

import (
	"log/slog"
	"strings"
	"testing"

	"roost/redisfeed/redistest"
)

func TestLibraryLogIsDebug(t *testing.T) {
	t.Parallel()
	var out redistest.Log
	libraryLog{out.Logger()}.Printf(t.Context(), "dial %d", 7)
	if out.String() != "" {
		t.Errorf("logged at info: %s", out.String())
	}
	debug := slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))
	libraryLog{debug}.Printf(t.Context(), "dial %d", 7)
	if !strings.Contains(out.String(), "go-redis: dial 7") {
		t.Errorf("not logged at debug: %q", out.String())
	}
}
