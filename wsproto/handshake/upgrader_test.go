package handshake

import (
	"bytes"
	"strings"
	"testing"
)

func TestReadAccepts(t *testing.T) {
	t.Parallel()
	token := goodToken(t, "alice")
	tests := map[string][]byte{
		"plain":         upgradeHead("/ws?token=" + token),
		"absolute form": upgradeHead("http://other.example/ws?token=" + token),
		"https, IPv6":   upgradeHead("HTTPS://[2001:db8::1]:443/ws?token=" + token),
		"HTTP/1.2":      bytes.Replace(upgradeHead("/ws?token="+token), []byte("HTTP/1.1"), []byte("HTTP/1.2"), 1),
		"encoded token": upgradeHead("/ws?token=" + strings.ReplaceAll(token, ".", "%2e")),
		"encoded name":  upgradeHead("/ws?%74oken=" + token),
		"more query":    upgradeHead("/ws?a=b&&=&token=" + token + "&c=%zz"),
		"empty body":    upgradeHead("/ws?token="+token, "Content-Length: 0"),
		"odd but fine":  upgradeHead("/ws?token="+token, "X-Empty:", "X-Latin: caf\xe9", "X-Tab: a\tb", "!#$%&'*+-.^_`|~: x"),
		"origin":        upgradeHead("/ws?token="+token, "Origin: https://anywhere.example"),
		"any case, any order": lines("GET /ws?token="+token+" HTTP/1.1",
			"SEC-WEBSOCKET-KEY: "+testKey, "sec-websocket-version:13", "uPGRADE:\t WebSocket \t", "connection: UPGRADE", "hOST:h"),
		"lists": lines("GET /ws?token="+token+" HTTP/1.1", "Host: h", "Upgrade: h2c", "Upgrade: foo/1 , websocket,,",
			"Connection: keep-alive", "Connection: foo,upgrade ,bar", "Sec-WebSocket-Key: "+testKey, "Sec-WebSocket-Version: 13"),
		"lists, wanted first": lines("GET /ws?token="+token+" HTTP/1.1", "Host: h", "Upgrade: websocket, h2c", "Upgrade: foo",
			"Connection: upgrade, foo", "Connection: keep-alive", "Sec-WebSocket-Key: "+testKey, "Sec-WebSocket-Version: 13"),
		"offers that are not spoken": upgradeHead("/ws?token="+token,
			"Sec-WebSocket-Protocol: chat, superchat", "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"),
	}
	upgrader := newUpgrader(t, Config{})
	for name, head := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if end := HeadEnd(head, 0); end != len(head) {
				t.Fatalf("HeadEnd = %d of %d", end, len(head))
			}
			request, refusal := decide(upgrader, head)
			if refusal != nil {
				t.Fatalf("refused: %d %s", refusal.Status, refusal.Text())
			}
			clear(head) // nothing may alias it
			if request.Kind != Upgrade || request.User != "alice" || request.Probe {
				t.Errorf("got %+v", request)
			}
			want := "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
				"Sec-WebSocket-Accept: " + testAccept + "\r\n\r\n"
			if got := string(request.AppendUpgrade(nil)); got != want {
				t.Errorf("answer %q", got)
			}
		})
	}
}

func TestReadHealth(t *testing.T) {
	t.Parallel()
	upgrader := newUpgrader(t, Config{})
	for _, head := range [][]byte{
		lines("GET /health HTTP/1.1", "Host: h"),
		lines("GET /health HTTP/1.1", "Host:"),
		lines("GET /health HTTP/1.0"),
		lines("GET /health?deep=1 HTTP/1.1", "Host: h", "Content-Length: 00"),
		lines("GET http://h/health HTTP/1.1", "Host: h"),
		lines("HEAD /health HTTP/1.0"),
		lines("GET /health/ready HTTP/1.1", "Host: h"),
		lines("HEAD /health/ready?x HTTP/1.0"),
		lines("OPTIONS /health HTTP/1.1", "Host: h"),
		lines("GET /health HTTP/1.1", "Host: h", "Connection: Upgrade", "Upgrade: websocket"),
	} {
		request, refusal := decide(upgrader, head)
		if refusal != nil || request.Kind != Health || request.User != "" {
			t.Errorf("%q: %+v, %+v", head, request, refusal)
		}
	}
}

