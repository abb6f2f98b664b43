package jsonscan

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

// valid is what the package is made of.
func valid(s string) bool { return SkipSpace(s, SkipValue(s, SkipSpace(s, 0), 0)) == len(s) }

// FuzzValue compares with encoding/json.
func FuzzValue(f *testing.F) {
	for _, s := range []string{
		``, ` `, `{}`, ` [ ] `, `[1,]`, `{"a":1,"b":[true,false,null,-0.5e+10,"x\u00e9\\\""]}`, `{"a" : {"b":[[]]}}`, `{"a":1`, `tru`, `01`, `1.`, `1e`, `"\x"`, "\"\x1f\"",
		`"` + strings.Repeat("é!", 9) + `\u12G4"`, strings.Repeat("[", MaxDepth+1) + strings.Repeat("]", MaxDepth+1), strings.Repeat("[", MaxDepth) + strings.Repeat("]", MaxDepth),
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if got, want := valid(s), json.Valid([]byte(s)); got != want {
			t.Errorf("%q: %t, want %t", s, got, want)
		}
	})
}

// FuzzUnescaped compares with encoding/json too.
func FuzzUnescaped(f *testing.F) {
	for _, s := range []string{`"a"`, `""`, `"\u0061\n\"\\"`, `"\ud800"`, `"\ud83d\ude00"`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var want string
		if !utf8.ValidString(s) || s == "" || s[0] != '"' || !strings.HasSuffix(s, `"`) || json.Unmarshal([]byte(s), &want) != nil {
			return
		}
		if got := Unescaped(s); got != `"`+want+`"` {
			t.Errorf("%s: %s, want %q", s, got, want)
		}
	})
}

// Each member of an object is found, with its name and its value.
func TestMembers(t *testing.T) {
	t.Parallel()
	const s = ` { "a" : 1 ,"b":{"c":[2]}, "d":"x" } `
	var got []string
	i, more := FirstMember(s, 1)
	for more {
		nameEnd, value, end := SkipMember(s, i, 1)
		got = append(got, s[i:nameEnd]+"="+s[value:end])
		i, more = NextMember(s, end)
	}
	if all := strings.Join(got, " "); all != `"a"=1 "b"={"c":[2]} "d"="x"` || i != len(s)-1 {
		t.Errorf("%s, up to %d", all, i)
	}
	if i, more := FirstMember("{}", 0); i != 2 || more {
		t.Errorf("an empty object: %d, %t", i, more)
	}
	for _, s := range []string{"{", "{1", `{"a"`, `{"a":`, `{"a":1`, `{"a":1,}`} {
		i, more := FirstMember(s, 0)
		for more {
			_, _, end := SkipMember(s, i, 1)
			i, more = NextMember(s, end)
		}
		if i != Bad {
			t.Errorf("%s ends at %d", s, i)
		}
	}
}
