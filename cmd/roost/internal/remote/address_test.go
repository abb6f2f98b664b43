package remote

import (
	"strings"
	"testing"
)

func TestServerURL(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{
		"ws://h:1/ws": "ws://h:1/ws", "http://h:1": "ws://h:1", "HTTPS://h/x": "wss://h/x", "h:1": "ws://h:1", "h": "ws://h",
		":8081": "ws://127.0.0.1:8081", "[::1]:2/ws": "ws://[::1]:2/ws", " h:1/ws?token=a ": "ws://h:1/ws?token=a",
	} {
		if got, err := ServerURL(given, "ws", "wss"); err != nil || got.String() != want {
			t.Errorf("%q: %v, %v", given, got, err)
		}
	}
	for _, given := range []string{"", "http://", "ftp://h?token=secret", "h:port?token=secret", "http://h:1:2?token=secret"} {
		if got, err := ServerURL(given, "ws", "wss"); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v, %v", given, got, err)
		}
	}
}
