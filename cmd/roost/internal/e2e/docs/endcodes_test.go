package docs

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"roost/cmd/roost/internal/e2e"
	"roost/cmd/roost/internal/roosttest"
	"roost/redisfeed/redistest"
)

// ending is how a connection of x comes to its end.
type ending struct {
	env       roosttest.Env
	do        func(*testing.T, *roosttest.Raw, *redistest.Server)
	meanwhile func(*redistest.Server) // again and again until the end comes; nil: nothing
	expired   bool                    // the token is, and good for as long as clocks may be apart
}

// claims are those of x's token.
func (e ending) claims() roosttest.Claims {
	expires := time.Now().Add(time.Hour)
	if e.expired {
		expires = time.Now()
	}
	return roosttest.Claims{"sub": "x", "exp": expires.Unix()}
}

// endings are those that can be brought about while the server goes on, by their reason.
func endings() map[string]ending {
	sends := func(frames ...string) func(*testing.T, *roosttest.Raw, *redistest.Server) {
		return func(_ *testing.T, c *roosttest.Raw, _ *redistest.Server) { c.Send(strings.Join(frames, "")) }
	}
	nothing := func(*testing.T, *roosttest.Raw, *redistest.Server) {}
	flood := func(t *testing.T, _ *roosttest.Raw, redis *redistest.Server) {
		e2e.NotifyAll(t, redis, "x", slices.Repeat([]string{`{"type":"big","payload":"` + strings.Repeat("x", 60_000) + `"}`}, 100))
	}
	// More than the kernel takes and WS_QUEUE_MESSAGES, and a little more when that has waited for a second.
	fill := func(_ *testing.T, _ *roosttest.Raw, redis *redistest.Server) {
		for range 100 {
			e2e.Notify(redis, "x", `{"type":"big","payload":"`+strings.Repeat("x", 20_000)+`"}`)
		}
	}
	late := func(redis *redistest.Server) { e2e.Notify(redis, "x", `{"type":"late"}`) }
	message := roosttest.ClientFrame(1, "x")
	return map[string]ending{
		"client_gone":     {do: func(_ *testing.T, c *roosttest.Raw, _ *redistest.Server) { _ = c.Close() }},
		"protocol_error":  {do: sends(roosttest.ClientFrame(3, "x"))},
		"invalid_text":    {do: sends(roosttest.ClientFrame(1, "\xff"))},
		"message_too_big": {env: roosttest.Env{"WS_MAX_MESSAGE_SIZE": "100"}, do: sends(roosttest.ClientFrame(1, strings.Repeat("x", 101)))},
		"message_rate":    {do: sends(strings.Repeat(message, 200))},
		"disconnected": {do: func(_ *testing.T, _ *roosttest.Raw, redis *redistest.Server) {
			redis.Publish("user_ctl:x", `{"disconnect":{}}`)
		}},
		"pong_timeout":  {env: roosttest.Env{"WS_PING_INTERVAL": "1s", "WS_PONG_WAIT": "2s"}, do: nothing},
		"write_timeout": {env: roosttest.Env{"WS_WRITE_WAIT": "1s"}, do: flood},
		"slow_consumer": {env: roosttest.Env{"WS_SLOW_CONSUMER": "close", "WS_WRITE_WAIT": "1m", "WS_QUEUE_MESSAGES": "20"}, do: fill, meanwhile: late},
		"queue_full":    {env: roosttest.Env{"WS_SLOW_CONSUMER": "close", "WS_QUEUE_BYTES": "65536", "WS_WRITE_WAIT": "1m"}, do: flood},
		"max_age":       {env: roosttest.Env{"WS_MAX_CONNECTION_AGE": "1s"}, do: nothing},
		"token_expired": {env: roosttest.Env{"WS_CLOSE_ON_EXPIRY": "true"}, do: nothing, expired: true},
	}
}

// TestOperationsCloseCodes brings about each end, and wants it to be counted by the reason and the code of the page.
func TestOperationsCloseCodes(t *testing.T) {
	t.Parallel()
	page := e2e.Section(t, e2e.ReadDoc(t, operationsFile), "## How connections end")
	for reason, e := range endings() {
		t.Run(reason, func(t *testing.T) {
			t.Parallel()
			row := regexp.MustCompile("(?m)^\\| `" + reason + "` \\| (\\d{4})").FindStringSubmatch(page)
			if row == nil {
				t.Fatal("the page has no code for it")
			}
			redis, server := e2e.Start(t, e.env)
			getIn := func() bool {
				c := server.DialBuffered(4096)
				err := c.Upgrade(roosttest.Sign(t, "HS256", roosttest.Secret, e.claims()))
				late := e.expired && err != nil && err.Error() == "401 Unauthorized" // the token had ended, on a busy machine
				if err != nil && !late {
					t.Fatal(err)
				}
				if !late {
					e.do(t, c, redis)
				}
				return !late
			}
			roosttest.WaitFor(t, "the client to get in", getIn)
			slow := 0.0 // ends of clients that were called slow, as a queue may take a second to be full on a busy machine: another one comes
			roosttest.WaitFor(t, "the end to be counted", func() bool {
				if e.meanwhile != nil {
					e.meanwhile(redis)
				}
				metrics := server.Metrics()
				if now := metrics[`roost_connections_closed_total{reason="slow_consumer"}`]; reason == "queue_full" && now > slow {
					slow = now
					getIn()
				}
				return metrics[`roost_connections_closed_total{reason="`+reason+`"}`] == 1
			})
			server.WaitMetric(`roost_connections_closed_by_code_total{code="`+row[1]+`"}`, 1)
		})
	}
}
