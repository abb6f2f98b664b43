package httpapi

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestDemo(t *testing.T) {
	t.Parallel()
	var published []string
	demo := Demo{
		Socket: "ws://127.0.0.1:1/ws", Script: "export function connect() {}",
		Token: func(user string) (string, error) {
			if user == "" {
				return "", errors.New("who?")
			}
			return "token of " + user, nil
		},
		Publish: func(_ context.Context, user, notification string) error {
			if user == "nobody" {
				return errors.New("nobody is nobody")
			}
			published = append(published, user+" "+notification)
			return nil
		},
	}
	s := newServer(t, Config{Console: true})
	ask := func(method, path, body string, headers ...string) (int, string) {
		r := httptest.NewRequest(method, "http://localhost"+path, strings.NewReader(body))
		r.RemoteAddr = "127.0.0.1:1000"
		r.Header.Set("Content-Type", "application/json")
		for i := 0; i+1 < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, r)
		answer, err := io.ReadAll(w.Result().Body)
		if err != nil {
			t.Fatal(err)
		}
		return w.Code, string(answer)
	}
	for _, path := range []string{"/demo/token", "/demo/publish", "/console/roost.js"} {
		if code, _ := ask("POST", path, `{"user":"alice"}`); code != http.StatusNotFound {
			t.Errorf("%s: %d without a demo", path, code)
		}
	}
	s.OfferDemo(demo)
	for _, tt := range []struct {
		name, method, path, body string
		headers                  []string
		code                     int
		says                     string
	}{
		{name: "the client", method: "GET", path: "/console/roost.js", code: 200, says: "connect"},
		{name: "where to connect", method: "GET", path: "/console.json", code: 200, says: `"demo":"ws://127.0.0.1:1/ws"`},
		{name: "a token", method: "POST", path: "/demo/token", body: `{"user":"alice"}`, code: 200, says: `"token of alice"`},
		{name: "nobody's token", method: "POST", path: "/demo/token", body: `{}`, code: 400, says: "who?"},
		{name: "a token by GET", method: "GET", path: "/demo/token", code: 405, says: "POST, OPTIONS are"},
		{name: "publish", method: "POST", path: "/demo/publish", body: `{"user":"bob","notification":{"type":"x"}}`, code: 200, says: "{}"},
		{name: "to nobody", method: "POST", path: "/demo/publish", body: `{"user":"nobody","notification":{}}`, code: 400, says: "nobody is nobody"},
		{name: "something else", method: "POST", path: "/demo/other", body: `{}`, code: 404},
		{name: "no JSON", method: "POST", path: "/demo/publish", body: `{`, code: 400, says: "is wanted"},
		{name: "too much", method: "POST", path: "/demo/publish", body: `{"user":"` + strings.Repeat("x", maxDemoBody) + `"}`, code: 413, says: "16 KiB"},
		{name: "a form of another site", method: "POST", path: "/demo/token", body: `{"user":"alice"}`, headers: []string{"Content-Type", "text/plain"}, code: 415},
		{name: "another site", method: "POST", path: "/demo/token", body: `{"user":"alice"}`, headers: []string{"Sec-Fetch-Site", "cross-site"}, code: 403},
		{name: "through a proxy", method: "POST", path: "/demo/token", body: `{"user":"alice"}`, headers: []string{"X-Forwarded-For", "192.0.2.1"}, code: 403},
	} {
		if code, answer := ask(tt.method, tt.path, tt.body, tt.headers...); code != tt.code || !strings.Contains(answer, tt.says) {
			t.Errorf("%s: %d %s, want %d and %q in it", tt.name, code, answer, tt.code, tt.says)
		}
	}
	if len(published) != 1 || published[0] != `bob {"type":"x"}` {
		t.Errorf("published %q", published)
	}
}
