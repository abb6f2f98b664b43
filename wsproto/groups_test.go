package wsproto

import (
	"fmt"
	"slices"
	"strings"
	"testing"
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
	gate, ignoring := newTestGate(t, GateConfig{}), newTestGate(t, GateConfig{IgnoreGroups: true})
	most := make([]string, MaxGroups)
	for i := range most {
		most[i] = fmt.Sprint("g", i)
	}
	longest := strings.Repeat("x", MaxGroup)
	for _, test := range []struct {
		claim string
		want  []string
		plain bool // the quick look is enough
	}{
		{`[]`, nil, true},
		{`[ ]`, nil, true},
		{`null`, nil, true},
		{`"staff"`, []string{"staff"}, true},
		{`["staff"]`, []string{"staff"}, true},
		{`[ "admins" , "staff" ]`, []string{"admins", "staff"}, true},
		{`["b","a","b","a","a"]`, []string{"b", "a"}, true},
		{`["a,b]","[c","{}"," ","日本","a:b","🐦"]`, []string{"a,b]", "[c", "{}", " ", "日本", "a:b", "🐦"}, true},
		{`["` + longest + `"]`, []string{longest}, true},
		{manyGroups(MaxGroups), most, true},
		{`["\u0061","a\/b","\"","\ud83d\udc26"]`, []string{"a", "a/b", `"`, "🐦"}, false},
		{`"\u0061"`, []string{"a"}, false},
	} {
		slices.Sort(test.want)
		token := signJSON(t, hs256, `{"sub":"alice","exp":1772604367,"groups":`+test.claim+`}`)
		_, plain := checkPlain(t, gate, token, testNow)
		if plain != test.plain {
			t.Errorf("%s is read the quick way: %v", test.claim, plain)
		}
		request, refusal := decide(gate, upgradeHead("/ws?token="+token))
		if refusal != nil || !slices.Equal(request.Groups, test.want) || (len(test.want) == 0) != (request.Groups == nil) {
			t.Errorf("%s: groups %q, %v; want %q", test.claim, request.Groups, refusal, test.want)
		}
		checkIgnored(t, ignoring, test.claim)
	}
}

// checkIgnored: a gate that ignores groups lets everybody in, into none, whichever way the token is read.
func checkIgnored(t *testing.T, gate *Gate, claim string) {
	t.Helper()
	for _, user := range []string{"alice", `\u0061lice`} {
		token := signJSON(t, hs256, `{"sub":"`+user+`","exp":1772604367,"groups":`+claim+`}`)
		if request, refusal := decide(gate, upgradeHead("/ws?token="+token)); refusal != nil || request.User != "alice" || request.Groups != nil {
			t.Errorf("%s where groups are ignored, sub %s: %q, %v", claim, user, request.Groups, refusal)
		}
	}
}

func TestBadGroups(t *testing.T) {
	t.Parallel()
	gate, ignoring := newTestGate(t, GateConfig{}), newTestGate(t, GateConfig{IgnoreGroups: true})
	for _, claim := range []string{
		`1`, `true`, `{}`, `{"a":1}`, `""`, `[""]`, `["a",""]`, `["a",1]`, `["a",null]`, `[["a"]]`, `["a",["b"]]`, `[{"a":"b"}]`,
		`"` + strings.Repeat("x", MaxGroup+1) + `"`, `["a","` + strings.Repeat("x", MaxGroup+1) + `"]`,
		`"a\u0000"`, `["a\nb"]`, "[\"a\x7f\"]", "[\"a\u0085\"]", "[\"a\xff\"]", `["\ud800"]`, `["a","\ud800"]`, `"\udc26"`,
		manyGroups(MaxGroups + 1), `["a"` + strings.Repeat(`,"a"`, MaxGroups) + `]`,
	} {
		token := signJSON(t, hs256, `{"sub":"alice","exp":1772604367,"groups":`+claim+`}`)
		checkNotPlain(t, gate, token)
		request, refusal := decide(gate, upgradeHead("/ws?token="+token))
		if refusal == nil || refusal.Status != 401 || refusal.Reason != ReasonTokenBadGroups || !strings.Contains(refusal.Text(), "1 to 255 bytes") {
			t.Errorf("%s: %q, %+v; want 401 %s", claim, request.Groups, refusal, ReasonTokenBadGroups)
		}
		checkIgnored(t, ignoring, claim)
	}
	if n := len(refuseTokenBadGroups.Text()); n > maxReason {
		t.Errorf("the refusal's text has %d bytes: a close frame has room for %d", n, maxReason)
	}
}

