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

func TestHandshakeSplitAtEveryByte(t *testing.T) {
	t.Parallel()
	redis, server := e2e.Start(t, roosttest.Env{"WS_MAX_CONNECTIONS_PER_USER": "0"})
	head := roosttest.Head(roosttest.Token(t, "alice"))
	// The first parts of all, then, once the server has read every one of them, the second parts.
	before := server.Metrics()["roost_received_bytes_total"]
	var sockets []*roosttest.Raw
	for i := 1; i < len(head); i++ {
		raw := server.Dial()
		raw.Send(head[:i])
		before += float64(i)
		sockets = append(sockets, raw)
	}
	server.WaitMetric("roost_received_bytes_total", before)
	for i, raw := range sockets {
		raw.Send(head[i+1:])
		if answer := raw.Answer("GET"); answer.StatusCode != http.StatusSwitchingProtocols {
			t.Fatalf("split at %d: %s", i+1, answer.Status)
		}
	}
	e2e.Notify(redis, "alice", e2e.Numbered(7))
	for i, raw := range sockets {
		if opcode, payload := raw.Frame(); opcode != 1 || !strings.Contains(string(payload), `"payload":7,`) {
			t.Fatalf("split at %d: got opcode %d %q, want the notification with 7", i+1, opcode, payload)
		}
	}
}

func TestHandshakeByteByByte(t *testing.T) {
	t.Parallel()
	_, server := e2e.Start(t, nil)
	head := roosttest.Head(roosttest.Token(t, "alice"))
	raw := server.Dial()
	for i := range len(head) {
		raw.Send(head[i : i+1])
	}
	if answer := raw.Answer("GET"); answer.StatusCode != http.StatusSwitchingProtocols {
		t.Fatal(answer.Status)
	}
}

func TestFramesInTheHeadsSegment(t *testing.T) {
	t.Parallel()
	_, server := e2e.Start(t, nil)
	head := roosttest.Head(roosttest.Token(t, "alice"))
	ping := roosttest.ClientFrame(9, "first")
	for cut := range len(ping) + 1 {
		raw := server.Dial()
		raw.Send(head + ping[:cut])
		if answer := raw.Answer("GET"); answer.StatusCode != http.StatusSwitchingProtocols {
			t.Fatal(answer.Status)
		}
		raw.Send(ping[cut:] + roosttest.ClientFrame(9, "second"))
		for _, want := range []string{"first", "second"} {
			if opcode, payload := raw.Frame(); opcode != 10 || string(payload) != want {
				t.Fatalf("cut at %d: got opcode %d %q, want the pong %s", cut, opcode, payload, want)
			}
		}
	}
}

func TestHandshakesThatAreFine(t *testing.T) {
	t.Parallel()
	_, server := e2e.Start(t, roosttest.Env{"WS_ALLOWED_ORIGINS": "https://app.example,https://*.wild.example"})
	in := func(d time.Duration) int64 { return time.Now().Add(d).Unix() }
	claims := roosttest.Claims{"sub": "alice", "exp": in(time.Hour), "iat": in(2 * time.Second), "email": "a@b.example"}
	token := roosttest.Token(t, "alice")
	head := roosttest.Head(token)
	tests := []struct{ name, head string }{
		{"plain", head},
		{"names in lower case", lowerNames(head)},
		{"names in upper case, another order", roosttest.Head(token, "HOST: x", "UPGRADE: WEBSOCKET", "CONNECTION: upgrade")},
		{"lists", roosttest.Head(token, "Connection: keep-alive, Upgrade", "Upgrade: h2c, WebSocket")},
		{"many other headers", roosttest.Head(token, "Cookie: "+strings.Repeat("c", 8000), "User-Agent: x", "Pragma: no-cache")},
		{"origin", roosttest.Head(token, "Origin: https://app.example")},
		{"origin of a wildcard", roosttest.Head(token, "Origin: https://a.b.wild.example")},
		{"absolute target", strings.Replace(head, "/ws?", "http://roost.example/ws?", 1)},
		{"other parameters", strings.Replace(head, "?token=", "?x=y&token=", 1)},
		{"iat within the leeway, email", roosttest.Head(roosttest.Sign(t, "HS256", roosttest.Secret, claims))},
		{"a token of nearly 8 KiB", roosttest.Head(longToken(t))},
		{"a user id of 255 bytes", roosttest.Head(roosttest.Token(t, strings.Repeat("é", 127)+"e"))},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			raw := server.As(t).Dial()
			answer := raw.Ask(test.head)
			if answer.StatusCode != http.StatusSwitchingProtocols {
				t.Fatal(answer.Status, answer.Text)
			}
			// The key and its answer of RFC 6455 section 1.3.
			if got := answer.Header.Get("Sec-WebSocket-Accept"); got != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" {
				t.Errorf("Sec-WebSocket-Accept is %q", got)
			}
			raw.Send(roosttest.ClientFrame(9, test.name[:4]))
			if opcode, payload := raw.Frame(); opcode != 10 || string(payload) != test.name[:4] {
				t.Errorf("no pong, but opcode %d %q", opcode, payload)
			}
		})
	}
}

