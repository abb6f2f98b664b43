package handshake

import (
	"bytes"
	"testing"
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
