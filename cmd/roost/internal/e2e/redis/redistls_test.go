package redis

import (
	"net/http"
	"os"
	"strings"
	"testing"

	"roost/cmd/roost/internal/e2e"
	"roost/cmd/roost/internal/roosttest"
	"roost/redisfeed/redistest"
)

// TestRedisOverTLS has a redis-server that wants certificates, and every way in which the files can be wrong for it:
// the log and /health say which variable to look at.
func TestRedisOverTLS(t *testing.T) {
	t.Parallel()
	ours, other := redistest.NewAuthority(t), redistest.NewAuthority(t)
	redis := redistest.StartTLS(t, redistest.TLS{Authority: ours, Shown: ours.Issue("redis.example"), Clients: true})
	own, strange := ours.Issue("roost"), other.Issue("roost")
	right := roosttest.Env{
		"REDIS_USE_TLS": "true", "REDIS_TLS_CA_FILE": ours.File, "REDIS_TLS_SERVER_NAME": "redis.example",
		"REDIS_TLS_CERT_FILE": own.File, "REDIS_TLS_KEY_FILE": own.Key,
	}
	t.Run("right", func(t *testing.T) {
		t.Parallel()
		server := roosttest.Start(t, redis, right)
		alice := server.Connect("alice")
		e2e.Notify(redis, "alice", e2e.Numbered(1))
		if got := alice.WaitMessages(1); !strings.HasPrefix(got[0], `{"type":"n","payload":1,`) {
			t.Errorf("got %q", got)
		}
		e2e.WaitDeep(t, server)
	})
	const (
		refused  = "redis refuses our certificate, or that we have none (REDIS_TLS_CERT_FILE, REDIS_TLS_KEY_FILE)"
		stranger = "nobody that is trusted signed redis's certificate (REDIS_TLS_CA_FILE)"
	)
	for _, test := range []struct {
		name string
		but  roosttest.Env
		says string
	}{
		{"no certificate", roosttest.Env{"REDIS_TLS_CERT_FILE": "", "REDIS_TLS_KEY_FILE": ""}, refused},
		{
			"a stranger's certificate", roosttest.Env{"REDIS_TLS_CERT_FILE": strange.File, "REDIS_TLS_KEY_FILE": strange.Key},
			refused,
		},
		{"wrong authority", roosttest.Env{"REDIS_TLS_CA_FILE": other.File}, stranger},
		{"the system's authorities", roosttest.Env{"REDIS_TLS_CA_FILE": ""}, stranger},
		{"no name", roosttest.Env{"REDIS_TLS_SERVER_NAME": ""},
			"redis's certificate is not for 127.0.0.1 (REDIS_TLS_SERVER_NAME)"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			env := roosttest.Env{}
			for _, from := range []roosttest.Env{right, test.but} {
				for name, value := range from {
					env[name] = value
				}
			}
			server := roosttest.Launch(t, redis, env)
			line := server.WaitLine("redis cannot be reached")
			if got := line.Text("error"); !strings.Contains(got, test.says) {
				t.Errorf("the log says %q, want %q in it", got, test.says)
			}
			health := e2e.WaitHealth(t, server, http.StatusServiceUnavailable, "degraded")
			if !strings.Contains(health.Redis.Error, test.says) {
				t.Errorf("/health says %q, want %q in it", health.Redis.Error, test.says)
			}
		})
	}
}

// A certificate that was renewed is shown without a restart.
func TestRenewedCertificate(t *testing.T) {
	t.Parallel()
	ours, other := redistest.NewAuthority(t), redistest.NewAuthority(t)
	redis := redistest.StartTLS(t, redistest.TLS{Authority: ours, Shown: ours.Issue("127.0.0.1"), Clients: true})
	shown, renewed := other.Issue("roost"), ours.Issue("roost") // the first is no good
	server := roosttest.Launch(t, redis, roosttest.Env{
		"REDIS_USE_TLS": "true", "REDIS_TLS_CA_FILE": ours.File, "REDIS_TLS_CERT_FILE": shown.File, "REDIS_TLS_KEY_FILE": shown.Key,
	})
	server.WaitLine("redis cannot be reached")
	for from, to := range map[string]string{renewed.File: shown.File, renewed.Key: shown.Key} {
		if err := os.Rename(from, to); err != nil {
			t.Fatal(err)
		}
	}
	server.WaitLine("redis feed is subscribed")
}
