package redis

import (
	"net/http"
	"strings"
	"testing"

	"roost/cmd/roost/internal/e2e"
	"roost/cmd/roost/internal/roosttest"
	"roost/redisfeed/redistest"
)

// TestWrongRedisPassword checks that the log and /health say which variable is wrong, and never its
// value.
func TestWrongRedisPassword(t *testing.T) {
	t.Parallel()
	const wrong = "a-password-that-was-changed"
	redis := redistest.Start(t, "--requirepass", "the-new-password")
	for _, test := range []struct{ name, password, says string }{
		{"none", "", "it wants a password and none is configured (REDIS_PASSWORD)"},
		{"wrong", wrong, "wrong user name or password (REDIS_USERNAME, REDIS_PASSWORD)"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			server := roosttest.Launch(t, redis, roosttest.Env{"REDIS_PASSWORD": test.password})
			line := server.WaitLine("redis cannot be reached")
			if got := line.Text("error"); !strings.Contains(got, test.says) {
				t.Errorf("the log says %q, want %q in it", got, test.says)
			}
			health := e2e.WaitHealth(t, server, http.StatusServiceUnavailable, "degraded")
			if !strings.Contains(health.Redis.Error, test.says) {
				t.Errorf("/health says %q, want %q in it", health.Redis.Error, test.says)
			}
			server.Stop()
			if strings.Contains(server.Log.String(), wrong) {
				t.Error("the log holds the password")
			}
		})
	}
}
