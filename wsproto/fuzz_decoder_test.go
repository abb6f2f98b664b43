package wsproto

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/gobwas/ws"
)

// FuzzDecoder compares with a reference that has the whole stream before it: same
// events, same verdict, whatever the pieces.
func FuzzDecoder(f *testing.F) {
	for _, seed := range []string{
		text("hello"), blob("\xff"), ping("a") + pong("b"), closing(1000, "bye") + text("x"), closing(1005, ""), frame(ws.OpClose, true, "x"),
		begin("a") + ping("b") + more("c") + end("d"), begin("\xe6\x97") + end("\xa5"), begin("\xe6") + end("x"),
		text(textPing), blob(textPing), begin(`{ "type":`) + ping("") + end("\t\"ping\"}\n"), text(textPing + "x"),
		text(strings.Repeat("x", 200)), "\x81\xfe\x00\x7d", "\x81\xff\x80\x00", "\x89\xfe", "\x09\x80", "\xc1", "\x80\x80", "\x83", "\x81\x05",
	} {
		f.Add([]byte(seed), uint16(0), uint64(0))
		f.Add([]byte(seed), uint16(4), uint64(0x0102_0301_0105_0201))
	}
	f.Fuzz(func(t *testing.T, stream []byte, maxMessage uint16, cuts uint64) {
		want := reference(stream, int(maxMessage))
		next := func() int { // 16 sizes from the bits of cuts, over and over
			n := int(cuts & 15)
			cuts = cuts>>4 | cuts<<60
			return n + 1
		}
		for name, next := range map[string]func() int{
			"in pieces":    next,
			"at once":      func() int { return len(stream) },
			"byte by byte": func() int { return 1 },
		} {
			log, err := decodeAll(string(stream), int(maxMessage), next)
			if err != nil {
				log = append(log, "error "+err.Code.String())
			}
			if got := strings.Join(log, "; "); got != want {
				t.Errorf("%s:\n%s, want\n%s", name, got, want)
			}
		}
	})
}

// reference reads a stream straight on, with all of it at hand, and writes down
// what came of it. It leaves heads to gobwas, and looks only at what the RFC says
// beyond them.
func reference(stream []byte, maxMessage int) string {
	var r referenceReader
	for len(stream) > 0 && !r.over {
		stream = r.frame(stream, maxMessage)
	}
	if !r.over && !r.state.Fragmented() {
		r.log = append(r.log, "idle")
	}
	return strings.Join(r.log, "; ")
}

var textPingPattern = regexp.MustCompile(`^[ \t\r\n]*\{[ \t\r\n]*"type"[ \t\r\n]*:[ \t\r\n]*"ping"[ \t\r\n]*\}[ \t\r\n]*$`)

type referenceReader struct {
	log     []string
	state   ws.State
	isText  bool
	message []byte
	over    bool // by a close frame, an error, or because the rest didn't come
}

func (r *referenceReader) end(log ...string) []byte {
	r.log = append(r.log, log...)
	r.over = true
	return nil
}

func (r *referenceReader) fail(code int) []byte { return r.end(fmt.Sprintf("error %d", code)) }

func (r *referenceReader) frame(stream []byte, maxMessage int) (rest []byte) {
	header, size, code := r.head(stream, maxMessage)
	if code != 0 {
		return r.fail(code)
	}
	if size > len(stream) {
		return r.end()
	}
	n := min(header.Length, int64(len(stream)-size))
	payload := bytes.Clone(stream[size:][:n])
	ws.Cipher(payload, header.Mask, 0)
	whole := n == header.Length
	switch {
	case !header.OpCode.IsControl():
		r.data(header, payload, whole)
	case whole:
		r.control(header.OpCode, payload)
	}
	if !whole && !r.over {
		return r.end()
	}
	return stream[size:][n:]
}

// head has gobwas read and check a head. One that did not come whole is completed
// with what can't be wrong, so that only faults in what came count; size is then
// beyond the stream.
func (r *referenceReader) head(stream []byte, maxMessage int) (header ws.Header, size, code int) {
	head := bytes.Clone(stream[:min(len(stream), ws.MaxHeaderSize)])
	if len(head) == 1 {
		head = append(head, 0x80)
	}
	plausible := map[byte]string{126: "\x00\x7e", 127: "\x00\x00\x00\x00\x00\x01\x00\x00"}[head[1]&0x7f]
	size = 2 + len(plausible) + 4
	known := len(head) >= 2+len(plausible)
	if !known {
		head = append(head[:2], plausible...)
	}
	header, err := ws.ReadHeader(bytes.NewReader(append(head, 0, 0, 0, 0)))
	least := map[int]int64{2: 126, 8: 1 << 16}[len(plausible)]
	switch {
	case err != nil, header.Length < least, ws.CheckHeader(header, r.state.Set(ws.StateServerSide)) != nil:
		return header, size, 1002
	case known && header.OpCode.IsData() && maxMessage > 0 && header.Length > int64(maxMessage-len(r.message)):
		return header, size, 1009
	}
	return header, size, 0
}

func (r *referenceReader) data(header ws.Header, payload []byte, whole bool) {
	if header.OpCode != ws.OpContinuation {
		r.isText = header.OpCode == ws.OpText
	}
	r.message = append(r.message, payload...)
	final := whole && header.Fin
	if r.isText && (!canBeginText(r.message) || final && !utf8.Valid(r.message)) {
		r.fail(1007)
		return
	}
	r.state = r.state.Set(ws.StateFragmented)
	if whole && !final {
		r.log = append(r.log, describe(Event{Kind: EventFragment}))
	}
	if !final {
		return
	}
	r.state = r.state.Clear(ws.StateFragmented)
	isPing := r.isText && textPingPattern.Match(r.message)
	r.log = append(r.log, describe(Event{Kind: EventMessage, Text: r.isText, TextPing: isPing, Size: len(r.message)}))
	r.message = nil
}

func (r *referenceReader) control(opcode ws.OpCode, payload []byte) {
	switch opcode {
	case ws.OpPing:
		r.log = append(r.log, describe(Event{Kind: EventPing, Payload: payload}))
		return
	case ws.OpPong:
		r.log = append(r.log, describe(Event{Kind: EventPong, Payload: payload}))
		return
	}
	if len(payload) == 0 {
		r.end(`close 0 ""`)
		return
	}
	code, reason := ws.ParseCloseFrameData(payload)
	// Beyond gobwas' list: assigned later by IANA, and beyond all ranges.
	assigned := code >= 1012 && code <= 1014
	switch {
	case code > 4999, !assigned && ws.CheckCloseFrameData(code, "") != nil:
		r.fail(1002)
	case !utf8.ValidString(reason):
		r.fail(1007)
	default:
		r.end(fmt.Sprintf("close %d %q", code, reason))
	}
}
