package deliver

import (
	"strings"
	"testing"

	"roost/cmd/roost/internal/e2e"
	"roost/cmd/roost/internal/roosttest"
)

func TestOnlineCommand(t *testing.T) {
	t.Parallel()
	redis, server := e2e.Start(t, roosttest.Env{"REDIS_PRESENCE": "true"})
	server.Connect("alice")
	server.Connect("bob")
	waitOnline(t, redis, "alice", true)
	waitOnline(t, redis, "bob", true)
	// A crashed instance left these behind; only instances that write take them out.
	redis.Client().Do(t.Context(), "ZADD", "user_online:bob", 1, "crashed")
	redis.Client().Do(t.Context(), "ZADD", "user_online:eve", 1, "crashed")
	for _, tt := range []struct {
		args           []string
		code           int
		stdout, stderr string
	}{
		{[]string{"alice"}, 0, "alice  online  on 1 instance\n", ""},
		{[]string{"alice", "bob"}, 0, "alice  online  on 1 instance\nbob    online  on 1 instance\n", ""},
		{[]string{"alice", "zoe"}, 1, "alice  online  on 1 instance\nzoe    offline\n", ""},
		{[]string{"eve"}, 1, "eve  offline\n", ""},
		{[]string{"--json", "alice", "zoe"}, 1, `[{"user":"alice","online":true,"instances":1},{"user":"zoe","online":false,"instances":0}]` + "\n", ""},
		{[]string{"--json", "alice"}, 0, `[{"user":"alice","online":true,"instances":1}]` + "\n", ""},
		{nil, 2, "", "which user?"},
		{[]string{""}, 2, "", "a user id has 1 to 255 bytes"},
		{[]string{"--redis", "nowhere", "alice"}, 2, "", "it has to be host:port"},
		{[]string{"--redis", "127.0.0.1:1", "alice"}, 2, "", "nothing listens on 127.0.0.1:1: is the server running, and is the address right? (REDIS_HOST and REDIS_PORT, or --redis)"},
	} {
		code, stdout, stderr := e2e.Online(t, redis, tt.args...)
		if code != tt.code || stdout != tt.stdout || !strings.Contains(stderr, tt.stderr) || strings.Count(stderr, "\n") > 2 {
			t.Errorf("%q ended with %d, saying\n%s%s\nwant %d and\n%s%s", tt.args, code, stdout, stderr, tt.code, tt.stdout, tt.stderr)
		}
	}
	command := roosttest.Run(t, roosttest.Command{Args: []string{"online", "--redis", redis.Addr(), "zoe"}})
	if code := command.Wait(); code != 1 || !strings.Contains(command.Stderr.String(), "REDIS_PRESENCE is not set here; where the servers don't have it, everybody is offline\n") {
		t.Errorf("ended with %d, saying %q", code, command.Stderr.String())
	}
}
