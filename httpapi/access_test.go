package httpapi

import (
	"context"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestAccess(t *testing.T) {
	t.Parallel()
	const token = "0123456789abcdef"
	why := func(context.Context, string) (Why, error) { return Why{}, nil }
	header := func(name, value string) http.Header { return http.Header{name: {value}} }
	const local, away = "127.0.0.1:1000", "192.0.2.7:1000"
	for _, tt := range []struct {
		name, token, path, peer, host string
		proto10                       bool
		header                        http.Header
		status                        int
	}{
		{name: "health from anywhere", path: "/health", peer: away, status: 200},
		{name: "numbers from anywhere", path: "/metrics", peer: away, status: 200},
		{name: "users from here", path: "/why?user=a", peer: local, status: 200},
		{name: "users from here by IPv6", path: "/why?user=a", peer: "[::1]:1000", host: "[::1]:8082", status: 200},
		{name: "users from here, mapped", path: "/why?user=a", peer: "[::ffff:127.0.0.1]:1000", status: 200},
		{name: "users from anywhere", path: "/why?user=a", peer: away, status: 403},
		{name: "users through a proxy here", path: "/why?user=a", peer: local, header: header("X-Forwarded-For", "192.0.2.7"), status: 403},
		{name: "users under another name for here", path: "/why?user=a", peer: local, host: "evil.example:8082", status: 403},
		{name: "users from another site's page", path: "/why?user=a", peer: local, header: header("Sec-Fetch-Site", "cross-site"), status: 403},
		{name: "users through a proxy that speaks HTTP/1.0", path: "/why?user=a", peer: local, proto10: true, status: 403},
		{name: "a peer without address", path: "/why?user=a", peer: "@", status: 403},

		{name: "health without the token", token: token, path: "/health", peer: away, status: 200},
		{name: "numbers without the token", token: token, path: "/metrics", peer: local, status: 401},
		{name: "users without the token", token: token, path: "/why?user=a", peer: local, status: 401},
		{name: "a wrong token", token: token, path: "/metrics", peer: local, header: header("Authorization", "Bearer "+token+"0"), status: 401},
		{name: "an empty token", token: token, path: "/metrics", peer: local, header: header("Authorization", "Bearer "), status: 401},
		{name: "another scheme", token: token, path: "/metrics", peer: local, header: header("Authorization", "Basic "+token), status: 401},
		{name: "numbers with the token", token: token, path: "/metrics", peer: away, header: header("Authorization", "Bearer "+token), status: 200},
		{name: "the scheme in another case", token: token, path: "/metrics", peer: away, header: header("Authorization", "bearer "+token), status: 200},
		{name: "the scheme in capitals, and spaces", token: token, path: "/metrics", peer: away, header: header("Authorization", "BEARER   "+token), status: 200},
		{name: "the token alone", token: token, path: "/metrics", peer: away, header: header("Authorization", token), status: 401},
		{name: "the scheme and the token in one", token: token, path: "/metrics", peer: away, header: header("Authorization", "Bearer"+token), status: 401},
		{name: "users with the token", token: token, path: "/why?user=a", peer: away, header: header("Authorization", "Bearer "+token), status: 200},
		{name: "the page with the token as a password", token: token, path: "/", peer: away, header: header("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte("me:"+token))), status: 200},
		{name: "the page with a wrong password", token: token, path: "/", peer: away, header: header("Authorization", "Basic bWU6eA=="), status: 401},
		{name: "the page without the token", token: token, path: "/", peer: local, status: 401},
		{name: "the page's numbers without the token", token: token, path: "/console.json", peer: local, status: 401},
		{name: "the page", path: "/", peer: away, status: 200},
		{name: "nothing there", token: token, path: "/nothing", peer: away, status: 404},
	} {
		s := New(Config{Stats: someStats, Why: why, Token: tt.token, Console: true})
		r := httptest.NewRequest("GET", tt.path, nil)
		r.RemoteAddr, r.Host = tt.peer, "localhost:8082"
		if tt.proto10 {
			r.Proto, r.ProtoMinor = "HTTP/1.0", 0
		}
		if tt.host != "" {
			r.Host = tt.host
		}
		if tt.header != nil {
			r.Header = tt.header
		}
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, r)
		if w.Code != tt.status {
			t.Errorf("%s: %d, want %d: %s", tt.name, w.Code, tt.status, w.Body)
		}
		if (w.Code == 401) != (w.Header().Get("WWW-Authenticate") != "") {
			t.Errorf("%s: %d with %q", tt.name, w.Code, w.Header())
		}
	}
}
