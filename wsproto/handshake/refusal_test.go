package handshake

import (
	"strings"
	"testing"
	"time"
)

func TestReasonsHaveNames(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for i := range RefusalReasonCount {
		name := RefusalReason(i).String()
		if name == "" || seen[name] || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz_") != "" {
			t.Errorf("reason %d is called %q", i, name)
		}
		seen[name] = true
	}
	if name := RefusalReason(RefusalReasonCount).String(); name != "unknown" {
		t.Errorf("beyond the end: %q", name)
	}
}

func TestReadyRefusals(t *testing.T) {
	t.Parallel()
	tests := []struct {
		refusal *Refusal
		status  int
		reason  RefusalReason
		retry   string
	}{
		{RefuseHeadTooLarge(), 431, ReasonHeadTooLarge, ""},
		{RefuseTimeout(), 408, ReasonHandshakeTimeout, ""},
		{RefuseFull(0), 503, ReasonFull, "1"},
		{RefuseFull(-time.Minute), 503, ReasonFull, "1"},
		{RefuseFull(1001 * time.Millisecond), 503, ReasonFull, "2"},
		{RefuseDraining(30 * time.Second), 503, ReasonDraining, "30"},
		{RefuseProxyMissing(), 400, ReasonProxyMissing, ""},
		{RefuseProxyInvalid(), 400, ReasonProxyInvalid, ""},
		{RefuseProxyUntrusted(), 400, ReasonProxyUntrusted, ""},
		{RefusePlainHTTP(), 400, ReasonPlainHTTP, ""},
		{RefuseEarly(), 400, ReasonBadRequest, ""},
		{RefuseOpenFiles(3 * time.Second), 503, ReasonOpenFiles, "3"},
		{RefuseUserFull(3 * time.Second), 429, ReasonUserFull, "3"},
		{RefuseAddressFull(3 * time.Second), 429, ReasonAddressFull, "3"},
		{RefuseBusy(3 * time.Second), 503, ReasonHandshakeRate, "3"},
		{RefuseChecksFull(3 * time.Second), 503, ReasonChecksFull, "3"},
		{RefuseKeyPending(3 * time.Second), 503, ReasonKeyPending, "3"},
	}
	for _, test := range tests {
		response, body := parseResponse(t, "GET", test.refusal.Append(nil))
		if test.refusal.Status != test.status || response.StatusCode != test.status || test.refusal.Reason != test.reason {
			t.Errorf("%+v, answer %d; want %d %s", test.refusal, response.StatusCode, test.status, test.reason)
		}
		if got := response.Header.Get("Retry-After"); got != test.retry {
			t.Errorf("%s: Retry-After %q, want %q", test.reason, got, test.retry)
		}
		if !response.Close || body != test.refusal.Text()+"\n" || response.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %+v %q", test.reason, response, body)
		}
	}
}

func TestRefusalAppends(t *testing.T) {
	t.Parallel()
	const want = "before HTTP/1.1 404 Not Found\r\nConnection: close\r\nCache-Control: no-store\r\n" +
		"Content-Type: text/plain; charset=utf-8\r\nContent-Length: 41\r\n\r\nnot found: only /ws and /health are here\n"
	if got := string(refuseNotFound.Append([]byte("before "))); got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestHeadGetsNoBody(t *testing.T) {
	t.Parallel()
	upgrader := newUpgrader(t, Config{})
	for _, head := range [][]byte{
		lines("HEAD / HTTP/1.1", "Host: h"),
		lines("HEAD /ws HTTP/1.1", "Host: h"),
		lines("HEAD /health HTTP/1.1"),
	} {
		_, refusal := decide(upgrader, head)
		if refusal == nil {
			t.Fatalf("%q accepted", head)
		}
		answer := string(refusal.Append(nil))
		if !strings.HasSuffix(answer, "\r\n\r\n") || !strings.Contains(answer, "Content-Length: ") {
			t.Errorf("%q: %q", head, answer)
		}
	}
	// The shared refusal must not have changed.
	if _, body := parseResponse(t, "GET", refuseNotFound.Append(nil)); body == "" {
		t.Error("GET has no body either now")
	}
}
