package hub

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"roost/internal/jsonscan"
	"roost/internal/position"
)

var noon = time.Date(2026, 3, 4, 12, 0, 0, 5_600_000, time.FixedZone("CET", 3600))

const noonText = "2026-03-04T11:00:00.005Z"

func TestEnvelope(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, published, kind, payload string
		problem                        Invalid
	}{
		{name: "plain", published: `{"type":"a","payload":{"b":1}}`, kind: `"a"`, payload: `{"b":1}`},
		{name: "bytes unchanged", published: `{"payload": {"z" : 1.0000000000000000000001, "a":"\u00e9\/é"} , "type" : "\u0061"}`,
			kind: `"\u0061"`, payload: `{"z" : 1.0000000000000000000001, "a":"\u00e9\/é"}`},
		{name: "no payload", published: `{"type":"a"}`, kind: `"a"`, payload: `null`},
		{name: "others left out", published: `{"x":[{"type":"no"}],"type":"a","timestamp":1,"payload":"\"}"}`, kind: `"a"`, payload: `"\"}"`},
		{name: "the last one counts", published: `{"type":1,"payload":1,"type":"b","payload":2}`, kind: `"b"`, payload: `2`},
		{name: "escaped name", published: `{"ty\u0070e":"a","payloa\u0064":true}`, kind: `"a"`, payload: `true`},
		{name: "scalars", published: "{\"a\":-1e9 ,\"b\":null\t,\"type\":\"\"\n,\"payload\":-0.5}\r\n", kind: `""`, payload: `-0.5`},
		{name: "nested", published: `{"type":"a","payload":[[],{},[{"x":"]}"}]]}`, kind: `"a"`, payload: `[[],{},[{"x":"]}"}]]`},
		{name: "names have a case", published: `{"Type":"a","PAYLOAD":1}`, problem: InvalidTypeMissing},
		{name: "empty object", published: ` { } `, problem: InvalidTypeMissing},
		{name: "type a number", published: `{"type":1}`, problem: InvalidTypeNotString},
		{name: "type null", published: `{"type":null}`, problem: InvalidTypeNotString},
		{name: "array", published: `["type"]`, problem: InvalidShape},
		{name: "string", published: `"type"`, problem: InvalidShape},
		{name: "number", published: `1`, problem: InvalidShape},
		{name: "nothing", published: ``, problem: InvalidJSON},
		{name: "cut", published: `{"type":"a"`, problem: InvalidJSON},
		{name: "two values", published: `{"type":"a"}{}`, problem: InvalidJSON},
		{name: "not UTF-8", published: "{\"type\":\"\xff\"}", problem: InvalidUTF8},
		{name: "too deep", published: `{"type":"a","payload":` + strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000) + `}`, problem: InvalidJSON},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			got, problem := parseEnvelope(tc.published)
			if problem != tc.problem {
				t.Fatalf("problem = %v, want %v", problem, tc.problem)
			}
			if got.kind != tc.kind || got.payload != tc.payload {
				t.Fatalf("type %s, payload %s; want %s, %s", got.kind, got.payload, tc.kind, tc.payload)
			}
		})
	}
}

func TestFrame(t *testing.T) {
	t.Parallel()
	for _, size := range []int{1, 50, 100, 65_000, 70_000} {
		payload := `"` + strings.Repeat("x", size) + `"`
		want := `{"type":"a","payload":` + payload + `,"timestamp":"` + noonText + `"}`
		frame := envelope{kind: `"a"`, payload: payload}.frame(new(stamper).stamp(noon), position.Position{})
		if cap(frame) < len(frame) || !strings.HasSuffix(string(frame), want) {
			t.Fatalf("payload of %d bytes: frame ends otherwise than the envelope", size)
		}
		header := frame[:len(frame)-len(want)]
		if header[0] != 0x81 || len(header) != headerSize(len(want)) {
			t.Fatalf("payload of %d bytes: header % x", size, header)
		}
	}
}

// headerSize is RFC 6455 section 5.2 in three lines.
func headerSize(n int) int {
	switch {
	case n < 126:
		return 2
	case n < 1<<16:
		return 4
	}
	return 10
}