func TestReadLive(t *testing.T) {
	t.Parallel()
	upgrader := newUpgrader(t, Config{})
	for path, want := range map[string]Kind{"/health/live": Live, "/health/ready": Health, "/health": Health} {
		request, refusal := decide(upgrader, lines("HEAD "+path+" HTTP/1.1", "Host: h"))
		if refusal != nil || request.Kind != want {
			t.Errorf("%s: %+v, %+v", path, request, refusal)
		}
	}
	for _, path := range []string{"/health/", "/health/live/", "/live", "/health/Ready", "//health/live"} {
		if _, refusal := decide(upgrader, lines("GET "+path+" HTTP/1.1", "Host: h")); refusal == nil || refusal.Status != 404 {
			t.Errorf("%s: %+v, want a 404", path, refusal)
		}
	}
	if _, refusal := decide(upgrader, lines("POST /health/live HTTP/1.1", "Host: h")); refusal == nil || refusal.Status != 405 {
		t.Errorf("POST: %+v, want a 405", refusal)
	}
}

func TestReadRefusesUpgrade(t *testing.T) {
	t.Parallel()
	without := func(field string, instead ...string) []byte {
		head := []string{"GET /ws HTTP/1.1"}
		for _, line := range []string{"Host: h", "Connection: Upgrade", "Upgrade: websocket",
			"Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: " + testKey} {
			if !strings.HasPrefix(line, field+":") {
				head = append(head, line)
			}
		}
		return lines(append(head, instead...)...)
	}
	key := func(value string) []byte { return without("Sec-WebSocket-Key", "Sec-WebSocket-Key: "+value) }
	tests := map[string]struct {
		head   []byte
		status int
		reason RefusalReason
		header string // "Name: value" that the answer must have
	}{
		"path":                {lines("GET / HTTP/1.1", "Host: h"), 404, ReasonNotFound, ""},
		"path with a slash":   {lines("GET /ws/ HTTP/1.1", "Host: h"), 404, ReasonNotFound, ""},
		"path in capitals":    {lines("GET /WS HTTP/1.1", "Host: h"), 404, ReasonNotFound, ""},
		"path encoded":        {lines("GET /%77s HTTP/1.1", "Host: h"), 404, ReasonNotFound, ""},
		"path with dots":      {lines("GET /x/../ws HTTP/1.1", "Host: h"), 404, ReasonNotFound, ""},
		"path twice slashed":  {lines("GET //ws HTTP/1.1", "Host: h"), 404, ReasonNotFound, ""},
		"absolute, bare host": {lines("GET http://h HTTP/1.1", "Host: h"), 404, ReasonNotFound, ""},
		"absolute, no path":   {lines("GET http://h?/ws HTTP/1.1", "Host: h"), 404, ReasonNotFound, ""},
		"asterisk":            {lines("OPTIONS * HTTP/1.1", "Host: h"), 404, ReasonNotFound, ""},
		"path before method":  {lines("POST /x HTTP/1.1", "Host: h"), 404, ReasonNotFound, ""},
		"method":              {lines("POST /ws HTTP/1.1", "Host: h"), 405, ReasonMethod, "Allow: GET"},
		"method HEAD":         {lines("HEAD /ws HTTP/1.1", "Host: h"), 405, ReasonMethod, "Allow: GET"},
		"method in lower":     {lines("get /ws HTTP/1.1", "Host: h"), 405, ReasonMethod, "Allow: GET"},
		"health method":       {lines("PUT /health HTTP/1.1", "Host: h"), 405, ReasonMethod, "Allow: GET, HEAD, OPTIONS"},
		"plain GET":           {lines("GET /ws HTTP/1.1", "Host: h"), 426, ReasonUpgradeRequired, "Upgrade: websocket"},
		"HTTP/1.0":            {bytes.Replace(upgradeHead("/ws"), []byte("/1.1"), []byte("/1.0"), 1), 426, ReasonUpgradeRequired, "Upgrade: websocket"},
		"no Upgrade":          {without("Upgrade"), 426, ReasonUpgradeRequired, "Upgrade: websocket"},
		"other Upgrade":       {without("Upgrade", "Upgrade: h2c, websockets"), 426, ReasonUpgradeRequired, "Upgrade: websocket"},
		"no Connection":       {without("Connection"), 426, ReasonUpgradeRequired, "Upgrade: websocket"},
		"other Connection":    {without("Connection", "Connection: keep-alive"), 426, ReasonUpgradeRequired, "Upgrade: websocket"},
		"no version":          {without("Sec-WebSocket-Version"), 426, ReasonWebSocketVersion, "Sec-WebSocket-Version: 13"},
		"other version":       {without("Sec-WebSocket-Version", "Sec-WebSocket-Version: 8"), 426, ReasonWebSocketVersion, "Sec-WebSocket-Version: 13"},
		"two versions":        {upgradeHead("/ws", "Sec-WebSocket-Version: 13"), 426, ReasonWebSocketVersion, "Sec-WebSocket-Version: 13"},
		"version list":        {without("Sec-WebSocket-Version", "Sec-WebSocket-Version: 13, 8"), 426, ReasonWebSocketVersion, "Upgrade: websocket"},
		"no key":              {without("Sec-WebSocket-Key"), 400, ReasonWebSocketKey, ""},
		"two keys":            {upgradeHead("/ws", "Sec-WebSocket-Key: "+testKey), 400, ReasonWebSocketKey, ""},
		"empty key":           {key(""), 400, ReasonWebSocketKey, ""},
		"short key":           {key("dGhlIHNhbXBsZQ=="), 400, ReasonWebSocketKey, ""},
		"17 bytes":            {key("dGhlIHNhbXBsZSBub25jZTE="), 400, ReasonWebSocketKey, ""},
		"18 bytes":            {key("dGhlIHNhbXBsZSBub25jZTEy"), 400, ReasonWebSocketKey, ""},
		"URL base64":          {key("--hlIHNhbXBsZSBub25jZQ=="), 400, ReasonWebSocketKey, ""},
		"not base64":          {key("dGhlIHNhbXBsZSBub25jZ!=="), 400, ReasonWebSocketKey, ""},
		"empty Host":          {without("Host", "Host:"), 400, ReasonBadRequest, ""},
		"token last":          {upgradeHead("/ws"), 401, ReasonTokenMissing, `WWW-Authenticate: Bearer realm="roost"`},
	}
	upgrader := newUpgrader(t, Config{})
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			checkRefusal(t, upgrader, test.head, test.status, test.reason, test.header)
		})
	}
}

