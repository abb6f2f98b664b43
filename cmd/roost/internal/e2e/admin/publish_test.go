package admin

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/legacy"

	"roost/cmd/roost/internal/e2e"
	"roost/cmd/roost/internal/roosttest"
)

const adminToken = "0123456789abcdef"

// publishClient posts to /publish, and holds each request and answer against the description that the server gives of it.
type publishClient struct {
	t      *testing.T
	server *roosttest.Server
	router routers.Router
	again  int // requests that were sent again
}

func newPublishClient(t *testing.T, server *roosttest.Server) *publishClient {
	t.Helper()
	_, description := server.Get("/openapi.yaml")
	document, err := openapi3.NewLoader().LoadFromData(description)
	if err != nil {
		t.Fatalf("%v in %s", err, description)
	}
	if err := document.Validate(t.Context()); err != nil {
		t.Fatal(err)
	}
	document.Servers = openapi3.Servers{{URL: "http://" + server.HTTP}}
	router, err := legacy.NewRouter(document)
	if err != nil {
		t.Fatal(err)
	}
	return &publishClient{t: t, server: server, router: router}
}

// patient uses no connection that the server may be closing, and sends no body before it is asked for where a request says so, however long
// that takes.
var patient = &http.Client{Transport: &http.Transport{DisableKeepAlives: true, ExpectContinueTimeout: roosttest.Limit}}

// exchange sends a request, again where Redis did not answer the server in its five seconds, for which a busy machine may stand still. It
// returns how often it was sent again.
func exchange(t *testing.T, request func() *http.Request) (response *http.Response, body []byte, again int) {
	t.Helper()
	again = -1
	roosttest.WaitFor(t, "an answer for which Redis has the time", func() bool {
		var err error
		if response, err = patient.Do(request()); err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		if body, err = io.ReadAll(response.Body); err != nil {
			t.Fatal(err)
		}
		again++
		return response.StatusCode != http.StatusServiceUnavailable || !strings.Contains(string(body), `"uncertain":true`)
	})
	return response, body, again
}

// post sends a body, and headers with their values. It fails the test where the answer is not as described, and where the server takes what is described
// otherwise. The server may refuse things that are described loosely, such as the length of a name in bytes.
func (c *publishClient) post(body, kind, token string, headers ...string) (code int, says string) {
	c.t.Helper()
	request := func() *http.Request {
		r, err := http.NewRequestWithContext(c.t.Context(), http.MethodPost, "http://"+c.server.HTTP+"/publish", strings.NewReader(body))
		if err != nil {
			c.t.Fatal(err)
		}
		r.Header.Set("Content-Type", kind)
		if len(body) > 1<<20 { // too much: the answer comes first, and may be lost if the server closes while the body is still being sent
			r.Header.Set("Expect", "100-continue")
		}
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		for i := 0; i+1 < len(headers); i += 2 {
			r.Header.Add(headers[i], headers[i+1])
		}
		return r
	}
	described := request()
	route, parameters, err := c.router.FindRoute(described)
	if err != nil {
		c.t.Fatal(err)
	}
	input := &openapi3filter.RequestValidationInput{
		Request: described, PathParams: parameters, Route: route,
		Options: &openapi3filter.Options{AuthenticationFunc: func(context.Context, *openapi3filter.AuthenticationInput) error { return nil }},
	}
	wrong := openapi3filter.ValidateRequest(c.t.Context(), input)
	response, answer, again := exchange(c.t, request)
	c.again += again
	if response.StatusCode == http.StatusOK && wrong != nil {
		c.t.Errorf("%.200s: the server takes what is not described: %v", body, wrong)
	}
	err = openapi3filter.ValidateResponse(c.t.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: input, Status: response.StatusCode, Header: response.Header,
		Body: io.NopCloser(bytes.NewReader(answer)), Options: &openapi3filter.Options{IncludeResponseStatus: true},
	})
	if err != nil {
		c.t.Errorf("%.200s: the answer is not described: %v", body, err)
	}
	return response.StatusCode, string(answer)
}