// The walk must say what modelEnvelope says, of anything.
func FuzzEnvelope(f *testing.F) {
	for _, seed := range envelopeSeeds() {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, published string) {
		got, problem := parseEnvelope(published)
		want, wantProblem := modelEnvelope(published)
		if problem != wantProblem || got != want {
			t.Fatalf("%q: %v %+v, want %v %+v", published, problem, got, wantProblem, want)
		}
		if problem != invalidNone {
			return
		}
		frame := got.frame(new(stamper).stamp(noon), position.Position{})
		if !json.Valid(frame[headerSizeOf(frame):]) {
			t.Fatalf("%q: the envelope is not JSON: %q", published, frame)
		}
	})
}

// envelopeSeeds are inputs in which every rule of the grammar is kept or broken
// once, each at every offset from a word's beginning.
func envelopeSeeds() (seeds []string) {
	for _, published := range []string{
		`{"type":"a","payload":{"b":[1,2,{"c":"\""}]}}`, `{"a":"\\","type":"x"}`, ` {"type" : "é" , "payload" : 1e5 } `,
		`{"ty\u0070e":"a"}`, `{"\u0074yp\u0065":"a","\ud800":1}`, "{\"type\":\"\xff\"}", `{"type":"a","type":"b"}`, ``, `{}`, `{"":{},"type":"q"}`,
		`[]`, `[1,]`, `[,]`, `[1 2]`, `[`, `{"a"}`, `{"a":}`, `{"a":1,}`, `{,}`, `{a:1}`, `{"a":1]`, `{"a":[1}`, `{"type":1}}`, "\x00", "\ufeff{}",
		`-`, `-0`, `01`, `1.`, `.1`, `1.5`, `1e`, `1e+`, `1E-7`, `-1.0e+10`, `+1`, `0x1`, `1e5.5`, `--1`,
		`tru`, `true`, `truex`, `falsey`, `nul`, `nulll`, `True`, `NaN`,
		`"`, `"a`, `"\`, `"\"`, `"\x"`, `"\u12"`, `"\u12G4"`, `"\uABCDef"`, `"\u00e9\/\b\f\n\r\t\\\""`, "\"\x1f\"", "\"\x7f\"", "\"tab\t\"", "\"\n\"",
		"\"\u2028\"", "\"\xc3\"", "\"\xed\xa0\x80\"", "\"\xf4\x90\x80\x80\"", `"` + strings.Repeat("é!", 9) + `"`,
		strings.Repeat("[", jsonscan.MaxDepth) + strings.Repeat("]", jsonscan.MaxDepth), strings.Repeat("[", jsonscan.MaxDepth+1) + strings.Repeat("]", jsonscan.MaxDepth+1),
		strings.Repeat(`{"a":`, jsonscan.MaxDepth) + "1" + strings.Repeat("}", jsonscan.MaxDepth), strings.Repeat(`{"a":`, jsonscan.MaxDepth+1) + "1" + strings.Repeat("}", jsonscan.MaxDepth+1),
	} {
		seeds = append(seeds, published)
		for shift := range 8 {
			pad := strings.Repeat("x", shift)
			seeds = append(seeds, `{"`+pad+`":`+published+`,"type":"a"}`, `{"type":"`+pad+published+`"}`)
		}
	}
	return seeds
}

// Every byte, in every place of a word, inside a string and outside.
func TestEnvelopeWithEachByte(t *testing.T) {
	t.Parallel()
	const base = `{"type":"0123456789abcdef","payload": [1] }`
	for i := range len(base) {
		for c := range 256 {
			published := base[:i] + string([]byte{byte(c)}) + base[i+1:]
			got, problem := parseEnvelope(published)
			want, wantProblem := modelEnvelope(published)
			if problem != wantProblem || got != want {
				t.Fatalf("%q: %v %+v, want %v %+v", published, problem, got, wantProblem, want)
			}
		}
	}
}

func TestParseEnvelopeAllocations(t *testing.T) {
	for _, sample := range publishedSamples {
		n := testing.AllocsPerRun(100, func() {
			if _, problem := parseEnvelope(sample.published); problem != invalidNone {
				t.Fatal(problem)
			}
		})
		if n != 0 {
			t.Errorf("%s: %v allocations, want 0", sample.name, n)
		}
	}
}

// headerSizeOf reads a frame's header's size from its second byte.
func headerSizeOf(frame []byte) int {
	switch frame[1] {
	case 126:
		return 4
	case 127:
		return 10
	}
	return 2
}