// checkRefusal reads a head that must be refused, and the answer with net/http.
func checkRefusal(t *testing.T, upgrader *Upgrader, head []byte, status int, reason RefusalReason, header string) {
	t.Helper()
	request, refusal := decide(upgrader, head)
	if refusal == nil {
		t.Fatalf("accepted as %+v", request)
	}
	if request.User != "" || request.Probe {
		t.Errorf("refused, and yet %+v", request)
	}
	if refusal.Status != status || refusal.Reason != reason {
		t.Fatalf("%d %s (%s), want %d %s", refusal.Status, refusal.Reason, refusal.Text(), status, reason)
	}
	method, _, _ := strings.Cut(string(head), " ")
	response, body := parseResponse(t, method, refusal.Append(nil))
	if response.StatusCode != status || method != "HEAD" && body != refusal.Text()+"\n" {
		t.Errorf("answer %d %q", response.StatusCode, body)
	}
	if !response.Close {
		t.Error("answer doesn't close")
	}
	if name, value, ok := strings.Cut(header, ": "); ok && response.Header.Get(name) != value {
		t.Errorf("%s: %q, want %q", name, response.Header.Get(name), value)
	}
}

func TestReadRefusesSyntax(t *testing.T) {
	t.Parallel()
	tests := map[string]string{
		"empty":                     "",
		"no end":                    "GET /health HTTP/1.1\r\nHost: h\r\n",
		"bytes behind":              "GET /health HTTP/1.0\r\n\r\nx",
		"bare LF in request line":   "GET /health HTTP/1.1\nHost: h\r\n\r\n",
		"bare LF in header":         "GET /health HTTP/1.1\r\nHost: h\nX: y\r\n\r\n",
		"bare LF at the end":        "GET /health HTTP/1.1\r\nHost: h\r\n\n",
		"bare CR in request line":   "GET /health HTTP/1.1\rX: y\r\nHost: h\r\n\r\n",
		"bare CR in value":          "GET /health HTTP/1.1\r\nHost: h\r\nX: a\rb\r\n\r\n",
		"CR CR LF":                  "GET /health HTTP/1.1\r\nHost: h\r\r\n\r\n",
		"NUL in target":             "GET /health?\x00 HTTP/1.1\r\nHost: h\r\n\r\n",
		"NUL in name":               "GET /health HTTP/1.1\r\nHost: h\r\nX\x00: y\r\n\r\n",
		"NUL in value":              "GET /health HTTP/1.1\r\nHost: h\r\nX: \x00\r\n\r\n",
		"DEL in value":              "GET /health HTTP/1.1\r\nHost: h\r\nX: \x7f\r\n\r\n",
		"folded line":               "GET /health HTTP/1.1\r\nHost: h\r\nX: a\r\n b\r\n\r\n",
		"folded line by tab":        "GET /health HTTP/1.1\r\nHost: h\r\nX: a\r\n\tb\r\n\r\n",
		"folded first line":         "GET /health HTTP/1.1\r\n Host: h\r\n\r\n",
		"blank folded line":         "GET /health HTTP/1.1\r\nHost: h\r\n \r\n\r\n",
		"space before colon":        "GET /health HTTP/1.1\r\nHost : h\r\n\r\n",
		"tab before colon":          "GET /health HTTP/1.1\r\nHost: h\r\nX\t: y\r\n\r\n",
		"no colon":                  "GET /health HTTP/1.1\r\nHost: h\r\nX\r\n\r\n",
		"no name":                   "GET /health HTTP/1.1\r\nHost: h\r\n: y\r\n\r\n",
		"name in Latin-1":           "GET /health HTTP/1.1\r\nHost: h\r\nX\xe9: y\r\n\r\n",
		"blank line first":          "\r\nGET /health HTTP/1.1\r\nHost: h\r\n\r\n",
		"space first":               " GET /health HTTP/1.1\r\nHost: h\r\n\r\n",
		"two spaces":                "GET  /health HTTP/1.1\r\nHost: h\r\n\r\n",
		"two spaces later":          "GET /health  HTTP/1.1\r\nHost: h\r\n\r\n",
		"space at the end":          "GET /health HTTP/1.1 \r\nHost: h\r\n\r\n",
		"tab":                       "GET\t/health HTTP/1.1\r\nHost: h\r\n\r\n",
		"HTTP/0.9":                  "GET /health\r\n\r\n",
		"no target":                 "GET HTTP/1.1\r\nHost: h\r\n\r\n",
		"bad method":                "G@T /health HTTP/1.1\r\nHost: h\r\n\r\n",
		"http/1.1":                  "GET /health http/1.1\r\nHost: h\r\n\r\n",
		"HTTP/1.10":                 "GET /health HTTP/1.10\r\nHost: h\r\n\r\n",
		"HTTP/1.x":                  "GET /health HTTP/1.x\r\nHost: h\r\n\r\n",
		"HTTP/11":                   "GET /health HTTP/11\r\nHost: h\r\n\r\n",
		"target not ASCII":          "GET /health?\xc3\xa9 HTTP/1.1\r\nHost: h\r\n\r\n",
		"fragment":                  "GET /health#x HTTP/1.1\r\nHost: h\r\n\r\n",
		"relative target":           "GET health HTTP/1.1\r\nHost: h\r\n\r\n",
		"other scheme":              "GET ftp://h/health HTTP/1.1\r\nHost: h\r\n\r\n",
		"authority form":            "CONNECT h:80 HTTP/1.1\r\nHost: h\r\n\r\n",
		"absolute without host":     "GET http:///health HTTP/1.1\r\nHost: h\r\n\r\n",
		"absolute with user":        "GET http://u@h/health HTTP/1.1\r\nHost: h\r\n\r\n",
		"absolute with bad port":    "GET http://h:x/health HTTP/1.1\r\nHost: h\r\n\r\n",
		"absolute with bad address": "GET http://[::g]/health HTTP/1.1\r\nHost: h\r\n\r\n",
		"absolute with IPv4 in []":  "GET http://[1.2.3.4]/health HTTP/1.1\r\nHost: h\r\n\r\n",
		"absolute with a zone":      "GET http://[fe80::1%25eth0]/health HTTP/1.1\r\nHost: h\r\n\r\n",
		"no Host":                   "GET /health HTTP/1.1\r\n\r\n",
		"no Host, absolute":         "GET http://h/health HTTP/1.1\r\n\r\n",
		"two Hosts":                 "GET /health HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n",
		"two Hosts in 1.0":          "GET /health HTTP/1.0\r\nHost: h\r\nhost: i\r\n\r\n",
		"bad Host":                  "GET /health HTTP/1.1\r\nHost: a/b\r\n\r\n",
		"Host list":                 "GET /health HTTP/1.1\r\nHost: a, b\r\n\r\n",
		"Host with user":            "GET /health HTTP/1.1\r\nHost: u@h\r\n\r\n",
		"Host of a port":            "GET /health HTTP/1.1\r\nHost: :80\r\n\r\n",
		"body":                      "GET /health HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\n",
		"signed length":             "GET /health HTTP/1.1\r\nHost: h\r\nContent-Length: +0\r\n\r\n",
		"empty length":              "GET /health HTTP/1.1\r\nHost: h\r\nContent-Length:\r\n\r\n",
		"list of lengths":           "GET /health HTTP/1.1\r\nHost: h\r\nContent-Length: 0, 0\r\n\r\n",
		"two lengths":               "GET /health HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n",
		"chunked":                   "GET /health HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n",
		"identity":                  "GET /health HTTP/1.1\r\nHost: h\r\ntransfer-encoding: identity\r\n\r\n",
		"empty encoding":            "GET /health HTTP/1.1\r\nHost: h\r\nTransfer-Encoding:\r\n\r\n",
		"two origins":               "GET /health HTTP/1.1\r\nHost: h\r\nOrigin: null\r\nOrigin: null\r\n\r\n",
	}
	upgrader := newUpgrader(t, Config{})
	for name, head := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			checkRefusal(t, upgrader, []byte(head), 400, ReasonBadRequest, "")
		})
	}
}

