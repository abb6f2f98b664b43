package wsproto

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"unsafe"

	"github.com/gobwas/ws"
)

var testMask = [4]byte{0x37, 0xfa, 0x21, 0x3d} // RFC 6455 section 5.7

// frame builds a masked client frame by gobwas' hand.
func frame(opcode ws.OpCode, fin bool, payload string) string {
	f := ws.NewFrame(opcode, fin, []byte(payload))
	return string(ws.MustCompileFrame(ws.MaskFrameWith(f, testMask)))
}

func text(payload string) string  { return frame(ws.OpText, true, payload) }
func begin(payload string) string { return frame(ws.OpText, false, payload) }
func more(payload string) string  { return frame(ws.OpContinuation, false, payload) }
func end(payload string) string   { return frame(ws.OpContinuation, true, payload) }
func blob(payload string) string  { return frame(ws.OpBinary, true, payload) }
func ping(payload string) string  { return frame(ws.OpPing, true, payload) }
func pong(payload string) string  { return frame(ws.OpPong, true, payload) }

func closing(code CloseCode, reason string) string {
	return frame(ws.OpClose, true, string([]byte{byte(code >> 8), byte(code)})+reason)
}

// decode feeds in, cut by next (which says how long the next piece is), and writes
// down what comes out. An error is in the log with its whole text.
func decode(in string, maxMessage int, next func() int) string {
	log, err := decodeAll(in, maxMessage, next)
	if err != nil {
		log = append(log, "error "+err.Error())
	}
	return strings.Join(log, "; ")
}

func decodeAll(in string, maxMessage int, next func() int) (log []string, failure *ProtocolError) {
	var d Decoder
	for len(in) > 0 {
		n := min(max(1, next()), len(in))
		rest := []byte(in[:n])
		in = in[n:]
		for {
			var event Event
			var err *ProtocolError
			if event, rest, err = d.Next(rest, maxMessage); err != nil {
				failure = err
			}
			if event.Kind == EventNone {
				break
			}
			log = append(log, describe(event))
		}
	}
	if d.Idle() {
		log = append(log, "idle")
	}
	return log, failure
}

func describe(event Event) string {
	switch event.Kind {
	case EventFragment:
		return "fragment"
	case EventMessage:
		switch {
		case event.TextPing && event.Text:
			return fmt.Sprintf("text ping %d", event.Size)
		case event.TextPing:
			return "a ping that is no text"
		case event.Text:
			return fmt.Sprintf("text %d", event.Size)
		}
		return fmt.Sprintf("binary %d", event.Size)
	case EventPing:
		return fmt.Sprintf("ping %q", event.Payload)
	case EventPong:
		return fmt.Sprintf("pong %q", event.Payload)
	case EventClose:
		return fmt.Sprintf("close %d %q", event.Code, event.Reason)
	}
	return "none"
}

