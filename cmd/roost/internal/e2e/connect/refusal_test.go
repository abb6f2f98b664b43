package connect

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"roost/cmd/roost/internal/e2e"
	"roost/cmd/roost/internal/roosttest"
)

// refusal is what a request is answered with, and why.
type refusal struct {
	name    string
	request string
	status  int
	body    string            // is in the body
	header  map[string]string // are in the headers
	reason  string            // the metric's label
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	_, server := e2e.Start(t, roosttest.Env{"WS_ALLOWED_ORIGINS": "https://app.example,https://*.wild.example"})
	counted := map[string]float64{}
	for _, group := range [][]refusal{tokenRefusals(t), requestRefusals(t)} {
		for _, want := range group {
			counted[want.reason]++
			t.Run(want.name, func(t *testing.T) { checkRefusal(t, server.As(t), want) })
		}
	}
	// The page sees nothing of it: the log names what is wrong and the variable, for a few of each kind.
	server.WaitLine("a client was refused", "reason", "origin", "variable", "WS_ALLOWED_ORIGINS")
	server.WaitLine("a client was refused", "reason", "token_signature", "variable", "JWT_SECRET_KEY")
	metrics := server.Metrics()
	for reason, n := range counted {
		if got := metrics[`roost_connections_refused_total{reason="`+reason+`"}`]; got != n {
			t.Errorf("%s is counted %v times, want %v", reason, got, n)
		}
	}
	if got := metrics["roost_connections_accepted_total"]; got != 0 {
		t.Errorf("%v connections were accepted", got)
	}
}

func checkRefusal(t *testing.T, server *roosttest.Server, want refusal) {
	t.Helper()
	answer := server.Dial().Ask(want.request)
	if answer.StatusCode != want.status {
		t.Fatalf("status %s, want %d", answer.Status, want.status)
	}
	if !strings.Contains(answer.Text, want.body) || len(answer.Text) > 200 {
		t.Errorf("body %q, want something short with %q", answer.Text, want.body)
	}
	if !answer.Close {
		t.Error("the answer does not say Connection: close")
	}
	for name, value := range want.header {
		if got := answer.Header.Get(name); !strings.Contains(got, value) {
			t.Errorf("%s is %q, want %q in it", name, got, value)
		}
	}
}

