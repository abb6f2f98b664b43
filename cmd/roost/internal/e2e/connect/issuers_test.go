package connect

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"roost/cmd/roost/internal/e2e"
	"roost/cmd/roost/internal/roosttest"
)

// publishes is an issuer that publishes a document, on loopback.
func publishes(t *testing.T, document any) (url string) {
	t.Helper()
	text, err := json.Marshal(document)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(text) }))
	t.Cleanup(server.Close)
	return server.URL
}

// with is a JWK with more members.
func with(jwk map[string]string, more map[string]any) map[string]any {
	all := make(map[string]any)
	for name, value := range jwk {
		all[name] = value
	}
	for name, value := range more {
		if value == nil {
			delete(all, name)
			continue
		}
		all[name] = value
	}
	return all
}

// TestIssuersWithFaultyMembers is what Auth0, WSO2, WorkOS and others publish: certificates and thumbprints that are wrong,
// beside keys that are right.
func TestIssuersWithFaultyMembers(t *testing.T) {
	t.Parallel()
	pair := roosttest.NewKeyPair(t, "RS256", "a")
	for name, more := range map[string]map[string]any{
		"a thumbprint of the certificate's text": {"x5t": "NjVBRjY5MDlCMUIwNzU4RTA2QzZFMDQ4QzQ2MDAyQjVDNjk1RTM2Qg", "x5c": []string{"MIIC"}},
		"a thumbprint in hexadecimal":            {"x5t#S256": "65af6909b1b0758e06c6e048c46002b5c695e36b"},
		"a certificate that is none":             {"x5c": []string{"-----BEGIN CERTIFICATE-----"}},
		"a certificate that is no list":          {"x5c": "MIIC", "x5u": ""},
		"an address without a certificate":       {"x5u": "http://", "x5t": nil},
		"no alg and no use":                      {"alg": nil, "use": nil},
		"more than RFC 7517 has":                 {"exp": "never", "issuer": "https://id.example", "key_ops": "verify"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := publishes(t, map[string]any{"keys": []any{
				with(pair.JWK(), more), with(pair.JWK(), map[string]any{"kid": "b", "use": "enc", "alg": "RSA-OAEP"}),
			}})
			_, server := e2e.Start(t, roosttest.Env{"JWT_SECRET_KEY": "", "JWT_JWKS_URL": url, "JWT_AUDIENCE": "roost"})
			token := pair.Sign(t, "a", roosttest.Claims{"sub": "alice", "aud": "roost", "exp": time.Now().Add(time.Hour).Unix()})
			line := server.WaitLine("the JWKS has been fetched")
			server.ConnectWith(token, roosttest.Dial{})
			if line.Text("level") != "INFO" {
				t.Errorf("it is logged at %s", line.Text("level"))
			}
			if m := server.Metrics(); m["roost_jwks_keys"] != 1 || m["roost_jwks_keys_left_out"] != 0 {
				t.Errorf("%v keys, %v left out", m["roost_jwks_keys"], m["roost_jwks_keys_left_out"])
			}
		})
	}
}

// TestKeysThatAreLeftOut wants a key that looks usable and is not to be told of wherever somebody may look.
func TestKeysThatAreLeftOut(t *testing.T) {
	t.Parallel()
	used, left := roosttest.NewKeyPair(t, "EdDSA", "used"), roosttest.NewKeyPair(t, "ES384", "left")
	url := publishes(t, map[string]any{"keys": []any{used.JWK(), left.JWK()}})
	env := roosttest.Env{"JWT_SECRET_KEY": "", "JWT_JWKS_URL": url}
	_, server := e2e.Start(t, env)
	line := server.WaitLine("the JWKS has been fetched, and has keys that can't be used: tokens of these are refused", "level", "WARN")
	const why = "it is for ES384, and JWT_ALGORITHMS has only HS256, RS256, ES256, EdDSA"
	if said, _ := json.Marshal(line["left_out"]); !strings.Contains(string(said), why) || !strings.Contains(string(said), `left`) {
		t.Errorf("the log says %s", said)
	}
	server.ConnectWith(used.Token(t, "alice"), roosttest.Dial{})
	answer := server.Dial().Ask(roosttest.Head(left.Token(t, "bob")))
	if answer.StatusCode != http.StatusUnauthorized || !strings.Contains(answer.Text, why) || !strings.Contains(answer.Header.Get("WWW-Authenticate"), why) {
		t.Errorf("answered %s %q %q", answer.Status, answer.Text, answer.Header)
	}
	if m := server.Metrics(); m["roost_jwks_keys"] != 1 || m["roost_jwks_keys_left_out"] != 1 {
		t.Errorf("%v keys, %v left out", m["roost_jwks_keys"], m["roost_jwks_keys_left_out"])
	}
	env["JWT_ALGORITHMS"] = "EdDSA,ES384"
	_, server = e2e.Start(t, env)
	server.ConnectWith(left.Token(t, "bob"), roosttest.Dial{})
}