func TestPublish(t *testing.T) {
	t.Parallel()
	redis, server := e2e.Start(t, roosttest.Env{"HTTP_TOKEN": adminToken, "WS_MAX_NOTIFICATION_SIZE": "1000"})
	client := newPublishClient(t, server.WithToken(adminToken))
	const hello = `{"type":"greeting","payload":{"n":1.50}}`
	for _, tt := range []struct {
		name, body, kind, token string
		code                    int
		says                    string
	}{
		{name: "a user", body: `{"user":"bob","notification":` + hello + `}`, code: 200, says: `{"published":1,"receivers":[1]}`},
		{name: "another type", body: `{"user":"bob","notification":` + hello + `}`, kind: "text/plain", code: 415},
		{name: "no token", body: `{"user":"bob","notification":` + hello + `}`, token: "-", code: 401, says: "HTTP_TOKEN"},
		{name: "no JSON", body: `{`, code: 400},
		{name: "too much", body: `[` + strings.Repeat(" ", 1<<20) + `]`, code: 413},
		{name: "no type", body: `[{"user":"bob","notification":` + hello + `},{"user":"bob","notification":{"payload":1}}]`, code: 422, says: `"index":1`},
		{name: "Roost's own type", body: `{"user":"bob","notification":{"type":"_gap"}}`, code: 422, says: "type_reserved"},
		{name: "a page's own type", body: `{"user":"bob","notification":{"type":"ping"}}`, code: 422, says: "reserved"},
		{name: "too big", body: `{"user":"bob","notification":{"type":"x","payload":"` + strings.Repeat("x", 1000) + `"}}`, code: 422, says: "WS_MAX_NOTIFICATION_SIZE"},
		{name: "a channel", body: `{"user":"user_noti:bob","notification":{"type":"x"}}`, code: 422, says: "a channel"},
		{name: "everyone as a user", body: `{"user":"user_noti_all","notification":{"type":"x"}}`, code: 422, says: "a channel"},
		{name: "a control character", body: `{"group":"a\u0007","notification":{"type":"x"}}`, code: 422, says: "control characters"},
		{name: "a long name", body: `{"user":"` + strings.Repeat("x", 256) + `","notification":{"type":"x"}}`, code: 422, says: "255"},
		{name: "a code of Roost's", body: `{"user":"bob","disconnect":{"code":1006}}`, code: 422, says: "code"},
		{name: "no connection", body: `{"user":"bob","notification":{"type":"x","only":"me"}}`, code: 422, says: "only_invalid"},
		{name: "a connection", body: `{"user":"bob","notification":{"type":"x","except":["q83vEjRWeJA"]}}`, code: 200},
		{name: "a group of no name", body: `{"user":"bob","join":["a",""]}`, code: 422, says: "control characters"},
		{name: "groups that are none", body: `{"user":"bob","leave":{"a":1}}`, code: 422, says: "not a list of names"},
		{name: "an unknown member", body: `{"user":"bob","ttl":5,"notification":{"type":"x"}}`, code: 422, says: "ttl"},
	} {
		kind, token := "application/json", adminToken
		if tt.kind != "" {
			kind = tt.kind
		}
		if tt.token != "" {
			token = strings.Trim(tt.token, "-")
		}
		if code, says := client.post(tt.body, kind, token); code != tt.code || !strings.Contains(says, tt.says) {
			t.Errorf("%s: %d %s, want %d and %q", tt.name, code, says, tt.code, tt.says)
		}
	}
	if got := redis.Publish("user_noti:nobody", "x"); got != 1 {
		t.Fatalf("%d servers", got)
	}
	metrics := server.WithToken(adminToken).Metrics()
	if metrics[`roost_publish_requests_total{code="200"}`] != 2 || metrics[`roost_publish_requests_total{code="422"}`] != 13 ||
		metrics[`roost_publish_publications_total{kind="user"}`] != 2 {
		t.Errorf("counted %v", metrics)
	}
}