func TestDecoder(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 200)
	longer := strings.Repeat("x", 70000)
	tests := map[string]struct {
		in   string
		max  int
		want string
	}{
		"RFC's masked Hello":    {"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", 0, "text 5; idle"},
		"empty text":            {text(""), 1, "text 0; idle"},
		"binary":                {blob("\xff\x00"), 0, "binary 2; idle"},
		"16 bits of length":     {text(long), 0, "text 200; idle"},
		"64 bits of length":     {blob(longer), 0, "binary 70000; idle"},
		"fragments":             {begin("a") + more("") + more("bc") + end("d"), 0, "fragment; fragment; fragment; text 4; idle"},
		"empty fragments":       {begin("") + more("") + end(""), 0, "fragment; fragment; text 0; idle"},
		"binary fragments":      {frame(ws.OpBinary, false, "\xff") + end("\xfe"), 0, "fragment; binary 2; idle"},
		"ping":                  {ping("a"), 0, `ping "a"; idle`},
		"ping, nothing in it":   {ping(""), 0, `ping ""; idle`},
		"ping of 125":           {ping(strings.Repeat("x", 125)), 1, `ping "` + strings.Repeat("x", 125) + `"; idle`},
		"pong":                  {pong("b") + pong("c"), 0, `pong "b"; pong "c"; idle`},
		"ping among fragments":  {begin("a") + ping("1") + more("b") + pong("2") + end("c"), 0, `fragment; ping "1"; fragment; pong "2"; text 3; idle`},
		"ping inside a rune":    {begin("\xe6\x97") + ping("1") + end("\xa5"), 0, `fragment; ping "1"; text 3; idle`},
		"close among fragments": {begin("a") + closing(1000, ""), 0, `fragment; close 1000 ""`},
		"several":               {text("a") + ping("b") + text("c"), 0, `text 1; ping "b"; text 1; idle`},
		"half a head":           {text(long)[:3], 0, ""},
		"half a payload":        {text("abc")[:8], 0, ""},
		"message open":          {begin("a"), 0, "fragment"},

		"as long as allowed":         {text("abc"), 3, "text 3; idle"},
		"too long":                   {text("abcd"), 3, "error 1009: message too big"},
		"too long, by the head":      {blob(longer)[:10], 69999, "error 1009: message too big"},
		"not yet too long":           {blob(longer)[:9], 69999, ""},
		"too long in all":            {begin("ab") + more("c") + end("d"), 3, "fragment; fragment; error 1009: message too big"},
		"long enough in all":         {begin("ab") + more("c") + end(""), 3, "fragment; fragment; text 3; idle"},
		"each message by itself":     {text("abc") + begin("ab") + end("c") + text("abc"), 3, "text 3; fragment; text 3; text 3; idle"},
		"control frames don't count": {begin("ab") + ping("0123456789") + end("c"), 3, `fragment; ping "0123456789"; text 3; idle`},
		"largest length there is":    {"\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff", 1 << 20, "error 1009: message too big"},
		"largest length, unbounded":  {"\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xffabcd", 0, ""},

		"not masked":             {"\x81\x05", 0, "error 1002: frame not masked"},
		"not masked, long":       {"\x81\x7e", 0, "error 1002: frame not masked"},
		"control not masked":     {"\x89\x00", 0, "error 1002: frame not masked"},
		"RSV1":                   {"\xc1", 0, "error 1002: reserved bits set"},
		"RSV2":                   {"\xa1", 0, "error 1002: reserved bits set"},
		"RSV3":                   {"\x91", 0, "error 1002: reserved bits set"},
		"RSV on a ping":          {"\xc9", 0, "error 1002: reserved bits set"},
		"RSV on a continuation":  {begin("a") + "\xc0", 0, "fragment; error 1002: reserved bits set"},
		"fragmented ping":        {"\x09", 0, "error 1002: fragmented control frame"},
		"fragmented close":       {"\x08", 0, "error 1002: fragmented control frame"},
		"ping of 126":            {"\x89\xfe", 0, "error 1002: control frame longer than 125 bytes"},
		"close of 64 bits":       {"\x88\xff", 0, "error 1002: control frame longer than 125 bytes"},
		"continuation first":     {"\x80", 0, "error 1002: continuation of no message"},
		"continuation later":     {text("a") + "\x00", 0, "text 1; error 1002: continuation of no message"},
		"continuation after end": {begin("a") + end("b") + end("c"), 0, "fragment; text 2; error 1002: continuation of no message"},
		"text in a message":      {begin("a") + "\x81", 0, "fragment; error 1002: new message inside a fragmented one"},
		"binary in a message":    {begin("a") + "\x02", 0, "fragment; error 1002: new message inside a fragmented one"},
		"125 in 16 bits":         {"\x81\xfe\x00\x7d", 0, "error 1002: length not in its shortest form"},
		"126 in 16 bits":         {"\x81\xfe\x00\x7e", 0, ""},
		"0 in 64 bits":           {"\x81\xff\x00\x00\x00\x00\x00\x00\x00\x00", 0, "error 1002: length not in its shortest form"},
		"65535 in 64 bits":       {"\x81\xff\x00\x00\x00\x00\x00\x00\xff\xff", 0, "error 1002: length not in its shortest form"},
		"65536 in 64 bits":       {"\x81\xff\x00\x00\x00\x00\x00\x01\x00\x00", 0, ""},
		"top bit of the length":  {"\x81\xff\x80\x00\x00\x00\x00\x00\x00\x00", 1, "error 1002: length out of range"},

		"not UTF-8":                   {text("a\xffb"), 0, "error 1007: text is not UTF-8"},
		"not UTF-8, at once":          {text(long + "\xff" + long)[:4+4+201], 0, "error 1007: text is not UTF-8"},
		"not UTF-8, not before":       {text(long + "\xff" + long)[:4+4+200], 0, ""},
		"rune cut at the end":         {text("a\xe6\x97"), 0, "error 1007: text is not UTF-8"},
		"rune over fragments":         {begin("\xf0\x9f") + more("\x90") + end("\xa6!"), 0, "fragment; fragment; text 5; idle"},
		"rune over empty ones":        {begin("\xf0") + more("") + more("\x9f\x90") + more("") + end("\xa6"), 0, "fragment; fragment; fragment; fragment; text 4; idle"},
		"rune cut at the last":        {begin("\xf0\x9f") + end("\x90"), 0, "fragment; error 1007: text is not UTF-8"},
		"rune broken by a fragment":   {begin("\xf0\x9f") + more("x"), 0, "fragment; error 1007: text is not UTF-8"},
		"surrogate, at its 2nd byte":  {begin("\xed") + more("\xa0"), 0, "fragment; error 1007: text is not UTF-8"},
		"beyond U+10FFFF, at its 2nd": {begin("\xf4") + more("\x90"), 0, "fragment; error 1007: text is not UTF-8"},
		"overlong, at its 1st":        {begin("\xc0"), 0, "error 1007: text is not UTF-8"},
		"overlong, at its 2nd":        {begin("\xe0\x9f"), 0, "error 1007: text is not UTF-8"},
		"next one starts afresh":      {blob("\xe6") + text("\xa5"), 0, "binary 1; error 1007: text is not UTF-8"},
		"continuation of binary":      {frame(ws.OpBinary, false, "\xe6") + end("\xff") + text("ok"), 0, "fragment; binary 2; text 2; idle"},

		"close":                    {closing(1000, "bye"), 0, `close 1000 "bye"`},
		"close, nothing in it":     {frame(ws.OpClose, true, ""), 0, `close 0 ""`},
		"close with one byte":      {frame(ws.OpClose, true, "\x03"), 0, "error 1002: close frame with one byte"},
		"close with a long reason": {closing(4999, strings.Repeat("é", 61)), 0, fmt.Sprintf("close 4999 %q", strings.Repeat("é", 61))},
		"close, reason not UTF-8":  {closing(1000, "a\xff"), 0, "error 1007: close reason is not UTF-8"},
		"close, reason cut":        {closing(1000, "\xe6\x97"), 0, "error 1007: close reason is not UTF-8"},
		"after close":              {closing(1001, "") + text("a") + "\xff\xff", 0, `close 1001 ""`},
		"after an error":           {"\xc1" + text("a") + closing(1000, ""), 0, "error 1002: reserved bits set"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for size := range min(len(test.in), 40) {
				if got := decode(test.in, test.max, func() int { return size + 1 }); got != test.want {
					t.Errorf("pieces of %d: got %.200s, want %.200s", size+1, got, test.want)
				}
			}
			if got := decode(test.in, test.max, func() int { return len(test.in) }); got != test.want {
				t.Errorf("at once: got %.200s, want %.200s", got, test.want)
			}
			first := 0
			for cut := 1; cut < min(len(test.in), 300); cut++ {
				first = cut
				next := func() int { n := first; first = len(test.in); return n }
				if got := decode(test.in, test.max, next); got != test.want {
					t.Errorf("cut at %d: got %.200s, want %.200s", cut, got, test.want)
				}
			}
		})
	}
}

