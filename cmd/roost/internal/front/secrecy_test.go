package front

import (
	"net/http"
	"strings"
	"testing"

	"roost/cmd/roost/internal/roosttest"
)

// The token of a request is in no log, answered or refused.
func TestTokensStayOutOfTheLogs(t *testing.T) {
	forEach(t, func(t *testing.T, k *kind) {
		f := start(t, k, nil)
		good := roosttest.Token(t, "alice")
		bad := "Sekret." + strings.Repeat("t0kenbytes", 10)
		asked := 0
		for _, token := range []string{good, bad} {
			for _, request := range waysToAsk(token) {
				asked++
				status := f.ask(request)
				if token == good && status != http.StatusSwitchingProtocols {
					t.Errorf("a good token: %d", status)
				}
				// A client that offers roost.v1 is refused by a close code.
				told := status == http.StatusSwitchingProtocols && strings.Contains(request, "roost.v1")
				if token == bad && status != http.StatusUnauthorized && !told {
					t.Errorf("a bad token: %d", status)
				}
			}
		}
		for _, request := range brokenRequests(bad) {
			asked++
			// The answer to what is too long can be lost: a reset may follow it.
			if status, err := f.tryAsk(request); err == nil && status < 400 {
				t.Errorf("%.30q: %d", request, status)
			}
		}
		f.server.Stop()
		for _, request := range waysToAsk(good) {
			asked++
			if status := f.ask(request); status != http.StatusBadGateway && status != http.StatusServiceUnavailable {
				t.Errorf("without Roost: %d", status)
			}
		}
		roosttest.WaitFor(t, "a log line for each request", func() bool { return strings.Count("\n"+f.logs(), "\n127.0.0.2") >= asked })
		f.proxy.Stop() // its last lines count too
		for _, secret := range []string{good, bad, "t0kenbytes", good[len(good)-20:], "token=", "bearer.", "Bearer"} {
			if where := strings.Index(f.logs(), secret); where >= 0 {
				from := strings.LastIndex(f.logs()[:where], "\n") + 1
				t.Errorf("%s logs %q: %.400s", k.name, secret, f.logs()[from:])
			}
		}
		for _, want := range []string{`"GET /ws HTTP/1.1"`, " 101 ", " 401 "} {
			if !strings.Contains(f.logs(), want) {
				t.Errorf("%s does not log %q", k.name, want)
			}
		}
	})
}

// waysToAsk are the requests that bring a token.
func waysToAsk(token string) []string {
	return []string{
		roosttest.Head(token),
		roosttest.Head("", "Authorization: Bearer "+token),
		roosttest.Head("", "Sec-WebSocket-Protocol: roost.v1, bearer."+token),
	}
}

// brokenRequests bring one too, and are refused by the proxy.
func brokenRequests(token string) []string {
	return []string{
		"GET /ws?token=" + token + " HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
		"GET /ws?token=" + token + " HTTQ/9\r\nHost: a\r\n\r\n",
		"GET /ws?token=" + token + " HTTP/1.1\r\nHost: a\r\nAuthoriz\x01ation: Bearer " + token + "\r\n\r\n",
		"GET /ws?token=" + token + " HTTP/1.1\r\nHost: a\r\nX-Long: " + strings.Repeat("x", 40<<10) + "\r\n\r\n",
		"POST /ws?token=" + token + " HTTP/1.1\r\nHost: a\r\nReferer: https://a/?token=" + token + "\r\nContent-Length: 5\r\n\r\nhello",
		"GET /elsewhere?token=" + token + " HTTP/1.1\r\nHost: a\r\n\r\n",
	}
}
