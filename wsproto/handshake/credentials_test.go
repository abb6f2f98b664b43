package handshake

import (
	"strings"
	"testing"

	"roost/wsproto/auth"
)

// A token may come in three places, and the sub-protocol is answered where it was offered.
func TestTokenPlaces(t *testing.T) {
	t.Parallel()
	token := goodToken(t, "alice")
	tests := map[string]struct {
		target string
		lines  []string
		answer string // the sub-protocol
	}{
		"query":                     {"/ws?token=" + token, nil, ""},
		"query, protocol":           {"/ws?token=" + token, []string{"Sec-WebSocket-Protocol: roost.v1"}, "roost.v1"},
		"query, empty, and header":  {"/ws?token=", []string{"Authorization: Bearer " + token}, ""},
		"header":                    {"/ws", []string{"Authorization: Bearer " + token}, ""},
		"header, any case":          {"/ws", []string{"authorization: bEARER   " + token}, ""},
		"header, another scheme":    {"/ws?token=" + token, []string{"Authorization: Basic dXNlcjpwYXNz"}, ""},
		"protocol":                  {"/ws", []string{"Sec-WebSocket-Protocol: roost.v1, bearer." + token}, "roost.v1"},
		"protocol, token first":     {"/ws", []string{"Sec-WebSocket-Protocol: bearer." + token + ",roost.v1"}, "roost.v1"},
		"protocol, two fields":      {"/ws", []string{"Sec-WebSocket-Protocol: chat,roost.v1", "Sec-WebSocket-Protocol: bearer." + token}, "roost.v1"},
		"protocol with other names": {"/ws?token=" + token, []string{"Sec-WebSocket-Protocol: chat, roost.v2, ROOST.V1"}, ""},
	}
	upgrader := newUpgrader(t, Config{})
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			request, refusal := decide(upgrader, upgradeHead(test.target, test.lines...))
			if refusal != nil || request.User != "alice" {
				t.Fatalf("user %q, refused with %+v", request.User, refusal)
			}
			answer := string(request.AppendUpgrade(nil))
			want := ""
			if test.answer != "" {
				want = "\r\nSec-WebSocket-Protocol: " + test.answer + "\r\n"
			}
			if !strings.Contains(answer, want) || (want == "") == strings.Contains(answer, "Protocol:") || !strings.HasSuffix(answer, "\r\n\r\n") {
				t.Errorf("answered %q", answer)
			}
		})
	}
}

func TestTokenPlacesRefused(t *testing.T) {
	t.Parallel()
	token := goodToken(t, "alice")
	tests := map[string]struct {
		target string
		lines  []string
		status int
		reason RefusalReason
	}{
		"query and header":     {"/ws?token=" + token, []string{"Authorization: Bearer " + token}, 400, ReasonTokenDuplicate},
		"query and protocol":   {"/ws?token=" + token, []string{"Sec-WebSocket-Protocol: roost.v1, bearer." + token}, 400, ReasonTokenDuplicate},
		"header and protocol":  {"/ws", []string{"Authorization: Bearer " + token, "Sec-WebSocket-Protocol: roost.v1, bearer." + token}, 400, ReasonTokenDuplicate},
		"two headers":          {"/ws", []string{"Authorization: Bearer " + token, "Authorization: Bearer " + token}, 400, ReasonTokenDuplicate},
		"two in the protocol":  {"/ws", []string{"Sec-WebSocket-Protocol: roost.v1, bearer." + token + ", bearer." + token}, 400, ReasonTokenDuplicate},
		"without the protocol": {"/ws", []string{"Sec-WebSocket-Protocol: bearer." + token}, 400, ReasonBadRequest},
		"empty header":         {"/ws", []string{"Authorization: Bearer "}, 401, ReasonTokenMissing},
		"empty in protocol":    {"/ws", []string{"Sec-WebSocket-Protocol: roost.v1, bearer."}, 401, ReasonTokenMissing},
		"another scheme only":  {"/ws", []string{"Authorization: Token " + token}, 401, ReasonTokenMissing},
		"no scheme":            {"/ws", []string{"Authorization: " + token}, 401, ReasonTokenMissing},
		"garbage in header":    {"/ws", []string{"Authorization: Bearer x y"}, 401, ReasonTokenMalformed},
		"too long":             {"/ws", []string{"Authorization: Bearer " + strings.Repeat("x", auth.MaxToken+1)}, 401, ReasonTokenMalformed},
	}
	upgrader := newUpgrader(t, Config{})
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			checkRefusal(t, upgrader, upgradeHead(test.target, test.lines...), test.status, test.reason, "")
		})
	}
}

// A close frame tells a page the part of a refusal that it can't see.
func TestRejections(t *testing.T) {
	t.Parallel()
	upgrader := newUpgrader(t, Config{AllowedOrigins: []string{"https://a.example"}})
	for name, test := range map[string]struct {
		head []byte
		code string // two bytes; "" is a request that can't be answered with a 101
	}{
		"bad token":    {upgradeHead("/ws?token=bad"), "\x11\x31"},
		"no token":     {upgradeHead("/ws"), "\x11\x31"},
		"two tokens":   {upgradeHead("/ws?token=a&token=b"), "\x11\x30"},
		"origin":       {upgradeHead("/ws", "Origin: https://b.example"), "\x11\x33"},
		"not found":    {upgradeHead("/elsewhere"), ""},
		"no WebSocket": {lines("GET /ws HTTP/1.1", "Host: h"), ""},
		"no HTTP":      {lines("GET /ws", "Host: h"), ""},
	} {
		request, refusal := decide(upgrader, test.head)
		if refusal == nil {
			t.Fatalf("%s: accepted", name)
		}
		words, ok := request.AppendRejection(nil, refusal)
		if !ok || test.code == "" {
			if ok || test.code != "" || len(words) > 0 {
				t.Errorf("%s: %v, %q", name, ok, words)
			}
			continue
		}
		head, frame, _ := strings.Cut(string(words), "\r\n\r\n")
		want := "\x88" + string(rune(2+len(refusal.Text()))) + test.code + refusal.Text()
		if !strings.HasPrefix(head, "HTTP/1.1 101 ") || frame != want {
			t.Errorf("%s: %q, %q, want %q", name, head, frame, want)
		}
	}
}