// lowerNames writes the header's names in lower case.
func lowerNames(head string) string {
	lines := strings.Split(head, "\r\n")
	for i, line := range lines {
		if name, value, ok := strings.Cut(line, ":"); ok && i > 0 {
			lines[i] = strings.ToLower(name) + ":" + value
		}
	}
	return strings.Join(lines, "\r\n")
}

// longToken is as long as tokens may be.
func longToken(t *testing.T) string {
	t.Helper()
	claims := roosttest.Claims{"sub": "alice", "exp": time.Now().Add(time.Hour).Unix(), "name": ""}
	for n := 5000; ; n++ {
		claims["name"] = strings.Repeat("g", n)
		token := roosttest.Sign(t, "HS256", roosttest.Secret, claims)
		if len(token) > 8<<10-4 {
			if len(token) > 8<<10 {
				t.Fatalf("the token has %d bytes", len(token))
			}
			return token
		}
	}
}

func TestHandshakeTimeout(t *testing.T) {
	t.Parallel()
	const timeout = 2 * time.Second
	_, server := e2e.Start(t, roosttest.Env{"WS_HANDSHAKE_TIMEOUT": timeout.String()})

	t.Run("silent", func(t *testing.T) {
		t.Parallel()
		if err := server.As(t).Dial().End(); err != nil {
			t.Errorf("who never said a word was answered: %v", err)
		}
	})
	t.Run("started", func(t *testing.T) {
		t.Parallel()
		answer, begun := server.As(t).AskInTime("GET /ws HTTP/1.1\r\nHost:")
		if answer.StatusCode != http.StatusRequestTimeout || !answer.Close || answer.Text == "" {
			t.Errorf("answered %s %q", answer.Status, answer.Text)
		}
		if took := time.Since(begun); took < timeout-time.Millisecond {
			t.Errorf("cut off after %s already", took)
		}
	})
	t.Run("slow", func(t *testing.T) {
		t.Parallel()
		// The deadline is for all of the head: bytes that come all the time do not move it.
		roosttest.WaitFor(t, "a handshake that begins in time, which a busy machine may not let it do", func() bool {
			raw := server.As(t).Dial()
			_, _ = io.WriteString(raw, "GET /ws HTTP/1.1\r\n")
			answered, sent := make(chan struct{}), make(chan struct{})
			go func() {
				defer close(sent)
				trickle(raw, "X: y\r\n", 20*time.Millisecond, answered)
			}()
			defer func() { close(answered); <-sent }()
			if !raw.Answered() {
				return false
			}
			if answer := raw.Answer("GET"); answer.StatusCode != http.StatusRequestTimeout {
				t.Errorf("answered %s", answer.Status)
			}
			return true
		})
	})
	t.Run("in time", func(t *testing.T) {
		t.Parallel()
		var client *roosttest.Raw
		roosttest.WaitFor(t, "a handshake in time, which a busy machine may not let it be", func() bool {
			client = server.As(t).Dial()
			return client.Upgrade(roosttest.Token(t, "alice")) == nil
		})
		roosttest.Elapse(timeout*3/2, timeout/10, func() { client.Send(roosttest.ClientFrame(1, "still here")) })
		client.Send(roosttest.ClientFrame(9, "and now"))
		if opcode, payload := client.Frame(); opcode != 10 || string(payload) != "and now" {
			t.Errorf("a connection ended by the deadline of its handshake: opcode %d %q", opcode, payload)
		}
	})
}

// trickle writes a little every step, until done is closed.
func trickle(w io.Writer, text string, step time.Duration, done <-chan struct{}) {
	tick := time.NewTicker(step)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			_, _ = io.WriteString(w, text) // fails once the server has closed, which is well
		case <-done:
			return
		}
	}
}

func TestHandshakeAnswersNothingElse(t *testing.T) {
	t.Parallel()
	_, server := e2e.Start(t, nil)
	raw := server.Dial()
	answer := raw.Ask(roosttest.Head(roosttest.Token(t, "alice"),
		"Sec-WebSocket-Protocol: chat", "Sec-WebSocket-Extensions: permessage-deflate"))
	for _, header := range []string{"Sec-WebSocket-Protocol", "Sec-WebSocket-Extensions"} {
		if got := answer.Header.Get(header); got != "" || answer.StatusCode != http.StatusSwitchingProtocols {
			t.Errorf("%s, %s: %q", answer.Status, header, got)
		}
	}
}
