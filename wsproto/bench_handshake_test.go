package wsproto

import (
	"crypto/elliptic"
	"fmt"
	"strings"
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
	gate := newTestGate(b, GateConfig{AllowedOrigins: []string{"https://*.example.com"}})
	head := browserHead(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, refusal := decide(gate, head); refusal != nil {
			b.Fatal(refusal.Text())
		}
	}
}

// BenchmarkHandshake is all that a connect costs here.
func BenchmarkHandshake(b *testing.B) {
	gate := newTestGate(b, GateConfig{AllowedOrigins: []string{"https://*.example.com"}})
	in := browserHead(b)
	dst := make([]byte, 0, 256)
	b.ReportAllocs()
	for b.Loop() {
		request, refusal := decide(gate, in[:HeadEnd(in, 0)])
		if refusal != nil {
			b.Fatal(refusal.Text())
		}
		request.AppendUpgrade(dst)
	}
}

// BenchmarkReadOddToken is a good token that the library has to judge.
func BenchmarkReadOddToken(b *testing.B) {
	gate := newTestGate(b, GateConfig{})
	head := upgradeHead("/ws?token=" + signJSON(b, hs256, `{"sub":"user-0123456789","email":"user@example.com","exp":1.8e9}`))
	b.ReportAllocs()
	for b.Loop() {
		if _, refusal := decide(gate, head); refusal != nil {
			b.Fatal(refusal.Text())
		}
	}
}

func BenchmarkReadHealth(b *testing.B) {
	gate := newTestGate(b, GateConfig{})
	head := lines("GET /health HTTP/1.1", "Host: push.example.com", "User-Agent: kube-probe/1.34", "Accept: */*", "Connection: close")
	b.ReportAllocs()
	for b.Loop() {
		decide(gate, head)
	}
}

// BenchmarkReadWrongSignature is what a stranger's token costs, of usual length and as long as one may be.
func BenchmarkReadWrongSignature(b *testing.B) {
	long := signJSON(b, hs256, `{"sub":"alice","exp":1.8e9,"x":"`+strings.Repeat("x", 6000)+`"}`)
	odd := signJSON(b, `{"alg":"HS256","n":1}`, `{"sub":"alice","exp":1.8e9,"x":"`+strings.Repeat("x", 6000)+`"}`)
	for name, head := range map[string][]byte{
		"usual": browserHead(b), "long": upgradeHead("/ws?token=" + long), "odd": upgradeHead("/ws?token=" + odd),
	} {
		for _, previous := range []int{0, MaxPrevious} {
			b.Run(fmt.Sprintf("%s/previous=%d", name, previous), func(b *testing.B) {
				gate := strangersGate(b, previous)
				b.ReportAllocs()
				for b.Loop() {
					if _, refusal := decide(gate, head); refusal == nil {
						b.Fatal("accepted")
					}
				}
			})
		}
	}
}

// BenchmarkCheck is what a worker does for a token of a key pair.
func BenchmarkCheck(b *testing.B) {
	for name, p := range map[string]pair{"RS256": rsaPairs()[0],
		"ES256": newECPair(b, jwt.SigningMethodES256, elliptic.P256()), "EdDSA": newEdPair(b)} {
		b.Run(name, func(b *testing.B) {
			gate, token := gateOf(b, p.public(b, "a")), []byte(p.token(b, "a"))
			b.ReportAllocs()
			for b.Loop() {
				if _, refusal := gate.checkToken(token, testNow); refusal != nil {
					b.Fatal(refusal.Text())
				}
			}
		})
	}
}

// strangersGate knows none of the tests' secrets.
func strangersGate(t testing.TB, previous int) *Gate {
	t.Helper()
	config := GateConfig{Secret: []byte("another secret of thirty-two bytes or so")}
	for i := range previous {
		config.Previous = append(config.Previous, fmt.Append(nil, "previous secret ", i))
	}
	gate, err := NewGate(config)
	if err != nil {
		t.Fatal(err)
	}
	return gate
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
