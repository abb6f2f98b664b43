package browsers

import (
	"slices"
	"strings"
	"testing"

	"roost/cmd/roost/internal/e2e"
	"roost/cmd/roost/internal/roosttest"
)

// A page that was away for a moment gets what it missed, and is not asked to fetch anything.
func TestClientResumes(t *testing.T) {
	t.Parallel()
	s := (&site{env: roosttest.Env{"WS_RESUME_WINDOW": "1m"}, options: options{"baseDelay": 20, "maxDelay": 100}}).start(t, chromium{startBrowser(t)})
	happened := func(what string) []string {
		var all []string
		roosttest.WaitFor(t, what, func() bool {
			all = s.main.events()
			return slices.Contains(all, what)
		})
		return all
	}
	happened("sync first")
	e2e.Notify(s.redis, "alice", e2e.Numbered(1))
	happened("message 1")
	s.relay.Cut("") // it does not come back before all has been published
	s.server.WaitMetric("roost_connections", 0)
	e2e.Notify(s.redis, "alice", e2e.Numbered(2))
	e2e.Notify(s.redis, "alice", e2e.Numbered(3))
	s.relay.TurnTo(s.server.WS)
	happened("message 2")
	all := happened("message 3")
	for _, event := range all {
		if strings.HasPrefix(event, "gap") || event == "sync reconnect" {
			t.Errorf("it was told of a gap: %q", all)
		}
	}
	if all[len(all)-1] != "message 3" || all[len(all)-2] != "message 2" {
		t.Errorf("what was missed comes in another order: %q", all)
	}
}