// TestGroupsOfSeveralClaims: the last of equal names counts, and what is wrong with a subject counts more.
func TestGroupsOfSeveralClaims(t *testing.T) {
	t.Parallel()
	gate := newTestGate(t, GateConfig{})
	token := signJSON(t, hs256, `{"sub":"alice","exp":1772604367,"groups":1,"groups":["a"],"Groups":5}`)
	if request, refusal := decide(gate, upgradeHead("/ws?token="+token)); refusal != nil || !slices.Equal(request.Groups, []string{"a"}) {
		t.Errorf("%q, %v", request.Groups, refusal)
	}
	token = signJSON(t, hs256, `{"sub":"","exp":1772604367,"groups":1}`)
	if _, refusal := decide(gate, upgradeHead("/ws?token="+token)); refusal == nil || refusal.Reason != ReasonTokenBadSubject {
		t.Errorf("%v", refusal)
	}
}

// TestGroupsOutliveTheHead: nothing of what they are read from is kept.
func TestGroupsOutliveTheHead(t *testing.T) {
	t.Parallel()
	gate := newTestGate(t, GateConfig{})
	head := upgradeHead("/ws?token=" + signJSON(t, hs256, `{"sub":"alice","exp":1772604367,"groups":["a","b"]}`))
	request, refusal := decide(gate, head)
	if refusal != nil {
		t.Fatal(refusal.Text())
	}
	clear(head)
	decide(gate, upgradeHead("/ws?token="+signJSON(t, hs256, `{"sub":"bobby","exp":1772604367,"groups":["c","d"]}`)))
	if !slices.Equal(request.Groups, []string{"a", "b"}) {
		t.Errorf("%q", request.Groups)
	}
}

// TestGroupsAllocate: the user, one text and one list, whatever the number of groups.
func TestGroupsAllocate(t *testing.T) {
	skipUnderRace(t)
	gate := newTestGate(t, GateConfig{})
	for claim, want := range map[string]float64{`["a","b","c"]`: 3, manyGroups(50): 3, `null`: 1, `[]`: 1} {
		head := upgradeHead("/ws?token=" + signJSON(t, hs256, `{"sub":"alice","exp":1772604367,"groups":`+claim+`}`))
		if n := testing.AllocsPerRun(100, func() { decide(gate, head) }); n > want {
			t.Errorf("%s: %v allocations, want %v", claim, n, want)
		}
	}
}

// FuzzGroups: what the quick way reads, the thorough one reads too, and the same.
func FuzzGroups(f *testing.F) {
	for _, seed := range []string{`[]`, `null`, `"a"`, `["a", "b" ,"a"]`, `["a",1]`, `["a",["b"]]`, `["\u0061"]`, `[[]]`, `["a,]","é"]`, "[\"\xff\"]"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if rest, ok := afterValue(text, maxNesting); !ok || len(rest) > 0 {
			return // no value of a claim
		}
		quick, ok := plainGroups(text)
		thorough, good := groupsOf(text)
		if ok && (!good || !slices.Equal(quick, thorough)) {
			t.Errorf("%q is %q, and thoroughly %q, %v", text, quick, thorough, good)
		}
		if len(thorough) > MaxGroups || slices.ContainsFunc(thorough, func(g string) bool { return !ValidGroup(g) }) {
			t.Errorf("%q is %q", text, thorough)
		}
	})
}
