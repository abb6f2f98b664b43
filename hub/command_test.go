package hub

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"roost/wsproto"
)

// commandTest is what a message comes to: a code and a reason, with its faults, or no command.
type commandTest struct {
	published string
	code      wsproto.CloseCode
	reason    string
	faults    []error
	err       error
}

func commandTests() []commandTest {
	long := strings.Repeat("ä", maxCloseReason/2) + "x" // 123 bytes
	const code, reason = DefaultDisconnectCode, DefaultDisconnectReason
	one := func(err error) []error { return []error{err} }
	tests := []commandTest{
		// As it should be.
		{`{"disconnect":{}}`, code, reason, nil, nil},
		{" \n{ \"disconnect\" : { } }\t", code, reason, nil, nil},
		{`{"disconnect":{"code":4000,"reason":"out"}}`, 4000, "out", nil, nil},
		{`{"disconnect":{"reason":"out","code":4000}}`, 4000, "out", nil, nil},
		{`{"\u0064isconnect":{"c\u006fde":4000,"reason":"\u006fut"}}`, 4000, "out", nil, nil},
		{`{"disconnect":{"code":1000}}`, 1000, reason, nil, nil},
		{`{"disconnect":{"code":1008}}`, 1008, reason, nil, nil},
		{`{"disconnect":{"code":3000}}`, 3000, reason, nil, nil},
		{`{"disconnect":{"code":4999,"reason":""}}`, 4999, "", nil, nil},
		{`{"disconnect":{"reason":"` + long + `"}}`, code, long, nil, nil},

		// A reason that can't be sent as it is. What is cut stays UTF-8.
		{`{"disconnect":{"reason":"` + long + `y"}}`, code, long, one(errFaultLong), nil},
		{`{"disconnect":{"code":4001,"reason":"` + strings.Repeat("ä", 70) + `"}}`, 4001, strings.Repeat("ä", 61), one(errFaultLong), nil},
		{`{"disconnect":{"reason":"` + strings.Repeat("😀", 40) + `"}}`, code, strings.Repeat("😀", 30), one(errFaultLong), nil},
		{`{"disconnect":{"code":4001,"reason":7}}`, 4001, reason, one(errFaultReason), nil},
		{`{"disconnect":{"reason":null,"code":4001}}`, 4001, reason, one(errFaultReason), nil},
		{`{"disconnect":{"reason":["a"]}}`, code, reason, one(errFaultReason), nil},
		{`{"disconnect":{"reason":"\ud800"}}`, code, "\ufffd", nil, nil},
		{"{\"disconnect\":{\"code\":4001,\"reason\":\"a\xff\"}}", 4001, "a\ufffd", one(errFaultUTF8), nil},

		// Members too many, twice, or with a capital.
		{`{"disconnect":{"code":4001},"x":1}`, 4001, reason, one(errFaultMember), nil},
		{`{"x":{"disconnect":false},"disconnect":{"code":4001}}`, 4001, reason, one(errFaultMember), nil},
		{`{"disconnect":{"code":4001,"why":1,"who":2}}`, 4001, reason, one(errFaultMember), nil},
		{`{"disconnect":{"code":4001},"disconnect":{"code":4002}}`, 4002, reason, one(errFaultTwice), nil},
		{`{"disconnect":{"code":4001,"code":4002}}`, 4002, reason, one(errFaultTwice), nil},
		{`{"disconnect":{"code":4001,"code":0}}`, code, reason, []error{errFaultCode, errFaultTwice}, nil},
		{`{"disconnect":{"reason":"a","code":4001,"r\u0065ason":"b"}}`, 4001, "b", one(errFaultTwice), nil},
		{`{"Disconnect":{"Code":4001,"REASON":"out"}}`, 4001, "out", one(errFaultCase), nil},

		// Something else in place of the object.
		{`{"disconnect":null}`, code, reason, one(errFaultObject), nil},
		{`{"disconnect":true}`, code, reason, one(errFaultObject), nil},
		{`{"disconnect":[]}`, code, reason, one(errFaultObject), nil},
		{`{"disconnect":4001}`, code, reason, one(errFaultObject), nil},
		{`{"disconnect":"signed out"}`, code, reason, one(errFaultObject), nil},
		{`["disconnect"]`, code, reason, one(errFaultObject), nil},

		// Around the object, or instead of JSON.
		{"\ufeff" + `{"disconnect":{"code":4001}}`, 4001, reason, one(errFaultBOM), nil},
		{`{"disconnect":{"code":4001}}}`, 4001, reason, one(errFaultTrailing), nil},
		{`{"disconnect":{"code":4001}} {}`, 4001, reason, one(errFaultTrailing), nil},
		{`{"disconnect":{"code":4001}}` + "\x00", 4001, reason, one(errFaultTrailing), nil},
		{`"{\"disconnect\":{\"code\":4001}}"`, 4001, reason, one(errFaultEncoded), nil},
		{`"disconnect"`, code, reason, []error{errFaultEncoded, errFaultJSON}, nil},
		{`"\"{\\\"disconnect\\\":{}}\""`, code, reason, []error{errFaultEncoded, errFaultObject}, nil},
		{`disconnect`, code, reason, one(errFaultJSON), nil},
		{`DISCONNECT alice`, code, reason, one(errFaultJSON), nil},
		{`{'disconnect': {'code': 4001}}`, code, reason, one(errFaultJSON), nil},
		{`{"disconnect":{"reason":"said "no""}}`, code, reason, one(errFaultJSON), nil},
		{`{"disconnect":{"code":4001,"reason":"cut o`, code, reason, one(errFaultJSON), nil},
		{`{"disconnect":{},}`, code, reason, one(errFaultJSON), nil},
		{`{"disconnect":{"code":04403}}`, code, reason, one(errFaultJSON), nil},
		{`{"disconnect":{"code":+4403}}`, code, reason, one(errFaultJSON), nil},
		{`{"disconnect":` + strings.Repeat("[", 20_000), code, reason, one(errFaultJSON), nil},

		// No command.
		{"", 0, "", nil, errCommandEmpty},
		{" \r\n", 0, "", nil, errCommandEmpty},
		{"\ufeff", 0, "", nil, errCommandEmpty},
		{`""`, 0, "", nil, errCommandEmpty},
		{`{`, 0, "", nil, errCommandText},
		{`nonsense`, 0, "", nil, errCommandText},
		{`null`, 0, "", nil, errCommandText},
		{`[]`, 0, "", nil, errCommandText},
		{`7`, 0, "", nil, errCommandText},
		{strings.Repeat("x", 100_000) + "disconnect", 0, "", nil, errCommandText},
		{`{}`, 0, "", nil, errCommandNone},
		{`{"type":"a","payload":1}`, 0, "", nil, errCommandNone},
		{`{"type":"disconnected","payload":{"disconnect":{}}}`, 0, "", nil, errCommandNone},
		{`{"refresh":{"disconnect":{}}}`, 0, "", nil, errCommandNone},
		{`{"disconnect":false}`, 0, "", nil, errCommandFalse},
	}
	for _, value := range []string{
		"0", "-4403", "999", "1001", "1005", "1006", "1007", "1009", "1012", "1015", "2999", "5000", "65535", "69939",
		"4001.0", "4.001e3", `"4001"`, "null", "true", "[4001]", "99999999999999999999",
	} {
		tests = append(tests, commandTest{`{"disconnect":{"code":` + value + `,"reason":"out"}}`, code, "out", one(errFaultCode), nil})
	}
	return tests
}