func tokenRefusals(t *testing.T) []refusal {
	in := func(d time.Duration) int64 { return time.Now().Add(d).Unix() }
	signed := func(alg, secret string, claims roosttest.Claims) string {
		return roosttest.Head(roosttest.Sign(t, alg, secret, claims))
	}
	good := roosttest.Claims{"sub": "alice", "exp": in(time.Hour)}
	header, claims, _ := strings.Cut(roosttest.Token(t, "alice"), ".")
	claims, signature, _ := strings.Cut(claims, ".")
	other, _, _ := strings.Cut(strings.SplitN(roosttest.Token(t, "mallory"), ".", 2)[1], ".")

	bearer := map[string]string{"WWW-Authenticate": "Bearer"}
	invalid := map[string]string{"WWW-Authenticate": `error="invalid_token"`}
	const secret = roosttest.Secret
	return []refusal{
		{"no token", roosttest.Head(""), 401, "token missing", bearer, "token_missing"},
		{"malformed", roosttest.Head("abc"), 401, "malformed", invalid, "token_malformed"},
		{"two parts", roosttest.Head(header + "." + claims), 401, "malformed", invalid, "token_malformed"},
		{"claims not JSON, nor signed", roosttest.Head(header + ".bm8." + signature), 401, "signature", invalid, "token_signature"},
		{"longer than 8 KiB", roosttest.Head(strings.Repeat("a", 8<<10+1)), 401, "8 KiB", invalid, "token_malformed"},
		{"alg none", signed("none", "", good), 401, "algorithm", invalid, "token_algorithm"},
		{"alg none, signed", signed("none", "", good) + signature, 401, "algorithm", invalid, "token_algorithm"},
		{"HS512", signed("HS512", secret, good), 401, "algorithm", invalid, "token_algorithm"},
		{"other secret", signed("HS256", secret+"!", good), 401, "signature", invalid, "token_signature"},
		{"other claims", roosttest.Head(header + "." + other + "." + signature), 401, "signature", invalid, "token_signature"},
		{"no signature", roosttest.Head(header + "." + claims + "."), 401, "signature", invalid, "token_signature"},
		{"expired", signed("HS256", secret, roosttest.Claims{"sub": "alice", "exp": in(-time.Minute)}),
			401, "expired", invalid, "token_expired"},
		{"no exp", signed("HS256", secret, roosttest.Claims{"sub": "alice"}), 401, "without exp", invalid, "token_no_expiry"},
		{"exp not a number", signed("HS256", secret, roosttest.Claims{"sub": "alice", "exp": "tomorrow"}),
			401, "malformed", invalid, "token_malformed"},
		{"no sub", signed("HS256", secret, roosttest.Claims{"exp": in(time.Hour)}), 401, "without sub", invalid, "token_no_subject"},
		{"empty sub", signed("HS256", secret, roosttest.Claims{"sub": "", "exp": in(time.Hour)}),
			401, "bad sub", invalid, "token_bad_subject"},
		{"long sub", signed("HS256", secret, roosttest.Claims{"sub": strings.Repeat("a", 256), "exp": in(time.Hour)}),
			401, "bad sub", invalid, "token_bad_subject"},
		{"control character in sub", signed("HS256", secret, roosttest.Claims{"sub": "\x00probe:x", "exp": in(time.Hour)}),
			401, "bad sub", invalid, "token_bad_subject"},
		{"groups that are a number", signed("HS256", secret, roosttest.Claims{"sub": "alice", "exp": in(time.Hour), "groups": 7}),
			401, "bad groups: up to 200 strings", invalid, "token_bad_groups"},
		{"a group without a name", signed("HS256", secret, roosttest.Claims{"sub": "alice", "exp": in(time.Hour), "groups": []string{"a", ""}}),
			401, "bad groups: up to 200 strings", invalid, "token_bad_groups"},
		{"iat in the future", signed("HS256", secret, roosttest.Claims{"sub": "alice", "exp": in(time.Hour), "iat": in(time.Minute)}),
			401, "issued in the future", invalid, "token_issued_in_future"},
		{"nbf in the future", signed("HS256", secret, roosttest.Claims{"sub": "alice", "exp": in(time.Hour), "nbf": in(time.Minute)}),
			401, "not valid yet", invalid, "token_not_yet_valid"},
		{"a ticket that nobody gave", strings.Replace(roosttest.Head("x"), "token=", "ticket=", 1),
			401, "ticket", bearer, "ticket"},
	}
}