// Notifications that are published over HTTP reach clients in order, with the same bytes of type and payload.
func TestPublishReachesClients(t *testing.T) {
	t.Parallel()
	_, server := e2e.Start(t, roosttest.Env{"HTTP_TOKEN": adminToken})
	client := newPublishClient(t, server.WithToken(adminToken))
	alice := server.Connect("alice")
	code, says := client.post(`[
		{"user":"alice","notification":{"type":"a","payload":{"n":1.50,"s":"\u00e9"}}},
		{"user":"bob","notification":{"type":"not for alice"}},
		{"user":"alice","notification":{"type":"b"}},
		{"user":"alice","join":["room:42","hall"],"leave":["lobby"]},
		{"group":"room:42","notification":{"type":"c"}},
		{"user":"alice","leave":["room:42"]}]`, "application/json", adminToken)
	if code != 200 || says != `{"published":6,"receivers":[1,1,1,1,1,1]}`+"\n" {
		t.Errorf("%d %s", code, says)
	}
	got := alice.WaitMessages(3)
	if !strings.HasPrefix(got[2], `{"type":"c"`) {
		t.Errorf("in the group alice got %q", got[2])
	}
	if code, says := client.post(`{"user":"alice","disconnect":{"code":4001,"reason":"bye"}}`, "application/json", adminToken); code != 200 {
		t.Errorf("disconnect: %d %s", code, says)
	}
	if !strings.HasPrefix(got[0], `{"type":"a","payload":{"n":1.50,"s":"\u00e9"},`) || !strings.HasPrefix(got[1], `{"type":"b","payload":null,`) {
		t.Errorf("alice got %q", got)
	}
	if code, reason := alice.WaitClose(); code != 4001 || reason != "bye" {
		t.Errorf("the connection ended with %d %q", code, reason)
	}
	bob := server.Connect("bob")
	if code, says := client.post(`{"everyone":true,"notification":{"type":"all"}}`, "application/json", adminToken); code != 200 {
		t.Errorf("everyone: %d %s", code, says)
	}
	if got := bob.WaitMessages(1); !strings.HasPrefix(got[0], `{"type":"all"`) {
		t.Errorf("bob got %q", got)
	}
}

// While Redis is away the answer says so, and that nothing is published; later it works again.
func TestPublishWithoutRedis(t *testing.T) {
	t.Parallel()
	redis, server := e2e.Start(t, roosttest.Env{"HTTP_TOKEN": adminToken})
	client := newPublishClient(t, server.WithToken(adminToken))
	const body = `{"user":"alice","notification":{"type":"x"}}`
	redis.Kill()
	server.WaitLine("redis link lost")
	if code, says := client.post(body, "application/json", adminToken); code != 503 || !strings.Contains(says, `"published":0,"uncertain":false`) {
		t.Errorf("without Redis: %d %s", code, says)
	}
	redis.Restart()
	roosttest.WaitFor(t, "Redis to be back", func() bool {
		code, _ := client.post(body, "application/json", adminToken)
		return code == 200
	})
}