func TestParseCommand(t *testing.T) {
	t.Parallel()
	for _, test := range commandTests() {
		got, err := parseCommand(test.published)
		if !errors.Is(err, test.err) {
			t.Errorf("%.80q: %v, want %v", test.published, err, test.err)
			continue
		}
		if err == nil && (got.code != test.code || got.reason != test.reason || !slices.Equal(got.faults, test.faults)) {
			t.Errorf("%.80q: %d %q, %q; want %d %q, %q", test.published, got.code, got.reason, got.faults, test.code, test.reason, test.faults)
		}
		err = CheckControl(test.published) // who types a command hears of each fault
		for _, fault := range append(test.faults, test.err) {
			if fault != nil && !errors.Is(err, fault) {
				t.Errorf("CheckControl(%.80q): %v, want %v", test.published, err, fault)
			}
		}
		if len(test.faults) == 0 && test.err == nil && err != nil {
			t.Errorf("CheckControl(%.80q): %v", test.published, err)
		}
	}
}

// FuzzParseCommand wants that what is taken can be sent, whatever comes, and that a command as it should be has no faults.
func FuzzParseCommand(f *testing.F) {
	for _, test := range commandTests() {
		f.Add(test.published)
	}
	f.Fuzz(func(t *testing.T, published string) {
		got, err := parseCommand(published)
		if err != nil {
			return
		}
		if !got.code.Valid() || got.code == 1005 || got.code == 1006 || len(got.reason) > maxCloseReason || !utf8.ValidString(got.reason) {
			t.Errorf("%q: %+v", published, got)
		}
		if !strings.Contains(strings.ToLower(published), "disconnect") && !strings.Contains(published, `\`) && !strings.ContainsAny(published, "ſK") {
			t.Errorf("%q is a command", published)
		}
	})
}
