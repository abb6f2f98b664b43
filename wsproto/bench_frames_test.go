package wsproto

import (
	"testing"

	"github.com/gobwas/ws"
)

func BenchmarkNext(b *testing.B) {
	for _, test := range []struct {
		name  string
		frame ws.Frame
	}{
		{"pong", ws.NewPongFrame(nil)},
		{"ping", ws.NewPingFrame([]byte("12345678"))},
		{"close", ws.NewCloseFrame(ws.NewCloseFrameBody(ws.StatusNormalClosure, "bye"))},
		{"text 64", ws.NewTextFrame(make([]byte, 64))},
		{"text 4Ki", ws.NewTextFrame(make([]byte, 4096))},
	} {
		b.Run(test.name, func(b *testing.B) {
			in := ws.MustCompileFrame(ws.MaskFrameWith(test.frame, [4]byte{})) // unmasking leaves it as it is
			b.ReportAllocs()
			b.SetBytes(int64(len(in)))
			for b.Loop() {
				var d Decoder
				if event, _, err := d.Next(in, 512<<10); err != nil || event.Kind == EventNone {
					b.Fatal(event, err)
				}
			}
		})
	}
}

// BenchmarkNextInPieces: each frame comes in two reads, cut in its head.
func BenchmarkNextInPieces(b *testing.B) {
	in := ws.MustCompileFrame(ws.MaskFrameWith(ws.NewPongFrame(nil), [4]byte{}))
	b.ReportAllocs()
	var d Decoder
	for b.Loop() {
		d.Next(in[:3], 0)
		if event, _, err := d.Next(in[3:], 0); err != nil || event.Kind != EventPong {
			b.Fatal(event, err)
		}
	}
}

func BenchmarkAppendTextHeader(b *testing.B) {
	dst := make([]byte, 0, 16)
	b.ReportAllocs()
	for b.Loop() {
		AppendTextHeader(dst, 300)
	}
}

func BenchmarkAppendPong(b *testing.B) {
	dst := make([]byte, 0, 256)
	payload := []byte("12345678")
	b.ReportAllocs()
	for b.Loop() {
		AppendPong(dst, payload)
	}
}

func BenchmarkPing(b *testing.B) {
	dst := make([]byte, 0, 16)
	b.ReportAllocs()
	for b.Loop() {
		dst = append(dst[:0], Ping()...)
	}
}

func BenchmarkAppendClose(b *testing.B) {
	dst := make([]byte, 0, 256)
	b.ReportAllocs()
	for b.Loop() {
		AppendClose(dst, CloseGoingAway, "the server is stopping")
	}
}