func TestReservedOpcodes(t *testing.T) {
	t.Parallel()
	for _, opcode := range []byte{3, 4, 5, 6, 7, 11, 12, 13, 14, 15} {
		for _, fin := range []byte{0, finBit} {
			got := decode(string([]byte{fin | opcode}), 0, func() int { return 1 })
			if got != "error 1002: reserved opcode" {
				t.Errorf("%x: %s", fin|opcode, got)
			}
		}
	}
}

// TestCloseCodesOnTheWire asks for every code there is.
func TestCloseCodesOnTheWire(t *testing.T) {
	t.Parallel()
	allowed := func(code int) bool {
		switch code {
		case 1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014:
			return true
		}
		return 3000 <= code && code < 5000
	}
	for code := range 1 << 16 {
		want := "error 1002: close code not allowed"
		if allowed(code) {
			want = fmt.Sprintf(`close %d "x"`, code)
		}
		if got := decode(closing(CloseCode(code), "x"), 0, func() int { return 100 }); got != want {
			t.Errorf("%d: %s", code, got)
		}
	}
}

func TestDecoderIgnoresWhatFollowsTheEnd(t *testing.T) {
	t.Parallel()
	for _, in := range []string{closing(1000, ""), "\xc1"} {
		var d Decoder
		if _, rest, _ := d.Next([]byte(in+"rest"), 0); d.Idle() {
			t.Errorf("%q: idle, rest %q", in, rest)
		}
		event, rest, err := d.Next([]byte(text("a")), 0)
		if event.Kind != EventNone || rest != nil || err != nil {
			t.Errorf("%q: then %v %q %v", in, event, rest, err)
		}
	}
}

