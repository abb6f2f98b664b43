package wire

import (
	"bufio"
	"bytes"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// The key and its answer are from RFC 6455 section 1.3.
func rfcKey() Key {
	var key Key
	copy(key[:], "dGhlIHNhbXBsZSBub25jZQ==")
	return key
}

const rfcAnswer = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
	"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"

func TestReadAnswer(t *testing.T) {
	t.Parallel()
	n, err := ReadAnswer([]byte(rfcAnswer+"\x81\x00"), rfcKey())
	if n != len(rfcAnswer) || err != nil {
		t.Errorf("got %d, %v, want %d", n, err, len(rfcAnswer))
	}
	for cut := range len(rfcAnswer) {
		if n, err := ReadAnswer([]byte(rfcAnswer[:cut]), rfcKey()); n != 0 || err != nil {
			t.Errorf("after %d bytes: got %d, %v", cut, n, err)
		}
	}
}

func TestReadAnswerWithSubProtocol(t *testing.T) {
	t.Parallel()
	answer := []byte(strings.Replace(rfcAnswer, "\r\n\r\n", "\r\nSec-WebSocket-Protocol: b\r\n\r\n", 1))
	if n, err := ReadAnswer(answer, rfcKey(), "a", "b"); n != len(answer) || err != nil {
		t.Errorf("one that was offered: %d, %v", n, err)
	}
	for _, offered := range [][]string{nil, {"a"}} {
		if _, err := ReadAnswer(answer, rfcKey(), offered...); !errors.Is(err, ErrBadAnswer) {
			t.Errorf("offered %q: got %v", offered, err)
		}
	}
}

func TestReadAnswerRefuses(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, answer string
		want         error
	}{
		{"401", "HTTP/1.1 401 Unauthorized\r\n\r\n", ErrRefused},
		{"another key's accept", strings.Replace(rfcAnswer, "s3p", "s3q", 1), ErrBadAnswer},
		{"no upgrade", strings.Replace(rfcAnswer, "Upgrade: websocket\r\n", "", 1), ErrBadAnswer},
		{"no connection", strings.Replace(rfcAnswer, "Connection: Upgrade", "Connection: close", 1), ErrBadAnswer},
		{"an extension", strings.Replace(rfcAnswer, "\r\n\r\n", "\r\nSec-WebSocket-Extensions: x\r\n\r\n", 1), ErrBadAnswer},
		{"endless", strings.Repeat("x", maxAnswer+1), ErrBadAnswer},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if _, err := ReadAnswer([]byte(tt.answer), rfcKey()); !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
}

func TestRequestIsProperHTTP(t *testing.T) {
	t.Parallel()
	secret := []byte("0123456789abcdef0123456789abcdef")
	token := AppendToken(nil, secret, "alice", time.Now(), time.Minute)
	head := AppendRequest(nil, "127.0.0.1:8081", "/ws", token, NewKey())
	req, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(head)))
	if err != nil {
		t.Fatal(err)
	}
	claims := jwt.MapClaims{}
	_, err = jwt.ParseWithClaims(req.URL.Query().Get("token"), claims, func(*jwt.Token) (any, error) { return secret, nil },
		jwt.WithValidMethods([]string{"HS256"}), jwt.WithExpirationRequired(), jwt.WithIssuedAt())
	if err != nil {
		t.Fatal(err)
	}
	if sub, _ := claims.GetSubject(); sub != "alice" || req.Host != "127.0.0.1:8081" || req.URL.Path != "/ws" {
		t.Errorf("sub %q, host %q, path %q", sub, req.Host, req.URL.Path)
	}
}
