package docs

import (
	"regexp"
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
	do        func(*roosttest.Raw, *redistest.Server)
	meanwhile func(*redistest.Server) // again and again until the end comes; nil: nothing
}

// endings are those that can be brought about while the server goes on, by their reason.
func endings(t *testing.T) map[string]ending {
	sends := func(frames ...string) func(*roosttest.Raw, *redistest.Server) {
		return func(c *roosttest.Raw, _ *redistest.Server) { c.Send(strings.Join(frames, "")) }
	}
	nothing := func(*roosttest.Raw, *redistest.Server) {}
	flood := func(_ *roosttest.Raw, redis *redistest.Server) {
		for range 300 {
			e2e.Notify(redis, "x", `{"type":"big","payload":"`+strings.Repeat("x", 20_000)+`"}`)
		}
	}
	// More than the kernel takes and WS_QUEUE_MESSAGES, and a little more when that has waited for a second.
	fill := func(_ *roosttest.Raw, redis *redistest.Server) {
		for range 100 {
			e2e.Notify(redis, "x", `{"type":"big","payload":"`+strings.Repeat("x", 20_000)+`"}`)
		}
	}
	late := func(redis *redistest.Server) { e2e.Notify(redis, "x", `{"type":"late"}`) }
	message := roosttest.ClientFrame(1, "x")
	return map[string]ending{
		"client_gone":     {nil, func(c *roosttest.Raw, _ *redistest.Server) { _ = c.Close() }, nil},
		"protocol_error":  {nil, sends(roosttest.ClientFrame(3, "x")), nil},
		"invalid_text":    {nil, sends(roosttest.ClientFrame(1, "\xff")), nil},
		"message_too_big": {roosttest.Env{"WS_MAX_MESSAGE_SIZE": "100"}, sends(roosttest.ClientFrame(1, strings.Repeat("x", 101))), nil},
		"message_rate":    {nil, sends(strings.Repeat(message, 200)), nil},
		"disconnected": {nil, func(_ *roosttest.Raw, redis *redistest.Server) {
			redis.Publish("user_ctl:x", `{"disconnect":{}}`)
		}, nil},
		"pong_timeout":  {roosttest.Env{"WS_PING_INTERVAL": "1s", "WS_PONG_WAIT": "2s"}, nothing, nil},
		"write_timeout": {roosttest.Env{"WS_WRITE_WAIT": "1s"}, flood, nil},
		"slow_consumer": {roosttest.Env{"WS_SLOW_CONSUMER": "close", "WS_WRITE_WAIT": "1m", "WS_QUEUE_MESSAGES": "20"}, fill, late},
		"queue_full":    {roosttest.Env{"WS_SLOW_CONSUMER": "close", "WS_QUEUE_BYTES": "65536"}, flood, nil},
		"max_age":       {roosttest.Env{"WS_MAX_CONNECTION_AGE": "1s"}, nothing, nil},
		"token_expired": {roosttest.Env{"WS_CLOSE_ON_EXPIRY": "true"}, nothing, nil},
	}
}

// TestOperationsCloseCodes brings about each end, and wants it to be counted by the reason and the code of the page.
func TestOperationsCloseCodes(t *testing.T) {
	t.Parallel()
	page := e2e.Section(t, e2e.ReadDoc(t, operationsFile), "## How connections end")
	for reason, e := range endings(t) {
		t.Run(reason, func(t *testing.T) {
			t.Parallel()
			row := regexp.MustCompile("(?m)^\\| `" + reason + "` \\| (\\d{4})").FindStringSubmatch(page)
			if row == nil {
				t.Fatal("the page has no code for it")
			}
			redis, server := e2e.Start(t, e.env)
			c := server.DialBuffered(4096)
			claims := roosttest.Claims{"sub": "x", "exp": time.Now().Add(time.Hour).Unix()}
			if reason == "token_expired" {
				claims["exp"] = time.Now().Unix() // and good for as long as clocks may be apart
			}
			c.MustUpgrade(roosttest.Sign(t, "HS256", roosttest.Secret, claims))
			e.do(c, redis)
			roosttest.WaitFor(t, "the end to be counted", func() bool {
				if e.meanwhile != nil {
					e.meanwhile(redis)
				}
				return server.Metrics()[`roost_connections_closed_total{reason="`+reason+`"}`] == 1
			})
			server.WaitMetric(`roost_connections_closed_by_code_total{code="`+row[1]+`"}`, 1)
		})
	}
}
