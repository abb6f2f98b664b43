package handshake

import (
	"bytes"
	"testing"
	"time"
	"unsafe"

	"github.com/golang-jwt/jwt/v5"
)

func TestAppendHealth(t *testing.T) {
	t.Parallel()
	upgrader := newUpgrader(t, Config{})
	const body = `{"status":"healthy"}`
	answer := func(method string, status int) []byte {
		request, refusal := decide(upgrader, lines(method+" /health HTTP/1.0"))
		if refusal != nil {
			t.Fatal(refusal.Text())
		}
		return request.AppendHealth(nil, status, []byte(body))
	}

	for _, status := range []int{200, 503} {
		response, got := parseResponse(t, "GET", answer("GET", status))
		if response.StatusCode != status || got != body || !response.Close || response.Header.Get("Content-Type") != "application/json" {
			t.Errorf("GET %d: %+v %q", status, response, got)
		}
	}
	head, _ := parseResponse(t, "HEAD", answer("HEAD", 200))
	if head.StatusCode != 200 || head.ContentLength != int64(len(body)) || !head.Close {
		t.Errorf("HEAD: %+v", head)
	}
	if bytes.Contains(answer("HEAD", 200), []byte(body)) {
		t.Error("HEAD got the body")
	}
	options, _ := parseResponse(t, "OPTIONS", answer("OPTIONS", 200))
	if options.StatusCode != 204 || options.Header.Get("Allow") != "GET, HEAD, OPTIONS" || options.Header.Get("Content-Length") != "" {
		t.Errorf("OPTIONS: %+v", options)
	}
}

// RFC 9112 section 4: a status line without a phrase still has the space before it.
func TestStatusWithoutPhrase(t *testing.T) {
	t.Parallel()
	if got := string(appendStatus(nil, 299)); got != "HTTP/1.1 299 \r\n" {
		t.Errorf("%q", got)
	}
}

func TestRequestSize(t *testing.T) {
	t.Parallel()
	upgrader := newUpgrader(t, Config{EventStreams: true})
	token := sign(t, jwt.MapClaims{"sub": "alice", "exp": testNow.Add(time.Hour).Unix(), "groups": []string{"g1", "g22"}})
	request, refusal := upgrader.Read(streamHead("GET", "/sse?token="+token+"&since=abc", "Origin: https://a.example"))
	if refusal != nil {
		t.Fatal(refusal.Text())
	}
	if got, want := request.Size(), len(token)+len("abc")+len("https://a.example"); got != want {
		t.Errorf("%d bytes before the token is checked, want %d", got, want)
	}
	if refusal, _ := upgrader.Identify(&request, testNow); refusal != nil {
		t.Fatal(refusal.Text())
	}
	header := int(unsafe.Sizeof(""))
	if got, want := request.Size(), len("alice")+len("abc")+len("https://a.example")+2*header+len("g1")+len("g22"); got != want {
		t.Errorf("%d bytes after, want %d; groups %q", got, want, request.Groups)
	}
}

func TestOffersProtocol(t *testing.T) {
	t.Parallel()
	upgrader := newUpgrader(t, Config{})
	for offered, want := range map[string]bool{Protocol: true, "chat, " + Protocol: true, "chat": false} {
		request, refusal := upgrader.Read(upgradeHead("/ws?token=x", "Sec-WebSocket-Protocol: "+offered))
		if refusal != nil || request.OffersProtocol() != want {
			t.Errorf("%q: %v, refusal %+v", offered, request.OffersProtocol(), refusal)
		}
	}
}

func TestAnswersAllocateNothing(t *testing.T) {
	var request Request
	copy(request.key[:], testKey)
	dst := make([]byte, 0, 1024)
	body := []byte("{}")
	full := RefuseFull(0)
	if n := testing.AllocsPerRun(100, func() {
		request.AppendUpgrade(dst)
		request.AppendHealth(dst, 200, body)
		full.Append(dst)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
