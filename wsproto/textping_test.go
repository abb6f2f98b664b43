package wsproto

import (
	"fmt"
	"testing"
)

func TestTextPing(t *testing.T) {
	t.Parallel()
	pings := []string{
		`{"type":"ping"}`, `{"type": "ping"}`, "{\n  \"type\": \"ping\"\n}\r\n", " \t{ \"type\"\t:\r\"ping\" }  ",
	}
	others := []string{
		"", "{", `{"type":"ping"`, `{"type":"ping"}}`, `{"type":"ping"}{"type":"ping"}`, `{"type":"ping"}x`, `x{"type":"ping"}`,
		`{"type":"pong"}`, `{"type":"Ping"}`, `{"type":"ping","payload":null}`, `{"a":1,"type":"ping"}`, `{"type":"p\u0069ng"}`,
		`{"type":" ping"}`, `{"ty pe":"ping"}`, `{'type':'ping'}`, `["ping"]`, `"ping"`, "ping", "{\"type\":\u00a0\"ping\"}",
		"{\"type\":\v\"ping\"}", "\ufeff{\"type\":\"ping\"}",
	}
	for _, in := range pings {
		checkTextPing(t, in, fmt.Sprintf("text ping %d", len(in)))
		if got := decode(blob(in), 0, func() int { return 1 << 20 }); got != fmt.Sprintf("binary %d; idle", len(in)) {
			t.Errorf("%q in a binary message: %s", in, got)
		}
	}
	for _, in := range others {
		checkTextPing(t, in, fmt.Sprintf("text %d", len(in)))
	}
}

// checkTextPing sends in whole and in two fragments, split everywhere, with a ping
// between them and another message before and after them.
func checkTextPing(t *testing.T, in, want string) {
	t.Helper()
	whole, bytewise := func() int { return 1 << 20 }, func() int { return 1 }
	if got := decode(text(in), 0, whole); got != want+"; idle" {
		t.Errorf("%q: %s, want %s", in, got, want)
	}
	if got := decode(text(in), 0, bytewise); got != want+"; idle" {
		t.Errorf("%q byte by byte: %s, want %s", in, got, want)
	}
	for i := range len(in) + 1 {
		stream := text("{") + begin(in[:i]) + ping("") + end(in[i:]) + text("}")
		if got := decode(stream, 0, whole); got != `text 1; fragment; ping ""; `+want+"; text 1; idle" {
			t.Errorf("%q, split at %d: %s", in, i, got)
		}
	}
}

func TestTextPongIsShared(t *testing.T) {
	t.Parallel()
	const want = "\x81\x0f{\"type\":\"pong\"}"
	if got := string(TextPong()); got != want {
		t.Errorf("%q, want %q", got, want)
	}
	_ = append(TextPong(), "x"...)
	if pong := TextPong(); cap(pong) != len(pong) {
		t.Error("appending to it writes behind it")
	}
}
