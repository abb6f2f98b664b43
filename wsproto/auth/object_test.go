package auth

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"testing"
)

// walk writes down what an object holds; ok is whether the walk came to the end.
func walk(text string) (members string, ok bool) {
	var b strings.Builder
	o := openObject([]byte(text), maxNesting)
	for o.next() {
		fmt.Fprintf(&b, "%s=%s;", o.name, o.value)
	}
	return b.String(), o.complete()
}

func TestObject(t *testing.T) {
	t.Parallel()
	deep := func(n int) string { return `{"a":` + strings.Repeat("[", n) + strings.Repeat("]", n) + `}` }
	deeper := func(n int) string { return strings.Repeat(`{"a":`, n) + `{}` + strings.Repeat("}", n) }
	for text, want := range map[string]string{
		`{}`:                             "",
		" {\r\n\t} "[1:]:                 "",
		`{"a":1}`:                        "a=1;",
		`{"":""}`:                        `="";`,
		`{ "a" : -0 , "b":"x y" } `:      `a=-0;b="x y";`,
		`{"a":true,"b":false,"c":null}`:  "a=true;b=false;c=null;",
		`{"a":"\"\\\/\b\f\n\r\t\u00fF"}`: `a="\"\\\/\b\f\n\r\t\u00fF";`,
		`{"a":[],"b":[1, "x" ,[{}]],"c":{"d":[{"e":0}]}}`: `a=[];b=[1, "x" ,[{}]];c={"d":[{"e":0}]};`,
		`{"a":1,"a":2}`:       "a=1;a=2;",
		"{\"\xff\":\"\xfe\"}": "\xff=\"\xfe\";",
		deep(maxNesting):      "a=" + strings.Repeat("[", maxNesting) + strings.Repeat("]", maxNesting) + ";",
		deeper(maxNesting):    "a=" + deeper(maxNesting-1) + ";",
	} {
		if got, ok := walk(text); got != want || !ok {
			t.Errorf("%s: %q, %v", text, got, ok)
		}
		for end := range strings.TrimRight(text, " ") {
			if got, ok := walk(text[:end]); ok {
				t.Errorf("%s: %q", text[:end], got)
			}
		}
	}
	for _, text := range []string{"", " ", "{", "}", "[]", "null", `""`, "1", " {}", "{}{}", "{},", "{}x",
		`{a:1}`, `{"a"}`, `{"a":}`, `{"a":1`, `{"a":1,`, `{"a":1,}`, `{,"a":1}`, `{"a":1 "b":2}`, `{"a":1,,"b":2}`, `{"a" 1}`, `{"a`, `{"a"`, `{"a":"`,
		`{"a":01}`, `{"a":-}`, `{"a":+1}`, `{"a":.5}`, `{"a":0x1}`, `{"a":NaN}`, `{"a":tru}`, `{"a":truex}`, `{"a":nul`, `{"a":True}`,
		"{\"a\":\"\n\"}", "{\"a\":\"\x00\"}", `{"a":"\x"}`, `{"a":"\u12"}`, `{"a":"\u12g4"}`, `{"a":"\`, `{"a":"\u`,
		`{"a":[}`, `{"a":[1}`, `{"a":[1,]}`, `{"a":[,1]}`, `{"a":[1 2]}`, `{"a":[1,`, `{"a":{]}`, `{"a":{"b":1]}`,
		// Well-formed, but more than it knows.
		`{"\u0061":1}`, `{"a":1.5}`, `{"a":1e3}`, `{"a":[1.0]}`, `{"a":{"\/":1}}`, deep(maxNesting + 1), deeper(maxNesting + 1),
	} {
		if got, ok := walk(text); ok {
			t.Errorf("%s: %q", text, got)
		}
	}
}

// FuzzObject: what is walked to the end encoding/json reads as the same members.
func FuzzObject(f *testing.F) {
	for _, seed := range []string{`{"sub":"alice","exp":1800000000}`, `{ "a" : [1,-0,{"b":null}], "c":{"d":"\ud83d\udc26"} } `,
		`{"a":1,"a":true,"":"\\"}`, `{"a":1.5e3}`, "{\"\xff\":\"\xff\"}", `{"a":"\u00zz"}`, `{"a":[[[[[[[[[]]]]]]]]]}`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		o := openObject([]byte(text), maxNesting)
		walked := make(map[string]string)
		for o.next() {
			// Like encoding/json: U+FFFD for each byte that is not UTF-8.
			walked[string([]rune(string(o.name)))] = string(o.value)
		}
		if !o.complete() {
			return
		}
		var all map[string]json.RawMessage
		if err := json.Unmarshal([]byte(text), &all); err != nil {
			t.Fatalf("walked, but %v", err)
		}
		want := make(map[string]string)
		for name, value := range all {
			want[name] = string(value)
		}
		if !maps.Equal(walked, want) {
			t.Fatalf("%q, want %q", walked, want)
		}
	})
}
