package handshake

import (
	"testing"

	"github.com/golang-jwt/jwt/v5"
)

// browserHead is what Chromium sends, with a token of usual length.
func browserHead(t testing.TB) []byte {
	token := sign(t, jwt.MapClaims{"sub": "user-0123456789", "email": "user@example.com",
		"iat": testNow.Unix(), "exp": testNow.Unix() + 3600})
	return lines("GET /ws?token="+token+" HTTP/1.1",
		"Host: push.example.com",
		"Connection: Upgrade",
		"Pragma: no-cache",
		"Cache-Control: no-cache",
		"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
		"Upgrade: websocket",
		"Origin: https://app.example.com",
		"Sec-WebSocket-Version: 13",
		"Accept-Encoding: gzip, deflate, br, zstd",
		"Accept-Language: en-GB,en;q=0.9,de;q=0.8",
		"Sec-WebSocket-Key: "+testKey,
		"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits",
	)
}

func BenchmarkHeadEnd(b *testing.B) {
	head := browserHead(b)
	b.ReportAllocs()
	for b.Loop() {
		HeadEnd(head, 0)
	}
}

func BenchmarkParse(b *testing.B) {
	head := browserHead(b)
	b.ReportAllocs()
	for b.Loop() {
		if refusal := parseOnly(head); refusal != nil {
			b.Fatal(refusal.Text())
		}
	}
}

func parseOnly(b []byte) *Refusal {
	var h head
	return h.parse(b)
}

func BenchmarkRead(b *testing.B) {
	upgrader := newUpgrader(b, Config{AllowedOrigins: []string{"https://*.example.com"}})
	head := browserHead(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, refusal := decide(upgrader, head); refusal != nil {
			b.Fatal(refusal.Text())
		}
	}
}

// BenchmarkHandshake is all that a connect costs here.
func BenchmarkHandshake(b *testing.B) {
	upgrader := newUpgrader(b, Config{AllowedOrigins: []string{"https://*.example.com"}})
	in := browserHead(b)
	dst := make([]byte, 0, 256)
	b.ReportAllocs()
	for b.Loop() {
		request, refusal := decide(upgrader, in[:HeadEnd(in, 0)])
		if refusal != nil {
			b.Fatal(refusal.Text())
		}
		request.AppendUpgrade(dst)
	}
}

func BenchmarkReadHealth(b *testing.B) {
	upgrader := newUpgrader(b, Config{})
	head := lines("GET /health HTTP/1.1", "Host: push.example.com", "User-Agent: kube-probe/1.34", "Accept: */*", "Connection: close")
	b.ReportAllocs()
	for b.Loop() {
		decide(upgrader, head)
	}
}

func BenchmarkOrigin(b *testing.B) {
	origins, err := compileOrigins([]string{"https://a.example", "https://*.example.com"})
	if err != nil {
		b.Fatal(err)
	}
	origin := []byte("https://app.example.com")
	b.ReportAllocs()
	for b.Loop() {
		if !origins.allow(origin) {
			b.Fatal("not allowed")
		}
	}
}

func BenchmarkKey(b *testing.B) {
	key := []byte(testKey)
	b.ReportAllocs()
	for b.Loop() {
		if !validKey(key) {
			b.Fatal("not valid")
		}
	}
}

func BenchmarkAppendUpgrade(b *testing.B) {
	var request Request
	copy(request.key[:], testKey)
	dst := make([]byte, 0, 256)
	b.ReportAllocs()
	for b.Loop() {
		request.AppendUpgrade(dst)
	}
}

func BenchmarkRefusal(b *testing.B) {
	dst := make([]byte, 0, 1024)
	b.ReportAllocs()
	for b.Loop() {
		refuseNotFound.Append(dst)
	}
}
