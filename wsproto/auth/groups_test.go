package auth

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"roost/internal/names"
)

// manyGroups is a list of n names in JSON.
func manyGroups(n int) string {
	var list []string
	for i := range n {
		list = append(list, fmt.Sprintf(`"g%d"`, i))
	}
	return "[" + strings.Join(list, ",") + "]"
}

func TestGroups(t *testing.T) {
	t.Parallel()
	a, ignoring := newTest(t, Config{}), newTest(t, Config{IgnoreGroups: true})
	most := make([]string, MaxGroups)
	for i := range most {
		most[i] = fmt.Sprint("g", i)
	}
	longest := strings.Repeat("x", names.MaxGroup)
	for _, test := range []struct {
		claim string
		want  []string
	}{
		{`[]`, nil},
		{`[ ]`, nil},
		{`null`, nil},
		{`"staff"`, []string{"staff"}},
		{`["staff"]`, []string{"staff"}},
		{`[ "admins" , "staff" ]`, []string{"admins", "staff"}},
		{`["b","a","b","a","a"]`, []string{"b", "a"}},
		{`["a,b]","[c","{}"," ","日本","a:b","🐦"]`, []string{"a,b]", "[c", "{}", " ", "日本", "a:b", "🐦"}},
		{`["` + longest + `"]`, []string{longest}},
		{manyGroups(MaxGroups), most},
		{`["\u0061","a\/b","\"","\ud83d\udc26"]`, []string{"a", "a/b", `"`, "🐦"}},
		{`"\u0061"`, []string{"a"}},
	} {
		slices.Sort(test.want)
		token := signJSON(t, hs256, `{"sub":"alice","exp":1772604367,"groups":`+test.claim+`}`)
		id, problem := decide(a, token)
		if problem != nil || !slices.Equal(id.Groups, test.want) || (len(test.want) == 0) != (id.Groups == nil) {
			t.Errorf("%s: groups %q, %v; want %q", test.claim, id.Groups, problem, test.want)
		}
		checkIgnored(t, ignoring, test.claim)
	}
}

// checkIgnored: a a that ignores groups lets everybody in, into none, whichever way the token is read.
func checkIgnored(t *testing.T, a *Authenticator, claim string) {
	t.Helper()
	for _, user := range []string{"alice", `\u0061lice`} {
		token := signJSON(t, hs256, `{"sub":"`+user+`","exp":1772604367,"groups":`+claim+`}`)
		if id, problem := decide(a, token); problem != nil || id.User != "alice" || id.Groups != nil {
			t.Errorf("%s where groups are ignored, sub %s: %q, %v", claim, user, id.Groups, problem)
		}
	}
}

func TestBadGroups(t *testing.T) {
	t.Parallel()
	a, ignoring := newTest(t, Config{}), newTest(t, Config{IgnoreGroups: true})
	for _, claim := range []string{
		`1`, `true`, `{}`, `{"a":1}`, `""`, `[""]`, `["a",""]`, `["a",1]`, `["a",null]`, `[["a"]]`, `["a",["b"]]`, `[{"a":"b"}]`,
		`"` + strings.Repeat("x", names.MaxGroup+1) + `"`, `["a","` + strings.Repeat("x", names.MaxGroup+1) + `"]`,
		`"a\u0000"`, `["a\nb"]`, "[\"a\x7f\"]", "[\"a\u0085\"]", "[\"a\xff\"]", `["\ud800"]`, `["a","\ud800"]`, `"\udc26"`,
		manyGroups(MaxGroups + 1), `["a"` + strings.Repeat(`,"a"`, MaxGroups) + `]`,
	} {
		token := signJSON(t, hs256, `{"sub":"alice","exp":1772604367,"groups":`+claim+`}`)
		id, problem := decide(a, token)
		if problem == nil || problem.Reason != BadGroups || !strings.Contains(problem.Text, "1 to 255 bytes") {
			t.Errorf("%s: %q, %+v; want 401 %s", claim, id.Groups, problem, BadGroups)
		}
		checkIgnored(t, ignoring, claim)
	}
}

// TestGroupsOfSeveralClaims: the last of equal names counts, and what is wrong with a subject counts more.
func TestGroupsOfSeveralClaims(t *testing.T) {
	t.Parallel()
	a := newTest(t, Config{})
	token := signJSON(t, hs256, `{"sub":"alice","exp":1772604367,"groups":1,"groups":["a"],"Groups":5}`)
	if id, problem := decide(a, token); problem != nil || !slices.Equal(id.Groups, []string{"a"}) {
		t.Errorf("%q, %v", id.Groups, problem)
	}
	token = signJSON(t, hs256, `{"sub":"","exp":1772604367,"groups":1}`)
	if _, problem := decide(a, token); problem == nil || problem.Reason != BadSubject {
		t.Errorf("%v", problem)
	}
}

// TestGroupsOutliveTheToken: nothing of what they are read from is kept.
func TestGroupsOutliveTheToken(t *testing.T) {
	t.Parallel()
	a := newTest(t, Config{})
	token := []byte(signJSON(t, hs256, `{"sub":"alice","exp":1772604367,"groups":["a","b"]}`))
	id, problem, _, _ := a.Identify(token, testNow)
	if problem != nil {
		t.Fatal(problem.Text)
	}
	clear(token)
	decide(a, signJSON(t, hs256, `{"sub":"bobby","exp":1772604367,"groups":["c","d"]}`))
	if !slices.Equal(id.Groups, []string{"a", "b"}) {
		t.Errorf("%q", id.Groups)
	}
}

// FuzzGroups: what is read is what encoding/json reads.
func FuzzGroups(f *testing.F) {
	for _, seed := range []string{`[]`, `null`, `"a"`, `["a", "b" ,"a"]`, `["a",1]`, `["a",["b"]]`, `["\u0061"]`, `[[]]`, `["a,]","é"]`, "[\"\xff\"]"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if strings.TrimSpace(text) != text || !json.Valid([]byte(text)) {
			return // no value of a claim
		}
		groups, ok := groupsOf(text)
		var list []string
		if json.Unmarshal([]byte(text), &list) != nil {
			var one string
			if list = nil; json.Unmarshal([]byte(text), &one) == nil {
				list = []string{one}
			}
		}
		slices.Sort(list)
		if list = slices.Compact(list); ok && !slices.Equal(groups, list) {
			t.Errorf("%q is %q, and encoding/json says %q", text, groups, list)
		}
		if len(groups) > MaxGroups || ok && slices.ContainsFunc(groups, func(g string) bool { return !names.ValidGroup(g) }) {
			t.Errorf("%q is %q", text, groups)
		}
	})
}
