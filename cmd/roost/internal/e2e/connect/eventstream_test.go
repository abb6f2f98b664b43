package connect

import (
	"bufio"
	"net/http"
	"os/exec"
	"strings"
	"testing"

	"roost/cmd/roost/internal/e2e"
	"roost/cmd/roost/internal/roosttest"
)

// curl -N is all that an event stream needs.
func TestEventStreamWithCurl(t *testing.T) {
	t.Parallel()
	curl, err := exec.LookPath("curl")
	if err != nil {
		t.Skip("no curl is installed (apt-get install curl)")
	}
	redis, server := e2e.Start(t, roosttest.Env{"WS_MAX_CONNECTIONS_PER_USER": "1"})
	get := func(more ...string) *exec.Cmd {
		return exec.CommandContext(t.Context(), curl, append([]string{"--silent", "--show-error", "--no-buffer", "--http1.1",
			"--header", "Authorization: Bearer " + roosttest.Token(t, "alice"), "http://" + server.WS + "/sse"}, more...)...)
	}
	stream := get()
	out, err := stream.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Start(); err != nil {
		t.Fatal(err)
	}
	server.WaitMetric("roost_event_streams", 1)
	e2e.Notify(redis, "alice", e2e.Numbered(1))
	var got []string
	lines := bufio.NewScanner(out)
	for lines.Scan() && !strings.HasPrefix(lines.Text(), "data: ") {
		got = append(got, lines.Text())
	}
	if !strings.HasPrefix(lines.Text(), `data: {"type":"`) || !strings.Contains(lines.Text(), `"payload":1,`) {
		t.Errorf("after %q came %q", got, lines.Text())
	}

	// The limits are those of WebSockets.
	if text, err := get("--include").Output(); err != nil || !strings.HasPrefix(string(text), "HTTP/1.1 429 ") {
		t.Errorf("the user's second connection is answered with %q, %v", text, err)
	}
	redis.Publish("user_ctl:alice", `{"disconnect":{}}`)
	rest := ""
	for lines.Scan() {
		rest += lines.Text() + "\n"
	}
	if !strings.Contains(rest, "id: !ended\nevent: close\ndata: {\"code\":4403,") {
		t.Errorf("the stream ends with %q", rest)
	}
	if err := stream.Wait(); err != nil {
		t.Errorf("curl takes the end for an error: %v", err)
	}
}

func TestNoEventStreams(t *testing.T) {
	t.Parallel()
	_, server := e2e.Start(t, roosttest.Env{"WS_SSE": "false"})
	raw := server.Dial()
	raw.Send("GET /sse?token=" + roosttest.Token(t, "alice") + " HTTP/1.1\r\nHost: roost.example\r\n\r\n")
	if answer := raw.Answer("GET"); answer.StatusCode != http.StatusNotFound || answer.Text != "not found: only /ws and /health are here\n" {
		t.Errorf("%s %q", answer.Status, answer.Text)
	}
}
