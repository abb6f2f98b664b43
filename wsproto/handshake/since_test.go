package handshake

import (
	"strings"
	"testing"
)

func TestSince(t *testing.T) {
	const id = "abcDEF0123456789-_.zz"
	for name, test := range map[string]struct{ query, protocols, want string }{
		"none":                 {"", "", ""},
		"in the query":         {"&since=" + id, "", id},
		"as a sub-protocol":    {"", "roost.v1, since." + id, id},
		"both: the query":      {"&since=" + id, "roost.v1, since.other", id},
		"an empty one is none": {"&since=", "", ""},
		"empty, and one":       {"&since=", "roost.v1, since." + id, id},
		"encoded":              {"&since=" + strings.Replace(id, ".", "%2E", 1), "", id},
		"too long":             {"&since=" + strings.Repeat("a", 25), "", UnknownPosition},
		"not a position":       {"&since=a%20b", "", UnknownPosition},
		"badly encoded":        {"&since=a%2", "", UnknownPosition},
		"null of a script":     {"&since=undefined", "", "undefined"},
	} {
		t.Run(name, func(t *testing.T) {
			u := newUpgrader(t, Config{})
			head := "GET /ws?token=x" + test.query + " HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
				"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + testKey + "\r\n"
			if test.protocols != "" {
				head += "Sec-WebSocket-Protocol: " + test.protocols + "\r\n"
			}
			req, refusal := u.Read([]byte(head + "\r\n"))
			if refusal != nil || req.Since != test.want {
				t.Errorf("Since is %q, refusal %v", req.Since, refusal)
			}
		})
	}
}

func TestHello(t *testing.T) {
	const id = "q83vEjRWeJA"
	for name, test := range map[string]struct {
		query, protocols string
		wants            bool
		id               string
	}{
		"none":                      {"", "roost.v1", false, ""},
		"in the query":              {"&hello=" + id, "", true, id},
		"without an id":             {"&hello", "", true, ""},
		"no id":                     {"&hello=%20", "", true, ""},
		"as a sub-protocol":         {"", "roost.v1, hello." + id, true, id},
		"as one without an id":      {"", "hello", true, ""},
		"another sub-protocol":      {"", "roost.v1, hellos", false, ""},
		"both: that in the query":   {"&hello=1", "hello." + id, true, "1"},
		"an id that is much longer": {"&hello=" + strings.Repeat("a", 25), "", true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			u := newUpgrader(t, Config{})
			head := "GET /ws?token=x" + test.query + " HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
				"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + testKey + "\r\n"
			if test.protocols != "" {
				head += "Sec-WebSocket-Protocol: " + test.protocols + "\r\n"
			}
			req, refusal := u.Read([]byte(head + "\r\n"))
			if refusal != nil || req.WantsID != test.wants || req.Connection != test.id {
				t.Errorf("asked %v, with %q, refusal %v", req.WantsID, req.Connection, refusal)
			}
		})
	}
}
