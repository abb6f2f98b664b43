package handshake

import (
	"bufio"
	"bytes"
	"net/http"
	"net/url"
	"testing"
)

// FuzzHead: no input makes HeadEnd or Read panic, where a head ends doesn't depend
// on the pieces in which it comes, and what is read as HTTP here net/http reads as
// the same request.
func FuzzHead(f *testing.F) {
	token := goodToken(f, "alice")
	for _, seed := range [][]byte{
		upgradeHead("/ws?token="+token, "Origin: https://a.example"),
		upgradeHead("http://[::1]:80/ws?a=%zz&token="+token, "Content-Length: 0"),
		upgradeHead("HTTP://h:?token=x"),
		lines("GET /health HTTP/1.0"),
		lines("HEAD /health?deep=1 HTTP/1.9", "host: [2001:db8::1]:8081", "X:\t\xff "),
		lines("OPTIONS * HTTP/1.1", "Host:"),
		lines("GET /a%2fb/../c HTTP/1.1", "Host: h", "Upgrade: a, ,websocket"),
		[]byte("GET / HTTP/1.1\nHost: h\n\n"),
		[]byte("GET / HTTP/1.1\r\nHost: h\r\n x\r\n\r\n"),
		[]byte("\r\n"), []byte("\x16\x03"), []byte("G / HTTP/1.1\r\n\r\r\n"),
	} {
		f.Add(seed)
	}
	upgrader := newUpgrader(f, Config{AllowedOrigins: []string{"https://*.example"}})
	f.Fuzz(func(t *testing.T, in []byte) {
		end := HeadEnd(in, 0)
		if got := headEndByBytes(in); got != end {
			t.Fatalf("byte by byte %d, at once %d", got, end)
		}
		checkRead(t, upgrader, in) // also what HeadEnd would not hand over
		if end > 0 {
			checkRead(t, upgrader, in[:end])
		}
	})
}

func checkRead(t *testing.T, upgrader *Upgrader, in []byte) {
	t.Helper()
	given := string(in)
	request, refusal := decide(upgrader, in)
	if string(in) != given {
		t.Fatal("the input was changed")
	}
	var h head
	fault := h.parse(in)
	switch {
	case fault != nil && refusal == nil && len(in) <= MaxHead:
		t.Fatalf("accepted in spite of %q", fault.Text())
	case fault == nil:
		if HeadEnd(in, 0) != len(in) {
			t.Fatal("read as a head, but HeadEnd sees it otherwise")
		}
		checkAgainstNetHTTP(t, in, &h)
	}
	if refusal != nil {
		parseResponse(t, string(h.method), refusal.Append(nil))
		return
	}
	if request.Kind == Upgrade && request.User != "alice" {
		t.Fatalf("let %q in", request.User)
	}
}

// checkAgainstNetHTTP: two readings of one head must not differ.
func checkAgainstNetHTTP(t *testing.T, in []byte, h *head) {
	t.Helper()
	if path := string(h.path); path != "/ws" && path != "/health" && path != "/health/ready" && path != "/health/live" {
		return // refused with 404; net/http needn't like the path
	}
	reader := bufio.NewReader(bytes.NewReader(in))
	want, err := http.ReadRequest(reader)
	if err != nil {
		t.Fatalf("net/http refuses it: %v", err)
	}
	if n := reader.Buffered(); n > 0 {
		t.Fatalf("net/http sees %d bytes behind it", n)
	}
	if want.Method != string(h.method) || want.URL.Path != string(h.path) || want.URL.RawQuery != string(h.query) || want.Host != string(h.host) {
		t.Fatalf("net/http reads %s %s?%s for %q; here %s %s?%s for %q", want.Method, want.URL.Path, want.URL.RawQuery, want.Host,
			h.method, h.path, h.query, h.host)
	}
	if want.ContentLength != 0 || len(want.TransferEncoding) > 0 {
		t.Fatalf("net/http sees a body of %d, %q", want.ContentLength, want.TransferEncoding)
	}
	if key := want.Header.Get("Sec-Websocket-Key"); h.key.count == 1 && key != string(h.key.value) {
		t.Fatalf("net/http reads the key %q, here %q", key, h.key.value)
	}
	if values := want.Header["Origin"]; len(values) != h.origin.count {
		t.Fatalf("net/http reads %d origins, here %d", len(values), h.origin.count)
	}
}

// TestAuthorities compares what passes as an authority with net/url.
func TestAuthorities(t *testing.T) {
	t.Parallel()
	for _, good := range []string{"h", "h:", "h:80", "a.example:8081", "127.0.0.1", "[::1]", "[::1]:80", "a_b", "xn--bcher-kva.example."} {
		u, err := url.Parse("http://" + good + "/")
		if !validAuthority([]byte(good)) || err != nil || u.Host != good {
			t.Errorf("%q: %v, net/url %v", good, validAuthority([]byte(good)), err)
		}
	}
	for _, bad := range []string{"", ":", ":80", "h:80:80", "h:x", "u@h", "[::1", "::1", "::1]", "[::1]x", "[]", "[::1]:x", "[1.2.3.4]", "h/", "h?", "h%41", "h i", "h\\"} {
		if validAuthority([]byte(bad)) {
			t.Errorf("%q passes", bad)
		}
	}
}
