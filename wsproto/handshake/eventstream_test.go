package handshake

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"roost/wsproto"
)

// streamHead is a request for an event stream, with a method, a target and more headers.
func streamHead(method, target string, more ...string) []byte {
	return lines(append([]string{method + " " + target + " HTTP/1.1", "Host: roost.example"}, more...)...)
}

func TestReadEventStream(t *testing.T) {
	t.Parallel()
	const id, older = "abcDEF0123456789-_.zz", "older"
	upgrader := newUpgrader(t, Config{EventStreams: true, AllowedOrigins: []string{"https://a.example"}})
	for name, test := range map[string]struct {
		head   []byte
		kind   Kind
		since  string
		status int // 0: it goes on
		reason RefusalReason
	}{
		"token in the query":       {head: streamHead("GET", "/sse?token=x"), kind: EventStream},
		"token in a header":        {head: streamHead("GET", "/sse", "Authorization: Bearer x"), kind: EventStream},
		"HTTP/1.0":                 {head: lines("GET /sse?token=x HTTP/1.0"), kind: EventStream},
		"position in the query":    {head: streamHead("GET", "/sse?token=x&since="+id), kind: EventStream, since: id},
		"Last-Event-ID":            {head: streamHead("GET", "/sse?token=x", "Last-Event-ID: "+id), kind: EventStream, since: id},
		"Last-Event-ID is newer":   {head: streamHead("GET", "/sse?token=x&since="+older, "LAST-event-id: "+id), kind: EventStream, since: id},
		"an empty one says none":   {head: streamHead("GET", "/sse?token=x&since="+older, "Last-Event-ID:"), kind: EventStream, since: older},
		"Last-Event-ID of another": {head: streamHead("GET", "/sse?token=x&since="+older, "Last-Event-ID: a b"), kind: EventStream, since: UnknownPosition},
		"allowed origin":           {head: streamHead("GET", "/sse?token=x", "Origin: https://a.example"), kind: EventStream},
		"preflight":                {head: streamHead("OPTIONS", "/sse", "Origin: https://a.example"), kind: Preflight},
		"other origin":             {head: streamHead("GET", "/sse?token=x", "Origin: https://b.example"), status: 403, reason: ReasonOrigin},
		"preflight of another":     {head: streamHead("OPTIONS", "/sse", "Origin: https://b.example"), status: 403, reason: ReasonOrigin},
		"other method":             {head: streamHead("POST", "/sse?token=x"), status: 405, reason: ReasonMethod},
		"it was told to stay away": {head: streamHead("GET", "/sse?token=x", "Last-Event-ID: "+wsproto.EndedID), status: 204, reason: ReasonEnded},
		"no token":                 {head: streamHead("GET", "/sse"), status: 401, reason: ReasonTokenMissing},
		"other path":               {head: streamHead("GET", "/sse/"), status: 404, reason: ReasonNotFound},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			request, refusal := upgrader.Read(test.head)
			if test.status != 0 {
				if refusal == nil || refusal.Status != test.status || refusal.Reason != test.reason {
					t.Fatalf("refusal %+v, want %d %s", refusal, test.status, test.reason)
				}
				return
			}
			if refusal != nil || request.Kind != test.kind || request.Since != test.since {
				t.Errorf("kind %d, since %q, refusal %+v; want %d, %q", request.Kind, request.Since, refusal, test.kind, test.since)
			}
		})
	}
}

func TestEventStreamIsIdentified(t *testing.T) {
	t.Parallel()
	upgrader := newUpgrader(t, Config{EventStreams: true})
	request, refusal := upgrader.Read(streamHead("GET", "/sse?token="+goodToken(t, "alice")))
	if refusal != nil {
		t.Fatal(refusal.Text())
	}
	if refusal, later := upgrader.Identify(&request, testNow); refusal != nil || later || request.User != "alice" {
		t.Errorf("%+v, later %v: user %q", refusal, later, request.User)
	}
}

func TestEventStreamsAreOff(t *testing.T) {
	t.Parallel()
	for on, want := range map[bool]string{false: "only /ws and /health", true: "only /ws, /sse and /health"} {
		target := map[bool]string{false: "/sse", true: "/other"}[on]
		_, refusal := newUpgrader(t, Config{EventStreams: on}).Read(streamHead("GET", target))
		if refusal == nil || refusal.Status != 404 || !strings.Contains(refusal.Text(), want) {
			t.Errorf("streams %v, %s: %+v", on, target, refusal)
		}
	}
}

// corsFields are what lets a page of another origin read an answer.
var corsFields = map[string]string{
	"Access-Control-Allow-Origin":      "https://a.example",
	"Access-Control-Allow-Credentials": "true",
	"Access-Control-Expose-Headers":    "Retry-After, WWW-Authenticate",
	"Vary":                             "Origin",
}

// checkFields compares headers; without present none of them may be there.
func checkFields(t *testing.T, got http.Header, want map[string]string, present bool) {
	t.Helper()
	for name, value := range want {
		if !present {
			value = ""
		}
		if got.Get(name) != value {
			t.Errorf("%s: %q, want %q", name, got.Get(name), value)
		}
	}
}