// TestSyntaxIsNamed: who debugs a client learns which rule it broke.
func TestSyntaxIsNamed(t *testing.T) {
	t.Parallel()
	upgrader := newUpgrader(t, Config{})
	for head, want := range map[string]string{
		"GET / HTTP/1.1\n\n":                             "CR LF",
		"GET / HTTP/1.1\r\n\tX: y\r\n\r\n":               "folded",
		"GET / HTTP/1.1\r\nHost : h\r\n\r\n":             "white space",
		"GET / HTTP/1.1\r\nX: \x00\r\n\r\n":              "control character",
		"GET / HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n":   "more than one Host",
		"GET / HTTP/1.0\r\nTransfer-Encoding: x\r\n\r\n": "body",
	} {
		_, refusal := decide(upgrader, []byte(head))
		if refusal == nil || !strings.Contains(refusal.Text(), want) {
			t.Errorf("%q: %+v, want one about %q", head, refusal, want)
		}
	}
}

func TestReadRefusesOtherVersions(t *testing.T) {
	t.Parallel()
	upgrader := newUpgrader(t, Config{})
	for _, head := range []string{"PRI * HTTP/2.0\r\n\r\n", "GET /health HTTP/3.0\r\nHost: h\r\n\r\n", "GET /health HTTP/0.9\r\n\r\n"} {
		checkRefusal(t, upgrader, []byte(head), 505, ReasonHTTPVersion, "")
	}
}

