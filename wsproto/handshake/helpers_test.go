package handshake

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"roost/wsproto/auth"
)

const (
	testKey    = "dGhlIHNhbXBsZSBub25jZQ==" // RFC 6455 section 1.3
	testAccept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
)

var (
	testNow    = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	testSecret = []byte("a secret of thirty-two bytes or so")
)

// newUpgrader makes one whose tokens have the test secret, unless the configuration says who checks them.
func newUpgrader(t testing.TB, config Config) *Upgrader {
	t.Helper()
	if config.Authenticator == nil {
		config.Authenticator = newAuthenticator(t, auth.Config{})
	}
	upgrader, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	return upgrader
}

// newAuthenticator makes one with the test secret.
func newAuthenticator(t testing.TB, config auth.Config) *auth.Authenticator {
	t.Helper()
	config.Keys.Secret = testSecret
	a, err := auth.New(config)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// sign makes a token of claims with the test secret.
func sign(t testing.TB, claims jwt.MapClaims) string {
	t.Helper()
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString(testSecret)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func goodToken(t testing.TB, user string) string {
	t.Helper()
	return sign(t, jwt.MapClaims{"sub": user, "exp": testNow.Add(time.Hour).Unix()})
}

// lines joins a head out of its lines.
func lines(lines ...string) []byte {
	return []byte(strings.Join(lines, "\r\n") + "\r\n\r\n")
}

// upgradeHead is a request that passes, with a target and more headers.
func upgradeHead(target string, more ...string) []byte {
	return lines(append([]string{
		"GET " + target + " HTTP/1.1",
		"Host: roost.example:8081",
		"Connection: Upgrade",
		"Upgrade: websocket",
		"Sec-WebSocket-Version: 13",
		"Sec-WebSocket-Key: " + testKey,
	}, more...)...)
}

// parseResponse reads an answer the way a client of another make does, and insists
// that nothing follows it.
func parseResponse(t testing.TB, method string, answer []byte) (*http.Response, string) {
	t.Helper()
	reader := bufio.NewReader(bytes.NewReader(answer))
	response, err := http.ReadResponse(reader, &http.Request{Method: method})
	if err != nil {
		t.Fatalf("%q: %v", answer, err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatalf("%q: %v", answer, err)
	}
	if rest, _ := io.ReadAll(reader); len(rest) > 0 {
		t.Fatalf("%q: %q behind the answer", answer, rest)
	}
	return response, string(body)
}

// decide asks the upgrader the way a loop does.
func decide(upgrader *Upgrader, head []byte) (Request, *Refusal) {
	request, refusal := upgrader.Read(head)
	if refusal == nil && request.Kind == Upgrade {
		var later bool
		if refusal, later = upgrader.Identify(&request, testNow); later {
			refusal = upgrader.Check(&request, testNow)
		}
	}
	return request, refusal
}