// TestTokenAlgorithms runs servers that allow other algorithms, with keys of a file and with a secret.
func TestTokenAlgorithms(t *testing.T) {
	t.Parallel()
	for _, alg := range []string{"RS512", "PS256", "ES512"} {
		pair := roosttest.NewKeyPair(t, alg, "")
		file := e2e.KeyFile(t, "\ufeff"+strings.ReplaceAll(pair.PEM(t), "\n", "\r\n"))
		_, server := e2e.Start(t, roosttest.Env{"JWT_PUBLIC_KEY_FILE": file, "JWT_ALGORITHMS": "HS512," + alg})
		server.ConnectWith(pair.Token(t, "alice"), roosttest.Dial{})
		server.ConnectWith(roosttest.Sign(t, "HS512", roosttest.Secret, roosttest.Claims{"sub": "bob", "exp": time.Now().Add(time.Hour).Unix()}), roosttest.Dial{})
		answer := server.Dial().Ask(roosttest.Head(roosttest.Token(t, "carol"))) // HS256
		if want := "right is HS512 or " + alg; answer.StatusCode != http.StatusUnauthorized || !strings.Contains(answer.Text, want) {
			t.Errorf("HS256 is answered %s %q, want %s", answer.Status, answer.Text, want)
		}
	}
}

// TestUserClaim has the user id elsewhere than in sub, and a sub that is no string.
func TestUserClaim(t *testing.T) {
	t.Parallel()
	redis, server := e2e.Start(t, roosttest.Env{"JWT_USER_CLAIM": "user.id"})
	exp := time.Now().Add(time.Hour).Unix()
	sign := func(claims roosttest.Claims) string {
		claims["exp"] = exp
		return roosttest.Sign(t, "HS256", roosttest.Secret, claims)
	}
	alice := server.ConnectWith(sign(roosttest.Claims{"sub": "1", "user": map[string]any{"id": "alice"}}), roosttest.Dial{})
	row := server.ConnectWith(sign(roosttest.Claims{"user": map[string]any{"id": 42}}), roosttest.Dial{})
	e2e.Notify(redis, "alice", e2e.Numbered(1))
	e2e.Notify(redis, "42", e2e.Numbered(1))
	alice.WaitMessages(1)
	row.WaitMessages(1)
	if answer := server.Dial().Ask(roosttest.Head(sign(roosttest.Claims{"sub": "alice"}))); answer.StatusCode != http.StatusUnauthorized ||
		!strings.Contains(answer.Text, "token without user.id") {
		t.Errorf("answered %s %q", answer.Status, answer.Text)
	}
	_, plain := e2e.Start(t, nil)
	if answer := plain.Dial().Ask(roosttest.Head(sign(roosttest.Claims{"sub": 42}))); answer.StatusCode != http.StatusUnauthorized ||
		!strings.Contains(answer.Text, "token with a sub that is no string: it has to be a string, in quotes") {
		t.Errorf("a sub that is a number is answered %s %q", answer.Status, answer.Text)
	}
}

// TestTokenCommandFollowsTheSettings wants `roost token` to print what a server with the same settings takes.
func TestTokenCommandFollowsTheSettings(t *testing.T) {
	t.Parallel()
	env := roosttest.Env{"JWT_ALGORITHMS": "RS256,HS384", "JWT_USER_CLAIM": "https://app.example/user.id", "JWT_ISSUER": "https://id.example", "JWT_AUDIENCE": "roost,push"}
	_, server := e2e.Start(t, env)
	env["JWT_SECRET_KEY"] = roosttest.Secret
	p := roosttest.Run(t, roosttest.Command{Args: []string{"token", "alice"}, Env: env})
	if code := p.Wait(); code != 0 {
		t.Fatalf("ended with %d: %s", code, p.Stderr.String())
	}
	server.ConnectWith(strings.TrimSpace(p.Log.String()), roosttest.Dial{})
	if line := server.WaitLine("connected"); line.Text("user_id") != "alice" {
		t.Errorf("connected as %s", line.Text("user_id"))
	}
}
