package fairness

import (
	"context"
	"io"
	"strings"
	"time"

	"roost/bench/roostbench/internal/wire"
)

// kinds are all cases.
func kinds() []kind {
	hasAdmin := func(c Config) bool { return c.Admin != "" }
	return []kind{
		{"nobody does harm", nil, func(ctx context.Context, _ *attack) { <-ctx.Done() }},
		{"sockets that say nothing", nil, silent},
		{"16 KB of a request each, and never the rest", nil, heads},
		{"tokens that are not good", nil, junkTokens},
		{"tokens of key pairs that are not good", func(c Config) bool { return c.Keys != nil }, junkKeys},
		{"good tokens of one address, again and again", nil, reconnecting},
		{"404s, whose sockets stay", nil, lingering},
		{"idle connections to the admin port", hasAdmin, adminIdle},
		{"/metrics, again and again", hasAdmin, adminReaders},
		{"clients that read nothing of what many get", nil, sharedStream},
		{"notifications for everyone", func(c Config) bool { return c.Broadcasts }, broadcasts},
		{"notifications for a large group", func(c Config) bool { return c.Broadcasts }, groupFlood},
		{"honest clients whose frames come octet by octet", nil, octets},
	}
}

// How many do harm, and how fast. There are more sockets than the server has descriptors for.
const (
	manySockets  = 4000
	tokensASec   = 3000
	keysASec     = 2000
	connectsASec = 2000
	missesASec   = 1500
	askers       = 64 // at the same time
)

func silent(ctx context.Context, a *attack) {
	a.hold(ctx, manySockets, func(i int) (io.ReadCloser, error) {
		a.count("opened")
		return a.socket(ctx, i, "")
	})
}

// headBytes is just below what a server takes of a request.
const headBytes = 16_300

func heads(ctx context.Context, a *attack) {
	const start = "GET /ws HTTP/1.1\r\nHost: x\r\nX: "
	text := start + strings.Repeat("x", headBytes-len(start))
	a.hold(ctx, manySockets, func(i int) (io.ReadCloser, error) {
		a.count("sent")
		return a.socket(ctx, i, text)
	})
}

func (a *attack) request(token string) string {
	return string(wire.AppendRequest(nil, a.Target.Host(), a.Target.Path, []byte(token), wire.NewKey()))
}

// asking sends requests at a pace, and counts the answers.
func (a *attack) asking(ctx context.Context, perSecond int, text func(n int) string) {
	a.paced(ctx, perSecond, askers, func(n int) {
		conn, status := a.ask(ctx, n, text(n))
		if conn != nil {
			_ = conn.Close()
		}
		a.answered(status)
	})
}

func (a *attack) answered(status string) {
	if status == "" {
		a.count("without an answer")
		return
	}
	a.count("× " + status)
}

func junkTokens(ctx context.Context, a *attack) {
	junk := string(wire.AppendToken(nil, []byte("nobody's secret, nobody's secret"), "mallory", time.Now(), time.Hour))
	a.asking(ctx, tokensASec, func(int) string { return a.request(junk) })
}

func junkKeys(ctx context.Context, a *attack) {
	junk := a.Keys.junk()
	a.asking(ctx, keysASec, func(n int) string { return a.request(junk[n%len(junk)]) })
}

// reconnecting is one tenant, who has a good token.
func reconnecting(ctx context.Context, a *attack) {
	token := a.Target.Token("tenant")
	a.paced(ctx, connectsASec, askers, func(int) {
		conn, status := a.ask(ctx, 0, a.request(token))
		if conn != nil {
			_ = conn.Close()
		}
		a.answered(status)
	})
}

// lingerFor is how long a client keeps a socket that was answered.
const lingerFor = 3 * time.Second

func lingering(ctx context.Context, a *attack) {
	a.paced(ctx, missesASec, int(lingerFor.Seconds())*missesASec, func(n int) {
		conn, status := a.ask(ctx, n, "GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n")
		a.answered(status)
		if conn != nil {
			sleep(ctx, lingerFor)
			_ = conn.Close()
		}
	})
}