// TestDecoderForgotten: where the decoder is idle, another goes on as well.
func TestDecoderForgotten(t *testing.T) {
	t.Parallel()
	in := []byte(text("a") + ping("b") + begin("c") + more("d") + end("e") + pong("f"))
	want := `text 1; ping "b"; fragment; fragment; text 3; pong "f"`
	var log []string
	var d Decoder
	forgotten := 0
	for i := range in {
		event, _, err := d.Next(in[i:i+1], 0)
		if err != nil {
			t.Fatal(err)
		}
		if event.Kind != EventNone {
			log = append(log, describe(event))
		}
		if d.Idle() {
			d = Decoder{}
			forgotten++
		}
	}
	if got := strings.Join(log, "; "); got != want || forgotten != 4 {
		t.Errorf("%s, forgotten %d times", got, forgotten)
	}
}

// TestPayloadOfControlFrames: a payload that came whole is the input's own bytes;
// one that came in pieces survives its input.
func TestPayloadOfControlFrames(t *testing.T) {
	t.Parallel()
	in := []byte(ping("whole"))
	var d Decoder
	event, _, _ := d.Next(in, 0)
	if &event.Payload[0] != &in[6] {
		t.Error("copied, though it came whole")
	}
	in = []byte(ping("in pieces"))
	d.Next(in[:9], 0)
	clear(in[:9])
	event, _, _ = d.Next(in[9:], 0)
	clear(in)
	if !bytes.Equal(event.Payload, []byte("in pieces")) {
		t.Errorf("got %q", event.Payload)
	}
}

func TestProtocolErrorsFitACloseFrame(t *testing.T) {
	t.Parallel()
	for _, err := range []*ProtocolError{errReservedBits, errOpcode, errControlFragmented, errControlTooLong, errMessageOpen,
		errNoMessage, errUnmasked, errLengthLonger, errLengthRange, errCloseBody, errCloseCode, errCloseReason, errInvalidUTF8, errTooBig} {
		if !err.Code.Valid() || len(err.Text) > maxReason || err.Text == "" {
			t.Errorf("%v", err)
		}
	}
}

func TestDecoderIsSmall(t *testing.T) {
	t.Parallel()
	if size := unsafe.Sizeof(Decoder{}); size > 64 {
		t.Errorf("%d bytes", size)
	}
}

func TestDecoderAllocatesNothing(t *testing.T) {
	stream := []byte(ping("12345678") + pong("") + text("hello") + begin("a") + end("b") + closing(1000, "bye"))
	in := make([]byte, len(stream))
	if n := testing.AllocsPerRun(100, func() {
		copy(in, stream)
		var d Decoder
		for rest := in; len(rest) > 0; {
			var err *ProtocolError
			if _, rest, err = d.Next(rest, 512); err != nil {
				t.Fatal(err)
			}
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