func TestAppendEventStream(t *testing.T) {
	t.Parallel()
	upgrader := newUpgrader(t, Config{EventStreams: true})
	for name, fields := range map[string][]string{"a program": nil, "a page": {"Origin: https://a.example"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			head := streamHead("GET", "/sse?token=x", fields...)
			request, refusal := upgrader.Read(head)
			if refusal != nil {
				t.Fatal(refusal.Text())
			}
			request.Detach()
			clear(head) // from here on nothing may alias it
			response, body := parseResponse(t, "GET", request.AppendEventStream(nil, 1500*time.Millisecond))
			if response.StatusCode != 200 || body != "retry: 1500\n\n" || !response.Close {
				t.Errorf("%+v %q", response, body)
			}
			checkFields(t, response.Header, map[string]string{
				"Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no"}, true)
			checkFields(t, response.Header, corsFields, fields != nil)
		})
	}
}

func TestAppendPreflight(t *testing.T) {
	t.Parallel()
	upgrader := newUpgrader(t, Config{EventStreams: true})
	for name, fields := range map[string][]string{"a program": nil, "a page": {"Origin: https://a.example"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			request, refusal := upgrader.Read(streamHead("OPTIONS", "/sse", fields...))
			if refusal != nil {
				t.Fatal(refusal.Text())
			}
			response, _ := parseResponse(t, "OPTIONS", request.AppendPreflight(nil))
			if response.StatusCode != 204 || !response.Close || response.Header.Get("Allow") != "GET, OPTIONS" {
				t.Errorf("%+v", response)
			}
			checkFields(t, response.Header, corsFields, fields != nil)
			checkFields(t, response.Header, map[string]string{
				"Access-Control-Allow-Methods": "GET",
				"Access-Control-Allow-Headers": "Authorization, Cache-Control, Last-Event-ID",
				"Access-Control-Max-Age":       "7200"}, fields != nil)
		})
	}
}

// An EventSource comes back only after the end of a stream, so a refusal that passes is one.
func TestAppendStreamRefusal(t *testing.T) {
	t.Parallel()
	upgrader := newUpgrader(t, Config{EventStreams: true})
	events, page := "Accept: text/html, text/event-stream", "Origin: https://a.example"
	for name, test := range map[string]struct {
		fields  []string
		refusal *Refusal
		status  int
		body    string
	}{
		"passes, reads events": {[]string{events, page}, RefuseDraining(3 * time.Second), 200,
			"retry: 3000\n\nevent: close\ndata: {\"code\":4503,\"reason\":\"leaving service\"}\n\n"},
		"passes, reads no events": {[]string{"Accept: text/html", page}, RefuseDraining(3 * time.Second), 503, "leaving service\n"},
		"lasts, reads events":     {[]string{events, page}, RefuseUserFull(time.Second), 429, "too many connections of this user\n"},
		"no page":                 {[]string{events}, refuseOrigin, 403, "origin not allowed\n"},
		"ended":                   {[]string{events, page}, refuseEnded, 204, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			request, refusal := upgrader.Read(streamHead("GET", "/sse?token=x", test.fields...))
			if refusal != nil {
				t.Fatal(refusal.Text())
			}
			response, body := parseResponse(t, "GET", request.AppendStreamRefusal(nil, test.refusal))
			if response.StatusCode != test.status || body != test.body || !response.Close {
				t.Errorf("%+v %q, want %d %q", response, body, test.status, test.body)
			}
			checkFields(t, response.Header, corsFields, len(test.fields) > 1)
		})
	}
}

// Only pages of an allowed origin can read why a request was refused.
func TestAllowedPagesReadRefusals(t *testing.T) {
	t.Parallel()
	upgrader := newUpgrader(t, Config{EventStreams: true, AllowedOrigins: []string{"https://a.example"}})
	request, refusal := upgrader.Read(streamHead("GET", "/sse?token=x", "Origin: https://b.example"))
	if refusal == nil || string(request.Origin) != "https://b.example" {
		t.Fatalf("origin %q, refusal %+v", request.Origin, refusal)
	}
	response, _ := parseResponse(t, "GET", request.AppendStreamRefusal(nil, refusal))
	checkFields(t, response.Header, corsFields, false)
	request, refusal = upgrader.Read(streamHead("PUT", "/sse", "Origin: https://a.example"))
	if refusal == nil {
		t.Fatal("PUT passes")
	}
	response, _ = parseResponse(t, "PUT", request.AppendStreamRefusal(nil, refusal))
	checkFields(t, response.Header, corsFields, true)
	checkFields(t, response.Header, map[string]string{"Allow": "GET, OPTIONS"}, true)
}

func TestStreamClientBehindProxy(t *testing.T) {
	t.Parallel()
	upgrader := newUpgrader(t, Config{EventStreams: true, TrustedProxies: []string{"10.0.0.0/8"}})
	request, refusal := upgrader.Read(streamHead("GET", "/sse?token=x", "X-Forwarded-For: 192.0.2.1"))
	if refusal != nil {
		t.Fatal(refusal.Text())
	}
	for peer, want := range map[string]string{"10.1.2.3": "192.0.2.1", "198.51.100.1": "198.51.100.1"} {
		address := netip.MustParseAddr(peer)
		if got := upgrader.Client(&request, address).String(); got != want || upgrader.Trusts(address) != (peer != want) {
			t.Errorf("behind %s the client is %s, want %s; trusted: %v", peer, got, want, upgrader.Trusts(address))
		}
	}
	if got := upgrader.Client(&request, netip.Addr{}); got.IsValid() {
		t.Errorf("behind no address the client is %s", got)
	}
}
