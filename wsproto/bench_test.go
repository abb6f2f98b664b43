package wsproto

import (
	"testing"

	"github.com/gobwas/ws"
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
		if _, refusal := gate.Read(head, testNow); refusal != nil {
			b.Fatal(refusal.Text())
		}
	}
}

func BenchmarkReadWrongSignature(b *testing.B) {
	gate := newTestGate(b, GateConfig{})
	head := browserHead(b)
	gate.key = keyfunc([]byte("another secret"))
	b.ReportAllocs()
	for b.Loop() {
		if _, refusal := gate.Read(head, testNow); refusal == nil {
			b.Fatal("accepted")
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

func BenchmarkNext(b *testing.B) {
	for name, frame := range map[string]ws.Frame{
		"pong":     ws.NewPongFrame(nil),
		"ping":     ws.NewPingFrame([]byte("12345678")),
		"text 64":  ws.NewTextFrame(make([]byte, 64)),
		"text 4Ki": ws.NewTextFrame(make([]byte, 4096)),
	} {
		b.Run(name, func(b *testing.B) {
			in := ws.MustCompileFrame(ws.MaskFrameWith(frame, [4]byte{})) // unmasking leaves it as it is
			b.ReportAllocs()
			b.SetBytes(int64(len(in)))
			var d Decoder
			for b.Loop() {
				if event, _, err := d.Next(in, 0); err != nil || event.Kind == EventNone {
					b.Fatal(event, err)
				}
			}
		})
	}
}