// What a request with an idempotency key is answered is described, and so are the keys that are taken.
func TestPublishIdempotencyKey(t *testing.T) {
	t.Parallel()
	_, server := e2e.Start(t, roosttest.Env{"HTTP_TOKEN": adminToken})
	client := newPublishClient(t, server.WithToken(adminToken))
	const body = `{"user":"alice","notification":{"type":"x"}}`
	longest := strings.Repeat("k", 255)
	for _, tt := range []struct {
		name, body string
		keys       []string
		code       int
		says       string
	}{
		{name: "the first", body: body, keys: []string{"a"}, code: 200},
		{name: "again", body: body, keys: []string{"a"}, code: 200},
		{name: "quoted", body: body, keys: []string{`"a"`}, code: 200},
		{name: "spaced out", body: "[ \n" + body + " ]", keys: []string{"b"}, code: 200},
		{name: "of another request", body: "[" + body + "]", keys: []string{"a"}, code: 422, says: `Idempotency-Key \"a\" came before with another body`},
		{name: "as long as it may be", body: body, keys: []string{longest}, code: 200},
		{name: "as long as it may be, quoted", body: body, keys: []string{`"` + longest[1:] + `"`}, code: 200},
		{name: "too long", body: body, keys: []string{longest + "k"}, code: 400, says: "255"},
		{name: "empty", body: body, keys: []string{""}, code: 400, says: "1 to 255"},
		{name: "no ASCII", body: body, keys: []string{"ä"}, code: 400, says: "ASCII"},
		{name: "not closed", body: body, keys: []string{`"a`}, code: 400, says: "quotation mark"},
		{name: "two", body: body, keys: []string{"a", "a"}, code: 400, says: "more than once"},
		{name: "1,000", body: "[" + strings.TrimSuffix(strings.Repeat(body+",", 1000), ",") + "]", keys: []string{"c"}, code: 200, says: `{"published":1000,`},
		{name: "1,000 again", body: "[" + strings.TrimSuffix(strings.Repeat(body+",", 1000), ",") + "]", keys: []string{"c"}, code: 200, says: `{"published":1000,`},
	} {
		var headers []string
		for _, key := range tt.keys {
			headers = append(headers, "Idempotency-Key", key)
		}
		if code, says := client.post(tt.body, "application/json", adminToken, headers...); code != tt.code || !strings.Contains(says, tt.says) {
			t.Errorf("%s: %d %.300s, want %d and %q", tt.name, code, says, tt.code, tt.says)
		}
	}
	metrics := server.WithToken(adminToken).Metrics()
	if client.again == 0 && (metrics["roost_publish_repeats_total"] != 3 || metrics.Sum("roost_publish_publications_total") != 1004) {
		t.Errorf("counted %v repeats and %v publications", metrics["roost_publish_repeats_total"], metrics.Sum("roost_publish_publications_total"))
	}
}

// Without HTTP_TOKEN nobody publishes, this machine neither.
func TestPublishWithoutToken(t *testing.T) {
	t.Parallel()
	_, server := e2e.Start(t, nil)
	client := newPublishClient(t, server.WithToken(adminToken))
	if code, says := client.post(`{"user":"alice","notification":{"type":"x"}}`, "application/json", adminToken); code != 403 || !strings.Contains(says, "set HTTP_TOKEN") {
		t.Errorf("%d %s", code, says)
	}
}

// A traceparent of the request, or of a notification, goes through to clients.
func TestPublishTraceparent(t *testing.T) {
	t.Parallel()
	_, server := e2e.Start(t, roosttest.Env{"HTTP_TOKEN": adminToken})
	alice := server.Connect("alice")
	const own, request = "00-11111111111111111111111111111111-b7ad6b7169203331-01", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	for n, header := range []string{request, "00-broken\xff"} {
		body := `[{"user":"alice","notification":{"type":"a"}},{"user":"alice","notification":{"type":"b","traceparent":"` + own + `"}}]`
		publish := func() *http.Request {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+server.HTTP+"/publish", strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			r.Header = http.Header{"Content-Type": {"application/json"}, "Authorization": {"Bearer " + adminToken}, "Traceparent": {header},
				"Idempotency-Key": {fmt.Sprint(n)}} // sent again, it is published once
			return r
		}
		if response, answer, _ := exchange(t, publish); response.StatusCode != http.StatusOK {
			t.Fatalf("%s %s", response.Status, answer)
		}
	}
	got := alice.WaitMessages(4)
	if !strings.HasSuffix(got[0], `Z","traceparent":"`+request+`"}`) || !strings.HasSuffix(got[1], `,"traceparent":"`+own+`"}`) ||
		strings.Contains(got[2], "traceparent") || !strings.HasSuffix(got[3], `"`+own+`"}`) {
		t.Errorf("got %q", got)
	}
}