func requestRefusals(t *testing.T) []refusal {
	token := roosttest.Token(t, "alice")
	with := func(lines ...string) string { return roosttest.Head(token, lines...) }
	target := func(target string) string {
		return strings.Replace(with(), "/ws?token="+token, target, 1)
	}
	method := func(method string) string { return strings.Replace(with(), "GET", method, 1) }
	return []refusal{
		{"origin", with("Origin: https://evil.example"), 403, "origin", nil, "origin"},
		{"the parent of a wildcard", with("Origin: https://wild.example"), 403, "origin", nil, "origin"},
		{"something that ends like a wildcard", with("Origin: https://evilwild.example"), 403, "origin", nil, "origin"},
		{"an origin's other scheme", with("Origin: http://app.example"), 403, "origin", nil, "origin"},
		{"root", target("/"), 404, "not found", nil, "not_found"},
		{"beside /ws", target("/ws/?token=" + token), 404, "not found", nil, "not_found"},
		{"POST", method("POST"), 405, "GET", map[string]string{"Allow": "GET"}, "method"},
		{"HEAD", method("HEAD"), 405, "", map[string]string{"Allow": "GET"}, "method"},
		{"POST /health", "POST /health HTTP/1.1\r\nHost: x\r\n\r\n", 405, "", map[string]string{"Allow": "GET, HEAD, OPTIONS"}, "method"},
		{"no upgrade", with("Upgrade:"), 426, "WebSocket", map[string]string{"Upgrade": "websocket"}, "upgrade_required"},
		{"no connection", with("Connection: keep-alive"), 426, "WebSocket", map[string]string{"Upgrade": "websocket"}, "upgrade_required"},
		{"HTTP/1.0", strings.Replace(with(), "HTTP/1.1", "HTTP/1.0", 1), 426, "WebSocket", nil, "upgrade_required"},
		{"version 8", with("Sec-WebSocket-Version: 8"), 426, "13", map[string]string{"Sec-WebSocket-Version": "13"}, "websocket_version"},
		{"no version", with("Sec-WebSocket-Version:"), 426, "13", map[string]string{"Sec-WebSocket-Version": "13"}, "websocket_version"},
		{"no key", with("Sec-WebSocket-Key:"), 400, "Key", nil, "websocket_key"},
		{"short key", with("Sec-WebSocket-Key: c2hvcnQ="), 400, "Key", nil, "websocket_key"},
		{"key not base64", with("Sec-WebSocket-Key: !!!!!!!!!!!!!!!!!!!!!!=="), 400, "Key", nil, "websocket_key"},
		{"two tokens", roosttest.Head(token + "&token=" + token), 400, "token", map[string]string{"WWW-Authenticate": "Bearer"}, "token_duplicate"},
		{"not HTTP", "hello\r\n\r\n", 400, "bad request", nil, "bad_request"},
		{"no host", with("Host:"), 400, "Host", nil, "bad_request"},
		{"folded", with("X-A: b\r\n c"), 400, "folded", nil, "bad_request"},
		{"a body", with("Content-Length: 5"), 400, "body", nil, "bad_request"},
		{"HTTP/2", strings.Replace(with(), "HTTP/1.1", "HTTP/2.0", 1), 505, "HTTP/1", nil, "http_version"},
		{"a head without end", "GET /ws HTTP/1.1\r\nX: " + strings.Repeat("x", 16<<10), 431, "16 KiB", nil, "head_too_large"},
		{"a head that ends too late", with("X: " + strings.Repeat("x", 16<<10)), 431, "16 KiB", nil, "head_too_large"},
	}
}

// TestAnswersArriveWhileTheClientGoesOnSending wants the answer although the client is not done: to close with unread
// input would send a reset, which takes the answer with it.
func TestAnswersArriveWhileTheClientGoesOnSending(t *testing.T) {
	t.Parallel()
	_, server := e2e.Start(t, nil)
	const extra = 200 << 10
	more := strings.Repeat("more of the same\n", extra/17)
	tests := []struct {
		name, request string
		status        int
	}{
		{"a body", "POST /ws HTTP/1.1\r\nHost: x\r\nContent-Length: 204800\r\n\r\n" + more, http.StatusBadRequest},
		{"a body after a bad token", roosttest.Head("bad") + more, http.StatusUnauthorized},
		{"frames after a bad token", roosttest.Head("bad") + strings.Repeat(roosttest.ClientFrame(1, "hello"), 10_000), http.StatusUnauthorized},
		{"a large head", "GET /ws HTTP/1.1\r\nX: " + strings.Repeat("x", extra), http.StatusRequestHeaderFieldsTooLarge},
		{"health with a body", "GET /health HTTP/1.1\r\nHost: x\r\n\r\n" + more, http.StatusOK},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			for range 20 {
				roosttest.WaitFor(t, "a request that is sent while the server listens for more, which is two seconds", func() bool {
					raw, begun := server.As(t).Dial(), time.Now()
					defer raw.Close()
					_, err := io.WriteString(raw, test.request) // all of it, before anything is read
					if time.Since(begun) > time.Second {
						return false
					}
					if err != nil {
						t.Fatal(err)
					}
					if answer := raw.Answer("GET"); answer.StatusCode != test.status {
						t.Fatalf("status %s, want %d", answer.Status, test.status)
					}
					return true
				})
			}
		})
	}
}
