package wsproto

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/gobwas/ws"
)

// readFrame reads one server frame by gobwas' hand, and insists that it is all.
func readFrame(t *testing.T, b []byte) (ws.Header, []byte) {
	t.Helper()
	reader := bytes.NewReader(b)
	header, err := ws.ReadHeader(reader)
	if err != nil {
		t.Fatal(err)
	}
	if err := ws.CheckHeader(header, ws.StateClientSide); err != nil {
		t.Fatal(err)
	}
	payload, err := io.ReadAll(reader)
	if err != nil || int64(len(payload)) != header.Length {
		t.Fatalf("%d bytes of %d, %v", len(payload), header.Length, err)
	}
	return header, payload
}

func TestPing(t *testing.T) {
	t.Parallel()
	if !bytes.Equal(Ping(), ws.CompiledPing) {
		t.Errorf("%x", Ping())
	}
	if frame := append(Ping(), 'x'); &frame[0] == &Ping()[0] {
		t.Error("appending writes behind the shared frame")
	}
}

func TestAppendPong(t *testing.T) {
	t.Parallel()
	for n := range 130 {
		payload := bytes.Repeat([]byte{'x'}, n)
		header, got := readFrame(t, AppendPong(nil, payload))
		if header.OpCode != ws.OpPong || !header.Fin || !bytes.Equal(got, payload[:min(n, 125)]) {
			t.Errorf("%d: %+v %q", n, header, got)
		}
	}
}

func TestAppendClose(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		code   CloseCode
		reason string
		want   string // payload behind the code; "-" is no code
	}{
		"none":                 {0, "why", "-"},
		"not for the wire":     {1006, "why", "-"},
		"plain":                {CloseGoingAway, "bye", "bye"},
		"no reason":            {CloseRestart, "", ""},
		"application's":        {4403, "kicked", "kicked"},
		"as long as fits":      {1000, strings.Repeat("x", 123), strings.Repeat("x", 123)},
		"one too long":         {1000, strings.Repeat("x", 124), strings.Repeat("x", 123)},
		"cut before a rune":    {1000, strings.Repeat("x", 122) + "é", strings.Repeat("x", 122)},
		"cut before a long":    {1000, strings.Repeat("x", 120) + "\U0001f426", strings.Repeat("x", 120)},
		"rune that fits":       {1000, strings.Repeat("x", 121) + "éé", strings.Repeat("x", 121) + "é"},
		"not UTF-8":            {1000, "a\xffb", "ab"},
		"nothing but no UTF-8": {1000, strings.Repeat("\x80", 200), ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			header, payload := readFrame(t, AppendClose(nil, test.code, test.reason))
			if header.OpCode != ws.OpClose || !header.Fin {
				t.Fatalf("%+v", header)
			}
			if test.want == "-" {
				if len(payload) > 0 {
					t.Errorf("payload %q", payload)
				}
				return
			}
			code, reason := ws.ParseCloseFrameData(payload)
			if CloseCode(code) != test.code || reason != test.want || !utf8.ValidString(reason) {
				t.Errorf("%d %q, want %d %q", code, reason, test.code, test.want)
			}
		})
	}
}

func TestAppendTextHeader(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, 125, 126, 127, 65535, 65536, 1 << 20} {
		got := AppendTextHeader([]byte("before"), n)
		want := "before" + string(ws.MustCompileFrame(ws.NewTextFrame(make([]byte, n)))[:len(got)-6])
		if string(got) != want || len(got) != 6+TextHeaderSize(n) {
			t.Errorf("%d: %x, size %d, want %x", n, got, TextHeaderSize(n), want)
		}
	}
	// More than this machine wants to hold.
	header, err := ws.ReadHeader(bytes.NewReader(AppendTextHeader(nil, 1<<40)))
	if err != nil || header.Length != 1<<40 {
		t.Errorf("%+v %v", header, err)
	}
}

func TestEncodingAllocatesNothing(t *testing.T) {
	dst := make([]byte, 0, 256)
	payload := []byte("payload")
	if n := testing.AllocsPerRun(100, func() {
		AppendPong(dst, payload)
		AppendClose(dst, CloseGoingAway, "leaving service")
		AppendTextHeader(dst, 1000)
		Ping()
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
