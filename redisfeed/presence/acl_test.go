package presence

import (
	"strings"
	"testing"
	"time"

	"roost/redisfeed/redistest"
)

// What docs/redis.md gives the user for presence is enough, and nothing of it is too much: without one of them either to come
// or to go is refused, and no half of it is done.
func TestNarrowACLOfPresence(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	all := redistest.Documented(t, "../..", "… with `REDIS_PRESENCE`")
	if got := strings.Join(all, " "); got != needs {
		t.Errorf("docs/redis.md has %q, errors say %q", got, needs)
	}
	redistest.Allow(t, server.Client(), "roost", "pw", all)
	cfg := quick(server.Addr())
	cfg.Username, cfg.Password = "roost", "pw"
	told := watchEvents(t, server)
	one := startInstance(t, cfg, time.Minute)
	one.set(1, "alice")
	waitInstances(t, cfg, "alice", 1)
	one.set(0, "alice")
	waitOnline(t, server, "alice", false)
	told.want(event{"alice", true}, event{"alice", false})
	if s := one.Status(); s.Failed > 0 {
		t.Errorf("status %+v", s)
	}
	one.end()

	for i, missing := range all {
		t.Run("without "+missing, func(t *testing.T) {
			name := "without:" + missing
			redistest.Allow(t, server.Client(), name, "pw", redistest.Without(all, i))
			if err := server.Client().ScriptFlush(t.Context()).Err(); err != nil {
				t.Fatal(err)
			}
			var log redistest.Log
			cfg := quick(server.Addr())
			cfg.Username, cfg.Password, cfg.Logger = name, "pw", log.Logger()
			one := startInstance(t, cfg, time.Minute)
			one.set(1, "bob")
			if missing == "+zrem" { // only to go needs it
				waitOnline(t, server, "bob", true)
				one.set(0, "bob")
			}
			redistest.WaitFor(t, "the refusal", func() bool { return one.Status().FailingFor > 0 })
			if missing != "+zrem" && exists(t, server, "bob") {
				t.Error("bob is online, and nobody was told")
			}
			redistest.WaitFor(t, "a line", func() bool {
				return strings.Contains(log.String(), "lacks a permission for presence, of "+needs)
			})
			if strings.Contains(log.String(), "pw") {
				t.Error("the password is logged")
			}
			one.dies()
			if n := server.Client().PTTL(t.Context(), OnlinePrefix+"bob").Val(); n == -1 {
				t.Error("bob would be online for ever")
			}
			server.Client().FlushAll(t.Context())
		})
	}
}
