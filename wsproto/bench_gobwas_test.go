package wsproto

import (
	"bytes"
	"fmt"
	"io"
	"testing"

	"github.com/gobwas/ws"
)

// gobwas/ws does the same work, for docs/decisions.md: each pair is ours and theirs.

var clientFrames = []struct {
	name  string
	frame []byte
}{
	{"pong", ws.MustCompileFrame(ws.MaskFrameWith(ws.NewPongFrame(nil), [4]byte{}))},
	{"300 bytes", ws.MustCompileFrame(ws.MaskFrameWith(ws.NewTextFrame(make([]byte, 300)), [4]byte{}))},
}

// BenchmarkHead reads and checks the head of a client's frame.
func BenchmarkHead(b *testing.B) {
	for _, test := range clientFrames {
		b.Run("ours/"+test.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				var d Decoder
				if _, err := d.readHead(test.frame, Limits{}); err != nil || !d.payload {
					b.Fatal(err)
				}
			}
		})
		b.Run("gobwas/"+test.name, func(b *testing.B) {
			b.ReportAllocs()
			var r bytes.Reader
			buf := make([]byte, ws.MaxHeaderSize)
			for b.Loop() {
				r.Reset(test.frame)
				h, err := ws.ReadHeaderBuffer(&r, buf)
				if err == nil {
					err = ws.CheckHeader(h, ws.StateServerSide)
				}
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkCheck checks the two bytes of a head that decide.
func BenchmarkCheck(b *testing.B) {
	b.Run("ours", func(b *testing.B) {
		h := frameHead{bytes: [maxHeadLen]byte{0x8a, 0x80}}
		for b.Loop() {
			h.n = 1
			if err := h.check(false); err != nil {
				b.Fatal(err)
			}
			h.n = 2
			if err := h.check(false); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("gobwas", func(b *testing.B) {
		h := frameHead{bytes: [maxHeadLen]byte{0x8a, 0x80}}
		for b.Loop() {
			head := ws.Header{Fin: h.fin(), Rsv: h.bytes[0] & rsvBits >> 4, OpCode: h.opcode(), Masked: h.bytes[1]&maskBit != 0, Length: int64(h.bytes[1] & length7)}
			if err := ws.CheckHeader(head, ws.StateServerSide); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkWriteHeader writes the head of a text message.
func BenchmarkWriteHeader(b *testing.B) {
	b.Run("ours", func(b *testing.B) {
		dst := make([]byte, 0, 16)
		b.ReportAllocs()
		for b.Loop() {
			AppendTextHeader(dst, 300)
		}
	})
	b.Run("gobwas", func(b *testing.B) {
		var w bytes.Buffer
		buf := make([]byte, ws.MaxHeaderSize)
		b.ReportAllocs()
		for b.Loop() {
			w.Reset()
			if err := ws.WriteHeaderBuffer(&w, ws.Header{Fin: true, OpCode: ws.OpText, Length: 300}, buf); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkUnmask is the masking of a frame's payload: theirs, which is used, and the loop that the RFC describes.
func BenchmarkUnmask(b *testing.B) {
	for _, size := range []int{2, 16, 300, 4096} {
		payload, mask := make([]byte, size), [4]byte{1, 2, 3, 4}
		b.Run(fmt.Sprintf("loop/%d", size), func(b *testing.B) {
			for b.Loop() {
				for i := range payload {
					payload[i] ^= mask[i&3]
				}
			}
		})
		b.Run(fmt.Sprintf("gobwas/%d", size), func(b *testing.B) {
			for b.Loop() {
				ws.Cipher(payload, mask, 0)
			}
		})
	}
}

// Where gobwas/ws accepts what Roost refuses, or the other way round. When this fails, gobwas/ws has changed, and
// docs/decisions.md has to be looked at again.
func TestWhereGobwasDiffers(t *testing.T) {
	t.Parallel()
	long := append([]byte{0x81, 0xfe, 0, 5}, make([]byte, 9)...) // 5 bytes whose length takes three
	if _, err := ws.ReadHeader(bytes.NewReader(long)); err != nil {
		t.Errorf("a length that is not in its shortest form: %v", err)
	}
	var d Decoder
	if _, _, err := d.Next(bytes.Clone(long), 0); err != errLengthLonger {
		t.Errorf("Roost says %v", err)
	}
	if _, err := ws.ReadHeader(bytes.NewReader(long[:1])); err != io.ErrUnexpectedEOF {
		t.Errorf("half a head: %v", err)
	}
	for code, theirs := range map[CloseCode]bool{1012: false, 1013: false, 1014: false, 5000: true, 65535: true} {
		if ok := ws.CheckCloseFrameData(ws.StatusCode(code), "") == nil; ok != theirs || ok == code.Valid() {
			t.Errorf("%d: theirs is %v, Roost's %v", code, ok, code.Valid())
		}
	}
	if body := ws.NewCloseFrameBody(1001, string(bytes.Repeat([]byte("é"), 62))); ws.CheckCloseFrameData(1001, string(body[2:])) == nil {
		t.Error("a reason that is too long is cut between runes")
	}
	if cap(ws.CompiledPing) == len(ws.CompiledPing) || cap(Ping()) != len(Ping()) {
		t.Error("appending to a shared ping: theirs has room behind it, Roost's has none")
	}
}