func TestReadBoundsTheHead(t *testing.T) {
	t.Parallel()
	upgrader := newUpgrader(t, Config{})
	head := lines("GET /health HTTP/1.0", "X: "+strings.Repeat("x", MaxHead))
	checkRefusal(t, upgrader, head, 431, ReasonHeadTooLarge, "")

	over := len(head) - MaxHead
	fits := bytes.Replace(head, []byte(strings.Repeat("x", over)), nil, 1)
	if _, refusal := decide(upgrader, fits); len(fits) != MaxHead || refusal != nil {
		t.Errorf("%d bytes: %+v", len(fits), refusal)
	}
}

func TestReadOrder(t *testing.T) {
	t.Parallel()
	upgrader := newUpgrader(t, Config{AllowedOrigins: []string{"https://a.example"}})
	const bad = "Origin: https://b.example"
	checkRefusal(t, upgrader, lines("GET /ws HTTP/1.1", "Host: h", bad), 426, ReasonUpgradeRequired, "")
	checkRefusal(t, upgrader, upgradeHead("/ws", bad), 403, ReasonOrigin, "")
	checkRefusal(t, upgrader, upgradeHead("/ws?token="+goodToken(t, "alice"), bad), 403, ReasonOrigin, "")
	checkRefusal(t, upgrader, upgradeHead("/ws?token=x", "Origin: HTTPS://A.Example:443"), 401, ReasonTokenMalformed, "")
	checkRefusal(t, upgrader, upgradeHead("/ws"), 401, ReasonTokenMissing, "")
	if _, refusal := decide(upgrader, lines("GET /health HTTP/1.1", "Host: h", bad)); refusal != nil {
		t.Errorf("health with an origin: %+v", refusal)
	}
}

