package browsers

import (
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"roost/cmd/roost/internal/e2e"
	"roost/cmd/roost/internal/roosttest"
	"roost/redisfeed/redistest"
)

// nothing is a reason for which a user, x, gets nothing.
type nothing struct {
	stage func(*testing.T, *redistest.Server, *roosttest.Server) // brings it about, when x is looked at already
	says  []string
}

func reasonsForNothing() map[string]nothing {
	connected := func(t *testing.T, _ *redistest.Server, server *roosttest.Server) { server.As(t).Connect("x") }
	const unpublished, right = "nothing was published for this user since", "It has to be PUBLISH user_noti:x."
	return map[string]nothing{
		"never published": {connected, []string{unpublished, right}},
		"another channel": {func(t *testing.T, redis *redistest.Server, server *roosttest.Server) {
			connected(t, redis, server)
			for _, channel := range []string{"user_noti:X", "user_noti: x", "noti:x"} {
				redis.Publish(channel, `{"type":"lost"}`)
			}
			server.WaitMetric("roost_notifications_received_total", 2)
		}, []string{unpublished, right}},
		"offline": {func(_ *testing.T, redis *redistest.Server, server *roosttest.Server) {
			e2e.Notify(redis, "x", `{"type":"early"}`)
			server.WaitMetric("roost_notifications_offline_total", 1)
		}, []string{"no connection to this server; 1 notification came since", "offline"}},
		"slow": {func(t *testing.T, redis *redistest.Server, server *roosttest.Server) {
			slow := server.As(t).DialBuffered(4096)
			slow.MustUpgrade(roosttest.Token(t, "x"))
			for range 20 { // more than the kernel takes for it
				e2e.Notify(redis, "x", `{"type":"big","payload":"`+strings.Repeat("x", 60_000)+`"}`)
			}
			server.WaitMetric("roost_stalled_connections", 1)
		}, []string{"has taken nothing for", "notifications wait for it"}},
		"Redis down": {func(t *testing.T, redis *redistest.Server, server *roosttest.Server) {
			connected(t, redis, server)
			redis.Kill()
			server.WaitMetric("roost_redis_up", 0)
		}, []string{"This server is not connected to Redis since", "so nothing can come"}},
	}
}

// TestWhyXGetsNothing has an operator find out in each case, with `roost why` and with the console.
func TestWhyXGetsNothing(t *testing.T) {
	t.Parallel()
	for name, reason := range reasonsForNothing() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// A client that takes nothing, and answers no ping, stays until a browser has looked, however slow the machine is.
			redis, server := e2e.Start(t, roosttest.Env{"WS_WRITE_WAIT": "1h", "WS_PING_INTERVAL": "1h", "WS_PONG_WAIT": "2h"})
			why := func() string {
				p := roosttest.Run(t, roosttest.Command{Args: []string{"why", "x", "--url", "http://" + server.HTTP}})
				if code := p.Wait(); code != 0 {
					t.Fatalf("roost why ended with %d: %s", code, p.Stderr.String())
				}
				return p.Log.String()
			}
			why()
			reason.stage(t, redis, server)
			roosttest.WaitFor(t, "roost why to say "+strings.Join(reason.says, ", "), func() bool { return holdsAll(why(), reason.says) })

			t.Run("in the console", func(t *testing.T) {
				tab := openTab(t, startBrowser(t), "about:blank")
				tab.do(chromedp.Navigate("http://" + server.HTTP + "/"))
				tab.submit("#why", "#why-user", "x")
				tab.waitText("#why-answer", reason.says...)
			})
		})
	}
}

func holdsAll(text string, parts []string) bool {
	for _, part := range parts {
		if !strings.Contains(text, part) {
			return false
		}
	}
	return true
}
