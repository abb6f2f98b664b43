package wsproto

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

const (
	testKey    = "dGhlIHNhbXBsZSBub25jZQ==" // RFC 6455 section 1.3
	testAccept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
)

var (
	testNow    = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	testSecret = []byte("a secret of thirty-two bytes or so")
)

func newTestGate(t testing.TB, config GateConfig) *Gate {
	t.Helper()
	config.Secret = testSecret
	gate, err := NewGate(config)
	if err != nil {
		t.Fatal(err)
	}
	return gate
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

// signJSON makes a token of claims that are spelled out.
func signJSON(t testing.TB, header, claims string) string {
	t.Helper()
	var token jwt.Token
	text := token.EncodeSegment([]byte(header)) + "." + token.EncodeSegment([]byte(claims))
	return text + "." + signature(t, text)
}

// signature is that of a token's first two parts.
func signature(t testing.TB, text string) string {
	t.Helper()
	sum, err := jwt.SigningMethodHS256.Sign(text, testSecret)
	if err != nil {
		t.Fatal(err)
	}
	return new(jwt.Token).EncodeSegment(sum)
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

// skipUnderRace skips tests of allocations where a sync.Pool is part of the path: it
// drops items at random under the race detector.
func skipUnderRace(t *testing.T) {
	t.Helper()
	if raceDetector {
		t.Skip("a sync.Pool drops items under the race detector")
	}
}

// decide asks the gate the way a loop does.
func decide(gate *Gate, head []byte) (Request, *Refusal) {
	request, refusal := gate.Read(head)
	if refusal == nil && request.Kind == Upgrade {
		var later bool
		if refusal, later = gate.Identify(&request, testNow); later {
			refusal = gate.Check(&request, testNow)
		}
	}
	return request, refusal
}