func TestTicket(t *testing.T) {
	t.Parallel()
	upgrader := newUpgrader(t, Config{Ticket: func(ticket []byte) (string, bool) {
		return "\x01probe", string(ticket) == "let me/in"
	}})
	request, refusal := decide(upgrader, upgradeHead("/ws?ticket=let+me%2fin"))
	if refusal != nil || request.User != "\x01probe" || !request.Probe {
		t.Errorf("good ticket: %+v, %+v", request, refusal)
	}
	for _, query := range []string{"ticket=", "ticket=x", "ticket=%", "ticket=x&token=" + goodToken(t, "alice"),
		"ticket=let+me%2fin&ticket=let+me%2fin"} {
		checkRefusal(t, upgrader, upgradeHead("/ws?"+query), 401, ReasonTicket, "")
	}
	request, refusal = decide(upgrader, upgradeHead("/ws?token="+goodToken(t, "alice")))
	if refusal != nil || request.User != "alice" || request.Probe {
		t.Errorf("token: %+v, %+v", request, refusal)
	}
	checkRefusal(t, newUpgrader(t, Config{}), upgradeHead("/ws?ticket=x"), 401, ReasonTokenMissing, "")
}

func TestReadAllocatesOnlyForTheToken(t *testing.T) {
	upgrader := newUpgrader(t, Config{AllowedOrigins: []string{"https://*.example.com", "https://a.example"}})
	dst := make([]byte, 0, 1024)
	for name, head := range map[string][]byte{
		"health":  lines("GET /health HTTP/1.1", "Host: h"),
		"refused": upgradeHead("/ws", "Origin: https://a.example"),
		"origin":  upgradeHead("/ws", "Origin: https://b.example"),
		"syntax":  lines("GET /ws HTTP/1.1", "Host : h"),
	} {
		n := testing.AllocsPerRun(100, func() {
			request, refusal := decide(upgrader, head)
			if refusal != nil {
				refusal.Append(dst)
			} else {
				request.AppendHealth(dst, 200, nil)
			}
		})
		if n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}
